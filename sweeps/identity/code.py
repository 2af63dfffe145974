"""What decides a trial's numbers beside its configuration and its data: the code, and the machine that runs it.

Code is compared as text that was parsed: nothing of it is imported, and comments, docstrings, layout
and the messages of errors do not count.
"""

import ast
import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deepdlt.machine import gpus, package_version, processor
from sweeps.errors import SweepRefused

LIBRARY = "deepdlt"
PACKAGES = ("dataset", "metrics", "models", "training")
"""Packages of the library whose code decides a trial's numbers. What it trains on is known by the crops themselves, and
its hyperparameters stand in its record: how images and sheets are read, and what defaults are, need not be compared."""
ARITHMETIC = ("torch", "numpy")  # what the numbers are made with


def code_files() -> dict[str, str]:
    """`deepdlt/metrics/losses.py` -> sha256 (12 digits) of each source file that decides a trial's numbers, sorted.

    The same in a checkout and installed, and with every version of Python; read once per process.

    Raises:
        SweepRefused: a package, or the whole library, has no source files here.
        OSError, SyntaxError: one cannot be read.
    """
    spec = find_spec(LIBRARY)
    if spec is None or not spec.submodule_search_locations:
        raise SweepRefused(f"the source files of {LIBRARY} are not there; install it from its sources")
    return dict(_code_files(Path(spec.submodule_search_locations[0])))


def digest(files: Mapping[str, str]) -> str:
    """One sha256 (12 digits) of what `code_files` returned."""
    return _sha(json.dumps(sorted(files.items())))


def changed_files(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Lines like `deepdlt/metrics/losses.py: changed` (or added, removed) for what differs between two `code_files`."""
    return [
        f"{file}: {'added' if file not in before else 'removed' if file not in now else 'changed'}"
        for file in sorted({*before, *now})
        if before.get(file) != now.get(file)
    ]


def environment(threads: int, device: str, precision: str) -> dict[str, Any]:
    """On what numbers are computed: where any of it differs, they agree to rounding only.

    Args:
        threads: of one trial, torch.get_num_threads() in it.
        device: `cpu` or `cuda`; the name of the processor or GPU of this host is added.
        precision: as in trial.json, such as `float32`.
    """
    versions = {"python": platform.python_version()} | {package: package_version(package) for package in ARITHMETIC}
    return {**versions, "threads": threads, "device": f"{device} ({_device_name(device)})", "precision": precision}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Lines like `threads: 1 before, 2 now` for what differs between two `environment`s; what either lacks does not."""
    different = [name for name in now if name in before and before[name] != now[name]]
    return [f"{name}: {before[name]} before, {now[name]} now" for name in different]


@cache
def _code_files(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for package in PACKAGES:
        paths = sorted((folder / package).rglob("*.py"))
        if not paths:
            raise SweepRefused(f"{folder / package} has no source files; install {LIBRARY} anew from its sources")
        found |= {path.relative_to(folder.parent).as_posix(): _read(path.read_bytes()) for path in paths}
    return found


@cache
def _read(source: bytes) -> str:
    """sha256 of what a module does."""
    return _sha("".join(_tokens(ast.parse(source))))


def _tokens(node: Any) -> Iterator[str]:
    """A syntax tree as text that no version of Python writes differently (ast.dump and ast.unparse change)."""
    if isinstance(node, list):
        yield "["
        for item in node:
            if not _is_text(item):
                yield from _tokens(item)
        yield "]"
    elif isinstance(node, ast.Raise):  # what an error says decides no number
        yield f"(Raise {_name(node.exc)})"
    elif isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if name not in ("ctx", "kind", "type_comment") and value is not None and value != []:
                yield f" {name}="
                yield from _tokens(value)
        yield ")"
    else:
        yield f"{node!r},"


def _name(error: ast.expr | None) -> str:
    """`ValueError` of `ValueError("...")`."""
    return ast.unparse(error.func if isinstance(error, ast.Call) else error) if error else ""


def _is_text(statement: Any) -> bool:
    """A docstring, or any other string that stands alone."""
    alone = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return alone and isinstance(statement.value.value, str)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def _device_name(device: str) -> str:
    return processor() if device == "cpu" else gpus().name or "not on this host"
