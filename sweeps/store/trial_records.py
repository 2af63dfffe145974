"""What was asked (sweep.json) and what is done (trial.json): the only truth a resumed sweep relies on.

A trial is complete if and only if its trial.json verifies. It is written last, whole or not at all. What the trials
must beat (baselines.json) is kept in the same way.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deepdlt.atomic import write_atomic

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
CODE_FILE = "code.txt"  # in a trial's folder: the digest of the code that began it
BASELINES, BASELINES_FORMAT = "baselines.json", 1


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
    of deepdlt.analysis.baselines.baseline_table, null where a number is not finite.
    """
    _write_sealed(sweep / BASELINES, {"format": BASELINES_FORMAT, **content})


def read_baselines(sweep: Path) -> dict[str, Any] | None:
    """What `write_baselines` saved; None when there is none, or it does not verify or is of another format."""
    content = _read_sealed(sweep / BASELINES)
    return content if content is not None and content.get("format") == BASELINES_FORMAT else None


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


def trial_config(cell: Cell, name: str) -> dict[str, Any]:
    """What Tune hands to `train_cell` for a cell: one key, so that no part of it looks like a search space."""
    return {"trial": {"name": name, "cell": asdict(cell)}}


def trial_cell(config: dict[str, Any]) -> Cell:
    """The cell of a `trial_config`."""
    return Cell(**config["trial"]["cell"])
