"""Splits of crops into training, validation and test set: folds stratified by a label, corrected or as in the study.

The study splits crops, so every test image is also a training image. In the corrected protocol all crops of a process
condition (or of an image) stay in one set, and validation and test set are both stratified.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepdlt.dataset.classes import Labels, bin_rule, class_codes, class_name, image_rows, label_names
from deepdlt.dataset.group_dealing import deal_rows, hold_out_groups
from deepdlt.errors import DataError

VALIDATION_SHARE = 0.1  # of the study's 80/10/10


@dataclass(frozen=True)
class Split:
    """Crop indices, each (n,) int64 and sorted; no crop is in two of them."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def stratified_folds(
    images: pd.DataFrame,
    image_id: np.ndarray,
    label: Labels,
    n_folds: int = 5,
    *,
    unit: str = "condition",
    holdout: str = "stratified",
    seed: int = 42,
) -> list[Split]:
    """Folds stratified by one label or several; each crop is tested in one fold (unit `crop`: tested or validated).

    With one label, and units of one class each, a fold's share of a class differs from the ideal by at most one unit.
    Several labels are stratified by the combinations of their classes if every combination has a unit for each fold;
    otherwise by iterative stratification, which balances each label on its own.

    Args:
        images: one row per image: `image_id`, `condition`, labels.
        image_id: (n_crops,) image of each crop.
        label: column of `images`, or several.
        n_folds: >= 2 and at most the number of units in the smallest class.
        unit: unit that is never divided: `condition`, `image`, or `crop` (the study).
        holdout: with unit `crop`, how the held-out crops become validation and test set: `stratified`, or the sorted
            rows cut into `halves` (the study). The other units are always stratified.
        seed: random seed for the shuffling.

    Raises:
        DataError: n_folds is too large; the message has the class counts and the largest possible number.

    Source: the study, section 5.2; sklearn StratifiedKFold (unit `crop`) and StratifiedGroupKFold.
    """
    check_folds(images, image_id, label, n_folds, unit)
    classes = class_codes(images, label, bin_rule(unit))
    if unit == "crop":
        return _crop_folds(classes[image_rows(images, image_id)], n_folds, holdout, seed)
    groups = images["condition" if unit == "condition" else "image_id"].to_numpy()
    n_inner = max(2, round((1 - 1 / n_folds) / VALIDATION_SHARE))
    fold = deal_rows(classes, groups, n_folds, seed)
    folds = []
    for k in range(n_folds):
        rest, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        train, val = hold_out_groups(classes[rest], groups[rest], n_inner, seed)
        folds.append(_expand(images, image_id, rest[train], rest[val], test))
    return folds


def plain_split(
    images: pd.DataFrame,
    image_id: np.ndarray,
    *,
    label: Labels | None = None,
    unit: str = "condition",
    seed: int = 42,
) -> Split:
    """Split 80/10/10 without cross-validation. An image is never divided; stratified by `label` unless unit is `crop`.

    Unit `crop` is the study's split: images in arbitrary order (here seeded, there that of os.listdir), cut 80/10/10.
    """
    n = len(images)
    if unit == "crop":
        order = np.random.default_rng(seed).permutation(n)
        cuts = max(1, round(0.8 * n)), max(2, round(0.9 * n))
        train, val, test = np.split(order, cuts)
        return _expand(images, image_id, train, val, test)
    classes = class_codes(images, label, "corrected") if label else np.zeros((n, 1), int)
    groups = images["condition" if unit == "condition" else "image_id"].to_numpy()
    rest, test = hold_out_groups(classes, groups, 10, seed)
    train, val = hold_out_groups(classes[rest], groups[rest], 9, seed)
    return _expand(images, image_id, rest[train], rest[val], test)


def evaluate_on_tiles(split: Split, table: pd.DataFrame) -> Split:
    """With crops of `grid_eval`: train on the random crops, validate and test on the tiles; else unchanged."""
    if "tile" not in table:
        return split
    tile = table["tile"].to_numpy(bool)
    return Split(split.train[~tile[split.train]], split.val[tile[split.val]], split.test[tile[split.test]])


def check_folds(images: pd.DataFrame, image_id: np.ndarray, label: Labels, n_folds: int, unit: str) -> None:
    """Refuse a number of folds that is too large for the smallest class; the message names every such label."""
    if n_folds < 2:
        raise DataError(f"--folds must be at least 2, got {n_folds}")
    problems = []
    for name in label_names(label):
        classes = class_codes(images, name, bin_rule(unit))[:, 0]
        if unit == "crop":
            crops_per_image = np.bincount(image_rows(images, image_id), minlength=len(images))
            counts = pd.Series(crops_per_image).groupby(classes).sum()
        else:
            counts = images["image_id" if unit == "image" else "condition"].groupby(classes).nunique()
        smallest = int(counts.min())
        if n_folds <= smallest:
            continue
        listed = ", ".join(f"{class_name(images[name], classes, code)}: {n}" for code, n in counts.items())
        problem = f"label {name!r}: its smallest class has {smallest} {unit}(s) ({listed})"
        remedy = f"use --folds {smallest} or fewer" if smallest >= 2 else "leave this label out of --labels"
        problems.append(f"--folds {n_folds} is too many for {problem}; {remedy}")
    if problems:
        raise DataError("\n".join(problems))


def _crop_folds(classes: np.ndarray, n_folds: int, holdout: str, seed: int) -> list[Split]:
    """Folds that divide images; with `halves` the first held-out rows validate and the last ones test."""
    fold = deal_rows(classes, None, n_folds, seed)
    folds = []
    for k in range(n_folds):
        train, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        if len(held) < 2:
            raise DataError(f"{len(fold)} crops are too few to validate and test {n_folds} folds; cut more crops")
        val, test = held[: len(held) // 2], held[len(held) // 2 :]
        if holdout == "stratified":
            half = deal_rows(classes[held], None, 2, seed)
            val, test = held[half == 1], held[half == 0]
        folds.append(Split(train, val, test))
    return folds


def _expand(images: pd.DataFrame, image_id: np.ndarray, *parts: np.ndarray) -> Split:
    """Image rows -> indices of their crops."""
    rows = image_rows(images, image_id)
    return Split(*(np.flatnonzero(np.isin(rows, part)) for part in parts))
