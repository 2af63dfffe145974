from .baselines import compute_baselines as compute_baselines
from .sweep_run import run_sweep as run_sweep
