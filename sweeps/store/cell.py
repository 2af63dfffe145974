"""A cell: one training of the plan, a configuration on one split of one data set."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepdlt.folder_names import ascii_name
from sweeps.space import Configuration

LONGEST = 255  # bytes of a name in a file system
SEARCH, CV = "search", "cv"
GridCell = tuple[str, int, int]
"""Cell of the label x fold x seed grid: label, fold (1-based), seed of the training."""
TuneConfig = dict[str, Any]
"""What Tune hands to the trainable."""


@dataclass(frozen=True)
class Cell:
    """One trial: a configuration on one split of one data set.

    `kind` is `search` or `cv`; `label`, `fold` (1-based) and `n_folds` say which split: a search trial has the plain
    80/10/10 split stratified by `label`, and fold 0 of 0.
    """

    kind: str
    config: Configuration
    """All fields of a TrainConfig."""
    label: str
    fold: int
    n_folds: int
    data: str
    """Fingerprint of crops and labels."""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Cell":
        """What `to_json` made; other keys are left alone.

        Raises:
            KeyError, TypeError, ValueError: it is no cell.
        """
        names = ("kind", "label", "fold", "n_folds", "data")
        return cls(config=Configuration.from_json(content["config"]), **{name: content[name] for name in names})

    def to_json(self) -> dict[str, Any]:
        """The fields, in the form of which `identity` is the sha256."""
        return {**vars(self), "config": self.config.to_json()}

    @property
    def identity(self) -> str:
        """sha256 of everything that determines the result; same identity, same trial."""
        return sha256(self.to_json())

    @property
    def place(self) -> GridCell:
        """Label, fold and seed of a fold run."""
        return self.label, self.fold, self.config.seed

    def name(self, number: int = 0) -> str:
        """Directory name, in ASCII: `s0007-3fa2c1` (search trial number 7) or `cv-angle-f3-3fa2c1`."""
        prefix = f"s{number:04d}" if self.kind == SEARCH else f"cv-{ascii_name(self.label)}-f{self.fold}"
        return f"{prefix}-{self.identity[:6]}"

    def name_in(self, sweep: Path) -> str:
        """Directory name of a fold run, or the one that an older version began it under."""
        label = re.sub(r"[^A-Za-z0-9]+", "-", self.label).strip("-")
        former = f"cv-{label}-f{self.fold}-{self.identity[:6]}"
        return former if len(former) < LONGEST and (sweep / former).is_dir() else self.name()


def trial_config(cell: Cell, name: str) -> TuneConfig:
    """What Tune hands to `train_cell` for a cell: one key, so that no part of it looks like a search space."""
    return {"trial": {"name": name, "cell": cell.to_json()}}


def trial_cell(config: TuneConfig) -> Cell:
    """The cell of a `trial_config`."""
    return Cell.from_json(config["trial"]["cell"])


def trial_name(config: TuneConfig) -> str:
    """The name of a `trial_config`."""
    return config["trial"]["name"]


def sha256(content: Any) -> str:
    """Hash of JSON with sorted keys, in hex."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
