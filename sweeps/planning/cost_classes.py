"""Configurations that cost the same: a cost class is the fields that decide how much is computed."""

from collections.abc import Sequence
from typing import Any

from deepdlt.config import CHOICES, VAES, TrainConfig

Class = tuple[tuple[str, Any], ...]
"""(field, value) pairs."""
EXTRAS = (
    "ema",
    "ms_ssim_weight",
    "focal_frequency_weight",
    "spectrum_weight",
    "augment_brightness",
    "input_noise",
)  # not their size but whether they are there at all decides the work
CHEAP_FIRST = {
    "model": CHOICES["model"],
    "activation": ("relu", "leaky_relu", "silu", "elu", "selu"),
    "precision": ("bf16", "auto", "fp32"),
}  # of other fields a higher number is dearer


def cost_class(config: TrainConfig) -> Class:
    """The fields that decide how much is computed; equal for configurations whose epochs take as long.

    An activation counts: on a CPU an epoch with ELU takes 1.7 times as long as one with ReLU. Learning rate,
    optimizer, dropout and seed do not.
    """
    names = ["model", "activation", "batch_size", "precision"]
    if config.model.startswith("cnn_"):
        names += ["kernel_size", "decoder_kernel_size"] + ["latent_dim"] * (config.model in VAES)
    else:
        names += ["width", "blocks", "latent_channels"] + ["latent_dim"] * (not config.latent_channels)
    values = {name: getattr(config, name) for name in names}
    values |= {name: getattr(config, name) > 0 for name in EXTRAS}
    return (*values.items(), ("augment_symmetry", config.augment_symmetry != "none"))


def least_work_first(classes: Sequence[Class]) -> list[Class]:
    """Sorted by model, then by the sum over fields of the place that a value has among all values, cheap to dear.

    No measurement: where every field's order is right, the first and the last really are the extremes.
    """
    places: dict[str, list[Any]] = {}
    for name in dict.fromkeys(name for c in classes for name, _ in c):
        values = {value for c in classes for field, value in c if field == name}
        ranked = CHEAP_FIRST.get(name)
        places[name] = sorted(values, key=ranked.index if ranked else None, reverse=name == "batch_size")
    models = places.get("model", [])
    return sorted(classes, key=lambda c: (models.index(dict(c)["model"]), sum(places[n].index(v) for n, v in c)))


def descriptions(classes: Sequence[Class]) -> dict[Class, str]:
    """What each class has that not all have: `kernel_size 5, activation elu, no ema`."""
    same = set.intersection(*(set(c) for c in classes))

    def word(name: str, value: Any) -> str:
        return f"{name} {value}" if not isinstance(value, bool) else name if value else f"no {name}"

    return {c: ", ".join(word(*pair) for pair in c if pair not in same) or "all" for c in classes}
