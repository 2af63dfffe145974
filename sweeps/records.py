"""What was asked (sweep.json) and what is done (trial.json): the only truth a resumed sweep relies on.

A trial is complete if and only if its trial.json verifies. It is written last, whole or not at all. What the trials
must beat (baselines.json) is kept in the same way.
"""

import fcntl
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deepdlt.atomic import write_atomic

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
CODE_FILE = "code.txt"  # in a trial's folder: the digest of the code that began it
OF_CROSS_VALIDATION = (
    *("cv", "cv_top", "cv_seeds", "race", "labels", "folds", "classes", "cv_configurations", "cv_cells"),
)
KEPT = ("created", "cv_configurations", "cv_cells")
BASELINES, BASELINES_FORMAT = "baselines.json", 1


Explain = Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]]


class SweepRefused(ValueError):
    """The sweep cannot be run as asked; the message says what, where and what to do."""


class AlreadyRunning(RuntimeError):
    """Another process works on this sweep."""


@dataclass(frozen=True)
class Cell:
    """One trial: a configuration on one split of one data set.

    `kind` is `search` or `cv`; `label`, `fold` (1-based) and `n_folds` say which split: a search trial has the plain
    80/10/10 split stratified by `label`, and fold 0 of 0.
    """

    kind: str
    config: dict[str, Any]
    label: str
    fold: int
    n_folds: int
    data: str
    """Fingerprint of crops and labels."""

    @property
    def identity(self) -> str:
        """sha256 of everything that determines the result; same identity, same trial."""
        return _digest(asdict(self))

    def name(self, number: int = 0) -> str:
        """Directory name: `s0007-3fa2c1` (search trial number 7) or `cv-angle-f3-3fa2c1`."""
        label = re.sub(r"[^A-Za-z0-9]+", "-", self.label).strip("-")
        prefix = f"s{number:04d}" if self.kind == "search" else f"cv-{label}-f{self.fold}"
        return f"{prefix}-{self.identity[:6]}"


def write_record(directory: Path, cell: Cell, status: str, **content: Any) -> dict[str, Any]:
    """Commit a trial: `trial.json` with the cell, its status and results, and a sha256 over all of it."""
    record = {"name": directory.name, "status": status, "identity": cell.identity, **asdict(cell), **content}
    directory.mkdir(parents=True, exist_ok=True)
    return _write_sealed(directory / "trial.json", record)


def read_record(directory: Path) -> dict[str, Any] | None:
    """The trial's commit record; None when there is none or it does not verify (the trial is then run again)."""
    return _read_sealed(directory / "trial.json")


def forget_failure(directory: Path) -> None:
    """Remove the record of a failed trial, which is about to be tried again."""
    record = read_record(directory)
    if record is not None and record["status"] == FAILED:
        (directory / "trial.json").unlink()


def read_records(sweep: Path) -> dict[str, dict[str, Any]]:
    """All verified records of a sweep by identity, in the order of their names."""
    found = (read_record(path.parent) for path in sorted(sweep.glob("*/trial.json")))
    return {record["identity"]: record for record in found if record}


def write_baselines(sweep: Path, content: dict[str, Any]) -> None:
    """Save baselines.json: `pixels` of a crop, `latent_sizes` of the space's configurations, and `splits`.

    Each split has `label`, `fold`, `n_folds` as a Cell has them, `key` (of all that its numbers depend on) and `rows`
    of deepdlt.baselines.baseline_table, null where a number is not finite.
    """
    _write_sealed(sweep / BASELINES, {"format": BASELINES_FORMAT, **content})


def read_baselines(sweep: Path) -> dict[str, Any] | None:
    """What `write_baselines` saved; None when there is none, or it does not verify or is of another format."""
    content = _read_sealed(sweep / BASELINES)
    return content if content is not None and content.get("format") == BASELINES_FORMAT else None


