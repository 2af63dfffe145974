"""What decides a trial's numbers beside its configuration and its data: the code, and the machine that runs it.

Code is compared as text that was parsed: nothing of it is imported, and comments, docstrings and layout do not count.
"""

import ast
import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

PACKAGE = "deepdlt"
ROOTS = ("create_dataset", "stratified_split", "training_data", "training", "transplant", "evaluation", "inference")
"""Modules that trials and their data begin in; what these import counts too."""
ASIDE = ("data_errors", "leakage", "progress_bar", "source_summary")
"""Modules that only talk, or measure what is there; what these alone import does not count."""
COMMAND_LINE = ("main", "_parser")  # functions of a module's own command line, which no trial calls
PACKAGES = ("torch", "numpy")  # whose arithmetic the numbers are made of


def code_files() -> dict[str, str]:
    """`deepdlt/losses.py` -> sha256 (12 digits) of each source file that decides a trial's numbers, sorted.

    The same in a checkout and installed, and with every version of Python; read once per process.

    Raises:
        OSError, SyntaxError: a source file cannot be read.
    """
    return dict(_code_files(_folder()))


def digest(files: Mapping[str, str]) -> str:
    """One sha256 (12 digits) of what `code_files` returned."""
    return _sha(json.dumps(sorted(files.items())))


def changed_files(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Lines like `deepdlt/losses.py: changed` (or added, removed) for what differs between two `code_files`."""
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
    versions = {"python": platform.python_version()} | {package: _version(package) for package in PACKAGES}
    return {**versions, "threads": threads, "device": f"{device} ({_device_name(device)})", "precision": precision}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Lines like `threads: 1 before, 2 now` for what differs between two `environment`s; what either lacks does not."""
    different = [name for name in now if name in before and before[name] != now[name]]
    return [f"{name}: {before[name]} before, {now[name]} now" for name in different]


def _folder() -> Path:
    """The package's own folder, found without importing it."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the source files of {PACKAGE} are not there; install it from its sources")
    return Path(spec.submodule_search_locations[0])


@cache
def _code_files(folder: Path) -> dict[str, str]:
    aside = {PACKAGE, *(f"{PACKAGE}.{name}" for name in ASIDE)}
    waiting, found = [f"{PACKAGE}.{name}" for name in ROOTS], {}
    while waiting:
        module = waiting.pop()
        path = _path(folder, module)
        file = path.relative_to(folder.parent).as_posix() if path else ""
        if path is None or file in found or module in aside:
            continue
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        found[file], imported = _read(path.read_bytes(), package)
        waiting += imported
    return dict(sorted(found.items()))


@cache
def _read(source: bytes, package: str) -> tuple[str, tuple[str, ...]]:
    """sha256 of what a module of a package does, and what it imports."""
    tree = ast.parse(source)
    tree.body = [statement for statement in tree.body if not _is_command_line(statement)]
    return _sha("".join(_tokens(tree))), tuple(_imported(tree, package))


def _path(folder: Path, module: str) -> Path | None:
    """Source of a module of the package; None if the name is of something else, such as a function."""
    first, *rest = module.split(".")
    base = folder.joinpath(*rest)
    candidates = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in candidates if first == PACKAGE and path.is_file()), None)


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Names of modules, and of what is taken from them, imported at the top or late."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))


def _is_command_line(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.FunctionDef):
        return statement.name in COMMAND_LINE
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def _tokens(node: Any) -> Iterator[str]:
    """A syntax tree as text that no version of Python writes differently (ast.dump and ast.unparse change)."""
    if isinstance(node, list):
        yield "["
        for item in node:
            if not _is_text(item):
                yield from _tokens(item)
        yield "]"
    elif isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if name not in ("ctx", "kind", "type_comment") and value is not None and value != []:
                yield f" {name}="
                yield from _tokens(value)
        yield ")"
    else:
        yield f"{node!r},"


def _is_text(statement: Any) -> bool:
    """A docstring, or any other string that stands alone."""
    alone = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return alone and isinstance(statement.value.value, str)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@cache
def _device_name(device: str) -> str:
    if device == "cpu":
        return _processor(Path("/proc/cpuinfo"))
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "not on this host"


def _processor(cpuinfo: Path) -> str:
    """The processor's name as Linux states it; elsewhere its architecture."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
