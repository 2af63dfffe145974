"""What a TrainConfig may say: the choices of each field, the ranges, and what two fields must not say together."""

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepdlt.config import TrainConfig

VAES = ("cnn_vae", "res_vae")
CHOICES: dict[str, tuple[str, ...]] = {
    "model": ("cnn_ae", "cnn_vae", "res_ae", "res_vae"),
    "activation": ("relu", "selu", "elu", "leaky_relu", "silu"),
    "init": ("default", "matched"),
    "loss": ("mse", "l1", "charbonnier"),
    "optimizer": ("adam", "adamw", "sgd"),
    "schedule": ("constant", "cosine", "onecycle", "plateau"),
    "augment_symmetry": ("none", "flips", "dihedral"),
    "eval_crops": ("random", "grid"),
    "input_range": ("unit", "symmetric"),
    "metrics": ("standard", "report"),
    "split_unit": ("condition", "image", "crop"),
    "holdout": ("stratified", "halves"),
    "evaluate": ("best", "last"),
    "train_loss_mode": ("eval", "running"),
    "vae_likelihood": ("optimal", "gaussian", "squared_error"),
    "vae_reduction": ("mean", "batch_sum"),
    "precision": ("auto", "fp32", "bf16"),
}
FOR_AUTOENCODERS = ("loss", "ms_ssim_weight", "focal_frequency_weight", "spectrum_weight")


def broken_rules(config: "TrainConfig") -> list[str]:
    """One message per rule that the configuration breaks; ranges are looked at when all types are right."""
    problems = [problem for field in fields(config) if (problem := _type_problem(config, field))]
    return problems or [message for broken, message in _rules(config) if broken]


def _type_problem(config: "TrainConfig", field: Any) -> str:
    value = getattr(config, field.name)
    expected: type = field.type
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {str: isinstance(value, str), int: number and isinstance(value, int), float: number}[expected]
    if expected is float and number and not math.isfinite(value):
        return f"`{field.name}` must be finite, got {value!r}"
    return "" if fits else f"`{field.name}` must be {expected.__name__}, got {value!r}"


def _rules(config: "TrainConfig") -> list[tuple[bool, str]]:
    """(is broken, message) of every range."""
    c = config
    rules = [
        (getattr(c, name) not in allowed, f"`{name}` must be one of {', '.join(allowed)}, got {getattr(c, name)!r}")
        for name, allowed in CHOICES.items()
    ]
    ranges = [
        ("dropout", 0 <= c.dropout < 1, "in [0, 1)"),
        ("kernel_size", 1 <= c.kernel_size <= 15 and c.kernel_size % 2 == 1, "odd and in 1..15"),
        ("decoder_kernel_size", c.decoder_kernel_size in (2, 3), "2 or 3"),
        ("width", c.width >= 8 and c.width % 8 == 0, "a multiple of 8"),
        ("blocks", 1 <= c.blocks <= 8, "in 1..8"),
        ("latent_channels", c.latent_channels >= 0, ">= 0"),
        ("latent_dim", c.latent_dim >= 1, ">= 1"),
        ("ms_ssim_weight", c.ms_ssim_weight >= 0, ">= 0"),
        ("focal_frequency_weight", c.focal_frequency_weight >= 0, ">= 0"),
        ("spectrum_weight", c.spectrum_weight >= 0, ">= 0"),
        ("beta", c.beta >= 0, ">= 0"),
        ("decoder_sigma", c.decoder_sigma > 0, "> 0"),
        ("kl_warmup", c.kl_warmup >= 0, ">= 0"),
        ("free_bits", c.free_bits >= 0, ">= 0"),
        ("lr", c.lr > 0, "> 0"),
        ("warmup", 0 <= c.warmup < 1, "in [0, 1)"),
        ("weight_decay", c.weight_decay >= 0, ">= 0"),
        ("momentum", 0 <= c.momentum < 1, "in [0, 1)"),
        ("ema", 0 <= c.ema < 1, "in [0, 1)"),
        ("batch_size", c.batch_size >= 2, ">= 2"),
        ("epochs", c.epochs >= 1, ">= 1"),
        ("early_stopping", c.early_stopping >= 0, ">= 0"),
        ("augment_brightness", 0 <= c.augment_brightness < 1, "in [0, 1)"),
        ("input_noise", c.input_noise >= 0, ">= 0"),
        ("seed", 0 <= c.seed < 2**32, "in 0..2**32-1"),
    ]
    rules += [(not holds, f"`{name}` must be {rule}, got {getattr(c, name)!r}") for name, holds, rule in ranges]
    return rules + _combinations(config)


def _combinations(config: "TrainConfig") -> list[tuple[bool, str]]:
    """(is broken, message) of what two fields must not say together."""
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
    return rules
