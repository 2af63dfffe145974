"""The configurations that a space holds: listed, drawn at random, compared."""

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from ray.tune.search.sample import Categorical, Domain, Integer

from sweeps.space.axis import Axis
from sweeps.space.configurations import Conditions, active
from sweeps.space.domains import MOST, axis_of, nearest, rounded, values
from sweeps.space.domains import is_axis as is_axis  # for those who have a space
from sweeps.space.domains import plain as plain

Settings = dict[str, Any]
NONE: Conditions = {}


def axes(space: Settings) -> dict[str, Axis]:
    """The swept fields."""
    return {name: axis_of(domain) for name, domain in domains(space).items()}


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
    """Every configuration of a finite space, `points` first; None when an axis is continuous, or beyond `MOST`."""
    found = {name: values(domain) for name, domain in domains(space).items()}
    choices = {name: listed for name, listed in found.items() if listed is not None}
    if len(choices) < len(found) or math.prod(map(len, choices.values())) > MOST:
        return None
    combinations = (dict(zip(choices, chosen, strict=True)) for chosen in itertools.product(*choices.values()))
    if conditions:
        combinations = (without_idle(space, settings, conditions) for settings in combinations)
    return distinct([*points, *combinations])


def random_configurations(
    space: Settings, points: Iterable[Settings], n: int, seed: int, conditions: Conditions = NONE
) -> list[Settings]:
    """n distinct configurations, `points` first, then draws from the space; all of it when it has fewer."""
    rng = np.random.RandomState(seed)
    drawn = {key(settings): settings for settings in points}
    for _ in range(100 * n):
        if len(drawn) >= n:
            break
        settings = draw(space, rng, conditions)
        drawn.setdefault(key(settings), settings)
    if len(drawn) < n:  # what is left, draws may never hit
        return (grid(space, drawn.values(), conditions) or list(drawn.values()))[:n]
    return list(drawn.values())[:n]


def contains(space: Settings, settings: Settings, conditions: Conditions = NONE) -> bool:
    """Is this a configuration of the space's swept fields? A space that was edited leaves old trials outside."""
    swept = axes(space)
    if not set(settings) <= set(swept):
        return False
    placeholders = {name: settings.get(name, axis.ends[0]) for name, axis in swept.items()}
    if set(without_idle(space, placeholders, conditions)) != set(settings):
        return False
    return all(swept[name].has(value) for name, value in settings.items())


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
    drawn = {name: nearest(domain, domain.sample(random_state=rng)) for name, domain in domains(space).items()}
    return without_idle(space, drawn, conditions)


def key(settings: Settings) -> tuple[Any, ...]:
    """Equal for equal configurations, hashable."""
    return tuple(sorted((name, rounded(value)) for name, value in settings.items()))


def distinct(configurations: Iterable[Settings]) -> list[Settings]:
    """Without repetitions, the first of each kept in place."""
    return list({key(settings): settings for settings in configurations}.values())
