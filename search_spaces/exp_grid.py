"""The study's three experiments and all combinations of their settings.

Question
    Which settings of the convolutional autoencoder reconstruct the surfaces best?
Axes
    lr 3 x dropout 2 x activation 3 x kernel_size 2 x optimizer 2 = 72 configurations.
    The study's Experiments 1, 2 and 3 are three of them and are tried first.
Cost
    12 trials x 3 epochs on the built-in images (960 crops): about 1 minute on 2 cores.
    On the 208 real images one epoch of one trial takes 40 s (kernel 3) to 80 s (kernel 5) of one core with bfloat16.
Run
    python sweeps/run.py --space exp_grid --cv
"""

from ray import tune

TRIALS = 12
EPOCHS = 3

SPACE = {
    "model": "cnn_ae",
    "lr": tune.choice([1e-3, 5e-4, 1e-4]),
    "dropout": tune.choice([0.2, 0.3]),
    "activation": tune.choice(["relu", "selu", "elu"]),
    "kernel_size": tune.choice([3, 5]),
    "optimizer": tune.choice(["adam", "sgd"]),
}

POINTS = [
    {"lr": 1e-3, "dropout": 0.3, "activation": "relu", "kernel_size": 3, "optimizer": "adam"},  # Experiment 1
    {"lr": 1e-4, "dropout": 0.2, "activation": "elu", "kernel_size": 3, "optimizer": "sgd"},  # Experiment 2
    {"lr": 5e-4, "dropout": 0.2, "activation": "relu", "kernel_size": 5, "optimizer": "adam"},  # Experiment 3
]
