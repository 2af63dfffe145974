"""Configurations as sweep.json and trial.json hold them: which are the same, inside the space, and how they read."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sweeps.space.axis import Axis

DESCRIBED = ("model", "lr", "dropout", "activation", "kernel_size", "optimizer", "weight_decay", "batch_size", "epochs")
VAE_ONLY = ("latent_dim", "beta")

Conditions = Mapping[str, Mapping[str, Sequence[Any]]]
"""Field -> other field -> values: the field is part of a configuration only where every other field has one of these
values; elsewhere it keeps TrainConfig's default."""


def configuration_group(config: Mapping[str, Any]) -> str:
    """The configuration without its seed as a JSON text: trials of one group are repetitions of one another."""
    return json.dumps({name: whole(value) for name, value in config.items() if name != "seed"}, sort_keys=True)


def whole(value: Any) -> Any:
    """3.0 -> 3: event files know no integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def last_settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """Of population based training: the hyperparameters that the trial ended with; empty for all others."""
    schedule = record.get("schedule")
    merged: dict[str, Any] = {}
    for step in schedule if isinstance(schedule, list) else []:
        merged |= step if isinstance(step, dict) else {}
    return {name: value for name, value in merged.items() if name not in ("epoch", "from")}


def axes_of(asked: Mapping[str, Any]) -> dict[str, Axis]:
    """The axes of sweep.json; what is none is left out."""
    found = _mapping(asked, "axes").items()
    return {name: Axis.from_json(values) for name, values in found if isinstance(values, Mapping | list) and values}


def swept_axes(asked: Mapping[str, Any]) -> list[str]:
    """Axes of more than one value."""
    return [name for name, axis in axes_of(asked).items() if len(axis.ends) > 1]


def active(conditions: Conditions, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without those whose conditions do not hold; a field that depends on such a one goes too.

    Args:
        settings: swept fields and constants together.
    """
    kept = dict(settings)
    while idle := [n for n in kept if any(kept.get(o) not in v for o, v in conditions.get(n, {}).items())]:
        for name in idle:
            del kept[name]
    return kept


def idle_axes(asked: Mapping[str, Any], settings: Mapping[str, Any]) -> set[str]:
    """Axes that these settings do not use: their conditions do not hold, or one that they depend on is idle itself.

    Such a field keeps its default, which says nothing about the trial: tables show a dash.
    """
    axes, conditions = _mapping(asked, "axes"), _mapping(asked, "conditions")
    swept = {name: needs for name, needs in conditions.items() if name in axes}
    return set(swept) - set(active(swept, {**dict.fromkeys(swept), **settings}))


def without_idle(asked: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with None for idle axes."""
    return {**settings, **dict.fromkeys(idle_axes(asked, settings))}


def outside_space(asked: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Axes whose value is none of the present space's: the space was edited after the trial had run."""
    idle = idle_axes(asked, settings)
    swept = {name: axis for name, axis in axes_of(asked).items() if name in settings and name not in idle}
    return [name for name, axis in swept.items() if not axis.has(settings[name])]


def described(asked: Mapping[str, Any], settings: Mapping[str, Any], axes: Sequence[str]) -> list[str]:
    """The fields that describe a configuration: the swept ones, or the usual ones when nothing was swept."""
    vae = VAE_ONLY if settings.get("model") == "cnn_vae" else ()
    idle = idle_axes(asked, settings)
    return [name for name in axes or [*DESCRIBED, *vae] if name not in idle]


def describe(settings: Mapping[str, Any], names: Iterable[str]) -> str:
    """`lr 0.001, dropout 0.2, activation relu`-like text of the named settings."""
    return ", ".join(f"{name} {show(settings[name])}" for name in names if name in settings and _known(settings[name]))


def show(value: Any) -> str:
    """A hyperparameter as people write it."""
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def configuration_words(groups: Iterable[str], asked: Mapping[str, Any], axes: Sequence[str]) -> dict[str, str]:
    """Configuration -> its settings in words, with what else differs where the axes do not tell them apart."""
    settings = {group: json.loads(group) for group in groups}
    names = {group: described(asked, of, axes) for group, of in settings.items()}
    words = {group: describe(of, names[group]) for group, of in settings.items()}
    if len(set(words.values())) == len(words):
        return words
    fields = sorted(set().union(*(set(of) for of in settings.values())))
    differ = [name for name in fields if len({repr(of.get(name)) for of in settings.values()}) > 1]
    return {
        group: describe(of, [*names[group], *(name for name in differ if name not in names[group])])
        for group, of in settings.items()
    }


def _mapping(asked: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = asked.get(key)
    return value if isinstance(value, Mapping) else {}


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and np.isnan(value))
