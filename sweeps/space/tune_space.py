"""A search space with Tune's domains: its configurations, listed or drawn at random."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from ray.tune.search.sample import Categorical, Domain, Integer

from sweeps.space.axis import Axis
from sweeps.space.configuration import Configuration, distinct
from sweeps.space.domains import MOST, axis_of, nearest, values
from sweeps.space.space import Conditions, Settings, Space


@dataclass(frozen=True)
class TuneSpace:
    """What a module of search_spaces/ holds, with the settings of the command line."""

    fields: Mapping[str, Any]
    """Field -> Tune's domain, or a constant."""
    conditions: Conditions = field(default_factory=dict)
    points: Sequence[Configuration] = ()
    """Configurations of the swept fields that are tried first."""

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """The swept fields."""
        return {name: domain for name, domain in self.fields.items() if isinstance(domain, Domain)}

    @cached_property
    def space(self) -> Space:
        """The same without Tune."""
        constants = Configuration.of((name, v) for name, v in self.fields.items() if name not in self.domains)
        conditions = {name: dict(needs) for name, needs in self.conditions.items() if name in self.fields}
        return Space(self.axes, constants, conditions)

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """The swept fields without Tune."""
        return {name: axis_of(domain) for name, domain in self.domains.items()}

    def grid(self, points: Iterable[Configuration] | None = None) -> list[Configuration] | None:
        """Every configuration of a finite space, its points first; None when an axis is continuous, or beyond `MOST`.

        Args:
            points: to begin with instead.
        """
        found = {name: values(domain) for name, domain in self.domains.items()}
        choices = {name: listed for name, listed in found.items() if listed is not None}
        if len(choices) < len(found) or math.prod(map(len, choices.values())) > MOST:
            return None
        every = (dict(zip(choices, chosen, strict=True)) for chosen in itertools.product(*choices.values()))
        return distinct([*(self.points if points is None else points), *map(self._active, every)])

    def random(self, n: int, seed: int) -> list[Configuration]:
        """n distinct configurations, its points first, then draws; all of the space when it has fewer."""
        rng = np.random.RandomState(seed)
        drawn = dict.fromkeys(self.points)
        for _ in range(100 * n):
            if len(drawn) >= n:
                break
            drawn.setdefault(self.draw(rng))
        if len(drawn) < n:  # what is left, draws may never hit
            return (self.grid(drawn) or list(drawn))[:n]
        return list(drawn)[:n]

    def draw(self, rng: np.random.RandomState) -> Configuration:
        """One random configuration of the swept fields."""
        return self._active({n: nearest(domain, domain.sample(random_state=rng)) for n, domain in self.domains.items()})

    def logged(self, hparams: Settings) -> Configuration:
        """The swept fields among logged hyperparameters, in which all numbers are floats, as the values they were."""
        known = {name: hparams[name] for name in self.domains if name in hparams}
        return self.space.active({name: _as_value(self.domains[name], value) for name, value in known.items()})

    def _active(self, settings: Settings) -> Configuration:
        return self.space.active(settings) if self.conditions else Configuration.of(settings)


def _as_value(domain: Domain, logged: float | str) -> Any:
    if isinstance(domain, Categorical):
        return next((choice for choice in domain.categories if choice == logged), logged)
    return int(logged) if isinstance(domain, Integer) else logged
