"""Condition numbers from the columns and bytes of images. A split never divides images with the same number."""

import numpy as np
import pandas as pd

from deepdlt.images.columns import OWN_COLUMNS

DLIP_LABELS = ("angle", "PP1", "NP", "EP1")
"""Labels of the published images; the study stratified its cross-validation by them."""
DLIP = ("Names", *DLIP_LABELS)  # a label table with these headings is of the DLIP kind
NOT_PROCESS = ("Names", "DimY", "DimX")  # columns that describe the image, not the process


def condition_numbers(images: pd.DataFrame, group: pd.Series | None) -> np.ndarray:
    """One number per group or, without groups, per process condition: replicates and zooms stay together."""
    if group is not None:
        return images.groupby(group, sort=False, dropna=False).ngroup().to_numpy()
    if not set(DLIP) <= set(images.columns):
        return np.arange(len(images))
    columns = [c for c in images.columns if c not in (*NOT_PROCESS, *OWN_COLUMNS) and not c.startswith("true_")]
    return images.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()


def join_copies(images: pd.DataFrame, digests: tuple[bytes, ...]) -> tuple[np.ndarray, list[str]]:
    """Condition numbers that keep identical files together, and a note on these files."""
    conditions = images["condition"].to_numpy().copy()
    copies = [rows.tolist() for _, rows in images.index.to_series().groupby(list(digests), sort=False) if len(rows) > 1]
    for rows in copies:
        conditions[np.isin(conditions, conditions[rows])] = conditions[rows].min()
    names = "; ".join(" = ".join(repr(images.at[i, "file"]) for i in rows[:4]) for rows in copies[:5])
    note = f"{len(copies)} group(s) of identical files, kept in one condition: {names}"
    return pd.factorize(conditions)[0], [note] if copies else []
