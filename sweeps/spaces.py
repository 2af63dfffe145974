"""List the search spaces with the question that each answers.

example:
  deepdlt spaces
"""

import argparse
import ast
from pathlib import Path

import search_spaces
from deepdlt.command_line import Parser
from deepdlt.errors import DONE, some_words
from sweeps.errors import SweepRefused

LIST = "--list-spaces"


def add_options(parser: Parser) -> None:
    """There are none."""


def run(args: argparse.Namespace) -> int:
    """Print them; docstrings are read without importing Ray.

    Raises:
        SweepRefused: `--list-spaces` of another command stands beside other options.
    """
    others = sorted(args.given - {LIST, "--plan"})  # that runs nothing, too
    if others:
        raise SweepRefused(f"{LIST} lists the spaces and runs nothing: leave out {some_words(others)}")
    for name in search_spaces.names():
        path = Path(search_spaces.__path__[0]) / f"{name}.py"
        print(f"{name:12} {_first_line(path)}")
    return DONE


def _first_line(path: Path) -> str:
    try:
        doc = ast.get_docstring(ast.parse(path.read_bytes())) or ""
    except (SyntaxError, ValueError) as error:  # null bytes are a ValueError
        return f"(cannot be read: {error})"
    return doc.partition("\n")[0]
