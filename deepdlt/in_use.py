"""Which hyperparameters count: some are for certain networks or optimizers only, and have no effect with others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import product
from typing import Any

from deepdlt.config import FOR_AUTOENCODERS, VAES, TrainConfig
from deepdlt.errors import either

Needs = Mapping[str, Sequence[Any]]
"""Field -> values, of which it must have one."""
RESIDUAL, PLAIN, AUTOENCODERS = ("res_ae", "res_vae"), ("cnn_ae", "cnn_vae"), ("cnn_ae", "res_ae")
NEEDS: Mapping[str, tuple[Needs, ...]] = {
    **dict.fromkeys(("kernel_size", "decoder_kernel_size"), ({"model": PLAIN},)),
    **dict.fromkeys(("width", "blocks", "latent_channels"), ({"model": RESIDUAL},)),
    "latent_dim": ({"model": ("cnn_vae",)}, {"model": RESIDUAL, "latent_channels": (0,)}),
    **dict.fromkeys(FOR_AUTOENCODERS, ({"model": AUTOENCODERS},)),
    **dict.fromkeys(("beta", "kl_warmup", "free_bits", "vae_likelihood", "vae_reduction"), ({"model": VAES},)),
    "decoder_sigma": ({"model": VAES, "vae_likelihood": ("gaussian",)},),
    "weight_decay": ({"optimizer": ("adam", "adamw")},),
    "momentum": ({"optimizer": ("sgd",)},),
}
"""Field -> what it needs to have an effect, one of these; others always have one."""
TOGETHER = (
    "model",
    *FOR_AUTOENCODERS,
    "schedule",
    "warmup",
    "holdout",
    "split_unit",
    "eval_crops",
    "crop_size",
    "downsample",
)
"""The fields of which some values do not go together: TrainConfig refuses them whatever the others are."""


def in_use(name: str, config: Mapping[str, Any]) -> bool:
    """Whether a field has an effect in a whole configuration."""
    needs = NEEDS.get(name)
    return needs is None or any(all(config[other] in values for other, values in each.items()) for each in needs)


def without_effect(names: Iterable[str], values: Mapping[str, Sequence[Any]]) -> list[str]:
    """Notes on the fields that have no effect in any configuration, one line each.

    Args:
        values: field -> all that it can be; fields that are not there have their defaults.
    """
    return [f"`{name}` has no effect: it needs {_text(name)}" for name in names if not _uses(name, values, any)]


def sometimes_without_effect(names: Iterable[str], values: Mapping[str, Sequence[Any]]) -> list[str]:
    """Notes on fields that have an effect in some configurations only: others are the same but for them."""
    found = [name for name in names if _uses(name, values, any) and not _uses(name, values, all)]
    return [
        f"`{name}` has no effect but with {_text(name)}: elsewhere trials differ in nothing else; {_remedy(name)}"
        for name in found
    ]


def _uses(name: str, values: Mapping[str, Sequence[Any]], how: Any) -> bool:
    known: dict[str, Sequence[Any]] = {f.name: (f.default,) for f in fields(TrainConfig)}
    others = sorted({other for each in NEEDS.get(name, ()) for other in each})
    every = product(*((values.get(other) or known[other]) for other in others))
    return bool(how(in_use(name, dict(zip(others, each, strict=True))) for each in every))


def _text(name: str) -> str:
    """`` `model` cnn_vae, or `model` res_ae or res_vae and `latent_channels` 0 ``."""
    each = (" and ".join(f"`{other}` {either(of)}" for other, of in needs.items()) for needs in NEEDS[name])
    return ", or ".join(each)


def _remedy(name: str) -> str:
    needs = {other: list(of) for other, of in NEEDS[name][0].items()}
    return f"CONDITIONS = {{{name!r}: {needs}}} leaves them out"
