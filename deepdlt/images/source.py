"""A folder of images and its label table, checked completely before anything is computed from it.

    deepdlt check --data IMAGES --labels material,power --verify

The label table (xlsx or csv) has a column of file names; every other column is a label, named by its heading without
the unit (`angle [deg]` -> angle). docs/your-data.md says what is accepted and what is refused.
"""

import hashlib
import json
import os
import shlex
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from deepdlt.errors import DataError, listing, some
from deepdlt.headings import join_headings
from deepdlt.images.file_names import find_files, named_twice, unlisted
from deepdlt.images.groups import condition_columns, condition_numbers, join_copies, named_columns, other_columns
from deepdlt.images.image_file import Decoded, Facts, decode, decode_file, inspect, read_file
from deepdlt.images.name_match import disk_images
from deepdlt.images.pixel_notes import Look, look, pixel_notes
from deepdlt.images.pixel_pitch import apply_pixel_pitch
from deepdlt.tables import find_sheet, read_column, read_columns, read_sheet

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """A checked image folder.

    `images`: one row per image with `image_id` (0..n-1, in the order of the table), `condition` (images with the same
    number stay together), `file` (relative path), the labels and, if DimX is known, `pixel_um`. `fingerprint`: sha256
    of the rows in use: image files with their bytes, scales and conditions; labels do not count. `notes`: remarks for
    the user. `grouped_by`: columns that make the conditions; () if each image is its own. For each image: `sizes`,
    (width, height) of the file in px; `digests`, sha256; `scales`, resampled pixels per pixel of the file, if any.
    """

    folder: Path
    images: pd.DataFrame
    fingerprint: str
    notes: tuple[str, ...] = ()
    grouped_by: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = field(default=(), repr=False)
    digests: tuple[bytes, ...] = field(default=(), repr=False)
    scales: tuple[float, ...] = field(default=(), repr=False)

    def path(self, image_id: int) -> Path:
        """Path of one image."""
        return self.folder / self.images.at[image_id, "file"]

    def pixels(self, image_id: int) -> np.ndarray:
        """Decode one image: (h, w) uint8, resampled (Lanczos) if `pixel_pitch` was a number.

        Raises:
            DataError: the file cannot be used, or has changed since it was checked.
        """
        return self._resampled(image_id, self._decoded(image_id).pixels)

    def seen(self, image_id: int) -> tuple[np.ndarray, Look]:
        """The same pixels, and what `pixel_notes` tells about those of the file."""
        decoded = self._decoded(image_id)
        return self._resampled(image_id, decoded.pixels), look(decoded)

    def _decoded(self, image_id: int) -> Decoded:
        path = self.path(image_id)
        try:
            data = read_file(path)
            if self.digests and hashlib.sha256(data).digest() != self.digests[image_id]:
                raise DataError("has changed since it was checked; run again")
            return decode_file(data, path.suffix)
        except DataError as error:
            raise DataError(f"{self.images.at[image_id, 'file']}: {error}") from error

    def _resampled(self, image_id: int, pixels: np.ndarray) -> np.ndarray:
        scale = self.scales[image_id] if self.scales else 1.0
        if scale == 1.0:
            return pixels
        height, width = (round(side * scale) for side in pixels.shape)
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))

    def pixel_notes(self, looks: Sequence[Look]) -> tuple[str, ...]:
        """Notes on the pixels of all images (info bars, bit depth); `looks`: of `seen`, in the order of the images."""
        return pixel_notes(self.images["file"].tolist(), looks)

    def verify(self, progress: Progress | None = None) -> tuple[str, ...]:
        """Decode every image; return notes on its pixels (info bars, bit depth).

        Raises:
            DataError: lists every image that cannot be used.
        """

        def check(image_id: int) -> Look | str:
            try:
                return self.seen(image_id)[1]
            except DataError as error:
                return str(error)

        found: list[Look | str] = []
        with _quiet(), ThreadPoolExecutor() as pool:
            for one in pool.map(check, range(len(self.images))):
                found.append(one)
                if progress:
                    progress(len(found), len(self.images))
        problems = [one for one in found if isinstance(one, str)]
        if problems:
            raise DataError(listing(f"{self.folder}: {len(problems)} image(s) cannot be used", problems))
        return self.pixel_notes([one for one in found if not isinstance(one, str)])


