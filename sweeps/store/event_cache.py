"""What was read from event files, kept beside them, so that a report that is made again reads only what has changed.

A trial is read again when any of its event files differs in name, size, time of modification or time of change (which
no program can set), and as long as one of them is so young that it may still be written to.
"""

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepdlt.atomic import write_atomic
from sweeps.store.event_files import EVENT_FILES, TrialEvents, read_trial

CACHE_FILE = ".curves.json"
VERSION = 1  # of the reader; a cache of another one is not used
SETTLED_S = 2.0  # coarser than the clock of any file system


class EventCache:
    """Reads the curves of a sweep's trials, each once; `save` keeps them. Pictures are not kept.

    A cache that cannot be read, verified or written costs time, nothing else.
    """

    def __init__(self, sweep: Path) -> None:
        self.path, self.read_anew = sweep / CACHE_FILE, 0
        self._known, self._seen = _load(self.path), dict[str, Any]()

    def read(self, folder: Path) -> TrialEvents:
        """As `read_trial` without images.

        Raises:
            Exception: whatever a foreign file under TensorBoard's name leads to.
        """
        state = _state(folder)
        entry = self._known.get(folder.name)
        if entry is None or entry["files"] != state:
            self.read_anew += 1
            trial = read_trial(folder, images=False)
            if state != _state(folder) or any(time.time() - max(times) / 1e9 < SETTLED_S for *_, times in state):
                return trial
            entry = {"files": state, **_packed(trial)}
        self._seen[folder.name] = entry
        return _unpacked(entry)

    def save(self) -> None:
        """Keep what was read, if anything is new, for the next time."""
        if self._seen == self._known:
            return
        body = json.dumps(self._seen).encode()
        head = json.dumps({"version": VERSION, "sha256": hashlib.sha256(body).hexdigest()}).encode()
        try:
            write_atomic(self.path, head + b"\n" + body)
        except OSError:  # a folder that belongs to somebody else
            return


def _load(path: Path) -> dict[str, Any]:
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        about, digest = json.loads(head), hashlib.sha256(body).hexdigest()
        if (about["version"], about["sha256"]) != (VERSION, digest):
            return {}
        found: dict[str, Any] = json.loads(body)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found


def _state(folder: Path) -> list[list[Any]]:
    found = [(path.name, path.stat()) for path in sorted(folder.glob(EVENT_FILES))]
    return [[name, stat.st_size, stat.st_ino, [stat.st_mtime_ns, stat.st_ctime_ns]] for name, stat in found]


def _packed(trial: TrialEvents) -> dict[str, Any]:
    """As JSON: values are float32 in the files, so nothing is rounded."""
    steps = [list(series) for series in trial.scalars.values()]
    distinct = [list(each) for each in dict.fromkeys(map(tuple, steps))]
    scalars = {
        tag: [distinct.index(at), base64.b64encode(np.array(list(series.values()), "<f4").tobytes()).decode()]
        for (tag, series), at in zip(trial.scalars.items(), steps, strict=True)
    }
    rest = {name: value for name, value in vars(trial).items() if name not in ("scalars", "images")}
    return {"steps": distinct, "scalars": scalars, **rest}


def _unpacked(entry: Mapping[str, Any]) -> TrialEvents:
    rest = {name: value for name, value in entry.items() if name not in ("files", "steps", "scalars")}
    scalars = {
        tag: dict(zip(entry["steps"][at], np.frombuffer(base64.b64decode(text), "<f4").tolist(), strict=True))
        for tag, (at, text) in entry["scalars"].items()
    }
    return TrialEvents(scalars=scalars, **rest)
