"""A search space with Tune's domains: its configurations, listed or drawn at random."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from ray.tune.search.sample import Categorical, Domain, Integer

from sweeps.space.axis import Axis
from sweeps.space.configuration import Configuration, distinct
from sweeps.space.domains import axis_of, nearest
from sweeps.space.space import Conditions, Settings, Space


@dataclass(frozen=True)
class TuneSpace:
    """What a module of search_spaces/ holds, with the settings of the command line."""

    fields: Mapping[str, Any]
    """Field -> Tune's domain, or a constant."""
    conditions: Conditions = field(default_factory=dict)
    points: Sequence[Configuration] = ()
    """Configurations of the swept fields that are tried first."""
    protocol: str = ""
    """See `Space.protocol`."""

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """The swept fields."""
        return {name: domain for name, domain in self.fields.items() if isinstance(domain, Domain)}

    @cached_property
    def space(self) -> Space:
        """The same without Tune."""
        constants = Configuration.of((name, v) for name, v in self.fields.items() if name not in self.domains)
        conditions = {name: dict(needs) for name, needs in self.conditions.items() if name in self.fields}
        return Space(self.axes, constants, conditions, self.protocol)

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """The swept fields without Tune."""
        return {name: axis_of(domain) for name, domain in self.domains.items()}

    def grid(self, points: Iterable[Configuration] | None = None) -> list[Configuration] | None:
        """Every configuration of a finite space, its points first; see `Space.configurations`.

        Args:
            points: to begin with instead.
        """
        every = self.space.configurations
        return None if every is None else distinct([*(self.points if points is None else points), *every])

    def random(self, n: int, seed: int) -> list[Configuration]:
        """n distinct configurations, its points first, then draws; all of the space when it has fewer."""
        rng = np.random.RandomState(seed)
        drawn = dict.fromkeys(self.points)
        every = self.grid()
        there = n if every is None else min(n, len(every))
        for _ in range(100 * n):
            if len(drawn) >= there:
                break
            if not self.space.refusal(found := self.draw(rng)):
                drawn.setdefault(found)
        if len(drawn) < there:  # what is left, draws may never hit
            return (self.grid(drawn) or list(drawn))[:n]
        return list(drawn)[:n]

    def draw(self, rng: np.random.RandomState) -> Configuration:
        """One random setting of the swept fields, which TrainConfig may refuse: see `Space.refusal`."""
        return self._active({n: nearest(domain, domain.sample(random_state=rng)) for n, domain in self.domains.items()})

    def on_axes(self, settings: Settings) -> Configuration:
        """The settings with each value as the one of its axis that is meant; others are left as they are."""
        at = {n: self.domains[n] for n, v in settings.items() if n in self.axes and self.axes[n].has(v)}
        return Configuration.of((n, nearest(at[n], value) if n in at else value) for n, value in settings.items())

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
