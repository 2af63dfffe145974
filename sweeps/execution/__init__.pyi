from .baselines import compute_baselines as compute_baselines
from .ray_needs import check_ray as check_ray
from .ray_needs import sockets_folder as sockets_folder
from .sweep_run import run_sweep as run_sweep
