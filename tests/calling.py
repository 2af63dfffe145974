"""Commands as tests call them: in this process, by name."""

from argparse import Namespace
from collections.abc import Callable, Sequence

from deepdlt.__main__ import main
from deepdlt.command_line import make_parser
from sweeps import run as sweep


def command(name: str) -> Callable[[Sequence[str]], int]:
    """`deepdlt NAME`: words in, exit code out; a wrong option is SystemExit, as for a person."""
    return lambda words: main([name, *words])


def parse(words: Sequence[str]) -> Namespace:
    """The options of a sweep."""
    args: Namespace = make_parser(sweep, "deepdlt sweep").parse_args(list(words))
    return args
