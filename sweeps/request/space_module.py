"""A module of search_spaces/ -> its space, with every value read; what is wrong with it is said in words."""

import ast
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import search_spaces
from sweeps.errors import SweepRefused
from sweeps.space import Configuration, Range, TuneSpace, read_fields, read_value

NEEDED = ("SPACE", "TRIALS", "EPOCHS")
WHERE = "see search_spaces/__init__.py"
OF_TUNE = ("ray", "tune", "search", "sample.py")


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
    if problems:
        raise SweepRefused("\n".join(f"space {name}: {problem}" for problem in problems))
    conditions = {n: _needs(needs) for n, needs in getattr(module, "CONDITIONS", {}).items()}
    space = TuneSpace(fields, conditions, protocol=protocol)
    points = [_point(point, space) for point in getattr(module, "POINTS", []) if _is_left(point, space, fixed)]
    return SpaceModule(
        TuneSpace(fields, conditions, points, protocol),
        question=_question(module.__doc__ or ""),
        trials=module.TRIALS,
        epochs=module.EPOCHS,
        cv_only=bool(getattr(module, "CV_ONLY", False)),
    )


def load(name: str) -> ModuleType:
    """Import the module of a space.

    Raises:
        SweepRefused: it cannot be; the message names the axis, or else the line, and says why.
        ModuleNotFoundError: a package is not installed.
    """
    try:
        return search_spaces.load(name)
    except ModuleNotFoundError:
        raise
    except SyntaxError as error:
        raise SweepRefused(f"search_spaces/{name}.py line {error.lineno}: {error.msg}; correct it") from error
    except Exception as error:  # whatever a module may raise
        raise SweepRefused(f"space {name}: {_in_words(name, error)}") from error


def _in_words(name: str, error: Exception) -> str:
    """`` `lr`: tune.loguniform(0, 0.01) must start above 0 ...``: what a module of data does wrong, and where."""
    of_module, of_tune = None, None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path.parent in map(Path, search_spaces.__path__) and path.stem == name:
            of_module, of_tune = frame, None
        elif of_module is not None and of_tune is None and path.parts[-4:] == OF_TUNE:
            of_tune = frame
    axis, line = _place(name, error.__traceback__)
    where = f"`{axis}`" if axis else f"search_spaces/{name}.py line {line}"
    called = Range.called(of_tune.f_code.co_name, of_tune.f_locals) if of_tune else None
    problem = called.problem() if called else ""
    return f"{where}: {problem or f'{type(error).__name__}: {error}'}"


def _place(name: str, tb: TracebackType | None) -> tuple[str, int]:
    """The key, in the module's dict or call, of the value in which an error was raised ("" for none), and its line."""
    places = [each for each in traceback.extract_tb(tb) if Path(each.filename).stem == name]
    if not places:
        return "", 1
    place = places[-1]
    at = (place.lineno or 1, place.colno or 0)
    tree = ast.parse(Path(place.filename).read_text(encoding="utf-8"))
    around = [key for key, node in _named_values(tree) if _start(node) <= at < _end(node)]
    return (around[-1] if around else ""), at[0]


def _named_values(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Outer ones before inner ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value


def _start(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or sys.maxsize, node.end_col_offset or sys.maxsize


def _malformed(module: ModuleType) -> Iterator[str]:
    """What is of another form than search_spaces/__init__.py says."""
    if not isinstance(module.SPACE, Mapping) or not all(isinstance(name, str) for name in module.SPACE):
        yield f"SPACE must be a dict of hyperparameters, got {module.SPACE!r}"
    for name in ("TRIALS", "EPOCHS"):
        value = getattr(module, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield f"{name} must be a whole number of at least 1, got {value!r}"
    conditions, points = getattr(module, "CONDITIONS", {}), getattr(module, "POINTS", [])
    if not isinstance(conditions, Mapping) or not all(isinstance(needs, Mapping) for needs in conditions.values()):
        yield f"CONDITIONS must be a dict of dicts, hyperparameter -> other one -> its values, got {conditions!r}"
    if not isinstance(points, list | tuple) or not all(isinstance(point, Mapping) for point in points):
        yield f"POINTS must be a list of dicts, hyperparameter -> value, got {points!r}"


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
