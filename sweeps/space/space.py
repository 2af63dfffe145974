"""Membership in a search space: one rule for plan, search, tally and report."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from deepdlt.config import PROTOCOLS, ConfigError, TrainConfig, config_dict, make_config
from deepdlt.in_use import TOGETHER
from sweeps.space.axis import MOST, Axis
from sweeps.space.configuration import Configuration, describe, distinct, whole

DESCRIBED = ("model", "lr", "dropout", "activation", "kernel_size", "optimizer", "weight_decay", "batch_size", "epochs")
VAE_ONLY = ("latent_dim", "beta")

Settings = Mapping[str, Any]
"""Field -> value: a Configuration, a row of a table, or some settings only."""
Conditions = Mapping[str, Mapping[str, Sequence[Any]]]
"""Field -> other field -> values: the field is part of a configuration only where every other field has one of these
values; elsewhere it keeps TrainConfig's default."""


@dataclass(frozen=True)
class Space:
    """A search space as sweep.json holds it, without Tune's domains."""

    axes: Mapping[str, Axis] = field(default_factory=dict)
    """The swept fields."""
    constants: Configuration | None = None
    """Fields with one value; None where an older sweep.json does not say."""
    conditions: Conditions = field(default_factory=dict)
    protocol: str = ""
    """`corrected` or `report`: then a configuration that TrainConfig refuses, as its values do not go together, is none
    of the space."""

    @cached_property
    def configurations(self) -> list[Configuration] | None:
        """Every configuration, in order; None when there is no end of them, or there may be more than `MOST`."""
        listed = {name: axis.values for name, axis in self.axes.items()}
        endless = {name for name, values in listed.items() if values is None}
        sides = {name: self.axes[name].ends if values is None else values for name, values in listed.items()}
        if math.prod(map(len, sides.values())) > MOST:
            return None
        every = (dict(zip(sides, chosen, strict=True)) for chosen in itertools.product(*sides.values()))
        found = distinct(each for each in map(self.active, every) if not self.refusal(each))
        return None if any(endless & set(each) for each in found) else found

    def refusal(self, settings: Settings) -> str:
        """Why TrainConfig refuses these values of the axes together; "" where it does not."""
        if self.protocol not in PROTOCOLS or not self._together:
            return ""
        named = {name: value for name, value in self.fields(settings).items() if name in TOGETHER}
        key = frozenset(named.items())
        if key not in self._refusals:
            try:
                make_config(self.protocol, **named)
                self._refusals[key] = ""
            except ConfigError as error:
                self._refusals[key] = str(error)
        return self._refusals[key]

    @property
    def refused(self) -> list[str]:
        """Why TrainConfig refuses some of the configurations, of ranges with their ends; each reason once."""
        sides = (self.axes[name].ends for name in self._together)
        every = (dict(zip(self._together, chosen, strict=True)) for chosen in itertools.product(*sides))
        found = (self.refusal(self.active(each)) for each in itertools.islice(every, MOST))
        return list(dict.fromkeys(why for why in found if why))

    @cached_property
    def _together(self) -> list[str]:
        return [name for name in self.axes if name in TOGETHER]

    @cached_property
    def _refusals(self) -> dict[frozenset[tuple[str, Any]], str]:
        return {}

    @property
    def swept(self) -> list[str]:
        """Axes of more than one value."""
        return [name for name, axis in self.axes.items() if len(axis.ends) > 1]

    def fields(self, settings: Settings) -> Configuration:
        """Constants and settings together, without those that do not count."""
        return Configuration.of(active(self.conditions, {**(self.constants or {}), **settings}))

    def active(self, settings: Settings) -> Configuration:
        """The settings that the others and the constants let count."""
        if not self.conditions:
            return Configuration.of(settings)
        kept = self.fields(settings)
        return Configuration.of((name, value) for name, value in settings.items() if name in kept)

    def settings_of(self, config: Settings) -> Configuration:
        """The swept fields of a full configuration, without idle ones."""
        return self.active({name: config[name] for name in self.axes if name in config})

    def holds(self, settings: Settings) -> bool:
        """Are these the swept fields of one of its configurations?"""
        if not set(settings) <= set(self.axes):
            return False
        every = {name: settings.get(name, axis.ends[0]) for name, axis in self.axes.items()}
        return set(self.active(every)) == set(settings) and not self.off_axis(settings)

    def off_axis(self, settings: Settings) -> list[str]:
        """Axes that do not have the value of these settings."""
        idle = self.idle(settings)
        return [n for n, axis in self.axes.items() if n in settings and n not in idle and not axis.has(settings[n])]

    def outside(self, config: Configuration, make: Callable[[Configuration], TrainConfig] | None) -> list[str]:
        """Fields in which a full configuration is none of the space's; empty for one of its own.

        A space that was edited leaves trials of its former choices outside: they are kept, but do not count.

        Args:
            make: swept fields -> the whole configuration, with the defaults of fields that are not swept any more; None
                where it is not known.
        """
        if (found := self.off_axis(config)) or make is None:
            return found
        settings = self.settings_of(config)
        if not self.holds(settings):
            return sorted(set(self.axes) - set(config)) or list(self.axes)
        try:
            now = config_dict(make(settings))
        except ConfigError:  # choices that do not go together
            return list(settings) or list(config)
        return [name for name, value in config.items() if now.get(name) != value]

    def idle(self, settings: Settings) -> set[str]:
        """Axes that these settings do not use: their conditions do not hold, or one that they depend on is idle itself.

        Such a field keeps its default, which says nothing about the trial: tables show a dash.
        """
        swept = {name: needs for name, needs in self.conditions.items() if name in self.axes}
        return set(swept) - set(active(swept, {**(self.constants or {}), **dict.fromkeys(swept), **settings}))

    def shown(self, settings: Settings) -> Configuration:
        """The settings with None for idle axes."""
        return Configuration.of({**settings, **dict.fromkeys(self.idle(settings))})

    def described(self, settings: Settings, axes: Sequence[str]) -> list[str]:
        """The fields that describe a configuration: these axes, or the usual fields when there are none."""
        vae = VAE_ONLY if settings.get("model") == "cnn_vae" else ()
        idle = self.idle(settings)
        return [name for name in axes or [*DESCRIBED, *vae] if name not in idle]

    def texts(self, configurations: Iterable[Configuration], axes: Sequence[str]) -> dict[Configuration, str]:
        """Each configuration in words, with what else differs where the axes do not tell them apart."""
        names = {each: self.described(each, axes) for each in configurations}
        words = {each: describe(each, names[each]) for each in names}
        if len(set(words.values())) == len(words):
            return words
        fields = sorted(set().union(*names))
        differ = [name for name in fields if len({repr(whole(each.get(name))) for each in names}) > 1]
        return {each: describe(each, dict.fromkeys([*names[each], *differ])) for each in names}


def active(conditions: Conditions, settings: Settings) -> dict[str, Any]:
    """The settings without those whose conditions do not hold; a field that depends on such a one goes too.

    Args:
        settings: swept fields and constants together.
    """
    kept = dict(settings)
    while idle := [n for n in kept if any(kept.get(o) not in v for o, v in conditions.get(n, {}).items())]:
        for name in idle:
            del kept[name]
    return kept
