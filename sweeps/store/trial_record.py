"""trial.json, the commit record of a trial: what was trained, how it ended, what came out.

A trial is complete if and only if its trial.json verifies. It is written last, whole or not at all.
"""

import errno
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from deepdlt.atomic import write_atomic
from sweeps.space import Configuration
from sweeps.store.cell import CV, SEARCH, Cell, GridCell
from sweeps.store.mirror import RECORD, address, mirror_of, remove
from sweeps.store.sealed import read_sealed, sealed, unsealed

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
SHARED_WITHIN_S = 75.0
"""Until a file written on one node is seen on another: NFS may keep the absence of a name for 60 s."""
OF_A_SCHEDULE = ("epoch", "from")  # beside the settings


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial that has ended. What one that failed, or one of an older version, does not say is None or empty."""

    name: str
    """Name of its folder."""
    status: str
    """`complete`, `pruned` or `failed`."""
    cell: Cell
    identity: str
    """Identity of the cell when the record was written."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the last epoch, with the best validation values so far."""
    test: Mapping[str, float] = field(default_factory=dict)
    test_by_image: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Image -> metric -> mean over its crops."""
    parameters: int | None = None
    seconds: float | None = None
    """Duration of the run that finished it."""
    epoch_s: float | None = None
    threads: int | None = None
    device: str | None = None
    precision: str | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    """The device and software that computed the numbers."""
    units: str | None = None
    """`images`, or `crops`: what n_train and n_test count."""
    n_train: int | None = None
    n_test: int | None = None
    schedule: tuple[Mapping[str, Any], ...] = ()
    """Schedule of population based training: the settings from each `epoch` on."""
    code: str | None = None
    """Digest of what trained it."""
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    error: str = ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "TrialRecord":
        """What `to_json` made, of this version or an older one; other keys are left alone.

        Raises:
            KeyError, TypeError, ValueError: it is no record.
        """
        known = {f.name: content[f.name] for f in fields(cls) if content.get(f.name) is not None and f.name != "cell"}
        schedule = tuple(step for step in known.pop("schedule", ()) if isinstance(step, Mapping))
        return cls(cell=Cell.from_json(content), schedule=schedule, **known)

    def to_json(self) -> dict[str, Any]:
        """The fields that have a value, with those of the cell among them."""
        own = {name: value for name, value in vars(self).items() if name != "cell" and _says(value)}
        return {**own, **self.cell.to_json(), **({"schedule": list(self.schedule)} if self.schedule else {})}

    @property
    def is_search(self) -> bool:
        """A search trial, not a fold run."""
        return self.cell.kind == SEARCH

    @property
    def is_fold(self) -> bool:
        """A fold run of the cross-validation."""
        return self.cell.kind == CV

    @property
    def is_complete(self) -> bool:
        """It was trained to its end and tested."""
        return self.status == COMPLETE

    @property
    def config(self) -> Configuration:
        """That it began with."""
        return self.cell.config

    @property
    def label(self) -> str:
        """Label of the split."""
        return self.cell.label

    @property
    def place(self) -> GridCell:
        """Label, fold and seed of a fold run."""
        return self.cell.place

    @property
    def last_settings(self) -> Configuration:
        """For population based training: the hyperparameters that the trial ended with; empty for all others."""
        merged = {name: value for step in self.schedule for name, value in step.items()}
        return Configuration.of(merged).without(*OF_A_SCHEDULE)

    @property
    def ended_with(self) -> Configuration:
        """The configuration at the end of the training."""
        return self.config | self.last_settings

    @property
    def configuration(self) -> Configuration:
        """The same without its seed: what repetitions have in common."""
        return self.ended_with.unseeded


def write_record(directory: Path, cell: Cell, status: str, **content: Any) -> TrialRecord:
    """Commit a trial: `trial.json` with the cell, its status and results, and a sha256 over all of it.

    Returns:
        The record that is there now: in an object store perhaps another worker's of the same trial.
    """
    content["schedule"] = tuple(content.get("schedule", ()))
    record = TrialRecord(name=directory.name, status=status, cell=cell, identity=cell.identity, **content)
    directory.mkdir(parents=True, exist_ok=True)
    return _commit(directory, record)


def read_record(directory: Path) -> TrialRecord | None:
    """The trial's commit record; None when there is none or it does not verify (the trial is then run again)."""
    return _record(read_sealed(directory / RECORD))


def ended_record(directory: Path, finished: bool) -> TrialRecord | None:
    """The record of a trial that has just ended, perhaps on another node, whose file may come late here.

    Args:
        finished: the trial has said that it wrote one: it is waited for.

    Raises:
        OSError: it has not come.
    """
    if (mirror := mirror_of(directory)) is not None:
        mirror.pull(directory.name)
    deadline = time.monotonic() + (SHARED_WITHIN_S if mirror is None else 0.0)
    while (record := read_record(directory)) is None and finished:
        if time.monotonic() > deadline:
            problem = "the record of a finished trial is not visible here: --storage must be shared by all nodes"
            raise OSError(errno.ENOENT, problem, address(directory))
        time.sleep(0.2)
        if directory.is_dir():
            sum(1 for _ in directory.iterdir())  # lets NFS look again for names that were not there
    return record


def forget_failure(directory: Path) -> None:
    """Remove the record of a failed trial, which is about to be tried again."""
    record = read_record(directory)
    if record is not None and record.status == FAILED:
        remove(directory / RECORD)


def read_records(sweep: Path) -> dict[str, TrialRecord]:
    """All verified records of a sweep by identity, in the order of their names."""
    found = (read_record(path.parent) for path in sorted(sweep.glob(f"*/{RECORD}")))
    return {record.identity: record for record in found if record}


def _record(content: Mapping[str, Any] | None) -> TrialRecord | None:
    try:
        return None if content is None else TrialRecord.from_json(content)
    except (KeyError, TypeError, ValueError):
        return None


def _commit(directory: Path, record: TrialRecord) -> TrialRecord:
    """Write the record last of all, in an object store only where none is of the same trial and end."""
    path, data, mirror = directory / RECORD, sealed(record.to_json()), mirror_of(directory)
    if mirror is not None:
        mirror.before_record()
        there = mirror.create(path, data)
        found = None if there is None else _record(unsealed(there))
        if there is not None and found is not None and _is_of_same_end(found, record):
            record, data = found, there
        elif there is not None:
            mirror.objects.write(mirror.key(path), data)
    write_atomic(path, data)
    return record


def _is_of_same_end(found: TrialRecord, record: TrialRecord) -> bool:
    return found.identity == record.identity and (found.is_complete or found.status == record.status)


def _says(value: Any) -> bool:
    return value is not None and value != "" and not (isinstance(value, Mapping | tuple) and not value)
