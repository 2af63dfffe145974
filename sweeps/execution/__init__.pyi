from .baselines import compute_baselines as compute_baselines
from .baselines import computed_baselines as computed_baselines
from .beside_trials import BesideTrials as BesideTrials
from .ray_needs import check_ray as check_ray
from .ray_needs import sockets_folder as sockets_folder
from .session import RaySession as RaySession
from .sweep_run import run_sweep as run_sweep
