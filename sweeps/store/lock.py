"""One process at a time works on a sweep."""

import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from deepdlt.machine import SYSTEMS, WSL2
from sweeps.errors import AlreadyRunning, SweepRefused
from sweeps.store.mirror import mirror_of

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]


def check_system() -> None:
    """Refuse a system on which no sweep can be locked, before anything is read or made.

    Raises:
        SweepRefused: as said.
    """
    if fcntl is None:
        raise SweepRefused(f"Sweeps need {SYSTEMS}: this system cannot lock files (Python has no fcntl here); {WSL2}")


def check_locks(folder: Path) -> None:
    """Lock a file there, which is removed again, before anything is made. Where the system has none see `check_system`.

    Raises:
        SweepRefused: its file system knows no locks.
        OSError: it cannot be written to.
    """
    if fcntl is None:
        return  # `check_system` says that
    with tempfile.NamedTemporaryFile(prefix=".", suffix=".tmp", dir=folder) as file:
        _take(file, folder)


@contextmanager
def sweep_lock(sweep: Path) -> Iterator[None]:
    """Hold the sweep for this process; the lock goes with the process, however it ends.

    In an object store it is a hold with a heartbeat (`sweeps.objects.lease`), of a process that was killed elsewhere it
    ends after two minutes.

    Raises:
        AlreadyRunning: another process holds it; the message has its number, host and start.
        SweepRefused: this system knows no locks, or the folder's file system.
        OSError: the folder cannot be written to.
    """
    check_system()
    if (mirror := mirror_of(sweep)) is not None:
        from sweeps.store.location import held  # late: what object stores need is imported for them alone

        with held(mirror):
            yield
        return
    sweep.mkdir(parents=True, exist_ok=True)
    path = sweep / ".lock"
    with path.open("a", encoding="utf-8") as file:
        try:
            _take(file, sweep)
        except BlockingIOError as error:
            problem = f"the sweep {sweep} is running already ({_holder(path)}); wait for it or choose another --name"
            raise AlreadyRunning(problem) from error
        file.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        print(f"process {os.getpid()} on {socket.gethostname()} since {since}", file=file, flush=True)
        yield


def _take(file: IO[Any], folder: Path) -> None:
    """Lock an open file.

    Raises:
        BlockingIOError: another process holds it.
        SweepRefused: it cannot be locked.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        raise SweepRefused(
            f"--storage: files in {folder} cannot be locked ({error.strerror}): two runs of a sweep could mix there;"
            " choose a folder on a disk of this machine, or on a share with locks"
        ) from error


def _holder(lock: Path) -> str:
    """Who holds the lock; whoever has just taken it may not have written that over the name of one who died."""
    for _ in range(100):
        text = lock.read_text(encoding="utf-8")
        named = re.match(r"process (\d+) on (\S+) since \S+\n", text)
        if named and (named[2] != socket.gethostname() or _is_alive(int(named[1]))):
            return text.strip()
        time.sleep(0.02)
    return "another process"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
