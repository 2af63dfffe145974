"""Lines for people, on stderr. Whoever has stopped reading them (`| head`, a killed `tee`) does not end the run."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


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
