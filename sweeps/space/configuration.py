"""A configuration: the settings of one training, by field; the same one however it is spelled."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Any

DIGITS = 12  # 3 * 0.1 is 0.3


@dataclass(frozen=True, eq=False, repr=False)
class Configuration(Mapping[str, Any]):
    """Field -> value, of all fields of a TrainConfig or of those that a space sweeps. Immutable and hashable.

    Two are equal where people would say so: the order of fields, 3.0 for 3 and the 13th digit do not count.
    """

    items_in_order: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /, **more: Any) -> "Configuration":
        """As `dict` makes one."""
        return cls(tuple(dict(values, **more).items()))

    from_json = of

    def to_json(self) -> dict[str, Any]:
        """The fields with their values, in their order."""
        return dict(self.items_in_order)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self.items_in_order)

    def __or__(self, other: Mapping[str, Any]) -> "Configuration":
        return Configuration.of({**self, **other})

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Configuration):
            return self._key == other._key
        return isinstance(other, Mapping) and self._key == _key(other.items())

    def __hash__(self) -> int:
        return hash(self._key)

    def __lt__(self, other: "Configuration") -> bool:
        return self.text < other.text

    def __str__(self) -> str:
        return describe(self)

    def __repr__(self) -> str:
        return f"Configuration.of({self.to_json()})"

    @cached_property
    def _values(self) -> Mapping[str, Any]:
        return dict(self.items_in_order)

    @cached_property
    def _key(self) -> frozenset[tuple[str, Any]]:
        return _key(self.items_in_order)

    @property
    def seed(self) -> int:
        """Seed of the training; 0 where there is none."""
        return int(self.get("seed", 0))

    @property
    def unseeded(self) -> "Configuration":
        """Without the seed: trainings of one such configuration are repetitions of one another."""
        return self.without("seed")

    @property
    def text(self) -> str:
        """JSON, equal for equal configurations: as sweep.json lists them."""
        return json.dumps({name: whole(value) for name, value in self.items()}, sort_keys=True)

    def only(self, names: Iterable[str]) -> "Configuration":
        """These fields, in the order of the names; those that it does not have are left out."""
        return Configuration(tuple((name, self[name]) for name in names if name in self))

    def without(self, *names: str) -> "Configuration":
        """All other fields."""
        return Configuration(tuple(item for item in self.items_in_order if item[0] not in names))


def distinct(configurations: Iterable[Configuration]) -> list[Configuration]:
    """Without repetitions, the first of each kept in place."""
    return list({configuration: configuration for configuration in configurations}.values())


def describe(settings: Mapping[str, Any], names: Iterable[str] | None = None) -> str:
    """`lr 0.001, dropout 0.2, activation relu`-like text of the named settings, or of all."""
    chosen = settings if names is None else names
    return ", ".join(f"{name} {show(settings[name])}" for name in chosen if name in settings and _known(settings[name]))


def show(value: Any) -> str:
    """A hyperparameter as people write it."""
    return f"{value:g}" if isinstance(value, Real) and not isinstance(value, Integral) else str(value)


def whole(value: Any) -> Any:
    """3.0 -> 3: event files know no integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _key(items: Iterable[tuple[str, Any]]) -> frozenset[tuple[str, Any]]:
    return frozenset((n, float(f"{v:.{DIGITS}g}") if isinstance(v, float) else v) for n, v in items)


def _known(value: Any) -> bool:
    return value is not None and value == value
