"""What hyperparameters are called elsewhere, so that a person who types such a name is told ours."""

import difflib
from collections.abc import Iterable

OTHER_NAMES = {
    "act": "activation",
    "activationfunction": "activation",
    "amp": "precision",
    "architecture": "model",
    "augment": "augment_symmetry",
    "augmentation": "augment_symmetry",
    "batch": "batch_size",
    "brightness": "augment_brightness",
    "bs": "batch_size",
    "channels": "width",
    "codesize": "latent_dim",
    "criterion": "loss",
    "decay": "weight_decay",
    "depth": "blocks",
    "drop": "dropout",
    "dropoutrate": "dropout",
    "dtype": "precision",
    "emadecay": "ema",
    "filtersize": "kernel_size",
    "initialization": "init",
    "kernel": "kernel_size",
    "klweight": "beta",
    "ksize": "kernel_size",
    "l2": "weight_decay",
    "latent": "latent_dim",
    "latentsize": "latent_dim",
    "learningrate": "lr",
    "likelihood": "vae_likelihood",
    "lossfn": "loss",
    "lrscheduler": "schedule",
    "maxepochs": "epochs",
    "minibatch": "batch_size",
    "minibatchsize": "batch_size",
    "nepochs": "epochs",
    "net": "model",
    "network": "model",
    "noise": "input_noise",
    "nonlinearity": "activation",
    "numepochs": "epochs",
    "opt": "optimizer",
    "optim": "optimizer",
    "patience": "early_stopping",
    "scheduler": "schedule",
    "sigma": "decoder_sigma",
    "ssimweight": "ms_ssim_weight",
    "wd": "weight_decay",
    "zdim": "latent_dim",
}
"""Names that other tools use for the hyperparameters, without `_` -> names here."""


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that a person means: this one, written otherwise, a synonym's, or a similar one; else None."""
    names = {each.replace("_", ""): each for each in known}
    bare = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    if bare in names or bare in OTHER_NAMES:
        return names.get(bare) or OTHER_NAMES[bare]
    near = difflib.get_close_matches(bare, names, n=1)
    return names[near[0]] if near else None
