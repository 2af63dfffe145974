"""Every hyperparameter once, with its range and source.

A search space names these fields, a trial receives them, a checkpoint carries them: one spelling all the way.
"""

import difflib
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

MODELS = ("cnn_ae", "cnn_vae")
ACTIVATIONS = ("relu", "selu", "elu", "leaky_relu")
OPTIMIZERS = ("adam", "sgd")
INPUT_RANGES = ("unit", "symmetric")
EVAL_CROPS = ("random", "grid")
SYMMETRIES = ("none", "flips", "dihedral")
METRICS = ("standard", "report")
SPLIT_UNITS = ("condition", "image", "crop")
HOLDOUTS = ("stratified", "halves")
VAE_REDUCTIONS = ("mean", "batch_sum")
EVALUATED_CHECKPOINTS = ("best", "last")
PRECISIONS = ("auto", "fp32", "bf16")

PROTOCOLS: dict[str, dict[str, str]] = {
    # What the same experiment should have been.
    "corrected": {
        "input_range": "unit",
        "metrics": "standard",
        "split_unit": "condition",
        "holdout": "stratified",
        "evaluate": "best",
        "vae_reduction": "mean",
    },
    # The report exactly, mistakes included, so that its tables can be compared.
    "report": {
        "input_range": "symmetric",
        "metrics": "report",
        "split_unit": "crop",
        "holdout": "halves",
        "evaluate": "last",
        "vae_reduction": "batch_sum",
    },
}


class ConfigError(ValueError):
    """One or more hyperparameters break their rule; the message has one line per problem."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One training, fully described. Defaults are the report's cross-validation settings, protocol corrected.

    Raises:
        ConfigError: any field outside its range; every problem is listed at once.
    """

    # --- model -----------------------------------------------------------------------------------------------
    model: str = "cnn_ae"
    """`cnn_ae` (report, Table 1) or `cnn_vae` (report, Table 7)."""
    activation: str = "relu"
    """`relu`, `selu`, `elu` or `leaky_relu` (slope 0.1, the report's choice for the VAE)."""
    dropout: float = 0.2
    """Dropout2d probability in each encoder block, in [0, 1). Whole channels are dropped."""
    kernel_size: int = 3
    """Side of the encoder's convolutions in pixels; odd, 1 to 15. The report used 3 and 5 (Experiment 3)."""
    latent_dim: int = 128
    """Length of the VAE's latent vector; the plain autoencoder's latent is 128x8x8 and ignores it."""
    beta: float = 1.0
    """Weight of the VAE's KL term, >= 0 (Higgins et al. 2017). The report's loss has 1."""

    # --- optimisation ----------------------------------------------------------------------------------------
    optimizer: str = "adam"
    """`adam` (with `weight_decay`) or `sgd` (with `momentum`, no decay: the report's Experiment 2)."""
    lr: float = 5e-4
    """Learning rate, > 0."""
    weight_decay: float = 1e-5
    """L2 penalty of Adam, >= 0."""
    momentum: float = 0.9
    """Momentum of SGD, in [0, 1)."""
    batch_size: int = 32
    """Crops per step, >= 2 (batch normalisation needs two)."""
    epochs: int = 10
    """Passes over the training crops, >= 1."""

    # --- augmentation of the training crops, drawn anew in every epoch -----------------------------------------
    augment_symmetry: str = "none"
    """`none`, `flips` (and half turns: no label changes), or `dihedral` (quarter turns too: V and H exchange)."""
    augment_brightness: float = 0.0
    """Each crop times a factor of U(1 - a, 1 + a), a in [0, 1). The report bakes 0.2 into its crops instead."""
    input_noise: float = 0.0
    """Standard deviation of noise added to the input but not to the target (denoising), grey values in [0, 1]."""

    eval_crops: str = "random"
    """Crops to validate and test on: `random` like those trained on, or the `grid` of tiles, each pixel once."""

    # --- protocol: `PROTOCOLS` sets these together, each can be set alone --------------------------------------
    input_range: str = "unit"
    """`unit`: inputs and targets in [0, 1]. `symmetric`: [-1, 1], which a sigmoid output cannot reach (report)."""
    metrics: str = "standard"
    """`standard`: data range 1, Gaussian SSIM. `report`: its PSNR range and min-max SSIM (see deepdlt.metrics)."""
    split_unit: str = "condition"
    """What stays together in a split: all images of a process `condition`, an `image`, or nothing (`crop`, report)."""
    holdout: str = "stratified"
    """Validation and test drawn `stratified`, or the sorted held-out rows cut into `halves` (report)."""
    evaluate: str = "best"
    """Which weights meet the test set: `best` by validation loss, or those of the `last` epoch (report)."""

    vae_reduction: str = "mean"
    """The VAE's loss per batch: `mean` over images, or `batch_sum` (report: the logged value is about 32 x larger)."""

    # --- run ---------------------------------------------------------------------------------------------------
    precision: str = "auto"
    """`fp32`, `bf16` (autocast), or `auto`: bf16 where the processor computes it natively."""
    seed: int = 0
    """Seeds the weights, dropout, VAE noise and data order of this training; 0 to 2**32 - 1."""

    def __post_init__(self) -> None:
        problems = [problem for field in fields(self) if (problem := _type_problem(self, field))]
        if not problems:
            problems = [message for broken, message in _rules(self) if broken]
        if problems:
            raise ConfigError("\n".join(problems))

    @property
    def protocol(self) -> str:
        """`report`, `corrected`, or `mixed` when the protocol's fields were set one by one."""
        for name, values in PROTOCOLS.items():
            if all(getattr(self, key) == value for key, value in values.items()):
                return name
        return "mixed"


