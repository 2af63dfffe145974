"""Crops in memory: one packed array, a table of their origin, and the labels of the images."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepdlt.errors import DataError

CROP_COLUMNS = ["image_id", "x", "y", "brightness"]

REPORT_TABLES = "data_with_labels_csv"


@dataclass(frozen=True)
class Patches:
    """All crops of a data set.

    `crops`: (n, 1, side, side) uint8. `table`: one row per crop with `image_id`, `x`, `y` (left, top in px),
    `brightness` (factor). `images`: one row per image with its labels. `fingerprint`: hash of the crops.
    `notes`: remarks on the pixels of the images, for the user. `downsample`: pixels of the image, along a side, whose
    mean is one pixel of a crop.
    """

    crops: np.ndarray
    table: pd.DataFrame
    images: pd.DataFrame
    fingerprint: str
    notes: tuple[str, ...] = ()
    downsample: int = 1

    @property
    def crop_size(self) -> int:
        """Side of a crop in pixels of the image."""
        return int(self.crops.shape[-1]) * self.downsample

    @property
    def image_id(self) -> np.ndarray:
        """(n,) image of each crop."""
        return self.table["image_id"].to_numpy()

    def rows(self) -> pd.DataFrame:
        """One row per crop with the labels of its image, for the tables of the study.

        Raises:
            DataError: a label has the name of a column of the crops.
        """
        taken = sorted({"path", "crop", *CROP_COLUMNS[1:]} & set(self.images))
        if taken:
            raise DataError(f"label {taken[0]!r} has the name of a crop column; rename it in the label table")
        return self.table.merge(self.images, on="image_id", validate="many_to_one")


def text_columns(images: pd.DataFrame) -> list[str]:
    """Names of the text columns; in them `007` stays `007`."""
    return [name for name in images if not pd.api.types.is_numeric_dtype(images[name])]


def read_images(file: Path | io.StringIO, text: list[str]) -> pd.DataFrame:
    """Read a table of labels; `text` names the columns that are not numbers."""
    return pd.read_csv(file, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
