"""Labels -> classes: which images count as alike when folds are stratified."""

import numpy as np
import pandas as pd

from deepdlt.errors import DataError

MAX_CATEGORIES = 8  # numeric labels with more distinct values are binned

QUANTILES = 5  # the report's qcut


Labels = str | tuple[str, ...]
"""One label, or several that a split is stratified by at once."""


def bin_label(values: pd.Series, rule: str = "corrected") -> np.ndarray:
    """Class number of each value; the values themselves are never changed.

    `report`: numbers in 5 quantile bins (pandas.qcut, duplicates dropped). `corrected`: numbers with at most 8
    distinct values stay classes of their own.

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
    """The binning that goes with a unit."""
    return "report" if unit == "crop" else "corrected"


def label_names(label: Labels) -> tuple[str, ...]:
    """One label or several, as a tuple."""
    return (label,) if isinstance(label, str) else label


def class_codes(images: pd.DataFrame, label: Labels, rule: str) -> np.ndarray:
    """(n_images, n_labels) class numbers."""
    unknown = [name for name in label_names(label) if name not in images]
    if unknown:
        raise DataError(f"unknown label {unknown[0]!r}; labels: {', '.join(map(str, images.columns))}")
    return np.stack([bin_label(images[name], rule) for name in label_names(label)], axis=1)


def class_name(values: pd.Series, classes: np.ndarray, code: int) -> str:
    """`19.0`, or `14 to 40` for a bin: the range of the values in a class."""
    members = values[classes == code]
    low, high = members.min(), members.max()
    return str(low) if low == high else f"{low} to {high}"


def image_rows(images: pd.DataFrame, image_id: np.ndarray) -> np.ndarray:
    """Row of `images` for each crop."""
    return pd.Index(images["image_id"]).get_indexer(image_id)
