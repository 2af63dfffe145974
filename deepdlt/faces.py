"""Faces: the public names of a package, each imported on first use.

The package's `__init__.pyi` lists the names, and type checkers read it too. The library lazy_loader does the same, but
a face must work before any dependency is installed.
"""

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

Face = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]


def face(package: str, file: str) -> Face:
    """`__getattr__`, `__dir__` and `__all__` of a package, from its `__name__` and `__file__`."""
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    homes = {alias.name: node.module for node in imports for alias in node.names}

    def offered(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        if home is None:  # `from . import name`: a whole file
            return importlib.import_module(f"{package}.{name}")
        return getattr(importlib.import_module(f"{package}.{home}"), name)

    return offered, lambda: sorted(homes), sorted(homes)
