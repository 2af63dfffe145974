"""Commands as tests call them: in this process, by name."""

from argparse import Namespace
from collections.abc import Callable, Sequence

from deepdlt.__main__ import main
from deepdlt.command_line import Parser, make_parser
from sweeps import run as sweep


def command(name: str) -> Callable[[Sequence[str]], int]:
    """`deepdlt NAME`: words in, exit code out; a wrong option is SystemExit, as for a person."""
    return lambda words: main([name, *words])


def parse(words: Sequence[str]) -> Namespace:
    """The options of a sweep."""
    args: Namespace = make_parser(sweep, "deepdlt sweep").parse_args(list(words))
    return args


class Say:
    """Say something: a command made for a test."""

    def __init__(self, text: str) -> None:
        self.text = text

    def add_options(self, parser: Parser) -> None:
        """There are none."""

    def run(self, args: Namespace) -> int:
        """Print it."""
        print(self.text)
        return 0