def make_config(protocol: str, **settings: Any) -> TrainConfig:
    """A TrainConfig with the protocol's fields set, then `settings` on top.

    Raises:
        ConfigError: unknown protocol or field (with the nearest name), or a value outside its range.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"unknown protocol {protocol!r}; choose {' or '.join(PROTOCOLS)}")
    names = [field.name for field in fields(TrainConfig)]
    problems = [_unknown_field(key, names) for key in settings if key not in names]
    known = {key: value for key, value in settings.items() if key in names}
    try:
        config = TrainConfig(**{**PROTOCOLS[protocol], **known})
    except ConfigError as error:
        problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def config_dict(config: TrainConfig) -> dict[str, Any]:
    """The fields as a flat dict of strings and numbers, in the order of the class."""
    return asdict(config)


def _unknown_field(key: str, names: list[str]) -> str:
    near = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"fields: {', '.join(names)}"
    return f"`{key}` is not a hyperparameter; {hint}"


def _type_problem(config: TrainConfig, field: Any) -> str:
    value = getattr(config, field.name)
    expected: type = field.type
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {str: isinstance(value, str), int: number and isinstance(value, int), float: number}[expected]
    if expected is float and number and not math.isfinite(value):
        return f"`{field.name}` must be finite, got {value!r}"
    return "" if fits else f"`{field.name}` must be {expected.__name__}, got {value!r}"


def _rules(config: TrainConfig) -> list[tuple[bool, str]]:
    """(is broken, message) of every range."""
    c = config
    choices = {
        "model": MODELS,
        "activation": ACTIVATIONS,
        "optimizer": OPTIMIZERS,
        "input_range": INPUT_RANGES,
        "metrics": METRICS,
        "split_unit": SPLIT_UNITS,
        "holdout": HOLDOUTS,
        "evaluate": EVALUATED_CHECKPOINTS,
        "vae_reduction": VAE_REDUCTIONS,
        "precision": PRECISIONS,
        "augment_symmetry": SYMMETRIES,
        "eval_crops": EVAL_CROPS,
    }
    rules = [
        (getattr(c, name) not in allowed, f"`{name}` must be one of {', '.join(allowed)}, got {getattr(c, name)!r}")
        for name, allowed in choices.items()
    ]
    ranges = [
        ("dropout", 0 <= c.dropout < 1, "in [0, 1)"),
        ("kernel_size", 1 <= c.kernel_size <= 15 and c.kernel_size % 2 == 1, "odd and in 1..15"),
        ("latent_dim", c.latent_dim >= 1, ">= 1"),
        ("beta", c.beta >= 0, ">= 0"),
        ("lr", c.lr > 0, "> 0"),
        ("weight_decay", c.weight_decay >= 0, ">= 0"),
        ("momentum", 0 <= c.momentum < 1, "in [0, 1)"),
        ("batch_size", c.batch_size >= 2, ">= 2"),
        ("epochs", c.epochs >= 1, ">= 1"),
        ("augment_brightness", 0 <= c.augment_brightness < 1, "in [0, 1)"),
        ("input_noise", c.input_noise >= 0, ">= 0"),
        ("seed", 0 <= c.seed < 2**32, "in 0..2**32-1"),
    ]
    rules += [(not holds, f"`{name}` must be {rule}, got {getattr(c, name)!r}") for name, holds, rule in ranges]
    crops_divided = c.split_unit == "crop"
    rules += [
        (
            c.holdout == "halves" and not crops_divided,
            "`holdout` halves needs `split_unit` crop: halves of sorted rows cut through images",
        ),
        (
            c.eval_crops == "grid" and crops_divided,
            "`eval_crops` grid needs whole images on one side: `split_unit` condition or image, not crop",
        ),
    ]
    return rules
