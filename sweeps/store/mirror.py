"""A folder of this machine that stands for a sweep, or one trial of it, in an object store.

All other code reads and writes files in it. What must outlive this machine is put into the store as whole objects:
when a file of the sweep is written, and of a trial in the order code.txt, best.pt, last.pt, event files, trial.json.
So a last.pt in the store never refers to a best.pt that is older, and a record to an event file that is shorter.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deepdlt.atomic import write_atomic

if TYPE_CHECKING:
    from sweeps.objects import Listed, Objects

EVERY_S = 30.0
"""A trial puts its checkpoints into the store no more often than this."""
RECORD, CODE_FILE, REPORT = "trial.json", "code.txt", "report"
EVENTS, WEIGHTS = "events.out.tfevents.", ".pt"
IN_ORDER = (CODE_FILE, "schedule.json", "best.pt", "last.pt", EVENTS)
"""Beginnings of the names of a trial's files that are kept, but for its record, which is last."""
NOT_READ = (".hold/", f"{REPORT}/")


class Mirror:
    """A sweep. The files below `folder` and the objects below a URL, under the same names.

    Args:
        objects: of the sweep, or of one trial.
        folder: created if absent; nothing but this object's process writes there.
    """

    is_trial = False
    """Whether it is of one trial, on the machine that trains it: weights are brought there alone."""

    def __init__(self, objects: "Objects", folder: Path) -> None:
        self.objects, self.folder = objects, folder
        self.check: Callable[[], None] = lambda: None
        """Raises when this process may not write into the store any more."""
        self._same: dict[str, Listed | None] = {}  # key -> what it was when it was the same here; None: written by us
        self._published: dict[str, tuple[int, int]] = {}  # key -> time and size of the file that is in the store
        self._last = time.monotonic()
        self._one_at_a_time = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)

    def key(self, path: Path) -> str:
        """The object that a file of the folder stands for."""
        return path.relative_to(self.folder).as_posix()

    def address(self, path: Path) -> str:
        """Its URL."""
        key = self.key(path)
        return self.objects.path("" if key == "." else key)

    def pull(self, below: str = "", wanted: Callable[[str], bool] = lambda key: True) -> None:
        """Bring what others have put into the store or taken out of it.

        Args:
            below: the folder to look at, all of it by default.
            wanted: of the keys of objects, which are brought; weights only on the machine that trains.
        """
        with self._one_at_a_time:
            there = {key: at for key, at in self.objects.listed(below).items() if not key.startswith(NOT_READ)}
            chosen = [key for key, at in there.items() if wanted(key) and not self._is_here(key, at)]
            safe = [key for key in chosen if self.is_trial or not key.endswith(WEIGHTS)]
            for key, data in self.objects.read_all(safe):
                if data is not None and (path := self._inside(key)) is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_atomic(path, data)
                    self._same[key] = there[key]
                    self._published[key] = _stamp(path)
            for key in [k for k in self._same if k not in there and (not below or k.startswith(f"{below}/"))]:
                (self.folder / key).unlink(missing_ok=True)
                del self._same[key]

    def bring(self, path: Path) -> None:
        """Bring one file, whatever it is; if the store has none, none is here."""
        with self._one_at_a_time:
            data = self.objects.read(self.key(path))
            if data is None:
                path.unlink(missing_ok=True)
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, data)

    def publish(self, path: Path) -> None:
        """Put a file into the store, whole."""
        with self._one_at_a_time:
            self.check()
            key, stamp = self.key(path), _stamp(path)
            self.objects.write(key, path.read_bytes())
            self._same[key], self._published[key] = None, stamp

    def remove(self, path: Path) -> None:
        """Remove a file, here and in the store."""
        with self._one_at_a_time:
            self.check()
            path.unlink(missing_ok=True)
            self.objects.delete(self.key(path))
            self._same.pop(self.key(path), None)

    def create(self, path: Path, data: bytes) -> bytes | None:
        """Put an object where there is none; what another has put there instead, None if none has."""
        with self._one_at_a_time:
            self.check()
            self._same[self.key(path)] = None
            return None if self.objects.create(self.key(path), data) else self.objects.read(self.key(path))

    def before_record(self) -> None:
        """What must be in the store before the record of a trial."""

    def publish_folder(self, folder: Path) -> None:
        """Put all files of a folder into the store, and take out what is not in it any more."""
        with self._one_at_a_time:
            files = {self.key(path): path for path in sorted(folder.rglob("*")) if path.is_file()}
            before = self.objects.listed(self.key(folder))
            self.check()
            for key, path in files.items():
                self.objects.write(key, path.read_bytes())
            for key in before.keys() - files.keys():
                self.objects.delete(key)

    def _is_here(self, key: str, at: "Listed") -> bool:
        if key not in self._same or not (self.folder / key).exists():
            return False
        if (same := self._same[key]) is None and (self.folder / key).stat().st_size == at.size:
            self._same[key] = at  # put there by this process, which alone writes this key
            return True
        return same == at

    def _inside(self, key: str) -> Path | None:
        """The file of a key; None of a key that would lead elsewhere, as anybody may have put into a bucket."""
        parts = key.split("/")
        strange = any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts)
        return None if strange else self.folder.joinpath(*parts)


class TrialMirror(Mirror):
    """One trial, on the machine that trains it."""

    is_trial = True

    def before_record(self) -> None:
        """All that the trial has written."""
        self.publish_trial()

    def publish_trial(self, *, weights: bool = True) -> None:
        """Put what has changed of a trial into the store, all but its record.

        Args:
            weights: checkpoints too, not only the event files.
        """
        of_training = [key for key in self._same if key.endswith((WEIGHTS, ".json")) and key != RECORD]
        gone = [key for key in of_training if not (self.folder / key).exists()]
        for key in gone:  # first: a training that was begun anew never meets what another left
            self.remove(self.folder / key)
        for beginning in IN_ORDER:
            if weights or beginning == EVENTS:
                for path in sorted(self.folder.glob(f"{beginning}*")):
                    if self._published.get(self.key(path)) != _stamp(path):
                        self.publish(path)
        if weights:
            self._last = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether checkpoints have not been put into the store for EVERY_S."""
        return time.monotonic() - self._last >= EVERY_S


_open: dict[Path, Mirror] = {}


def mirror_of(path: Path) -> Mirror | None:
    """The mirror in which a path is; None where it is just a path, as always with sweeps in folders."""
    if not _open:
        return None
    return next((_open[each] for each in (path, *path.parents) if each in _open), None)


def address(path: Path) -> str:
    """The path, or the URL of what it mirrors."""
    mirror = mirror_of(path)
    return str(path) if mirror is None else mirror.address(path)


def published(path: Path) -> None:
    """Put a file that was just written into the store; nothing to do where it is written in place.

    What a trial writes is put there together, after an epoch.
    """
    if (mirror := mirror_of(path)) is not None and not mirror.is_trial:
        mirror.publish(path)


def remove(path: Path) -> None:
    """Remove a file of a sweep, if it is there."""
    if (mirror := mirror_of(path)) is not None:
        mirror.remove(path)
    path.unlink(missing_ok=True)


def opened(mirror: Mirror) -> Mirror:
    """Let `mirror_of` find it, until this process ends or `closed`."""
    _open[mirror.folder] = mirror
    return mirror


def closed(mirror: Mirror) -> None:
    """Let it be just a folder."""
    _open.pop(mirror.folder, None)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
