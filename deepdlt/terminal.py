"""Lines and a progress bar on stderr, and output that ends no work because it cannot be written."""

import atexit
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO


class Output(io.TextIOWrapper):
    """A standard stream that raises nothing: what cannot be written goes nowhere.

    Args:
        number: 1 for stdout, 2 for stderr.
        encoding: characters that it lacks are written as escapes.
    """

    failed: OSError | None = None
    """Why; None while all is well, and where a reader has left, as `head` does."""

    def __init__(self, number: int, encoding: str) -> None:
        buffer = open(number, "wb", closefd=False)  # noqa: SIM115  a descriptor, for the life of the process
        lines = number == 2 or os.isatty(number)
        super().__init__(buffer, encoding, "backslashreplace", line_buffering=lines)

    def write(self, text: str) -> int:
        """As every text stream does."""
        with self._whatever_happens():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """As every text stream does."""
        with self._whatever_happens():
            super().flush()

    @contextmanager
    def _whatever_happens(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failed = None if isinstance(error, BrokenPipeError) else error
            to_nowhere(self)


def own_streams() -> None:
    """Let stdout and stderr of this process be `Output`s, closed ones too; those of a test or notebook stay."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: else the next file that is opened would get what is printed
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream, first = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is None or stream is first:
            setattr(sys, name, Output(number, stream.encoding if stream else "utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


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


def leave(code: int) -> NoReturn:
    """End this process. What is registered for its end is done; its thousands of modules are not taken apart one by
    one, which takes up to 2 s with PyTorch and Ray.
    """
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        sys.exit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or not there at all
            stream.flush()
    os._exit(code)
