"""Autoencoder or variational autoencoder, plain or residual?

Question
    Which kind of network reconstructs the surfaces best, each with settings of its own?
Axes
    model 4 x lr 3, and of each model what only it has: kernel_size 2 of the CNN, latent_dim 3 of the CNN's VAE,
    latent_channels 2 of the residual ones = 27 configurations.
Cost
    12 trials x 3 epochs on the built-in images (960 crops): about 2 minutes on 2 cores.
Run
    python sweeps/run.py --space model_grid --cv
    python sweeps/run.py --space model_grid --minimize parameters      # the Pareto front of size and quality
"""

from ray import tune

TRIALS = 12
EPOCHS = 3

SPACE = {
    "model": tune.choice(["cnn_ae", "cnn_vae", "res_ae", "res_vae"]),
    "lr": tune.choice([2e-3, 1e-3, 5e-4]),
    "kernel_size": tune.choice([3, 5]),
    "latent_dim": tune.choice([32, 128, 512]),
    "latent_channels": tune.choice([4, 16]),
    "dropout": 0.0,
}

CONDITIONS = {
    "kernel_size": {"model": ["cnn_ae"]},
    "latent_dim": {"model": ["cnn_vae"]},
    "latent_channels": {"model": ["res_ae", "res_vae"]},
}

POINTS = [
    {"model": "cnn_ae", "lr": 1e-3, "kernel_size": 3},
    {"model": "cnn_vae", "lr": 1e-3, "latent_dim": 128},
    {"model": "res_ae", "lr": 2e-3, "latent_channels": 16},
]
