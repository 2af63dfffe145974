"""One progress bar on stderr for the steps that take seconds: bar on a terminal, two lines elsewhere."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yield `progress(done, total)`; nothing is shown unless it is called."""
    from rich.console import Console  # late: most lines need no bar
    from rich.progress import (  # late: the same
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: _plain(title, unit, done, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(title: str, unit: str, done: int, total: int) -> None:
    if done in (1, total):
        say(f"{title}: {done}/{total} {unit}")


def say(text: str) -> None:
    """Print one line on stderr."""
    with unread(sys.stderr):
        print(text, file=sys.stderr, flush=True)


@contextmanager
def unread(stream: TextIO) -> Iterator[None]:
    """Within, nobody reading the stream any more is no error; from then on it goes nowhere."""
    try:
        yield
        stream.flush()
    except BrokenPipeError:
        to_nowhere(stream)


def to_nowhere(stream: TextIO) -> None:
    """Let the stream be read by nobody from now on, what it still holds included."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
