"""What ends a sweep before its time: refusals, a sweep that runs elsewhere, and Ray's own failures."""

from deepdlt.errors import INTERRUPTED, RUNNING_ELSEWHERE, CommandError


class SweepRefused(CommandError, ValueError):
    """The sweep cannot be run as requested; the message says what, where and what to do."""


class NotASweep(CommandError, ValueError):
    """The path is not the folder of a sweep; the message says what it is and what to give instead."""


class AlreadyRunning(CommandError, RuntimeError):
    """Another process works on this sweep."""

    exit_code = RUNNING_ELSEWHERE


class RayFailed(CommandError, RuntimeError):
    """Ray gave up, for a reason that is not a trial's own."""

    exit_code = INTERRUPTED


class RayNotStarted(RayFailed):
    """Ray could not be started or reached."""
