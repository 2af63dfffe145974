"""Waiting for what another process does: until it has happened, never for so many seconds."""

import time
from collections.abc import Callable
from typing import Any

HANG_GUARD_S = 900  # nothing that tests wait for takes as long, on any machine


def wait_for(condition: Callable[[], Any], still_possible: Callable[[], Any] = lambda: True) -> Any:
    """The condition's first true value.

    Raises:
        AssertionError: it cannot happen any more.
        TimeoutError: something hangs.
    """
    deadline = time.monotonic() + HANG_GUARD_S
    while not (found := condition()):
        assert still_possible(), "it ended before this happened"
        if time.monotonic() > deadline:
            raise TimeoutError("this has not happened in minutes")
        time.sleep(0.05)
    return found