def open_sweep(sweep: Path, asked: dict[str, Any], fixed: tuple[str, ...]) -> None:
    """Create the sweep folder and its sweep.json, or check that an existing one asked for the same.

    Args:
        asked: what the command line asks for, JSON-able.
        fixed: keys of `asked` that may not change between runs of one sweep, see `differences`; the others are updated.

    Raises:
        SweepRefused: a fixed key differs; every difference is listed.
    """
    check_sweep(sweep, asked, fixed)
    before = read_sweep(sweep) or {}
    kept: dict[str, Any] = {key: before[key] for key in KEPT if key in before}
    if before.get("cv") and not asked.get("cv"):  # what was cross-validated stays in the report
        kept |= {key: before[key] for key in OF_CROSS_VALIDATION if key in before}
    sweep.mkdir(parents=True, exist_ok=True)
    write_atomic(sweep / "sweep.json", json.dumps(asked | kept, indent=1).encode())


def update_sweep(sweep: Path, **content: Any) -> None:
    """Add to sweep.json what is only known while the sweep runs."""
    before = read_sweep(sweep)
    if before is None:
        raise SweepRefused(f"{sweep}/sweep.json was removed or damaged while the sweep ran; run the same command again")
    write_atomic(sweep / "sweep.json", json.dumps(before | content, indent=1).encode())


def check_sweep(sweep: Path, asked: dict[str, Any], fixed: tuple[str, ...], explain: Explain | None = None) -> None:
    """The refusals of `open_sweep`, without writing anything.

    Args:
        explain: of the old content and the new: lines that say more about the difference.
    """
    before = read_sweep(sweep)
    if before is None and (sweep / "sweep.json").exists():
        raise SweepRefused(f"{sweep}/sweep.json is damaged; delete it and it is written anew from the command")
    if before is None:
        return
    if different := differences(before, asked, fixed):
        lines = [f"  {key}: {before.get(key)!r} there, {asked[key]!r} asked" for key in different]
        lines += [f"  {line}" for line in (explain(before, asked) if explain else [])]
        raise SweepRefused(
            f"the sweep {sweep} was made with other settings; choose another --name\n" + "\n".join(lines)
        )


def differences(before: Mapping[str, Any], asked: Mapping[str, Any], fixed: tuple[str, ...]) -> list[str]:
    """The fixed keys in which a sweep.json is not what is asked for.

    `settings`, the constants of a space, may differ where the space was edited: a constant became an axis that has its
    value, or an axis became a constant. Trials hold whole configurations, so that those outside are known.
    """
    now = {key: json.loads(json.dumps(asked[key])) for key in fixed}
    return [
        key
        for key in fixed
        if before.get(key) != now[key] and not (key == "settings" and _is_edited(before, asked, now[key]))
    ]


def _is_edited(before: Mapping[str, Any], asked: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether constants differ only in fields that are axes on the other side; an old one is a value of its axis."""
    from sweeps.configurations import outside_space  # late: numpy comes with it

    old, were, are = (of or {} for of in (before.get("settings"), before.get("axes"), asked.get("axes")))
    same = all(name in were if name not in old else old[name] == value for name, value in now.items())
    return same and all(name in now or name in are for name in old) and not outside_space(asked, {**old, **now})


def read_sweep(sweep: Path) -> dict[str, Any] | None:
    """sweep.json, or None when it is absent or unreadable."""
    try:
        content = json.loads((sweep / "sweep.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


@contextmanager
def sweep_lock(sweep: Path) -> Iterator[None]:
    """Hold the sweep for this process; the lock goes with the process, however it ends.

    Raises:
        AlreadyRunning: another process holds it; the message has its number, host and start.
        OSError: the folder cannot be written to or its file system knows no locks.
    """
    sweep.mkdir(parents=True, exist_ok=True)
    path = sweep / ".lock"
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            problem = f"the sweep {sweep} is running already ({_holder(path)}); wait for it or choose another --name"
            raise AlreadyRunning(problem) from error
        file.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        print(f"process {os.getpid()} on {socket.gethostname()} since {since}", file=file, flush=True)
        yield


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


def _write_sealed(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """JSON with a sha256 over all of it."""
    sealed = {**content, "sha256": _digest(content)}
    write_atomic(path, json.dumps(sealed, indent=1, sort_keys=True).encode())
    return sealed


def _read_sealed(path: Path) -> dict[str, Any] | None:
    """The content without its sha256; None when it cannot be read or does not verify."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stated = content.pop("sha256")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return content if stated == _digest(content) else None


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
