"""The hold of one process on a sweep in an object store, where there are no locks.

Holds are numbered objects, `.hold/000007`. Whoever creates the next number holds the sweep, and rewrites its object
every REFRESH_S with a new nonce. A hold that was given up says so; one that nobody has rewritten for DEAD_S, by the
store's own clock, is dead. The highest number is never removed, so that no number is ever used twice: a process that
was asleep while others held and gave up finds a higher one and stops. A holder that could not rewrite its object for
LOST_S stops by itself, before anybody may take its place.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from deepdlt.errors import RUNNING_ELSEWHERE
from sweeps.errors import AlreadyRunning
from sweeps.objects.client import Objects, StoreError

FOLDER = ".hold"
REFRESH_S, LOST_S, DEAD_S = 20.0, 90.0, 120.0


class LeaseLost(StoreError):
    """Another process has taken the sweep, because this one was cut off or asleep for long."""

    exit_code = RUNNING_ELSEWHERE


@dataclass(frozen=True)
class Holder:
    """Who holds a sweep; the content of its object."""

    nonce: str
    """Another one in each writing: equal bytes would be no proof of an unchanged object."""
    pid: int
    host: str
    since: str
    where: str
    """The running system and its process numbers: only there it can be known whether the process lives."""
    begun: str
    """When the process began, in the system's ticks: numbers of processes are used again."""
    released: bool = False

    @classmethod
    def this_process(cls) -> "Holder":
        """With the present time."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(secrets.token_hex(16), os.getpid(), socket.gethostname(), since, _where(), _begun(os.getpid()))

    @classmethod
    def from_bytes(cls, data: bytes | None) -> "Holder | None":
        """None where it is none."""
        try:
            return None if data is None else cls(**json.loads(data))
        except (ValueError, TypeError):
            return None

    def to_bytes(self, released: bool = False) -> bytes:
        """With a new nonce."""
        return json.dumps({**asdict(self), "nonce": secrets.token_hex(16), "released": released}).encode()

    @property
    def is_dead(self) -> bool:
        """Whether its process is known to have ended, which is only known where it ran."""
        return bool(self.where) and self.where == _where() and self.begun != _begun(self.pid)


class Lease:
    """Take it with `take`, ask `check` before each writing, give it up with `release`.

    Args:
        objects: of the sweep.
        lost: called from a thread when the hold is gone.
    """

    def __init__(self, objects: Objects, lost: Callable[[LeaseLost], Any] = lambda error: None) -> None:
        self._objects, self._lost = objects, lost
        self._number, self._holder = 0, Holder.this_process()
        self._refreshed = -LOST_S
        self._over = threading.Event()
        self._taken_by = ""

    def take(self) -> None:
        """Hold the sweep from now on.

        Raises:
            AlreadyRunning: a process that lives holds it, or one of which nothing is known yet.
            StoreError: the store fails.
        """
        found = self._numbers()
        highest = max(found, default=0)
        if highest:
            self._refuse_if_held(highest)
        began = _now()
        data = self._holder.to_bytes()
        if not self._objects.create(_key(highest + 1), data) or max(self._numbers()) > highest + 1:
            self._refuse(Holder.from_bytes(self._objects.read(_key(highest + 1))), None)
        self._number, self._refreshed = highest + 1, began
        for number in found:
            self._objects.delete(_key(number))
        threading.Thread(target=self._keep, daemon=True).start()

    def check(self) -> None:
        """Raise LeaseLost unless nobody else can hold the sweep."""
        if self._taken_by or _now() - self._refreshed > LOST_S:
            raise LeaseLost(self._reason())

    def refresh(self) -> None:
        """Rewrite the object, unless another process has taken the sweep; `_keep` does it every REFRESH_S.

        Raises:
            LeaseLost: one has.
            StoreError: the store fails.
        """
        began = _now()
        if max(self._numbers(), default=0) > self._number:
            self._taken_by = str(Holder.from_bytes(self._objects.read(_key(max(self._numbers())))) or "another process")
            raise LeaseLost(self._reason())
        self._objects.write(_key(self._number), self._holder.to_bytes())
        self._refreshed = began

    def release(self) -> None:
        """Give the sweep up. What cannot be written now ends with its time."""
        self._over.set()
        try:
            self.check()
            self._objects.write(_key(self._number), self._holder.to_bytes(released=True))
        except StoreError:
            return

    def _keep(self) -> None:
        while not self._over.wait(REFRESH_S):
            try:
                self.refresh()
            except StoreError as error:
                if not isinstance(error, LeaseLost) and _now() - self._refreshed < LOST_S:
                    continue
                if not self._over.is_set():
                    self._lost(error if isinstance(error, LeaseLost) else LeaseLost(self._reason()))
                return

    def _numbers(self) -> list[int]:
        names = (Path(key).name for key in self._objects.listed(FOLDER))
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal())

    def _refuse_if_held(self, number: int) -> None:
        holder = Holder.from_bytes(self._objects.read(_key(number)))
        if holder is not None and (holder.released or holder.is_dead):
            return
        age = self._age(number)
        if age is None or age <= DEAD_S:
            self._refuse(holder, age)

    def _age(self, number: int) -> float | None:
        """Seconds since the object was written, both times by the store's clock: hosts' clocks may be hours apart."""
        written = self._objects.written_at(_key(number))
        probe = f"{FOLDER}/now-{secrets.token_hex(8)}"
        self._objects.write(probe, b"now")
        now = self._objects.written_at(probe)
        self._objects.delete(probe)
        return None if written is None or now is None else now - written

    def _refuse(self, holder: Holder | None, age: float | None) -> NoReturn:
        who = "another process"
        if holder is not None:
            who = f"process {holder.pid} on {holder.host} since {holder.since}"
        heard = ""
        if age is not None:
            left = max(1, round(DEAD_S - age))
            heard = f", last heard from {age:.0f} s ago; if that process is dead, its hold ends in {left} s"
        raise AlreadyRunning(
            f"the sweep {self._objects.url} is running already ({who}{heard}); wait for it or choose another --name"
        )

    def _reason(self) -> str:
        why = "another process has taken it" if self._taken_by else f"the store could not be reached for {LOST_S:.0f} s"
        return f"{self._objects.url}: this run holds the sweep no more, {why}; completed trials are saved"


def _key(number: int) -> str:
    return f"{FOLDER}/{number:06d}"


def _now() -> float:
    """Seconds that go on while the machine sleeps, and that no change of the clock moves."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _where() -> str:
    """This start of this system, and its table of processes; "" where that is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _begun(pid: int) -> str:
    """Ticks from the system's start to that of a process that runs; "" of none."""
    try:
        state, *others = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in "ZX" else others[18]
