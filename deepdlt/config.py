"""Every hyperparameter once, with its range and source.

A search space names these fields, a trial receives them, a checkpoint carries them: one spelling all the way.
"""

import difflib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from deepdlt.errors import CommandError
from deepdlt.rules import choices, number, one_of, out_of_range, wrong_types

PROTOCOLS: dict[str, dict[str, str]] = {
    # What the same experiment should have been.
    "corrected": {
        "input_range": "unit",
        "metrics": "standard",
        "split_unit": "condition",
        "holdout": "stratified",
        "evaluate": "best",
        "train_loss_mode": "eval",
        "vae_likelihood": "optimal",
        "vae_reduction": "mean",
    },
    # The report exactly, mistakes included, so that its tables can be compared.
    "report": {
        "input_range": "symmetric",
        "metrics": "report",
        "split_unit": "crop",
        "holdout": "halves",
        "evaluate": "last",
        "train_loss_mode": "running",
        "vae_likelihood": "squared_error",
        "vae_reduction": "batch_sum",
    },
}


class ConfigError(CommandError, ValueError):
    """One or more hyperparameters break their rule; the message has one line per problem."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One training, fully described. Defaults are the report's cross-validation settings, protocol corrected.

    Raises:
        ConfigError: any field outside its range; every problem is listed at once.
    """

    # --- model -----------------------------------------------------------------------------------------------
    model: str = one_of("cnn_ae", "cnn_vae", "res_ae", "res_vae")
    """`cnn_ae` (report, Table 1), `cnn_vae` (report, Table 7), or their residual successors `res_ae`, `res_vae`."""
    activation: str = one_of("relu", "selu", "elu", "leaky_relu", "silu")
    """`relu`, `selu`, `elu`, `silu` or `leaky_relu` (slope 0.1, the report's choice for the VAE)."""
    init: str = one_of("default", "matched")
    """PyTorch's `default` weights, or `matched` to the activation (LeCun for SELU, He for the rectifiers)."""
    dropout: float = number(0.2, "in [0, 1)", lambda x: 0 <= x < 1)
    """Dropout2d probability in each encoder block, in [0, 1). Whole channels are dropped."""
    kernel_size: int = number(3, "odd and in 1..15", lambda x: 1 <= x <= 15 and x % 2 == 1)
    """Side of the encoder's convolutions in pixels; odd, 1 to 15. The report used 3 and 5 (Experiment 3)."""
    decoder_kernel_size: int = number(2, "2 or 3", lambda x: x in (2, 3))
    """Side of the CNN models' transposed convolutions: 2 (original code, Table 7) or 3 (the report's Table 1)."""
    width: int = number(32, "a multiple of 8", lambda x: x >= 8 and x % 8 == 0)
    """Channels of the residual models at 32x32; twice as many at 16x16, four times at 8x8. Best a multiple of 16."""
    blocks: int = number(1, "in 1..8", lambda x: 1 <= x <= 8)
    """Residual blocks per resolution in encoder and decoder of the residual models, 1 to 8."""
    latent_channels: int = number(16, ">= 0", lambda x: x >= 0)
    """Channels of the residual models' 8x8 latent map (from 64 on it is no bottleneck); 0 for a vector instead."""
    latent_dim: int = number(128, ">= 1", lambda x: x >= 1)
    """Length of the latent vector of the VAE and of residual models without a latent map."""

    # --- loss ------------------------------------------------------------------------------------------------
    loss: str = one_of("mse", "l1", "charbonnier")
    """Autoencoders: `mse`, `l1` or `charbonnier` (smooth L1), per pixel. A VAE's is its `vae_likelihood`."""
    ms_ssim_weight: float = number(0.0, ">= 0", lambda x: x >= 0)
    """Autoencoders: this times 1 - MS-SSIM (3 scales) is added to the loss, >= 0."""
    focal_frequency_weight: float = number(0.0, ">= 0", lambda x: x >= 0)
    """Autoencoders: this times the focal frequency loss (Jiang et al. 2021) is added, >= 0."""
    spectrum_weight: float = number(0.0, ">= 0", lambda x: x >= 0)
    """Autoencoders: this times the mean difference of the log10 radial power spectra is added, >= 0."""
    beta: float = number(1.0, ">= 0", lambda x: x >= 0)
    """Weight of the VAE's KL term, >= 0 (Higgins et al. 2017). The report's loss has 1."""
    decoder_sigma: float = number(0.1, "> 0", lambda x: x > 0)
    """Standard deviation of the `gaussian` likelihood in grey values of [0, 1], > 0."""
    kl_warmup: int = number(0, ">= 0", lambda x: x >= 0)
    """Epochs over which the KL term's weight rises linearly from 0 to `beta`, >= 0."""
    free_bits: float = number(0.0, ">= 0", lambda x: x >= 0)
    """Nats per latent number below which its KL is not pressed further (Kingma et al. 2016), >= 0."""

    # --- optimisation ----------------------------------------------------------------------------------------
    optimizer: str = one_of("adam", "adamw", "sgd")
    """`adam` (L2 in the gradient), `adamw` (decoupled, not on norms and biases), or `sgd` (Experiment 2; no decay)."""
    lr: float = number(5e-4, "> 0", lambda x: x > 0)
    """Learning rate, > 0; the highest one of a schedule."""
    schedule: str = one_of("constant", "cosine", "onecycle", "plateau")
    """`constant`, `cosine` to 0, `onecycle` (Smith & Topin 2018), or `plateau`: x 0.3 at the 3rd stale epoch."""
    warmup: float = number(0.0, "in [0, 1)", lambda x: 0 <= x < 1)
    """Share of all steps in which lr rises linearly to its value, in [0, 1); `onecycle` takes 0.3 where this is 0."""
    weight_decay: float = number(1e-5, ">= 0", lambda x: x >= 0)
    """L2 penalty of Adam, decoupled decay of AdamW, >= 0."""
    momentum: float = number(0.9, "in [0, 1)", lambda x: 0 <= x < 1)
    """Momentum of SGD, in [0, 1)."""
    ema: float = number(0.0, "in [0, 1)", lambda x: 0 <= x < 1)
    """Decay per step of the averaged weights that are validated, tested and kept as best; in [0, 1), 0 for none."""
    batch_size: int = number(32, ">= 2", lambda x: x >= 2)
    """Crops per step, >= 2 (batch normalisation needs two)."""
    epochs: int = number(10, ">= 1", lambda x: x >= 1)
    """Passes over the training crops, >= 1."""
    early_stopping: int = number(0, ">= 0", lambda x: x >= 0)
    """Stop after this many epochs without a lower validation loss; 0 for never."""

    # --- augmentation of the training crops, drawn anew in every epoch -----------------------------------------
    augment_symmetry: str = one_of("none", "flips", "dihedral")
    """`none`, `flips` (and half turns: no label changes), or `dihedral` (quarter turns too: V and H exchange)."""
    augment_brightness: float = number(0.0, "in [0, 1)", lambda x: 0 <= x < 1)
    """Each crop times a factor of U(1 - a, 1 + a), a in [0, 1). The report bakes 0.2 into its crops instead."""
    input_noise: float = number(0.0, ">= 0", lambda x: x >= 0)
    """Standard deviation of noise added to the input but not to the target (denoising), grey values in [0, 1]."""

    eval_crops: str = one_of("random", "grid")
    """Crops to validate and test on: `random` like those trained on, or the `grid` of tiles, each pixel once."""

    # --- protocol: `PROTOCOLS` sets these together, each can be set alone --------------------------------------
    input_range: str = one_of("unit", "symmetric")
    """`unit`: inputs and targets in [0, 1]. `symmetric`: [-1, 1], which a sigmoid output cannot reach (report)."""
    metrics: str = one_of("standard", "report")
    """`standard`: data range 1, Gaussian SSIM. `report`: its PSNR range and min-max SSIM (metrics.similarity)."""
    split_unit: str = one_of("condition", "image", "crop")
    """What stays together in a split: all images of a process `condition`, an `image`, or nothing (`crop`, report)."""
    holdout: str = one_of("stratified", "halves")
    """Validation and test drawn `stratified`, or the sorted held-out rows cut into `halves` (report)."""
    evaluate: str = one_of("best", "last")
    """Which weights meet the test set: `best` by validation loss, or those of the `last` epoch (report)."""

    train_loss_mode: str = one_of("eval", "running")
    """`eval`: over as many training crops as are validated, dropout off; `running`: over the epoch, on (report)."""
    vae_likelihood: str = one_of("optimal", "gaussian", "squared_error")
    """`optimal`: Gaussian with the variance that fits best (sigma-VAE, Rybkin et al. 2021); `gaussian`: with
    `decoder_sigma`; `squared_error`: the report's, a variance of 0.5 without its constant."""
    vae_reduction: str = one_of("mean", "batch_sum")
    """The VAE's loss per batch: `mean` over images, or `batch_sum` (report: the logged value is about 32 x larger)."""

    # --- run ---------------------------------------------------------------------------------------------------
    precision: str = one_of("auto", "fp32", "bf16")
    """`fp32`, `bf16` (autocast), or `auto`: bf16 where the processor computes it natively."""
    seed: int = number(0, "in 0..2**32-1", lambda x: 0 <= x < 2**32)
    """Seeds the weights, dropout, VAE noise and data order of this training; 0 to 2**32 - 1."""

    def __post_init__(self) -> None:
        if problems := wrong_types(self) or [*out_of_range(self), *_broken_combinations(self)]:
            raise ConfigError("\n".join(problems))

    @property
    def latent_size(self) -> int:
        """How many numbers describe a crop of 64x64."""
        if self.model == "cnn_ae":
            return 128 * 8 * 8
        return self.latent_channels * 8 * 8 if self.model != "cnn_vae" and self.latent_channels else self.latent_dim

    @property
    def protocol(self) -> str:
        """`report`, `corrected`, or `mixed` when the protocol's fields were set one by one."""
        for name, values in PROTOCOLS.items():
            if all(getattr(self, key) == value for key, value in values.items()):
                return name
        return "mixed"


