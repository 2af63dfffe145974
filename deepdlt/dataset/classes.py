"""Labels -> classes, by which folds are stratified."""

import numpy as np
import pandas as pd

from deepdlt.errors import DataError

MAX_CATEGORIES = 8  # numeric labels with more distinct values are binned

QUANTILES = 5  # of the study's pandas.qcut


Labels = str | tuple[str, ...]
"""One label, or several labels by which a split is stratified jointly."""


def bin_label(values: pd.Series, rule: str = "corrected") -> np.ndarray:
    """Class number of each value; the values stay unchanged.

    Rule `report` (the study): numbers in 5 quantile bins (pandas.qcut, duplicates dropped). Rule `corrected`: the same,
    but a label with at most 8 distinct numbers has one class per number, and where all bins but one are empty (most
    rows have the lowest number, or the highest) that number is a class and the others are one.

    Raises:
        DataError: a value is missing.
    """
    if values.isna().any():
        raise DataError(f"label {values.name!r} has no value for {int(values.isna().sum())} of {len(values)} images")
    numeric = pd.api.types.is_numeric_dtype(values) and values.nunique() > 1
    if not numeric or (rule != "report" and values.nunique() <= MAX_CATEGORIES):
        return values.astype("category").cat.codes.to_numpy()
    codes = pd.qcut(values, q=QUANTILES, labels=False, duplicates="drop").to_numpy()
    if rule == "report" or len(set(codes.tolist())) > 1:
        return codes
    return np.unique(np.sign(values - values.mode()[0]), return_inverse=True)[1]


def class_notes(images: pd.DataFrame, labels: tuple[str, ...], rule: str) -> list[str]:
    """A note on each label of several values that falls into one class: its folds are not stratified."""
    return [
        f"label {name!r} has {images[name].nunique()} values but falls into one class by the study's quantile bins:"
        " its folds are not stratified (--protocol corrected bins it)"
        for name in labels
        if images[name].nunique() > 1 and len(set(bin_label(images[name], rule).tolist())) == 1
    ]


def bin_rule(unit: str) -> str:
    """The rule of `bin_label` for a split unit."""
    return "report" if unit == "crop" else "corrected"


def label_names(label: Labels) -> tuple[str, ...]:
    """One label or several, as a tuple."""
    return (label,) if isinstance(label, str) else label


def class_codes(images: pd.DataFrame, label: Labels, rule: str) -> np.ndarray:
    """Class numbers, (n_images, n_labels)."""
    unknown = [name for name in label_names(label) if name not in images]
    if unknown:
        raise DataError(f"unknown label {unknown[0]!r}; labels: {', '.join(map(str, images.columns))}")
    return np.stack([bin_label(images[name], rule) for name in label_names(label)], axis=1)


def class_name(values: pd.Series, classes: np.ndarray, code: int) -> str:
    """The range of the values in a class: `19.0`, or `14 to 40` for a bin."""
    members = values[classes == code]
    low, high = members.min(), members.max()
    return str(low) if low == high else f"{low} to {high}"


def image_rows(images: pd.DataFrame, image_id: np.ndarray) -> np.ndarray:
    """Row of `images` for each crop."""
    return pd.Index(images["image_id"]).get_indexer(image_id)
