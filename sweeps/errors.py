"""What ends a run before its time: refusals, and a sweep that runs elsewhere."""

DONE, SOME_FAILED, REFUSED, STORAGE_FAILED, RUNNING_ELSEWHERE, INTERRUPTED = 0, 1, 2, 3, 75, 130
"""Exit codes."""


class SweepRefused(ValueError):
    """The sweep cannot be run as asked; the message says what, where and what to do."""


class AlreadyRunning(RuntimeError):
    """Another process works on this sweep."""


class RayFailed(RuntimeError):
    """Ray gave up, for a reason that is not a trial's own."""


class RayNotStarted(RayFailed):
    """Ray could not be started or reached."""


class NotASweep(ValueError):
    """The path is not the folder of a sweep; the message says what it is and what to give instead."""
