"""What people write in SPACE -> values and domains that every part of a sweep sees alike: read once, here.

A value has the type of its field (0 is 0.0 where the field is a number), each choice is there once, a range of one
value is a choice of it, and what no search could draw from is refused in words.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform, Normal, Quantized, Uniform

from deepdlt import rules
from deepdlt.config import TrainConfig
from sweeps.space import domains
from sweeps.space.axis import alike

KINDS: Mapping[str, type] = {field.name: field.type for field in fields(TrainConfig)}  # type: ignore[misc]
DECADES = 1000


@dataclass(frozen=True)
class Range:
    """The arguments of one of Tune's ranges, as typed."""

    low: Any
    high: Any
    step: Any = None
    integer: bool = False
    logarithmic: bool = False

    @classmethod
    def of(cls, domain: Domain) -> "Range":
        """Of one of Tune's domains."""
        step, is_log = domains.step_of(domain), domains.is_logarithmic(domain)
        return cls(domain.lower, domain.upper, step, isinstance(domain, Integer), is_log)

    @classmethod
    def called(cls, name: str, arguments: Mapping[str, Any]) -> "Range | None":
        """Of a call of `tune.<name>`; None where that makes no range."""
        if not {"lower", "upper"} <= set(arguments):
            return None
        return cls(arguments["lower"], arguments["upper"], arguments.get("q"), "randint" in name, "log" in name)

    @property
    def name(self) -> str:
        """`qloguniform`, say."""
        ends = {(0, 0): "uniform", (0, 1): "loguniform", (1, 0): "randint", (1, 1): "lograndint"}
        return ("" if self.step is None else "q") + ends[self.integer, self.logarithmic]

    def __str__(self) -> str:
        arguments = [self.low, self.high, *([] if self.step is None else [self.step])]
        return f"tune.{self.name}({', '.join(map(_number_text, arguments))})"

    def problem(self) -> str:
        """Why nothing can be drawn from it, with a remedy; "" where all is well."""
        low, high, step = self.low, self.high, self.step
        for number in (low, high, *([] if step is None else [step])):
            if isinstance(number, int) and abs(number) > rules.LARGEST:
                return f"{self} takes numbers up to 2**53, got {_number_text(number)}"
            if not _is_number(number):
                return f"{self} takes finite numbers, got {number!r}"
            if self.integer and not (float(number).is_integer() and abs(number) <= rules.LARGEST):
                return f"{self} takes whole numbers up to 2**53, got {_number_text(number)}; or use tune.uniform"
        if low > high:
            return f"{self} has its ends in the wrong order: write {_swapped(self)}"
        if self.logarithmic and low <= 0:
            return _no_logarithm(self)
        if step is not None and step <= 0:
            return f"{self} needs a step above 0, got {_number_text(step)}"
        if not math.isfinite(high - low):
            return f"{self} is wider than a number can be; bring its ends together"
        if step is not None and not self.integer:
            return _undivided(self)
        return ""


