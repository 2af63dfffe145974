"""baselines.json: the baselines of a sweep, per split."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.store.sealed import read_sealed, write_sealed

BASELINES, FORMAT = "baselines.json", 1
SplitPlace = tuple[str, int, int]
"""Label, fold, number of folds; fold 0 of 0 is the search's split."""


@dataclass(frozen=True)
class SplitBaselines:
    """The baselines of one split."""

    label: str
    fold: int
    n_folds: int
    key: str
    """Hash of everything that the numbers depend on."""
    rows: tuple[Mapping[str, Any], ...]
    """Rows of `deepdlt.analysis.baseline_table`, None where a number is not finite."""

    @property
    def split(self) -> SplitPlace:
        """Which one."""
        return self.label, self.fold, self.n_folds


@dataclass(frozen=True)
class Baselines:
    """The content of the file; empty where there is none."""

    pixels: int = 0
    """Pixels of a crop."""
    latent_sizes: tuple[int, ...] = ()
    """Latent sizes of the space's configurations."""
    splits: tuple[SplitBaselines, ...] = ()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Baselines":
        """What `to_json` made.

        Raises:
            KeyError, TypeError: it is something else.
        """
        splits = tuple(SplitBaselines(**{**split, "rows": tuple(split["rows"])}) for split in content["splits"])
        return cls(content["pixels"], tuple(content["latent_sizes"]), splits)

    def to_json(self) -> dict[str, Any]:
        """With the number of the file's format."""
        splits = [{**vars(split), "rows": list(split.rows)} for split in self.splits]
        return {"format": FORMAT, "pixels": self.pixels, "latent_sizes": list(self.latent_sizes), "splits": splits}

    def of(self, split: SplitPlace) -> SplitBaselines | None:
        """Baselines of one split; None if they were not computed."""
        return next((found for found in self.splits if found.split == split), None)


def write_baselines(sweep: Path, baselines: Baselines) -> None:
    """Save them, whole or not at all."""
    write_sealed(sweep / BASELINES, baselines.to_json())


def read_baselines(sweep: Path) -> Baselines | None:
    """What was saved; None when there is none, or it does not verify or is of another format."""
    content = read_sealed(sweep / BASELINES)
    try:
        return Baselines.from_json(content) if content is not None and content.get("format") == FORMAT else None
    except (KeyError, TypeError):
        return None
