"""The residual autoencoder: latent size, depth and averaged weights.

Question
    How many latent dimensions does a surface need, and how much do depth and averaged weights add?
Axes
    latent_channels 3 (8x8 maps: 256, 1024 and 8192 latent dimensions) x lr 3 x blocks 2 x ema 2 = 36 configurations.
Cost
    12 trials x 3 epochs on the built-in images (960 crops): about 2 minutes on 2 cores.
    On the 208 real images one epoch of one trial takes 1.5 to 3 minutes of one core with bfloat16.
Run
    python sweeps/run.py --space res_grid --cv
"""

from ray import tune

TRIALS = 12
EPOCHS = 3

SPACE = {
    "model": "res_ae",
    "activation": "silu",
    "dropout": 0.0,
    "optimizer": "adamw",
    "weight_decay": 1e-4,
    "schedule": "onecycle",
    "latent_channels": tune.choice([4, 16, 128]),
    "lr": tune.choice([1e-3, 2e-3, 4e-3]),
    "blocks": tune.choice([1, 2]),
    "ema": tune.choice([0.0, 0.99]),
}

POINTS = [
    {"latent_channels": 16, "lr": 2e-3, "blocks": 1, "ema": 0.0},
]
