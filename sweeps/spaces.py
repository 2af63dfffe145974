"""List the search spaces with the question that each answers.

example:
  deepdlt spaces
"""

import argparse
import ast
from pathlib import Path

import search_spaces
from deepdlt.command_line import Parser
from deepdlt.errors import DONE


def add_options(parser: Parser) -> None:
    """There are none."""


def run(args: argparse.Namespace) -> int:
    """Print them; docstrings are read without importing Ray."""
    for name in search_spaces.names():
        path = Path(search_spaces.__path__[0]) / f"{name}.py"
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        print(f"{name:12} {doc.splitlines()[0] if doc else ''}")
    return DONE
