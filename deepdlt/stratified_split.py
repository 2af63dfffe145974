"""Which crops train, validate and test: label-wise stratified folds, as in the report and as they should be.

The report splits crops, so every test image is also a training image. Corrected, all crops of a process condition
(or of an image) stay on one side, and validation and test are both stratified.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from deepdlt.source_images import DataError

MAX_CATEGORIES = 8  # numeric labels with more distinct values are binned
QUANTILES = 5  # the report's qcut
VALIDATION_SHARE = 0.1  # the report's 80/10/10


@dataclass(frozen=True)
class Split:
    """Crop indices, each (n,) int64 and sorted; no crop is in two of them."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def bin_label(values: pd.Series, rule: str = "corrected") -> np.ndarray:
    """Class number of each value; the values themselves are never changed.

    `report`: numbers in 5 quantile bins (pandas.qcut, duplicates dropped). `corrected`: numbers with at most 8
    distinct values stay classes of their own.
    """
    numeric = pd.api.types.is_numeric_dtype(values)
    if numeric and (rule == "report" or values.nunique() > MAX_CATEGORIES):
        return pd.qcut(values, q=QUANTILES, labels=False, duplicates="drop").to_numpy()
    return values.astype("category").cat.codes.to_numpy()


def stratified_folds(
    images: pd.DataFrame,
    image_id: np.ndarray,
    label: str,
    n_folds: int = 5,
    *,
    unit: str = "condition",
    holdout: str = "stratified",
    seed: int = 42,
) -> list[Split]:
    """Folds stratified by one label; each crop is tested in one fold (unit `crop`: tested or validated in one).

    Args:
        images: one row per image: `image_id`, `condition`, labels.
        image_id: (n_crops,) image of each crop.
        label: column of `images`.
        n_folds: >= 2 and at most the number of units in the smallest class.
        unit: what is never split: `condition`, `image`, or `crop` (the report).
        holdout: how the held-out crops of unit `crop` become validation and test: `stratified`, or the sorted rows
            cut into `halves` (the report). The other units are always stratified.
        seed: of the shuffling.

    Raises:
        DataError: n_folds does not fit the classes; the message has their counts and the largest number that does.

    Source: report, section 5.2; sklearn StratifiedKFold (unit `crop`) and StratifiedGroupKFold.
    """
    rule = "report" if unit == "crop" else "corrected"
    classes = bin_label(images[label], rule)
    check_folds(images, image_id, label, n_folds, unit)
    if unit == "crop":
        return _crop_folds(classes[_rows(images, image_id)], n_folds, holdout, seed)
    groups = images["condition" if unit == "condition" else "image_id"].to_numpy()
    folds = []
    outer = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for rest, test in outer.split(classes, classes, groups):
        n_inner = max(2, round((1 - 1 / n_folds) / VALIDATION_SHARE))
        train, val = _group_holdout(classes[rest], groups[rest], n_inner, seed)
        folds.append(_expand(images, image_id, rest[train], rest[val], test))
    return folds


def plain_split(
    images: pd.DataFrame,
    image_id: np.ndarray,
    *,
    label: str | None = None,
    unit: str = "condition",
    seed: int = 42,
) -> Split:
    """80/10/10 without cross-validation, whole images on one side, stratified by `label` unless unit is `crop`.

    Unit `crop` is the report's: images in an arbitrary order (here seeded, there os.listdir's), cut 80/10/10.
    """
    n = len(images)
    if unit == "crop":
        order = np.random.default_rng(seed).permutation(n)
        cuts = max(1, round(0.8 * n)), max(2, round(0.9 * n))
        train, val, test = np.split(order, cuts)
        return _expand(images, image_id, train, val, test)
    classes = bin_label(images[label]) if label else np.zeros(n, int)
    groups = images["condition" if unit == "condition" else "image_id"].to_numpy()
    rest, test = _group_holdout(classes, groups, 10, seed)
    train, val = _group_holdout(classes[rest], groups[rest], 9, seed)
    return _expand(images, image_id, rest[train], rest[val], test)


def check_folds(images: pd.DataFrame, image_id: np.ndarray, label: str, n_folds: int, unit: str) -> None:
    """Refuse a number of folds that the smallest class of the label does not allow."""
    if n_folds < 2:
        raise DataError(f"--folds must be at least 2, got {n_folds}")
    classes = bin_label(images[label], "report" if unit == "crop" else "corrected")
    units = images["image_id" if unit == "image" else "condition"] if unit != "crop" else None
    if units is None:
        crops_per_image = np.bincount(_rows(images, image_id), minlength=len(images))
        counts = pd.Series(crops_per_image).groupby(classes).sum()
    else:
        counts = units.groupby(classes).nunique()
    smallest = int(counts.min())
    if n_folds <= smallest:
        return
    listed = ", ".join(f"{_class_name(images[label], classes, code)}: {n}" for code, n in counts.items())
    problem = (
        f"--folds {n_folds} is too many for label {label!r}: its smallest class has {smallest} {unit}(s) ({listed})"
    )
    remedy = f"use --folds {smallest} or fewer" if smallest >= 2 else "leave this label out of --labels"
    raise DataError(f"{problem}; {remedy}")


def _class_name(values: pd.Series, classes: np.ndarray, code: int) -> str:
    members = values[classes == code]
    low, high = members.min(), members.max()
    return str(low) if low == high else f"{low} to {high}"


def _crop_folds(classes: np.ndarray, n_folds: int, holdout: str, seed: int) -> list[Split]:
    """Folds that divide crops; in the report's, validation is the first images of the listing and test the last."""
    folds = []
    for train, held in StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(classes, classes):
        val, test = held[: len(held) // 2], held[len(held) // 2 :]
        if holdout == "stratified":
            halves = StratifiedKFold(2, shuffle=True, random_state=seed).split(held, classes[held])
            val, test = (held[half] for half in next(halves))
        folds.append(Split(train, val, test))
    return folds


def _group_holdout(classes: np.ndarray, groups: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(kept, held out) rows: about 1/n of the groups, stratified as far as the classes allow."""
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise DataError("too few independent images to train, validate and test apart; at least 3 are needed")
    n = min(n, n_groups)
    per_class = pd.Series(groups).groupby(classes).nunique()
    if per_class.max() < n:  # scikit-learn refuses when no class fills the folds: then draw without classes
        classes = np.zeros_like(classes)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return next(StratifiedGroupKFold(n, shuffle=True, random_state=seed).split(classes, classes, groups))


def _rows(images: pd.DataFrame, image_id: np.ndarray) -> np.ndarray:
    """Row of `images` for each crop."""
    return pd.Index(images["image_id"]).get_indexer(image_id)


def _expand(images: pd.DataFrame, image_id: np.ndarray, *parts: np.ndarray) -> Split:
    """Image rows -> indices of their crops."""
    rows = _rows(images, image_id)
    return Split(*(np.flatnonzero(np.isin(rows, part)) for part in parts))
