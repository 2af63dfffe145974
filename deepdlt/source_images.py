"""A folder of SEM images and its label sheet, checked as a whole before anything is computed from it.

The sheet (xlsx or csv) has the columns of the published DLIP data: `Names` gives the file (last four characters
replaced by `.png`), every other column is a label; its name is the heading without the unit (`angle [deg]` -> angle).
"""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

SHEET_SUFFIXES = (".xlsx", ".csv")
MIN_SIDE = 64  # px: one crop
MAX_PIXELS = 50_000_000  # a decompression bomb, not a micrograph
NOT_PROCESS = ("Names", "DimY", "DimX")  # columns that describe the picture, not how the surface was made
SHOWN_PROBLEMS = 20


class DataError(ValueError):
    """The images or their sheet cannot be used; the message has one line per problem: what, where, remedy."""


@dataclass(frozen=True)
class Source:
    """A checked image folder.

    `images`: one row per image with `image_id` (0..n-1, row order of the sheet), `file` (relative path), `condition`
    (same number = same process parameters) and the labels. `fingerprint`: sha256 over sheet and image bytes.
    """

    folder: Path
    images: pd.DataFrame
    fingerprint: str

    def path(self, image_id: int) -> Path:
        """Path of one image."""
        return self.folder / self.images.at[image_id, "file"]

    def pixels(self, image_id: int) -> np.ndarray:
        """Decode one image: (h, w) uint8.

        Raises:
            DataError: the file cannot be decoded.
        """
        try:
            with Image.open(self.path(image_id), formats=("PNG",)) as image:
                return np.asarray(image.convert("L"))
        except (OSError, SyntaxError, ValueError) as error:
            file = self.images.at[image_id, "file"]
            raise DataError(f"{file}: cannot be decoded ({error}); export it again") from error


def read_source(folder: Path, labels: tuple[str, ...] = ()) -> Source:
    """Read and check a folder of PNG images with one sheet.

    Args:
        folder: holds the images (subfolders allowed) and exactly one `.xlsx` or `.csv`.
        labels: label names that must exist and be complete.

    Raises:
        DataError: anything that would fail later, all problems at once.
    """
    sheet = find_sheet(folder)
    images = _read_table(sheet)
    problems = _label_problems(images, labels, sheet)
    files = [_resolve(folder, name) for name in images["Names"]]
    problems += [
        f"{sheet.name} row {row}: {problem}"
        for row, (_, problem) in zip(images["sheet_row"], files, strict=True)
        if problem
    ]
    if not problems:
        problems = _image_problems(folder, [file for file, _ in files])
    if problems:
        raise DataError(_listing(f"{folder}: {len(problems)} problem(s) with the images or their sheet", problems))
    images = images.drop(columns="sheet_row").assign(file=[file for file, _ in files])
    images.insert(0, "image_id", np.arange(len(images)))
    images.insert(1, "condition", _conditions(images))
    return Source(folder, images, _fingerprint(sheet, [folder / file for file in images["file"]]))


def find_sheet(folder: Path) -> Path:
    """The label sheet of a folder: its only xlsx or csv, or `all_images.*` among several."""
    if not folder.exists():
        raise DataError(f"no such folder: {folder}; give --data a folder of PNG images with a sheet of labels")
    if not folder.is_dir():
        raise DataError(f"{folder} is a file; give --data the folder that holds the images and their sheet")
    sheets = sorted(p for p in folder.iterdir() if p.suffix.lower() in SHEET_SUFFIXES and not p.name.startswith("~$"))
    preferred = [p for p in sheets if p.stem == "all_images"]
    if len(preferred) == 1 or len(sheets) == 1:
        return (preferred or sheets)[0]
    found = ", ".join(p.name for p in sheets) or "none"
    raise DataError(
        f"{folder} needs exactly one label sheet (.xlsx or .csv), or one called all_images.xlsx; found {found}"
    )