CHOICES = choices(TrainConfig)
"""Field -> the texts that it may be."""
VAES = ("cnn_vae", "res_vae")
REFERENCE_SIZE = 128
"""Numbers of the report's latent vector: baselines of this size are shown beside those of a network's own."""
FOR_AUTOENCODERS = ("loss", "ms_ssim_weight", "focal_frequency_weight", "spectrum_weight")


def make_config(protocol: str, **settings: Any) -> TrainConfig:
    """A TrainConfig with the protocol's fields set, then `settings` on top.

    Raises:
        ConfigError: unknown protocol or field (with the nearest name), or a value outside its range.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"unknown protocol {protocol!r}; choose {' or '.join(PROTOCOLS)}")
    names = [field.name for field in fields(TrainConfig)]
    problems = [_unknown_field(key) for key in settings if key not in names]
    known = {key: value for key, value in settings.items() if key in names}
    try:
        config = TrainConfig(**{**PROTOCOLS[protocol], **known})
    except ConfigError as error:
        problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """`["lr=1e-3", "optimizer=sgd"]` -> {"lr": 0.001, "optimizer": "sgd"}, typed as the fields are.

    Raises:
        ConfigError: no `=`, or not a value of the field's type; every problem is listed. Names are not checked.
    """
    types: dict[str, Any] = {field.name: field.type for field in fields(TrainConfig)}
    settings, problems = {}, []
    for text in texts:
        name, equals, value = text.partition("=")
        kind = types.get(name, str)
        try:
            settings[name] = kind(value)
        except ValueError:
            problems.append(f"--set {name}: `{name}` must be {kind.__name__}, got {value!r}")
        if not equals:
            problems.append(f"--set takes KEY=VALUE, got {text!r}")
        if name == "protocol":
            problems.append("`protocol` is not for --set; use --protocol")
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def config_dict(config: TrainConfig) -> dict[str, Any]:
    """The fields as a flat dict of strings and numbers, in the order of the class."""
    return asdict(config)


OTHER_NAMES = {
    "act": "activation",
    "batch": "batch_size",
    "bs": "batch_size",
    "drop": "dropout",
    "kernel": "kernel_size",
    "latent": "latent_dim",
    "learning_rate": "lr",
    "n_epochs": "epochs",
    "opt": "optimizer",
    "scheduler": "schedule",
    "wd": "weight_decay",
}
"""What hyperparameters are called elsewhere -> their names here."""


def field_called(name: str) -> str | None:
    """The hyperparameter that a person means by this name: its own, a common other one, or a similar one; None."""
    names = [field.name for field in fields(TrainConfig)]
    plain = name.lower().replace("-", "_")
    return OTHER_NAMES.get(plain) or next(iter(difflib.get_close_matches(plain, names, n=1)), None)


def _unknown_field(key: str) -> str:
    near = field_called(key)
    remedy = f"did you mean `{near}`?" if near else "docs/hyperparameters.md lists them"
    return f"`{key}` is not a hyperparameter; {remedy}"


CHANGEABLE = ("lr", "dropout", "weight_decay", "momentum", "free_bits", "augment_brightness", "input_noise")
"""Fields that may change between two epochs. They are neither part of the network nor of the loss that is validated:
with another `beta` or weight of a loss term, epochs before and after could not be compared."""

OWN = ("seed", "epochs")
"""Fields that a training keeps whatever it takes over; both say something about the epochs to come alone."""


def _broken_combinations(config: TrainConfig) -> list[str]:
    """One message for each pair of fields that must not say together what they do."""
    c, crops_divided = config, config.split_unit == "crop"
    rules = [
        (
            c.model in VAES and getattr(c, name) not in ("mse", 0),
            f"`{name}` is for autoencoders, got {getattr(c, name)!r} with {c.model}; see `vae_likelihood`",
        )
        for name in FOR_AUTOENCODERS
    ]
    rules += [
        (
            c.schedule == "plateau" and c.warmup > 0,
            f"`warmup` must be 0 with `schedule` plateau, got {c.warmup!r}: that one has no steps to warm up in",
        ),
        (
            c.holdout == "halves" and not crops_divided,
            "`holdout` halves needs `split_unit` crop: halves of sorted rows cut through images",
        ),
        (
            c.eval_crops == "grid" and crops_divided,
            "`eval_crops` grid needs whole images on one side: `split_unit` condition or image, not crop",
        ),
    ]
    return [message for broken, message in rules if broken]
