"""One module per command of `deepdlt`: options in, exit code out.

Other packages add theirs by an entry point of the group `deepdlt.commands`, NAME = MODULE (`sweeps` does).
"""

import ast
import importlib
import importlib.util
from importlib.metadata import entry_points
from pathlib import Path

from deepdlt.command_line import Command

OWN = ("check", "audit", "crops", "folds", "synthetic", "download", "train", "latents")
GROUP = "deepdlt.commands"


def find_commands() -> dict[str, str]:
    """Name -> module of every command: those that other packages add, then the library's own."""
    added = {each.name: each.value for each in entry_points(group=GROUP)}
    return {**added, **{name: f"{__name__}.{name}" for name in OWN}}


def load_command(name: str) -> Command | None:
    """The command's module; None where there is none of that name."""
    module = f"{__name__}.{name}" if name in OWN else find_commands().get(name)
    return importlib.import_module(module) if module else None


def summary(module: str) -> str:
    """The first line of a command's docstring, read without importing it."""
    spec = importlib.util.find_spec(module)
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) if spec and spec.origin else ""
    return (text or "").partition("\n")[0].rstrip(".")
