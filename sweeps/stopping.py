"""Ending a run early. Once (Ctrl-C, time budget): running trials finish their epoch. Twice, or SIGTERM: at once.

Either way nothing that was done is lost, and the same command goes on. What was asked is kept in this module, not in
an object, because Tune pickles its searchers, stoppers and callbacks.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deepdlt.terminal import say

INTERRUPTED, OUT_OF_TIME = "interrupted", "the time budget is used up"
STORAGE_FAILED = "storage failed"
BEGIN_AGAIN = "a node of the cluster is unfit"
_state: dict[str, Any] = {"reason": None, "deadline": None, "error": None}


def set_deadline(budget_s: float | None) -> None:
    """Begin a run that ends after so many seconds; None for no limit."""
    _state.update(reason=None, error=None, deadline=None if budget_s is None else time.monotonic() + budget_s)


def reason() -> str | None:
    """Why no further trial may start and running ones end with their epoch; None while nothing asks for it."""
    if _state["reason"] is None and _state["deadline"] is not None and time.monotonic() >= _state["deadline"]:
        _state["reason"] = OUT_OF_TIME
    return _state["reason"]


def begin_again() -> None:
    """Let running trials finish their epoch, and then begin what is left again; unless the run ends anyway."""
    if reason() is None:
        _state["reason"] = BEGIN_AGAIN


def takes_up_again() -> bool:
    """Whether `begin_again` was called and nothing else asks for the end; once."""
    if _state["reason"] != BEGIN_AGAIN:
        return False
    _state["reason"] = None
    return True


def storage_failed(error: OSError) -> None:
    """End the run because of this; Tune would take an exception in a callback for one of the trial's own."""
    _state.update(reason=STORAGE_FAILED, error=error)


def raise_storage_failure() -> None:
    """Raise what `storage_failed` was told.

    Raises:
        OSError: that one.
    """
    if _state["error"] is not None:
        raise _state["error"]


@contextmanager
def finishing_epochs() -> Iterator[None]:
    """While trials run, the first Ctrl-C is a request; the second is a KeyboardInterrupt."""

    def ask(number: int, frame: Any) -> None:
        if _state["reason"] in (INTERRUPTED, STORAGE_FAILED):
            raise KeyboardInterrupt
        _state["reason"] = INTERRUPTED
        say("finishing the running epochs; Ctrl-C again stops at once (no finished epoch is lost)")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
