"""Rules at the fields of a dataclass (allowed values, allowed and usual range), and messages for a broken rule."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from deepdlt.errors import hint

CHOICES, HOLDS, RULE, USUAL = "choices", "holds", "rule", "usual"
KINDS: dict[type, str] = {float: "a number", int: "a whole number", str: "text"}
LARGEST = 2**53  # whole numbers up to which floats, logs and numpy agree


@dataclass(frozen=True)
class Usual:
    """The range in which good settings of a field are found. A value outside is allowed, but gets a note.

    Attributes:
        low, high: both ends belong to the range.
        off: a further usual value, which switches the feature off.
        where: another field and the values of it to which the range applies; None: always.
    """

    low: float
    high: float
    off: float | None = None
    where: tuple[str, tuple[str, ...]] | None = None

    def __str__(self) -> str:
        """`1e-5 to 0.01`, or `0 or 0.9 to 0.9999`."""
        return f"{'' if self.off is None else f'{plain(self.off)} or '}{plain(self.low)} to {plain(self.high)}"


def one_of(*values: str) -> Any:
    """A field whose value is one of these texts; the first is the default."""
    return field(default=values[0], metadata={CHOICES: values})


def number(default: float, rule: str, holds: Callable[[Any], bool], *usual: Usual) -> Any:
    """A field whose value is a number in a range: `number(0.2, "in [0, 1)", lambda x: 0 <= x < 1)`.

    Args:
        rule: the range in words, as they follow `must be` in a message.
        holds: True for a value inside the range.
        usual: the usual ranges; the first one whose `where` applies counts.
    """
    return field(default=default, metadata={RULE: rule, HOLDS: holds, USUAL: usual})


def choices(cls: type) -> Mapping[str, tuple[str, ...]]:
    """Name -> allowed texts of every field that `one_of` made."""
    return {f.name: f.metadata[CHOICES] for f in fields(cls) if CHOICES in f.metadata}


def usual_ranges(cls: type) -> Mapping[str, tuple[Usual, ...]]:
    """Name -> usual ranges of every field that has any."""
    return {f.name: f.metadata[USUAL] for f in fields(cls) if f.metadata.get(USUAL)}


def wrong_types(values: Any) -> list[str]:
    """One message per field of a dataclass whose value has the wrong type."""
    return [problem for f in fields(values) if (problem := _type_problem(values, f))]


def out_of_range(values: Any) -> list[str]:
    """One message per field whose value has the right type but breaks the field's rule."""
    return [problem for f in fields(values) if (problem := _range_problem(values, f))]


def beyond_usual(values: Any) -> list[str]:
    """One note per field whose value is allowed but outside its usual range."""
    return [note for name, ranges in usual_ranges(type(values)).items() if (note := _usual_note(values, name, ranges))]


def parse(name: str, kind: type, text: str) -> Any:
    """A value of type `kind` from the text that a person typed for the field `name`.

    Raises:
        ValueError: the text is no such value; the message names the field, the value and the remedy.
    """
    try:
        found = kind(text)
    except ValueError:
        point = text.replace(",", ".")
        remedy = f"; decimals need a point: {name}={point}" if kind is float and _is_number(point) else ""
        raise ValueError(f"`{name}` must be {KINDS[kind]}, got {text!r}{remedy}") from None
    return typed(name, kind, found)


def typed(name: str, kind: type, value: Any) -> Any:
    """A value as its field holds it: 0 is 0.0 in a field of numbers, 3.0 is 3 in one of whole numbers.

    numpy's scalars become Python's, and texts of an enumeration texts. Whether a number is finite and in its range is
    not checked.

    Raises:
        ValueError: it is no value of this kind; the message names the field and the value.
    """
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"`{name}` must be at most 2**53, got {plain(value)}")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and is_number:
        return float(value)
    if kind is int and is_number and float(value).is_integer():
        return int(value)
    if kind is str and isinstance(value, str):
        return str.__str__(value)  # str() of an Enum's member is its name
    raise ValueError(f"`{name}` must be {KINDS[kind]}, got {value!r}")


def plain(value: float) -> str:
    """A number in few characters: `0.01`, `1e-5`, `512`, and of a larger one than floats are for its size."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"{'-' if value < 0 else ''}10**{math.log10(abs(value)):.3g}"
    return f"{value:g}".replace("e-0", "e-").replace("e+0", "e+")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _type_problem(values: Any, f: Any) -> str:
    value = getattr(values, f.name)
    expected: type = f.type
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {str: isinstance(value, str), int: is_number and isinstance(value, int), float: is_number}[expected]
    if expected is float and is_number and not math.isfinite(value):
        return f"`{f.name}` must be finite, got {value!r}"
    return "" if fits else f"`{f.name}` must be {KINDS[expected]}, got {value!r}"


def _range_problem(values: Any, f: Any) -> str:
    value = getattr(values, f.name)
    known = f.metadata.get(CHOICES)
    if known and value not in known:
        return f"`{f.name}` must be one of {', '.join(known)}; got {value!r}{hint(value, known)}"
    if HOLDS in f.metadata and not f.metadata[HOLDS](value):
        return f"`{f.name}` must be {f.metadata[RULE]}, got {value!r}"
    return ""


def _usual_note(values: Any, name: str, ranges: tuple[Usual, ...]) -> str:
    value = getattr(values, name)
    usual = next((r for r in ranges if r.where is None or getattr(values, r.where[0]) in r.where[1]), None)
    if usual is None or value == usual.off or usual.low <= value <= usual.high:
        return ""
    side = "above" if value > usual.high else "below"
    case = f" with `{usual.where[0]}` {getattr(values, usual.where[0])}" if usual.where else ""
    return f"`{name}` {plain(value)} is {side} the usual {usual}{case}: expect a poor result"
