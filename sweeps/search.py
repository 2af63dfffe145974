"""Search and scheduler names, and the configurations that a space holds."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search.sample import Categorical, Domain, Float, Integer

METRIC, MODE = "best_val_psnr_db", "max"
Settings = dict[str, Any]


def make_scheduler(name: str, epochs: int) -> Any:
    """Tune's scheduler of that name for trials of `epochs` epochs; None for `none`."""
    if name == "none":
        return None
    options = {"time_attr": "epoch", "metric": METRIC, "mode": MODE, "grace_period": 1}
    if name == "asha":
        return tune.schedulers.ASHAScheduler(max_t=epochs, reduction_factor=3, **options)
    return tune.schedulers.MedianStoppingRule(min_samples_required=3, **options)


def axes(space: Settings) -> dict[str, list[Any] | dict[str, float]]:
    """The swept fields: name -> list of choices, or {"low", "high"} of a range."""
    return {
        name: list(d.categories) if isinstance(d, Categorical) else {"low": d.lower, "high": d.upper}
        for name, d in domains(space).items()
    }


def is_axis(value: Any) -> bool:
    """Is this one of the domains that can be listed or bounded?"""
    return isinstance(value, Categorical | Integer | Float)


def domains(space: Settings) -> dict[str, Domain]:
    """The swept fields with Tune's domains; the others are constants."""
    return {name: domain for name, domain in space.items() if isinstance(domain, Domain)}


def grid(space: Settings, points: Iterable[Settings]) -> list[Settings] | None:
    """Every configuration of a finite space, `points` first; None when an axis is continuous."""
    choices = axes(space)
    if not all(isinstance(values, list) for values in choices.values()):
        return None
    combinations = itertools.product(*choices.values())
    return distinct([*points, *(dict(zip(choices, values, strict=True)) for values in combinations)])


def random_configurations(space: Settings, points: Iterable[Settings], n: int, seed: int) -> list[Settings]:
    """n distinct configurations, `points` first, then draws from the space; fewer when the space has fewer."""
    rng = np.random.RandomState(seed)
    drawn = {key(settings): settings for settings in points}
    for _ in range(100 * n):
        if len(drawn) >= n:
            break
        settings = draw(space, rng)
        drawn.setdefault(key(settings), settings)
    return list(drawn.values())[:n]


def contains(space: Settings, settings: Settings) -> bool:
    """Is this a configuration of the space's swept fields? A space that was edited leaves old trials outside."""
    swept = axes(space)
    if set(settings) != set(swept):
        return False
    return all(
        settings[name] in values if isinstance(values, list) else values["low"] <= settings[name] <= values["high"]
        for name, values in swept.items()
    )


def as_value(domain: Domain, logged: float | str) -> Any:
    """A logged hyperparameter (numbers come back as floats) as the value of the domain that it was."""
    if isinstance(domain, Categorical):
        return next((choice for choice in domain.categories if choice == logged), logged)
    return int(logged) if isinstance(domain, Integer) else logged


def draw(space: Settings, rng: np.random.RandomState) -> Settings:
    """One random configuration of the swept fields."""
    return {name: plain(domain.sample(random_state=rng)) for name, domain in domains(space).items()}


def key(settings: Settings) -> tuple[Any, ...]:
    """Equal for equal configurations, hashable."""
    return tuple(sorted(settings.items()))


def distinct(configurations: Iterable[Settings]) -> list[Settings]:
    """Without repetitions, the first of each kept in place."""
    return list({key(settings): settings for settings in configurations}.values())


def plain(value: Any) -> Any:
    """numpy scalar -> Python's own, which JSON and TrainConfig accept."""
    return value.item() if isinstance(value, np.generic) else value