def _read_table(sheet: Path) -> pd.DataFrame:
    """The sheet with unit-less headings, PP1 completed from PP2, and `sheet_row` as a spreadsheet counts."""
    try:
        if sheet.suffix.lower() == ".csv":
            table = pd.read_csv(sheet, index_col=False, encoding="utf-8-sig")
        else:
            table = pd.read_excel(sheet, engine="openpyxl")
    except Exception as error:  # openpyxl and pandas raise a dozen kinds on damaged files
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"{sheet}: not a readable {sheet.suffix[1:]} table ({reason[0]}); save it again") from error
    table.columns = [re.sub(r"\s*\[[^\]]*\]\s*$", "", str(c)).strip() for c in table.columns]
    duplicates = sorted(set(table.columns[table.columns.duplicated()]))
    if "Names" not in table.columns or duplicates:
        problem = f"column {duplicates[0]!r} twice" if duplicates else "no column `Names` (the image files)"
        raise DataError(f"{sheet}: {problem}; columns: {', '.join(map(str, table.columns))}")
    table.insert(0, "sheet_row", np.arange(len(table)) + 2)
    table = table[table["Names"].notna()].reset_index(drop=True)
    if table.empty:
        raise DataError(f"{sheet}: no row names an image")
    for column in table.columns:  # PP1, PP2, Pol 2 mix the number 0 and letters: one type, compared as text
        if table[column].dtype == object:
            table[column] = table[column].map(lambda v: v if pd.isna(v) else str(v).strip())
    if {"PP1", "PP2"} <= set(table.columns):  # PP1 = 0: the pattern is in the second pulse (as in the original code)
        table["PP1"] = table["PP1"].where(table["PP1"].astype(str) != "0", table["PP2"])
    return table


def _label_problems(images: pd.DataFrame, labels: tuple[str, ...], sheet: Path) -> list[str]:
    known = [c for c in images.columns if c not in ("sheet_row", "Names")]
    problems = [
        f"{sheet.name}: unknown label {name!r}; labels: {', '.join(known)}" for name in labels if name not in known
    ]
    for label in (name for name in labels if name in known):
        rows = images.loc[images[label].isna(), "sheet_row"].tolist()
        if rows:
            problems.append(
                f"{sheet.name}: no value of {label!r} in row(s) {', '.join(map(str, rows[:10]))}; fill them in"
            )
    repeated = images.loc[images["Names"].duplicated(), ["sheet_row", "Names"]]
    problems += [f"{sheet.name} row {row}: {name!r} is listed twice" for row, name in repeated.itertuples(index=False)]
    return problems


def _resolve(folder: Path, name: object) -> tuple[str, str]:
    """(relative path of the PNG that a `Names` entry means, problem or '')."""
    relative = f"{str(name)[:-4]}.png"
    path = folder / relative
    if not path.resolve().is_relative_to(folder.resolve()):
        return relative, f"{str(name)!r} leads out of the image folder; keep the images inside it"
    if not path.is_file():
        return relative, f"no such image: {relative!r}; add it or delete the row"
    return relative, ""


def _image_problems(folder: Path, files: list[str]) -> list[str]:
    with ThreadPoolExecutor() as pool:
        found = pool.map(_header_problem, (folder / file for file in files))
        return [f"{file}: {problem}" for file, problem in zip(files, found, strict=True) if problem]


def _header_problem(path: Path) -> str:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            width, height = image.size
            if image.mode != "L":
                return f"must be 8-bit grey, is mode {image.mode}; convert it to 8-bit greyscale"
            if min(width, height) < MIN_SIDE:
                return f"is {width}x{height} px, smaller than one {MIN_SIDE}x{MIN_SIDE} crop"
            if width * height > MAX_PIXELS:
                return f"is {width}x{height} px, more than {MAX_PIXELS:,} pixels"
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"is not a readable PNG ({type(error).__name__}); export it again"
    return ""


def _conditions(images: pd.DataFrame) -> np.ndarray:
    """A number per distinct process condition, so that replicates and zooms of one surface stay together."""
    columns = [c for c in images.columns if c not in (*NOT_PROCESS, "image_id", "file") and not c.startswith("true_")]
    if not columns:
        return np.arange(len(images))
    return images.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()


def _fingerprint(sheet: Path, paths: list[Path]) -> str:
    with ThreadPoolExecutor() as pool:
        digests = pool.map(lambda p: hashlib.sha256(p.read_bytes()).digest(), [sheet, *paths])
        return hashlib.sha256(b"".join(digests)).hexdigest()


def _listing(head: str, problems: list[str]) -> str:
    more = [f"and {len(problems) - SHOWN_PROBLEMS} more"] if len(problems) > SHOWN_PROBLEMS else []
    return "\n  ".join([head, *problems[:SHOWN_PROBLEMS], *more])
