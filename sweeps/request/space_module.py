"""A module of search_spaces/ -> its space, with every value read; what is wrong with it is said in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from deepdlt import rules
from deepdlt.errors import hint
from sweeps.errors import SweepRefused
from sweeps.request.space_source import load, repeated_keys
from sweeps.space import Configuration, TuneSpace, alike, read_fields, read_value

NEEDED = ("SPACE", "TRIALS", "EPOCHS")
WHERE = "see search_spaces/__init__.py"


@dataclass(frozen=True)
class SpaceModule:
    """What a module holds, checked but for the ranges of its values."""

    space: TuneSpace
    question: str
    trials: int
    epochs: int
    cv_only: bool


def read_space(name: str, fixed: Mapping[str, Any], protocol: str) -> SpaceModule:
    """Import a space and read it.

    Args:
        fixed: settings of the command line, in the place of what the space has.

    Raises:
        SweepRefused: it cannot be imported, or lacks something, or has values of no field; all problems at once.
    """
    module = load(name)
    missing = [each for each in NEEDED if not hasattr(module, each)]
    if missing:
        raise SweepRefused(f"search_spaces/{name}.py must define {', '.join(missing)}; {WHERE}")
    if problems := list(_malformed(module)):
        raise SweepRefused("\n".join(f"search_spaces/{name}.py: {problem}; {WHERE}" for problem in problems))
    fields, problems = read_fields({**module.SPACE, **fixed})
    problems = problems or list(_stray_points(module, fields, fixed))
    if problems:
        raise SweepRefused("\n".join(f"space {name}: {problem}" for problem in problems))
    conditions = {n: _needs(needs) for n, needs in getattr(module, "CONDITIONS", {}).items()}
    space = TuneSpace(fields, conditions, protocol=protocol)
    points = [_point(point, space) for point in getattr(module, "POINTS", []) if _is_left(point, space, fixed)]
    return SpaceModule(
        TuneSpace(fields, conditions, points, protocol),
        question=_question(module.__doc__ or ""),
        trials=rules.typed("TRIALS", int, module.TRIALS),
        epochs=rules.typed("EPOCHS", int, module.EPOCHS),
        cv_only=bool(getattr(module, "CV_ONLY", False)),
    )


def _malformed(module: ModuleType) -> Iterator[str]:
    """What is of another form than search_spaces/__init__.py says."""
    if not isinstance(module.SPACE, Mapping) or not all(isinstance(name, str) for name in module.SPACE):
        yield f"SPACE must be a dict of hyperparameters, got {module.SPACE!r}"
    for name in ("TRIALS", "EPOCHS"):
        value = getattr(module, name)
        try:
            is_count = rules.typed(name, int, value) >= 1
        except ValueError:
            is_count = False
        if not is_count:
            yield f"{name} must be a whole number of at least 1, got {value!r}"
    conditions, points = getattr(module, "CONDITIONS", {}), getattr(module, "POINTS", [])
    if not isinstance(conditions, Mapping) or not all(isinstance(needs, Mapping) for needs in conditions.values()):
        yield f"CONDITIONS must be a dict of dicts, hyperparameter -> other one -> its values, got {conditions!r}"
    if not isinstance(points, list | tuple) or not all(isinstance(point, Mapping) for point in points):
        yield f"POINTS must be a list of dicts, hyperparameter -> value, got {points!r}"
    yield from repeated_keys(module)


def _stray_points(module: ModuleType, fields: Mapping[str, Any], fixed: Mapping[str, Any]) -> Iterator[str]:
    """What points say of fields that the space does not vary, where it is not what the space has; one line each."""
    varied = TuneSpace(fields).domains
    for point in getattr(module, "POINTS", []):
        for name in (name for name in point if name not in varied and name not in fixed):
            if name not in fields:
                yield f"the point {dict(point)}: SPACE has no {name!r}{hint(str(name), fields)}"
            elif not alike(_read(name, point[name]), fields[name]):
                yield f"the point {dict(point)} is not in the space: there `{name}` is {fields[name]!r}"


def _needs(needs: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a condition as their fields hold them; what is no list is left for the refusal."""
    return {other: [_read(other, v) for v in of] if isinstance(of, list | tuple) else of for other, of in needs.items()}


def _point(point: Mapping[str, Any], space: TuneSpace) -> Configuration:
    """The swept fields of a point, each the value of its axis that is meant."""
    read = {name: _read(name, value) for name, value in point.items()}
    return space.on_axes(Configuration.of(read).only(space.domains))


def _is_left(point: Mapping[str, Any], space: TuneSpace, fixed: Mapping[str, Any]) -> bool:
    """Whether a point is one of the space once fields are fixed; one that never was is kept, to be refused."""
    was = all(point.get(name, value) == value for name, value in fixed.items())
    return was or space.space.holds(_point(point, space))


def _read(name: str, value: Any) -> Any:
    try:
        return read_value(name, value)
    except ValueError:  # no value of the axis either, which is said of the whole point or condition
        return value


def _question(docstring: str) -> str:
    """The paragraph under `Question` in a space's docstring, else its first line."""
    title, _, rest = docstring.partition("Question\n")
    paragraph, _, _ = rest.partition("\nAxes")
    return " ".join(paragraph.split()) or title.strip().partition("\n")[0]
