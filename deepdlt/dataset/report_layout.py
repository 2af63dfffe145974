"""The study's folder layout, written and read: one BMP per crop, and tables of crops with their labels."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from deepdlt.atomic import made_beside
from deepdlt.dataset.patches import CROP_COLUMNS, REPORT_TABLES, Patches, read_images, text_columns
from deepdlt.dataset.stratified_split import plain_split
from deepdlt.errors import DataError
from deepdlt.images import Progress

TEXT_COLUMNS = "text_columns.json"  # beside the tables


def write_report_layout(patches: Patches, root: Path, progress: Progress | None = None) -> Path:
    """Write the study's layout: one BMP per crop and three CSVs with paths and labels, split 80/10/10 by image.

    Everything is made in a temporary folder and renamed, the tables last: a layout with tables is complete. An existing
    layout with the same crops is kept.

    Returns:
        root; the crops are in `root/2023_im_dataset_64x64/`, the tables in `root/data_with_labels_csv/`.

    Raises:
        DataError: the folder holds other crops; nothing was written.
    """
    size = patches.crops.shape[-1]
    bitmaps = f"2023_im_dataset_{size}x{size}"
    taken = [name for name in (bitmaps, REPORT_TABLES) if (root / name).exists()]
    if taken:
        if len(taken) == 2 and _same_crops(load_report_layout(root), patches):
            return root
        raise DataError(f"{root / taken[0]} already holds other crops; delete it or choose another --out")
    split = plain_split(patches.images, patches.image_id, unit="crop", seed=42)
    rows = patches.rows()
    number = rows.groupby("image_id").cumcount()
    paths = [f"{bitmaps}/{i:03d}/{k:03d}.bmp" for i, k in zip(rows["image_id"], number, strict=True)]
    rows.insert(0, "path", paths)
    with made_beside(root) as work:
        for folder in {(work / path).parent for path in paths}:
            folder.mkdir(parents=True)
        for done, (path, crop) in enumerate(zip(paths, patches.crops, strict=True), start=1):
            Image.fromarray(crop[0]).save(work / path)
            if progress and (done % 100 == 1 or done == len(paths)):
                progress(done, len(paths))
        (work / REPORT_TABLES).mkdir()
        for name, indices in (("training", split.train), ("validation", split.val), ("testing", split.test)):
            rows.iloc[indices].to_csv(work / REPORT_TABLES / f"{name}_data.csv", index=False)
        (work / REPORT_TABLES / TEXT_COLUMNS).write_text(json.dumps(text_columns(patches.images)), encoding="utf-8")
        for name in (bitmaps, REPORT_TABLES):
            (work / name).rename(root / name)
    return root


def load_report_layout(root: Path) -> Patches:
    """Read what `write_report_layout` wrote. Without its list of text columns, number-like values are numbers.

    Raises:
        DataError: a table or a bitmap is missing, damaged or outside the folder.
    """
    names = root / REPORT_TABLES / TEXT_COLUMNS
    tables = [root / REPORT_TABLES / f"{name}_data.csv" for name in ("training", "validation", "testing")]
    try:
        text_names = json.loads(names.read_text(encoding="utf-8")) if names.exists() else []
        # Read as text first: a column is numeric only if it is so in all three tables together.
        text = pd.concat([pd.read_csv(path, dtype=str, keep_default_na=False) for path in tables])
        rows = read_images(io.StringIO(text.to_csv(index=False)), text_names)
        number = [int(Path(path).stem) for path in rows["path"]]
        rows = rows.iloc[np.lexsort((number, rows["image_id"]))].reset_index(drop=True)
        crops = np.stack([_read_bitmap(root, path) for path in rows["path"]])[:, None]
        table = rows[CROP_COLUMNS]
        images = rows.drop(columns=["path", *CROP_COLUMNS[1:]]).drop_duplicates("image_id", ignore_index=True)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, Image.DecompressionBombError) as error:
        raise DataError(f"{root}: damaged crops or tables ({error}); delete them and make them again") from error
    digest = hashlib.sha256(crops.tobytes() + text.to_csv(index=False).encode())
    return Patches(crops, table, images, digest.hexdigest())


def _read_bitmap(root: Path, path: str) -> np.ndarray:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(f"{path!r} is outside the folder")
    with Image.open(root / path, formats=("BMP",)) as image:
        if image.mode != "L":
            raise ValueError(f"{path} must be 8-bit greyscale, is mode {image.mode}")
        return np.array(image)


def _same_crops(a: Patches, b: Patches) -> bool:
    same = a.table.equals(b.table) and np.array_equal(a.crops, b.crops)
    return same and a.images.to_csv(index=False) == b.images.to_csv(index=False)
