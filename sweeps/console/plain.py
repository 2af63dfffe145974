"""A console of rich that prints texts as they are."""

from typing import TextIO

from rich.console import Console


class PlainConsole(Console):
    """One whose reader may leave."""

    def on_broken_pipe(self) -> None:
        """Leave it to the caller; rich would end the process."""
        raise  # the error, which rich has caught where it calls this


def console_to(file: TextIO) -> Console:
    """Prints texts as they are: paths and labels have brackets that are no markup of rich's.

    Terminals wrap at their own width; files and pipes must not be cut at 80 columns.
    """
    return PlainConsole(file=file, highlight=False, markup=False, emoji=False, width=None if file.isatty() else 160)