def read_fields(written: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The fields of a space with values of their types, and what is wrong with them, one line each, by field."""
    read, problems = {}, []
    for name, value in written.items():
        try:
            read[name] = read_field(name, value)
        except ValueError as error:
            problems.append(str(error))
    return read, problems


def read_field(name: str, value: Any) -> Any:
    """A constant or a domain, as `read_fields` reads it.

    Raises:
        ValueError: it is neither, or none of this field; the message names the field.
    """
    if isinstance(value, Categorical):
        return tune.choice(_choices(name, value.categories))
    if domains.is_axis(value):
        return _range(name, value)
    if isinstance(domains.plain(value), str | int | float):
        return read_value(name, value)
    raise ValueError(f"`{name}` must be a value, tune.choice, or a range such as tune.loguniform{_instead(value)}")


def read_value(name: str, value: Any) -> Any:
    """One value as its field holds it; of a field that there is not, as it is.

    Raises:
        ValueError: it has another type.
    """
    kind = KINDS.get(name)
    return domains.plain(value) if kind is None else rules.typed(name, kind, value)


def _choices(name: str, written: Sequence[Any]) -> list[Any]:
    if KINDS.get(name) is str and len(written) > 1 and all(isinstance(v, str) and len(v) == 1 for v in written):
        raise ValueError(f"`{name}`: tune.choice takes a list: write tune.choice([{''.join(written)!r}])")
    found: list[Any] = []
    for value in (read_value(name, each) for each in written):
        if not any(alike(value, known) for known in found):
            found.append(value)
    if not found:
        raise ValueError(f"`{name}`: tune.choice([]) has no value to choose; name one or more")
    return found


def _range(name: str, domain: Domain) -> Domain:
    sampler = domain.get_sampler()
    inner = sampler.get_sampler() if isinstance(sampler, Quantized) else sampler
    if isinstance(inner, Normal) or not isinstance(inner, Uniform | LogUniform):
        raise ValueError(f"`{name}`: tune.randn has no ends; use tune.uniform or tune.loguniform")
    written = Range.of(domain)
    if problem := written.problem():
        raise ValueError(f"`{name}`: {problem}")
    kind = KINDS.get(name)
    if kind is str:
        raise ValueError(f"`{name}` is a text: {written} has none; use tune.choice")
    if kind is int and not written.integer and (written.step is None or not float(written.step).is_integer()):
        raise ValueError(f"`{name}` must be a whole number: use {_whole_range(written)}, not {written}")
    low, high = domains.ends(domain)
    if low > high or domains.values(domain) == []:
        raise ValueError(f"`{name}`: {written} has no value{_open_end(written)}")
    integer = written.integer if kind is None else kind is int
    as_kind = int if integer else float
    step = written.step if written.step is not None else 1 if written.integer else None
    return _made(as_kind(low), as_kind(high), None if step is None else as_kind(step), written.logarithmic)


def _made(low: Any, high: Any, step: Any, logarithmic: bool) -> Domain:
    """Tune's range of these values, both ends among them; a choice of the one where there is one."""
    if alike(low, high):
        return tune.choice([low])
    domain = Integer(low, high + (step == 1)) if isinstance(low, int) else Float(low, high)
    domain = domain.loguniform() if logarithmic else domain.uniform()
    return domain if step is None or (isinstance(low, int) and step == 1) else domain.quantized(step)


def _instead(value: Any) -> str:
    """What to write for a value that looks like choices."""
    listed = value.get("grid_search") if isinstance(value, dict) else value
    listed = listed.tolist() if isinstance(listed, np.ndarray) else listed
    if isinstance(listed, list | tuple | set | range):
        more = ", with --search grid" if isinstance(value, dict) else ""
        return f": write tune.choice({[domains.rounded(each) for each in listed]!r}){more}"
    return ""


def _no_logarithm(written: Range) -> str:
    if not written.high > 0:
        return f"{written} must lie above 0, for 0 has no logarithm; use tune.{written.name.replace('log', '')}"
    if written.integer:
        better = Range(written.step or 1, written.high, written.step, True, True)
        return f"{written} must start above 0, for 0 has no logarithm: as in {better}"
    if written.step is not None:
        better = Range(written.step, written.high, written.step, False, True)
    else:
        better = Range(written.high / DECADES, written.high, None, False, True)
    return f"{written} must start above 0, for 0 has no logarithm: as in {better}"


def _undivided(written: Range) -> str:
    """A problem where the ends of a range of decimals are no multiples of its step."""
    low, high, step = written.low, written.high, written.step
    if all(math.isclose(end / step, round(end / step)) for end in (low, high)):
        return ""
    inside = domains.rounded(math.ceil(low / step) * step), domains.rounded(math.floor(high / step) * step)
    first = inside[0] if inside[0] > 0 or not written.logarithmic else step
    remedy = f": as in {Range(first, inside[1], step, False, written.logarithmic)}" if first <= inside[1] else ""
    return f"{written} needs ends that are multiples of its step {_number_text(step)}{remedy}"


def _whole_range(written: Range) -> Range:
    low, high = math.ceil(written.low), math.floor(written.high) + (written.step is None)
    step = None if written.step is None else max(1, round(written.step))
    return Range(low, high, step, True, written.logarithmic)


def _open_end(written: Range) -> str:
    if written.step in (None, 1) and float(written.low) == float(written.high):
        return f": its upper end is not one of them; as in {Range(written.low, written.high + 1, None, True)}"
    return ""


def _swapped(written: Range) -> Range:
    return Range(written.high, written.low, written.step, written.integer, written.logarithmic)


def _is_number(value: Any) -> bool:
    value = domains.plain(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number_text(value: Any) -> str:
    value = domains.plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return repr(value)
    return str(value) if isinstance(value, int) and abs(value) <= rules.LARGEST else rules.plain(value)
