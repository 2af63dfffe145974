"""The source of a module of search_spaces/: imported, and what is wrong with it said in words, with its place."""

import ast
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType, TracebackType

import search_spaces
from sweeps.errors import SweepRefused
from sweeps.space import Range

OF_TUNE = ("ray", "tune", "search", "sample.py")


def load(name: str) -> ModuleType:
    """Import the module of a space.

    Raises:
        SweepRefused: it cannot be; the message names the axis, or else the line, and says why.
        ModuleNotFoundError: a package is not installed.
    """
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no part of the plan
            return search_spaces.load(name)
    except ModuleNotFoundError:
        raise
    except SyntaxError as error:
        where = f" line {error.lineno}" if error.lineno else ""
        remedy = "save it as UTF-8" if "null bytes" in str(error.msg) else "correct it"  # such as UTF-16 has
        raise SweepRefused(f"search_spaces/{name}.py{where}: {error.msg}; {remedy}") from error
    except (Exception, SystemExit) as error:  # whatever a module may raise
        raise SweepRefused(f"space {name}: {_in_words(name, error)}") from error


def _in_words(name: str, error: BaseException) -> str:
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
    return f"{where}: {problem or f'{type(error).__name__}: {error}'.removesuffix(': ')}"


def _place(name: str, tb: TracebackType | None) -> tuple[str, int]:
    """The key, in the module's dict or call, of the value in which an error was raised ("" for none), and its line."""
    places = [each for each in traceback.extract_tb(tb) if Path(each.filename).stem == name]
    if not places:
        return "", 1
    place = places[-1]
    at = (place.lineno or 1, place.colno or 0)
    around = [key for key, node in _named_values(_parsed(Path(place.filename))) if _start(node) <= at < _end(node)]
    return (around[-1] if around else ""), at[0]


def _parsed(source: Path) -> ast.Module:
    """As Python reads it: with a byte order mark, or in the encoding that its first lines name."""
    return ast.parse(source.read_bytes())


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


def repeated_keys(module: ModuleType) -> Iterator[str]:
    """Keys that stand twice in a dict of a module, of which Python takes the last without a word; one line each."""
    source = Path(module.__file__ or "")
    for node in ast.walk(_parsed(source)) if source.suffix == ".py" else ():
        keys = node.keys if isinstance(node, ast.Dict) else ()
        found = set()
        for key in (key for key in keys if isinstance(key, ast.Constant)):
            if key.value in found:
                yield f"line {key.lineno}: {key.value!r} is there twice, and only the last would count; leave one out"
            found.add(key.value)
