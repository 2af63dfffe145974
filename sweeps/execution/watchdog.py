"""A trial that hangs ends itself, and says where."""

import faulthandler
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HANG = "DEEPDLT_HANG_S"  # environment: seconds without a step after which a trial's process ends itself
HANG_S = 900.0  # by default; an epoch's validation is a step, minutes at the very worst
HANG_FILE = "hang.txt"


@contextmanager
def watchdog(directory: Path) -> Iterator[Callable[..., None]]:
    """Yield what must be called again and again, or else this process writes where it hangs and ends.

    A thread of the C library watches, so that code which never gives Python back is noticed too.
    """
    limit, last = float(os.environ.get(HANG, HANG_S)), 0.0
    with (directory / HANG_FILE).open("w") as file:

        def alive(now: bool = False) -> None:
            nonlocal last
            if now or time.monotonic() - last > limit / 100:  # arming costs a thread
                faulthandler.dump_traceback_later(limit, exit=True, file=file)
                last = time.monotonic()

        alive()
        try:
            yield alive
        finally:
            pause()
            (directory / HANG_FILE).unlink(missing_ok=True)


def pause() -> None:
    """Watch no more until the next step."""
    faulthandler.cancel_dump_traceback_later()