def read_source(
    folder: Path,
    labels: tuple[str, ...] = (),
    *,
    group_by: str | None = None,
    pixel_pitch: str = "native",
    sheet: str | None = None,
) -> Source:
    """Read and check a folder of images with a label table; images are decoded later (`Source.verify`, `pixels`).

    Args:
        folder: holds the images (subfolders allowed) and exactly one `.xlsx` or `.csv`.
        labels: labels that must exist, be complete and be valid.
        group_by: column of groups, or several separated by commas: images with the same values are never divided
            between training and test. Default: the process columns of a table with the DLIP headings; in any other
            table each image is its own group.
        pixel_pitch: `native` uses the images as they are; `exclude` leaves out images whose pitch (DimX / width) is
            not the most frequent one; a number of nm per pixel resamples all images. The default is `native` because
            the study mixed magnifications, and because resampling a zoom by 3.3 changes its noise; this concerns
            12 of the 208 published images.
        sheet: name of the worksheet, if the workbook has several.

    Raises:
        DataError: any problem that would appear later; the message lists all of them.
    """
    path = find_sheet(folder)
    try:
        table = read_sheet(path, sheet)
        name_column, files, problems = find_files(folder, table)
    except DataError as error:  # nothing is known of the rows; the images are checked all the same
        raise _refusal(folder, [str(error), *_pixel_problems(folder, disk_images(folder))]) from error
    named = named_columns(group_by, table.headings)
    images, column_problems, notes = read_columns(table, name_column, labels, named)
    problems += column_problems + named_twice(folder, table, files)
    facts = _inspect(folder, files)
    problems += [f"{file}: {fact.problem}" for file, fact in zip(files, facts, strict=True) if file and fact.problem]
    images = images.assign(file=files)
    images.insert(0, "image_id", np.arange(len(images)))
    columns = condition_columns(images, named)
    known = [name for name in columns if name in table.headings]  # reserved names as well
    keys = pd.DataFrame({name: read_column(table, name).values for name in known}, images.index) if named else images
    images.insert(1, "condition", condition_numbers(keys, tuple(known)))
    images, scales, more, pitch_problems = apply_pixel_pitch(images, facts, table, pixel_pitch)
    problems += pitch_problems
    if problems:
        sound = [file for file, fact in zip(files, facts, strict=True) if file and not fact.problem]
        sound = sound if name_column else disk_images(folder)
        raise _refusal(folder, problems + _pixel_problems(folder, sound))
    if not named:
        notes += _group_notes(other_columns(images, columns), columns)
    facts = [facts[i] for i in images["image_id"]]
    images = images.reset_index(drop=True).assign(image_id=np.arange(len(images)))
    digests, sizes = tuple(fact.digest for fact in facts), tuple(fact.size for fact in facts)
    images["condition"], same = join_copies(images, digests)
    notes = [*table.notes, *notes, *more, *same, *size_notes(images, sizes), *unlisted(folder, files)]
    rows = [images["file"].tolist(), [digest.hex() for digest in digests], scales, images["condition"].tolist()]
    fingerprint = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return Source(folder, images, fingerprint, tuple(notes), columns, sizes, digests, tuple(scales))


def _refusal(folder: Path, problems: list[str]) -> DataError:
    """All that is wrong; a single fault of the label table as it is said there."""
    distinct = list(dict.fromkeys(problems))
    if len(distinct) == 1 and distinct[0].startswith(str(folder)):
        return DataError(distinct[0])
    return DataError(listing(f"{folder}: {len(distinct)} problem(s) with the images or their label table", distinct))


def _pixel_problems(folder: Path, files: list[str]) -> list[str]:
    """What decoding these images says: they were to be cut next, and their faults are told in the same round."""

    def problem(file: str) -> str:
        try:
            path = folder / file
            decode(read_file(path), path.suffix)
        except DataError as error:
            return f"{file}: {error}"
        return ""

    with _quiet(), ThreadPoolExecutor() as pool:
        return [text for text in pool.map(problem, files) if text]


def _group_notes(others: list[str], columns: tuple[str, ...]) -> list[str]:
    """A note on columns of a table of the DLIP kind that do not divide conditions."""
    if not columns or not others:
        return []
    every = shlex.quote(join_headings([*columns, *others]))
    return [
        f"{some(others)} {'divides' if len(others) == 1 else 'divide'} no conditions: images with equal"
        f" {', '.join(columns)} stay together; for what you set as well, name all that count: --group-by {every}"
    ]


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop Pillow's warnings about metadata, raise its warning about bombs; enter from one thread only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _inspect(folder: Path, files: list[str]) -> list[Facts]:
    with _quiet(), ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 2)) as pool:
        return list(pool.map(lambda file: inspect(folder / file) if file else Facts(b"", (0, 0), ""), files))


def size_notes(images: pd.DataFrame, sizes: tuple[tuple[int, int], ...]) -> list[str]:
    """A note on the image sizes with an example of each, if there are several."""
    counts = Counter(sizes).most_common(5)
    if len(counts) < 2:
        return []
    examples = [f"{w}x{h} ({n}, such as {images.at[sizes.index((w, h)), 'file']!r})" for (w, h), n in counts]
    return [f"images differ in size: {', '.join(examples)}"]
