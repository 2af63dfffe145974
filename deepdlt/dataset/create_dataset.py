"""Source images -> 64x64 crops with varied brightness, packed as one uint8 array (or BMP + CSV, as in the study).

The folder of a packed set is named by a hash of images and options, so each set is made once; it is written
atomically. `load_patches` reads both layouts.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepdlt.atomic import made_beside, write_atomic
from deepdlt.dataset.patches import REPORT_TABLES, Patches, read_images, text_columns
from deepdlt.dataset.report_layout import load_report_layout
from deepdlt.errors import DataError, listing
from deepdlt.images import Look, Progress, Source

FORMAT_VERSION = 2
SAMPLINGS = ("random", "grid", "grid_eval")


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """How crops are cut. Source of the defaults: the study, section 2.1.

    Raises:
        DataError: a value outside its range; every problem is listed at once.
    """

    crops_per_image: int = 100
    """Number of random crops per image, >= 1. With `sampling` grid: largest number of tiles per image, 0 for all."""
    crop_size: int = 64
    """Side of a crop in pixels of the image, >= 1; the autoencoders need 64, 128 or 256."""
    downsample: int = 1
    """Side in pixels, >= 1, of the squares whose mean becomes one pixel of the crop; it divides `crop_size`."""
    brightness: float = 0.2
    """Range of the random brightness, in [0, 1): each crop is multiplied by a factor from U(1 - brightness,
    1 + brightness) and clipped to 0..255. With 0 the crops are unchanged; `transforms.Brightness` can then vary the
    training crops only."""
    sampling: str = "random"
    """`random`: crops at random places, which may overlap (the study). `grid`: tiles of a grid from the top left.
    `grid_eval`: random crops for training, and all tiles without change of brightness for evaluation; the column
    `tile` of the table marks them."""
    seed: int = 42
    """Random seed, >= 0."""

    def __post_init__(self) -> None:
        rules = [
            ("sampling", self.sampling in SAMPLINGS, f"be {' or '.join(SAMPLINGS)}"),
            ("crops_per_image", self.crops_per_image >= (self.sampling != "grid"), "be >= 1 (0: all tiles of a grid)"),
            ("crop_size", self.crop_size >= 1, "be >= 1"),
            ("downsample", self.downsample >= 1, "be >= 1"),
            ("brightness", 0 <= self.brightness < 1, "be in [0, 1)"),
            ("seed", self.seed >= 0, "be >= 0"),
        ]
        problems = [f"`{name}` must {rule}, got {getattr(self, name)!r}" for name, holds, rule in rules if not holds]
        if not problems and self.crop_size % self.downsample:
            problems = [f"`downsample` must divide `crop_size` {self.crop_size}, got {self.downsample}"]
        if problems:
            raise DataError("\n".join(problems))

    @property
    def side(self) -> int:
        """Pixels of a crop's side as it is stored."""
        return self.crop_size // self.downsample

    def as_dict(self) -> dict[str, Any]:
        """The options; without `downsample` where nothing is, as in crops that are older than the option."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("downsample", 1)}


def create_dataset(source: Source, root: Path, options: CropOptions, progress: Progress | None = None) -> Path:
    """Make the packed crops of a source in a folder below `root`, unless they exist; then only labels are renewed.

    Returns:
        The folder with crops.npy, crops.csv, images.csv and meta.json. Decoding uses all cores; the crops depend only
        on (seed, image_id), not on the number of workers.

    Raises:
        DataError: an image cannot be decoded or is smaller than a crop; every such image is named. Or there are crops
            that are not complete.
    """
    fingerprint = _folder_fingerprint(source, options)
    target = root / f"patches-{fingerprint[:12]}"
    if (target / "meta.json").is_file():
        _renew_labels(target, source)
        return target
    if target.exists():
        raise DataError(f"{target}: incomplete crops (no meta.json); delete the folder and make them again")
    drawn = draw_crops(source, options, progress)
    with made_beside(root) as work:
        np.save(work / "crops.npy", drawn.crops)
        drawn.table.to_csv(work / "crops.csv", index=False)
        source.images.to_csv(work / "images.csv", index=False)
        meta = {
            "fingerprint": fingerprint,
            "content": drawn.fingerprint,
            "options": options.as_dict(),
            "source": source.folder.name,
            "text": text_columns(source.images),
            "notes": list(drawn.notes),
        }
        (work / "meta.json").write_text(json.dumps(meta, indent=2), encoding="utf-8")
        try:
            work.rename(target)
        except OSError:
            if not (target / "meta.json").is_file():  # else another process made the same set meanwhile
                raise
    return target


def cut_patches(source: Source, root: Path, options: CropOptions, progress: Progress | None = None) -> Patches:
    """The crops of a source, made once below `root`, with the labels that the source has now.

    Raises:
        DataError: as `create_dataset` and `load_patches` do.
    """
    return replace(load_patches(create_dataset(source, root, options, progress)), images=source.images)


def load_patches(folder: Path) -> Patches:
    """Read the crops that `create_dataset` or `write_report_layout` wrote; both give the same crops and labels.

    Raises:
        DataError: a part is missing, damaged or inconsistent.
    """
    if (folder / REPORT_TABLES).is_dir():
        return load_report_layout(folder)
    if not folder.is_dir():
        raise DataError(f"no such folder: {folder}; make crops with `deepdlt crops`")
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        crops = np.load(folder / "crops.npy", allow_pickle=False)
        table = pd.read_csv(folder / "crops.csv")
        images = read_images(folder / "images.csv", meta["text"])
        fingerprint = meta.get("content", meta["fingerprint"])  # older crops do not say
        notes = tuple(map(str, meta.get("notes", ())))  # older crops have none
        downsample = int(meta["options"].get("downsample", 1))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: damaged crops ({error}); delete the folder and make them again") from error
    if len(crops) != len(table) or crops.dtype != np.uint8:
        raise DataError(f"{folder}: crops.npy and crops.csv do not match; delete the folder and make the crops again")
    return Patches(crops, table, images, fingerprint, notes, downsample)


def draw_crops(source: Source, options: CropOptions, progress: Progress | None = None) -> Patches:
    """Crops of every image, in the order of `image_id`, with notes on the pixels of the images.

    Raises:
        DataError: an image cannot be decoded or is smaller than a crop; every such image is named.
    """
    total = len(source.images)
    parts: list[np.ndarray] = []
    tables: list[pd.DataFrame] = []
    looks: list[Look] = []
    problems: list[str] = []
    with ThreadPoolExecutor() as pool:
        drawn_in_order = pool.map(lambda i: _crops_of(source, i, options), range(total))
        for done, drawn in enumerate(drawn_in_order, start=1):
            if isinstance(drawn, str):
                problems.append(drawn)
            else:
                parts.append(drawn[0])
                tables.append(drawn[1])
                looks.append(drawn[2])
            del drawn  # else the last crops are in memory until the end
            if progress:
                progress(done, total)
    if problems:
        raise DataError(listing(f"{source.folder}: {len(problems)} image(s) cannot be cut into crops", problems))
    crops = np.empty((sum(map(len, parts)), 1, options.side, options.side), np.uint8)
    filled = len(crops)
    while parts:  # from the end, and freed at once: crops are never in memory twice
        part = parts.pop()
        crops[filled - len(part) : filled, 0] = part
        filled -= len(part)
    table = pd.concat(tables, ignore_index=True)
    return Patches(crops, table, source.images, _content(crops, table), source.pixel_notes(looks), options.downsample)


def _folder_fingerprint(source: Source, options: CropOptions) -> str:
    """sha256 of the image files and of the options of their crops: names the folder that keeps them."""
    identity = json.dumps([FORMAT_VERSION, source.fingerprint, options.as_dict()])
    return hashlib.sha256(identity.encode()).hexdigest()


def _content(crops: np.ndarray, table: pd.DataFrame) -> str:
    """sha256 of the crops and of their table; files that were saved again with the same pixels have the same."""
    digest = hashlib.sha256(crops.data)
    digest.update(table.to_csv(index=False).encode())
    return digest.hexdigest()


def _renew_labels(target: Path, source: Source) -> None:
    """Bring the table of images up to date, where it can be written: its labels are no part of the crops' identity."""
    table = source.images.to_csv(index=False).encode()
    try:
        if (target / "images.csv").read_bytes() == table:
            return
        meta = json.loads((target / "meta.json").read_text(encoding="utf-8")) | {"text": text_columns(source.images)}
        write_atomic(target / "images.csv", table)
        write_atomic(target / "meta.json", json.dumps(meta, indent=2).encode())
    except (OSError, ValueError, TypeError):  # kept by somebody else, or damaged: `load_patches` tells
        return


