"""One axis of a space, as sweep.json holds it: a list of choices, or a range with its ends and its step.

The one place that says whether a value is on an axis: the plan, the search, the tally and the report ask it alike.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DIGITS = 12  # 3 * 0.1 is 0.3
MOST = 100_000  # values that are listed, as many as --trials may be; more are like a continuous range
SLACK = 1e-9  # relative: 10**log10(x) is not always x, and 3 * 0.1 is not 0.3


@dataclass(frozen=True)
class Axis:
    """Choices, or a range from `low` to `high`, both on it; with a step its multiples alone."""

    choices: tuple[Any, ...] = ()
    low: float = math.nan
    high: float = math.nan
    step: float | None = None
    """None for a continuous range; whole numbers have at least 1."""
    integer: bool = False

    @classmethod
    def from_json(cls, content: Any) -> "Axis":
        """What `to_json` made. A range in an older sweep.json has no step: it is read as continuous.

        Raises:
            KeyError, TypeError: it is no axis.
        """
        if not isinstance(content, Mapping):
            return cls(tuple(content))
        step = content.get("step")
        return cls((), content["low"], content["high"], step, bool(content.get("integer")))

    def to_json(self) -> list[Any] | dict[str, Any]:
        """The choices, or `low`, `high` and, where there is one, `step`; `integer` of whole numbers."""
        if self.choices:
            return list(self.choices)
        stepped = {} if self.step is None else {"step": self.step}
        return {"low": self.low, "high": self.high, **stepped, **({"integer": True} if self.integer else {})}

    def has(self, value: Any) -> bool:
        """Whether the axis has this value."""
        if self.choices:
            return any(alike(value, choice) for choice in self.choices)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            return False
        slack = SLACK * max(abs(self.low), abs(self.high))
        if not self.low - slack <= value <= self.high + slack:
            return False
        return self.step is None or math.isclose(value / self.step, round(value / self.step), abs_tol=SLACK)

    @property
    def values(self) -> Sequence[Any] | None:
        """All values in order; None when there is no end of them, or there are more than `MOST`."""
        if self.choices:
            return self.choices
        if self.step is None or not math.isfinite(self.high - self.low):
            return None
        first, last = round(self.low / self.step), round(self.high / self.step)
        if last - first >= MOST:
            return None
        return [k * int(self.step) if self.integer else rounded(k * self.step) for k in range(first, last + 1)]

    @property
    def ends(self) -> Sequence[Any]:
        """The choices, or the two ends of the range."""
        return self.choices or (self.low, self.high)

    def __str__(self) -> str:
        if not self.choices:
            return f"{self.low:g}..{self.high:g}"
        return "{" + ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in self.choices) + "}"


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same to people: 3.0 and 3, 0.3 and 3 * 0.1, but not True and 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(rounded(one) == rounded(other))


def rounded(value: Any) -> Any:
    """A float to 12 digits: 3 * 0.1 is 0.3."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
