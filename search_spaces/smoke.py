"""The smallest real sweep: a check of the installation.

Question
    Do data, training, search, logs and report work on this machine?
Axes
    lr 2 x kernel_size 2 = 4 configurations.
Cost
    2 trials x 1 epoch on the built-in images (960 crops): about 25 seconds on 2 cores, most of it start-up.
Run
    python sweeps/run.py --space smoke
"""

from ray import tune

TRIALS = 2
EPOCHS = 1

SPACE = {
    "lr": tune.choice([1e-3, 5e-4]),
    "kernel_size": tune.choice([3, 5]),
}
