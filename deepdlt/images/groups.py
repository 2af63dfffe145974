"""Which images belong together: condition numbers from the columns that were set, and from the bytes of the files.

A split never divides images with the same number. Columns that were measured or noted afterwards must not make
conditions: replicates of one surface would then be trained on and tested on.
"""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from deepdlt.errors import fold
from deepdlt.headings import as_heading, split_headings
from deepdlt.tables import OWN_COLUMNS

DLIP_LABELS = ("angle", "PP1", "NP", "EP1")
"""Labels of the published images; the study stratified its cross-validation by them."""
PROCESS = ("wavelength", "Spot size", *DLIP_LABELS, "PP2", "Δτ", "EP2", "Pol 1", "Pol 2")
"""What is set in a DLIP experiment; the published label table has a column for each."""
SPELLINGS = {"δt": "δτ", "∆τ": "δτ", "∆t": "δτ", "deltatau": "δτ", "polarisation1": "pol1", "polarisation2": "pol2"}
NOT_PROCESS = ("Names", "DimY", "DimX")  # columns that describe the image, not the process
MOST_VALUES = 0.5  # of the number of images: a column with more distinct values was probably measured or noted


def named_columns(group_by: str | None, headings: Iterable[str]) -> tuple[str, ...]:
    """`--group-by`: one heading, or several with commas between them."""
    if group_by is None:
        return ()
    whole = as_heading(group_by)
    return (whole,) if whole in headings else tuple(dict.fromkeys(split_headings(group_by)))


def condition_columns(images: pd.DataFrame, named: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that make conditions: the named ones, else the process columns of a table of the DLIP kind."""
    if named or not _is_dlip(images):
        return named
    known = set(map(_key, PROCESS))
    return tuple(name for name in images.columns if _key(name) in known)


def condition_numbers(images: pd.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
    """One number per combination of values, 0, 1, ... in the order of the rows; without columns one per image."""
    if not columns:
        return np.arange(len(images))
    return images.groupby(list(columns), sort=False, dropna=False).ngroup().to_numpy()


def other_columns(images: pd.DataFrame, columns: tuple[str, ...]) -> list[str]:
    """Columns of a table of the DLIP kind that are no process columns and say nothing of the image either."""
    known = (*columns, *NOT_PROCESS, *OWN_COLUMNS)
    return [name for name in images.columns if name not in known and not name.startswith("true_")]


def replicate_columns(images: pd.DataFrame) -> tuple[str, ...]:
    """The columns that were probably set; images that agree in all of them are probably replicates of one surface.

    In a table of the DLIP kind its process columns; in others every column whose values return: with distinct values
    for more than half of the images it was measured or noted.
    """
    if _is_dlip(images):
        return condition_columns(images, ())
    most = MOST_VALUES * len(images)
    candidates = [name for name in images.columns if name not in (*NOT_PROCESS, *OWN_COLUMNS)]
    return tuple(name for name in candidates if 1 < images[name].nunique(dropna=False) <= most)


def join_copies(images: pd.DataFrame, digests: tuple[bytes, ...]) -> tuple[np.ndarray, list[str]]:
    """Condition numbers that keep identical files together, and a note on these files."""
    conditions = images["condition"].to_numpy().copy()
    copies = [rows.tolist() for _, rows in images.index.to_series().groupby(list(digests), sort=False) if len(rows) > 1]
    for rows in copies:
        conditions[np.isin(conditions, conditions[rows])] = conditions[rows].min()
    names = "; ".join(" = ".join(repr(images.at[i, "file"]) for i in rows[:4]) for rows in copies[:5])
    note = f"{len(copies)} group(s) of identical files, kept in one condition: {names}"
    return pd.factorize(conditions)[0], [note] if copies else []


def _is_dlip(images: pd.DataFrame) -> bool:
    """Whether a label table has the labels of the published one, however they are spelled."""
    return set(map(_key, DLIP_LABELS)) <= set(map(_key, images.columns))


def _key(heading: str) -> str:
    """A heading as the process columns are compared: without capitals, spaces, hyphens or a unit in parentheses."""
    folded = fold(re.sub(r"\s*\([^()]*\)$", "", heading)).replace("_", "").replace("-", "")
    return SPELLINGS.get(folded, folded)
