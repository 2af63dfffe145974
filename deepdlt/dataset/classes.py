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
    but a label with at most 8 distinct numbers has one class per number.

    Raises:
        DataError: a value is missing.
    """
    if values.isna().any():
        raise DataError(f"label {values.name!r} has no value for {int(values.isna().sum())} of {len(values)} images")
    numeric = pd.api.types.is_numeric_dtype(values) and values.nunique() > 1
    if numeric and (rule == "report" or values.nunique() > MAX_CATEGORIES):
        return pd.qcut(values, q=QUANTILES, labels=False, duplicates="drop").to_numpy()
    return values.astype("category").cat.codes.to_numpy()


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
