"""Work that is due after the trials, begun while they run."""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from threadpoolctl import threadpool_limits

from sweeps.store import read_records

NICENESS = 10  # of the thread beside the trials: a tenth of a core that a trial wants, all of one that idles
LOOK_EVERY_S = 2.0
AT_ONCE_S = 0.5


class BesideTrials:
    """A thread of low priority that does what is due after the trials, from the first complete trial on.

    What it has not done when the context ends is left for then.

    Args:
        work: one step after the other; a step is not begun once the context has ended.
    """

    def __init__(self, sweep: Path, work: Iterable[object]) -> None:
        self._sweep, self._work = sweep, work
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beside trials", daemon=True)

    def __enter__(self) -> "BesideTrials":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._thread.join(None if kind is None else AT_ONCE_S)  # what stops at once waits for no step

    def _run(self) -> None:
        with suppress(AttributeError, OSError):  # Linux: of this thread alone
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while not any(record.is_complete for record in read_records(self._sweep).values()):
            if self._over.wait(LOOK_EVERY_S):
                return
        with suppress(Exception), threadpool_limits(1):  # it is met again after the trials, and said
            for _ in self._work:
                if self._over.is_set():
                    return
