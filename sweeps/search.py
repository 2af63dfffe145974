"""The configurations that a space holds: listed, drawn at random, compared."""

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from ray.tune.search.sample import Categorical, Domain, Float, Integer

from sweeps.configurations import Conditions, active

METRIC, MODE = "best_val_psnr_db", "max"
Settings = dict[str, Any]
NONE: Conditions = {}
MOST = 1_000_000  # configurations that are listed; a larger space is like a continuous one


def axes(space: Settings) -> dict[str, list[Any] | dict[str, float]]:
    """The swept fields: name -> list of choices, or {"low", "high"} of a range."""
    return {
        name: list(d.categories) if isinstance(d, Categorical) else {"low": d.lower, "high": _highest(d)}
        for name, d in domains(space).items()
    }


def is_axis(value: Any) -> bool:
    """Is this one of the domains that can be listed or bounded?"""
    return isinstance(value, Categorical | Integer | Float)


def domains(space: Settings) -> dict[str, Domain]:
    """The swept fields with Tune's domains; the others are constants."""
    return {name: domain for name, domain in space.items() if isinstance(domain, Domain)}


def without_idle(space: Settings, settings: Settings, conditions: Conditions) -> Settings:
    """The swept fields of a configuration that its other fields and the space's constants let count."""
    swept = domains(space)
    constants = {name: value for name, value in space.items() if name not in swept}
    kept = active(conditions, {**constants, **settings})
    return {name: value for name, value in settings.items() if name in kept}


def grid(space: Settings, points: Iterable[Settings], conditions: Conditions = NONE) -> list[Settings] | None:
    """Every configuration of a finite space, `points` first; None when an axis is continuous."""
    choices = {n: list(integers(d)) if isinstance(d, Integer) else axes(space)[n] for n, d in domains(space).items()}
    if not all(isinstance(values, list) for values in choices.values()) or math.prod(map(len, choices.values())) > MOST:
        return None
    combinations = (dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))
    return distinct([*points, *(without_idle(space, settings, conditions) for settings in combinations)])


def random_configurations(
    space: Settings, points: Iterable[Settings], n: int, seed: int, conditions: Conditions = NONE
) -> list[Settings]:
    """n distinct configurations, `points` first, then draws from the space; fewer when the space has fewer."""
    rng = np.random.RandomState(seed)
    drawn = {key(settings): settings for settings in points}
    for _ in range(100 * n):
        if len(drawn) >= n:
            break
        settings = draw(space, rng, conditions)
        drawn.setdefault(key(settings), settings)
    return list(drawn.values())[:n]


def contains(space: Settings, settings: Settings, conditions: Conditions = NONE) -> bool:
    """Is this a configuration of the space's swept fields? A space that was edited leaves old trials outside."""
    swept = axes(space)
    if not set(settings) <= set(swept):
        return False
    placeholders = {name: settings.get(name, _first(values)) for name, values in swept.items()}
    if set(without_idle(space, placeholders, conditions)) != set(settings):
        return False
    return all(_has(domain, settings[name]) for name, domain in domains(space).items() if name in settings)


def settings_of(space: Settings, config: Settings, conditions: Conditions = NONE) -> Settings:
    """The swept fields of a full configuration, without the idle ones."""
    return without_idle(space, {name: config[name] for name in domains(space) if name in config}, conditions)


def as_value(domain: Domain, logged: float | str) -> Any:
    """A logged hyperparameter (numbers come back as floats) as the value of the domain that it was."""
    if isinstance(domain, Categorical):
        return next((choice for choice in domain.categories if choice == logged), logged)
    return int(logged) if isinstance(domain, Integer) else logged


def draw(space: Settings, rng: np.random.RandomState, conditions: Conditions = NONE) -> Settings:
    """One random configuration of the swept fields."""
    drawn = {name: plain(domain.sample(random_state=rng)) for name, domain in domains(space).items()}
    return without_idle(space, drawn, conditions)


def key(settings: Settings) -> tuple[Any, ...]:
    """Equal for equal configurations, hashable."""
    return tuple(sorted(settings.items()))


def distinct(configurations: Iterable[Settings]) -> list[Settings]:
    """Without repetitions, the first of each kept in place."""
    return list({key(settings): settings for settings in configurations}.values())


def plain(value: Any) -> Any:
    """numpy scalar -> Python's own, which JSON and TrainConfig accept."""
    return value.item() if isinstance(value, np.generic) else value


def _has(domain: Domain, value: Any) -> bool:
    """Is this a value of the domain? The upper end of whole numbers is not, as in Tune."""
    if isinstance(domain, Categorical):
        return value in domain.categories
    if isinstance(domain, Integer):
        return isinstance(value, int) and value in integers(domain)
    step = getattr(domain.get_sampler(), "q", None)
    on_grid = step is None or math.isclose(value / step, round(value / step), abs_tol=1e-9)
    return on_grid and domain.lower <= value <= domain.upper


def integers(domain: Integer) -> range:
    """The values of whole numbers without a step, or with the step of tune.qrandint, whose upper end counts."""
    step = getattr(domain.get_sampler(), "q", None)
    return range(domain.lower, domain.upper) if step is None else range(domain.lower, domain.upper + 1, int(step))


def _highest(domain: Domain) -> float:
    return integers(domain)[-1] if isinstance(domain, Integer) else domain.upper


def _first(values: list[Any] | dict[str, float]) -> Any:
    return values[0] if isinstance(values, list) else values["low"]
