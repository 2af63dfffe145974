"""Audit of the label `angle`: compare the fringe period of each image, measured by Fourier transform, with its label.

Two beams of half-angle theta make fringes of period wavelength / (2 sin theta), so the image shows whether `angle` is
right. The audit names inconsistent images and changes no label.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepdlt.errors import DataError, listing
from deepdlt.images.fringe_period import NOISE, PERIODS_UM, field_um, measure_period
from deepdlt.images.source import Progress, Source, read_source
from deepdlt.terminal import progress_bar

MEASURED_ANGLE = "angle_measured"
COLUMNS = ("angle", "PP1", "wavelength", "DimX")
JUDGED_PERIODS = 5  # with fewer, 5 of 90 synthetic images were measured at a strong second harmonic
TOLERANCE = 1.15  # factor; neighbouring angles of the published data differ by 1.24 or more, measured ones scatter 1.13
DOUBLED_TOLERANCE = 1.10  # narrower, as twice the period at 19 deg is 1.10 times the period at 8.5 deg
MIN_GROUP = 3  # images with the same wrong angle; with fewer, no angle is suggested


def audit(source: Source, progress: Progress | None = None) -> pd.DataFrame:
    """Measured and expected period, one row per image.

    Returns:
        `image_id`, `file`, `pattern`, `angle` (label, deg), `period_um` (measured), `expected_um`, `ratio`,
        `angle_measured` (deg), `score`, `doubled`, `verdict`, `suggested_angle` (deg, or NaN).
        `verdict`: `unclear` for a score below 1, fewer than five expected periods in the image, or too coarse pixels;
        else `agrees` within a factor of 1.15, else `contradicts`.
        `doubled`: two pulses of different polarisation may make a relief that repeats at every second fringe. A period
        of twice the expected one then agrees, and `period_um` is half of it.

    Raises:
        DataError: a column is missing or has an invalid value, or an image cannot be decoded.
    """
    images = _checked(source)
    wavelength_um = images["wavelength"] / 1000
    expected = wavelength_um / (2 * np.sin(np.radians(images["angle"])))
    period, score, shows = _measure_all(source, images.assign(expected=expected), progress)
    table = images[["image_id", "file", "PP1", "angle"]].rename(columns={"PP1": "pattern"})
    table["doubled"] = _crossed(images) & _within(period / expected / 2, DOUBLED_TOLERANCE)
    table["period_um"] = (period / np.where(table["doubled"], 2, 1)).round(4)
    table["expected_um"] = expected.round(4)
    table["ratio"] = (table["period_um"] / expected).round(4)
    table["angle_measured"] = np.degrees(np.arcsin(np.minimum(wavelength_um / (2 * table["period_um"]), 1))).round(2)
    table["score"] = score.round(3)
    agrees = np.where(table["doubled"] | _within(table["ratio"], TOLERANCE), "agrees", "contradicts")
    table["verdict"] = np.where(shows & (table["score"] >= 1), agrees, "unclear")
    table["suggested_angle"] = _suggestions(table)
    first = ["image_id", "file", "pattern", "angle", "period_um", "expected_um", "ratio", "angle_measured", "score"]
    return table[[*first, "doubled", "verdict", "suggested_angle"]]


def with_measured_angle(source: Source, progress: Progress | None = None) -> Source:
    """The source with a label `angle_measured`: the angle of the label table, corrected where the images suggest it.

    The column `angle` stays as it is. Raises DataError as `audit` does.
    """
    table = audit(source, progress)
    angle = table["suggested_angle"].fillna(table["angle"]).to_numpy(float)
    return replace(source, images=source.images.assign(**{MEASURED_ANGLE: angle}))


def read_labelled(folder: Path, labels: tuple[str, ...], **options: Any) -> Source:
    """`read_source`, with `angle_measured` among the labels measured now (seconds, with a progress bar).

    Raises:
        DataError: as `read_source` and `audit` do.
    """
    source = read_source(folder, tuple(label for label in labels if label != MEASURED_ANGLE), **options)
    if MEASURED_ANGLE not in labels:
        return source
    with progress_bar("measuring fringes", "images") as progress:
        return with_measured_angle(source, progress)


def _checked(source: Source) -> pd.DataFrame:
    """The label table, with the required columns as numbers."""
    absent = [c for c in COLUMNS if c not in source.images]
    if absent:
        raise DataError(
            f"{source.folder}: the label table has no column {', '.join(map(repr, absent))}; "
            f"the audit is for tables of DLIP experiments and needs {', '.join(COLUMNS)}"
        )
    images = source.images.copy()
    allowed = {"angle": (0.0, 90.0, "in (0, 90) deg"), "wavelength": (0.0, np.inf, "a length in nm")}
    allowed["DimX"] = (0.0, np.inf, "the image's width in um")
    wrong = [
        f"{file}: `PP1` must be V, H or D, is {value!r}"
        for file, value in zip(images["file"], images["PP1"], strict=True)
        if value not in NOISE
    ]
    for column, (low, high, rule) in allowed.items():
        numbers = pd.to_numeric(images[column], errors="coerce")
        for row in images.index[~((numbers > low) & (numbers < high))]:
            wrong.append(f"{images.at[row, 'file']}: `{column}` must be {rule}, is {images.at[row, column]!r}")
        images[column] = numbers
    if wrong:
        raise DataError(listing(f"{source.folder}: {len(wrong)} invalid cell(s)", wrong))
    return images


def _measure_all(
    source: Source, images: pd.DataFrame, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) period, (n,) score, and (n,) whether the image can show the expected period."""
    found: list[tuple[float, float, bool]] = []
    problems: list[str] = []

    def measure(image_id: int) -> tuple[float, float, bool] | str:
        row = images.loc[image_id]
        try:
            pixels = source.pixels(image_id)
        except DataError as error:
            return str(error)
        pixel_um = row["DimX"] / pixels.shape[1]
        longest = min(PERIODS_UM[-1] * TOLERANCE, field_um(pixels.shape, pixel_um, row["PP1"]) / JUDGED_PERIODS)
        shows = max(PERIODS_UM[0] / TOLERANCE, 4 * pixel_um) <= row["expected"] <= longest
        return (*measure_period(pixels, pixel_um, row["PP1"]), shows)

    with ThreadPoolExecutor() as pool:
        for done, result in enumerate(pool.map(measure, images.index), start=1):
            if isinstance(result, str):
                problems.append(result)
            else:
                found.append(result)
            if progress:
                progress(done, len(images))
    if problems:
        raise DataError(listing(f"{source.folder}: {len(problems)} damaged image(s)", problems))
    period, score, shows = (np.array(column) for column in zip(*found, strict=True))
    return period, score, shows


