"""The study's variational autoencoder and nearby settings.

Question
    Which latent size, KL weight and learning rate suit the VAE?
Axes
    lr 3 x latent_dim 3 x beta 3 x dropout 2 = 54 configurations; the study's is one of them and is tried first.
    Under protocol corrected the decoder's variance fits itself (sigma-VAE) and beta 1 is the ELBO; under protocol
    report the squared error stands for a variance of 0.5, and a beta below 1 makes up for it.
Cost
    12 trials x 3 epochs on the built-in images (960 crops): about 1 minute on 2 cores.
Run
    python sweeps/run.py --space vae_grid --cv
"""

from ray import tune

TRIALS = 12
EPOCHS = 3

SPACE = {
    "model": "cnn_vae",
    "activation": "leaky_relu",
    "lr": tune.choice([1e-3, 3e-4, 1e-4]),
    "latent_dim": tune.choice([32, 128, 512]),
    "beta": tune.choice([0.05, 0.25, 1.0]),
    "dropout": tune.choice([0.0, 0.2]),
}

POINTS = [
    {"lr": 1e-4, "latent_dim": 128, "beta": 1.0, "dropout": 0.2},  # the study, section 6.1
]
