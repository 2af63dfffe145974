"""The study's label x fold cross-validation (its Tables 3-6), without a search before it.

Question
    How well does the study's autoencoder reconstruct surfaces that it was not trained on, and how certain is that?
Axes
    None: one configuration. The grid is labels (angle, PP1, NP, EP1) x 5 folds = 20 trials.
Cost
    20 trials x 10 epochs on the built-in images (960 crops): about 4 minutes on 2 cores.
Run
    python sweeps/run.py --space cv_report                       # as it should have been
    python sweeps/run.py --space cv_report --protocol report     # as it was, for comparison with the tables
"""

TRIALS = 1
EPOCHS = 10
CV_ONLY = True

SPACE = {
    "model": "cnn_ae",
    "lr": 5e-4,
    "dropout": 0.2,
    "activation": "relu",
    "kernel_size": 3,
    "optimizer": "adam",
    "weight_decay": 1e-5,
    "batch_size": 32,
}
