"""The columns and bytes of images -> condition numbers: images with the same number are never split."""

import numpy as np
import pandas as pd

from deepdlt.images.columns import OWN_COLUMNS

DLIP_LABELS = ("angle", "PP1", "NP", "EP1")
"""Those of the published images that the report cross-validates by."""
DLIP = ("Names", *DLIP_LABELS)  # with these headings a sheet is one of the published kind
NOT_PROCESS = ("Names", "DimY", "DimX")  # columns that describe the picture, not how the surface was made


def condition_numbers(images: pd.DataFrame, group: pd.Series | None) -> np.ndarray:
    """A number per group, or else per process condition, so that replicates and zooms of one surface stay together."""
    if group is not None:
        return images.groupby(group, sort=False, dropna=False).ngroup().to_numpy()
    if not set(DLIP) <= set(images.columns):
        return np.arange(len(images))
    columns = [c for c in images.columns if c not in (*NOT_PROCESS, *OWN_COLUMNS) and not c.startswith("true_")]
    return images.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()


def join_copies(images: pd.DataFrame, digests: tuple[bytes, ...]) -> tuple[np.ndarray, list[str]]:
    """Conditions in which files with the same bytes are together, and a note on them."""
    conditions = images["condition"].to_numpy().copy()
    copies = [rows.tolist() for _, rows in images.index.to_series().groupby(list(digests), sort=False) if len(rows) > 1]
    for rows in copies:
        conditions[np.isin(conditions, conditions[rows])] = conditions[rows].min()
    names = "; ".join(" = ".join(repr(images.at[i, "file"]) for i in rows[:4]) for rows in copies[:5])
    note = f"{len(copies)} group(s) of identical files, kept in one condition: {names}"
    return pd.factorize(conditions)[0], [note] if copies else []
