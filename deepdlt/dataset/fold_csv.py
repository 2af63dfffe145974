"""Folds as the study's tables: one CSV per label, fold and part."""

import re
from pathlib import Path

import numpy as np

from deepdlt.atomic import made_beside
from deepdlt.dataset.classes import Labels, bin_label, image_rows, label_names
from deepdlt.dataset.patches import Patches
from deepdlt.dataset.stratified_split import Split
from deepdlt.errors import DataError
from deepdlt.folder_names import digest
from deepdlt.images import Progress

FOLD_TABLES = "label_aware_splitting_data"

PARTS = ("train", "val", "test")
LONGEST = 120  # bytes of a label in the name of a file, which ends in `_train.csv`


def write_folds(
    patches: Patches,
    folds: list[Split],
    label: Labels,
    root: Path,
    rule: str = "corrected",
    progress: Progress | None = None,
) -> Path:
    """Write the study's tables of one label: `root/label_aware_splitting_data/LABEL/fold_K/LABEL_{train,val,test}.csv`.

    One row per crop: `crop` (its index in `patches.crops`), image, position, all labels unchanged, and the class number
    in `LABEL_bin` (the study's code overwrote the label). Several labels are joined by `+`. Older folds of this label
    are replaced in one step.

    Args:
        rule: the rule of `bin_label` with which the folds were made.

    Returns:
        The folder of the label.
    """
    name = _name("+".join(label_names(label)))
    rows = patches.rows()
    rows.insert(0, "crop", np.arange(len(rows)))
    of_crop = image_rows(patches.images, patches.image_id)
    for column in label_names(label):
        rows[f"{column}_bin"] = bin_label(patches.images[column], rule)[of_crop]
    target = root / FOLD_TABLES / name
    foreign = [path.name for path in target.glob("*") if not re.fullmatch(r"fold_\d+", path.name)]
    if foreign:
        raise DataError(f"{target} contains {foreign[0]!r}, which is not a fold; move it or choose another --out")
    with made_beside(root / FOLD_TABLES) as work:
        for k, split in enumerate(folds, start=1):
            folder = work / "new" / f"fold_{k}"
            folder.mkdir(parents=True)
            for part in PARTS:
                rows.iloc[getattr(split, part)].to_csv(folder / f"{name}_{part}.csv", index=False)
            if progress:
                progress(k, len(folds))
        if target.exists():
            target.rename(work / "old")
        (work / "new").rename(target)
    return target


def _name(label: str) -> str:
    """The label, where a file can be called so; else what can, with a digest that keeps two labels apart."""
    safe = re.sub(r"[^\w +.-]", "_", label)
    while len(safe.encode()) > LONGEST:
        safe = safe[:-1]
    return safe if safe == label and safe.strip(" .") else f"{safe.strip(' .')}-{digest(label)}".lstrip("-")