def _crops_of(source: Source, image_id: int, options: CropOptions) -> tuple[np.ndarray, pd.DataFrame, Look] | str:
    """(n, size, size) crops of an image, their table and what was seen of its pixels; or the problem."""
    size = options.crop_size
    try:
        pixels, seen = source.seen(image_id)
    except DataError as error:
        return str(error)
    height, width = pixels.shape
    if min(height, width) < size:
        problem = f"{source.images.at[image_id, 'file']}: is {width}x{height} px, smaller than one {size}x{size} crop"
        return f"{problem}; use a crop size of at most {min(height, width)}"
    rng = np.random.default_rng([options.seed, image_id])
    y, x, tile = _positions(height, width, options, rng)
    factor = rng.uniform(1 - options.brightness, 1 + options.brightness, len(y))
    if options.sampling == "grid_eval":
        factor[tile] = 1.0
    crops = np.lib.stride_tricks.sliding_window_view(pixels, (size, size))[y, x]
    if options.downsample > 1:
        crops = np.stack([shrink(crop, options.downsample) for crop in crops])
    if options.brightness:
        crops = np.clip(crops * factor[:, None, None], 0, 255).astype(np.uint8)
    elif options.downsample > 1:
        crops = crops.round().astype(np.uint8)
    table = pd.DataFrame({"image_id": image_id, "x": x, "y": y, "brightness": factor.round(6)})
    return crops, table.assign(tile=tile) if options.sampling == "grid_eval" else table, seen


def shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """(h, w) -> (h // factor, w // factor) float32: means of squares; what is left over at the right and below is cut.

    A mean removes most of what is finer than the new pixels; without it fine ripples would show up as false fringes.
    """
    height, width = (side // factor for side in image.shape)
    whole = image[: height * factor, : width * factor].astype(np.float32)
    return whole.reshape(height, factor, width, factor).mean((1, 3))


def _positions(
    height: int, width: int, options: CropOptions, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, x of the top left corners in px, and whether each crop is a tile of the grid."""
    size, n = options.crop_size, options.crops_per_image
    columns, tiles = width // size, (width // size) * (height // size)
    chosen = np.arange(tiles)
    if options.sampling == "grid":
        chosen = np.sort(rng.permutation(tiles)[: n or tiles])
    grid = chosen // columns * size, chosen % columns * size
    if options.sampling == "grid":
        return *grid, np.ones(len(chosen), bool)
    anywhere = rng.integers(0, height - size + 1, n), rng.integers(0, width - size + 1, n)
    if options.sampling == "random":
        return *anywhere, np.zeros(n, bool)
    y, x = (np.concatenate(pair) for pair in zip(anywhere, grid, strict=True))
    return y, x, np.arange(len(y)) >= n