def _within(ratio: pd.Series, factor: float) -> pd.Series:
    return np.abs(np.log(ratio)) <= np.log(factor)


def _crossed(images: pd.DataFrame) -> pd.Series:
    """True where both pulses have a polarisation and these differ."""
    if not {"Pol 1", "Pol 2"} <= set(images.columns):
        return pd.Series(False, index=images.index)
    first, second = images["Pol 1"].astype(str), images["Pol 2"].astype(str)
    return (first != second) & first.isin(["H", "V"]) & second.isin(["H", "V"])


def _suggestions(table: pd.DataFrame) -> pd.Series:
    """Median angle of each cluster of inconsistent images of a folder, or a nearby angle of the label table."""
    suggested = pd.Series(np.nan, index=table.index)
    wrong = table[table["verdict"] == "contradicts"]
    for _, group in wrong.groupby(of_folder(wrong["file"])):
        angles = group["angle_measured"].sort_values()
        cluster = (angles.pct_change() > 0.1).cumsum()  # a gap of 10 % starts another angle
        for _, members in angles.groupby(cluster):
            if len(members) >= MIN_GROUP:
                median = float(members.median())
                nearest = min(table["angle"].unique(), key=lambda known: abs(known / median - 1))
                near = abs(nearest / median - 1) < 0.05
                suggested[members.index] = nearest if near else round(median, 1)
    return suggested


def of_folder(files: pd.Series) -> pd.Series:
    """The folder of each file."""
    return files.map(lambda file: str(Path(file).parent))
