"""Rules that stand at the fields of a dataclass: which values, which range; and what a broken one says."""

import math
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import Any

CHOICES, HOLDS, RULE = "choices", "holds", "rule"


def one_of(*values: str) -> Any:
    """A field that is one of these texts; the first is the default."""
    return field(default=values[0], metadata={CHOICES: values})


def number(default: float, rule: str, holds: Callable[[Any], bool]) -> Any:
    """A field that is a number of a range: `number(0.2, "in [0, 1)", lambda x: 0 <= x < 1)`.

    Args:
        rule: the range in words, as a message says it: `must be ...`.
        holds: whether a value is in it.
    """
    return field(default=default, metadata={RULE: rule, HOLDS: holds})


def choices(cls: type) -> Mapping[str, tuple[str, ...]]:
    """Field -> its texts, of every field that `one_of` made."""
    return {f.name: f.metadata[CHOICES] for f in fields(cls) if CHOICES in f.metadata}


def wrong_types(values: Any) -> list[str]:
    """One message per field of a dataclass whose value is not of the field's type."""
    return [problem for f in fields(values) if (problem := _type_problem(values, f))]


def out_of_range(values: Any) -> list[str]:
    """One message per field whose value, of the right type, breaks the field's rule."""
    return [problem for f in fields(values) if (problem := _range_problem(values, f))]


def _type_problem(values: Any, f: Any) -> str:
    value = getattr(values, f.name)
    expected: type = f.type
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {str: isinstance(value, str), int: is_number and isinstance(value, int), float: is_number}[expected]
    if expected is float and is_number and not math.isfinite(value):
        return f"`{f.name}` must be finite, got {value!r}"
    return "" if fits else f"`{f.name}` must be {expected.__name__}, got {value!r}"


def _range_problem(values: Any, f: Any) -> str:
    value = getattr(values, f.name)
    if CHOICES in f.metadata and value not in f.metadata[CHOICES]:
        return f"`{f.name}` must be one of {', '.join(f.metadata[CHOICES])}, got {value!r}"
    if HOLDS in f.metadata and not f.metadata[HOLDS](value):
        return f"`{f.name}` must be {f.metadata[RULE]}, got {value!r}"
    return ""
