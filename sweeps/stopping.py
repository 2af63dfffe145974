"""Ending a run early. Once (Ctrl-C, time budget): running trials finish their epoch. Twice, or SIGTERM: at once.

Either way nothing that was done is lost, and the same command goes on. What was asked is kept in this module, not in
an object, because Tune pickles its searchers, stoppers and callbacks.
"""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune.stopper import Stopper

INTERRUPTED, OUT_OF_TIME = "interrupted", "the time budget is used up"
_state: dict[str, Any] = {"reason": None, "deadline": None}


def set_deadline(budget_s: float | None) -> None:
    """Begin a run that ends after so many seconds; None for no limit."""
    _state.update(reason=None, deadline=None if budget_s is None else time.monotonic() + budget_s)


def reason() -> str | None:
    """Why no further trial may start and running ones end with their epoch; None while nothing asks for it."""
    if _state["reason"] is None and _state["deadline"] is not None and time.monotonic() >= _state["deadline"]:
        _state["reason"] = OUT_OF_TIME
    return _state["reason"]


class AtNextEpoch(Stopper):
    """Tune's stopper that ends each trial at its next report once there is a reason."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Tune hook."""
        return reason() is not None

    def stop_all(self) -> bool:
        """Never: Tune would not wait for the epochs."""
        return False


@contextmanager
def finishing_epochs() -> Iterator[None]:
    """While trials run, the first Ctrl-C is a request; the second is a KeyboardInterrupt."""

    def ask(number: int, frame: Any) -> None:
        if _state["reason"] == INTERRUPTED:
            raise KeyboardInterrupt
        _state["reason"] = INTERRUPTED
        print("finishing the running epochs; Ctrl-C again stops at once (no finished epoch is lost)", file=sys.stderr)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
