"""Source images -> random 64x64 crops with varied brightness, packed as one uint8 array (or BMP + CSV, as the report).

    python -m deepdlt.create_dataset --data IMAGES --out data/patches
    python -m deepdlt.create_dataset --data IMAGES --layout report --out data

Packed sets are content-addressed: same images and options, same folder, made once, written atomically.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from deepdlt.source_images import DataError, Source, read_source

FORMAT_VERSION = 1
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """How crops are drawn. Source of the defaults: the report, section 2.1."""

    crops_per_image: int = 100
    crop_size: int = 64
    """Side in pixels."""
    brightness: float = 0.2
    """Each crop is multiplied by a factor from U(1 - brightness, 1 + brightness), then clipped to 0..255."""
    seed: int = 42


@dataclass(frozen=True)
class Patches:
    """All crops of a data set.

    `crops`: (n, 1, size, size) uint8. `table`: one row per crop with `image_id`, `x`, `y` (left, top in px),
    `brightness` (factor). `images`: one row per image with its labels. `fingerprint`: hash of images and options.
    """

    crops: np.ndarray
    table: pd.DataFrame
    images: pd.DataFrame
    fingerprint: str

    @property
    def image_id(self) -> np.ndarray:
        """(n,) image of each crop."""
        return self.table["image_id"].to_numpy()


def create_dataset(source: Source, root: Path, options: CropOptions, progress: Progress | None = None) -> Path:
    """Make the packed crops of a source below `root`, or find them there.

    Returns:
        The folder with crops.npy, crops.csv, images.csv and meta.json. Decoding uses all cores; crops depend on
        (seed, image_id) only, not on the number of workers.

    Raises:
        DataError: an image cannot be decoded; every such image is named.
    """
    identity = json.dumps([FORMAT_VERSION, source.fingerprint, asdict(options)])
    fingerprint = hashlib.sha256(identity.encode()).hexdigest()
    target = root / f"patches-{fingerprint[:12]}"
    if (target / "meta.json").is_file():
        return target
    crops, table = draw_crops(source, options, progress)
    root.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".making-", dir=root))
    try:
        np.save(work / "crops.npy", crops)
        table.to_csv(work / "crops.csv", index=False)
        source.images.to_csv(work / "images.csv", index=False)
        meta = {"fingerprint": fingerprint, "options": asdict(options), "source": source.folder.name}
        (work / "meta.json").write_text(json.dumps(meta, indent=2), encoding="utf-8")
        work.rename(target)
    except OSError:
        if not (target / "meta.json").is_file():  # else somebody made the same set meanwhile
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def load_patches(folder: Path) -> Patches:
    """Read what `create_dataset` wrote.

    Raises:
        DataError: a part is missing or does not fit the others.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        crops = np.load(folder / "crops.npy", allow_pickle=False)
        table = pd.read_csv(folder / "crops.csv")
        images = pd.read_csv(folder / "images.csv", keep_default_na=False, na_values=[""])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder}: damaged patches ({error}); delete the folder, it is made again") from error
    if len(crops) != len(table) or crops.dtype != np.uint8:
        raise DataError(f"{folder}: crops.npy does not fit crops.csv; delete the folder, it is made again")
    return Patches(crops, table, images, meta["fingerprint"])


def draw_crops(
    source: Source, options: CropOptions, progress: Progress | None = None
) -> tuple[np.ndarray, pd.DataFrame]:
    """Random crops of every image: (n, 1, size, size) uint8 and their table, in the order of `image_id`."""
    total, n, size = len(source.images), options.crops_per_image, options.crop_size
    crops = np.empty((total * n, 1, size, size), np.uint8)
    tables: list[pd.DataFrame] = []
    problems: list[str] = []
    with ThreadPoolExecutor() as pool:
        for image_id, (drawn, table, problem) in enumerate(
            pool.map(lambda i: _crops_of(source, i, options), range(total))
        ):
            if problem:
                problems.append(problem)
            else:
                crops[image_id * n : (image_id + 1) * n, 0] = drawn
                tables.append(table)
            if progress:
                progress(image_id + 1, total)
    if problems:
        raise DataError("\n  ".join([f"{source.folder}: {len(problems)} damaged image(s)", *problems[:20]]))
    return crops, pd.concat(tables, ignore_index=True)


def write_report_layout(patches: Patches, root: Path, progress: Progress | None = None) -> Path:
    """The report's tree: one BMP per crop and three CSVs with paths and labels, split 80/10/10 by image.

    Returns:
        root; the crops are in `root/2023_im_dataset_64x64/`, the tables in `root/data_with_labels_csv/`.
    """
    from deepdlt.stratified_split import plain_split

    split = plain_split(patches.images, patches.image_id, unit="crop", seed=42)
    rows = patches.table.merge(patches.images, on="image_id", validate="many_to_one")
    number = rows.groupby("image_id").cumcount()
    rows.insert(
        0, "path", [f"2023_im_dataset_64x64/{i:03d}/{k:03d}.bmp" for i, k in zip(rows["image_id"], number, strict=True)]
    )
    for done, (path, crop) in enumerate(zip(rows["path"], patches.crops, strict=True), start=1):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop[0]).save(root / path)
        if progress and done % 100 == 0:
            progress(done, len(rows))
    tables = root / "data_with_labels_csv"
    tables.mkdir(exist_ok=True)
    for name, indices in (("training", split.train), ("validation", split.val), ("testing", split.test)):
        rows.iloc[indices].to_csv(tables / f"{name}_data.csv", index=False)
    return root


def _crops_of(source: Source, image_id: int, options: CropOptions) -> tuple[np.ndarray, pd.DataFrame, str]:
    try:
        pixels = source.pixels(image_id)
    except DataError as error:
        return np.empty(0), pd.DataFrame(), str(error)
    rng = np.random.default_rng([options.seed, image_id])
    size, n = options.crop_size, options.crops_per_image
    y = rng.integers(0, pixels.shape[0] - size + 1, n)
    x = rng.integers(0, pixels.shape[1] - size + 1, n)
    factor = rng.uniform(1 - options.brightness, 1 + options.brightness, n)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (size, size))[y, x]
    crops = np.clip(windows * factor[:, None, None], 0, 255).astype(np.uint8)
    table = pd.DataFrame({"image_id": image_id, "x": x, "y": y, "brightness": factor.round(6)})
    return crops, table, ""


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 done, 2 refused input."""
    from deepdlt.progress_bar import progress_bar

    parser = argparse.ArgumentParser(
        prog="python -m deepdlt.create_dataset",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of PNG images with their sheet")
    parser.add_argument("--out", type=Path, default=Path("data/patches"), help="where to write (default %(default)s)")
    parser.add_argument("--layout", choices=("packed", "report"), default="packed", help="default %(default)s")
    parser.add_argument("--crops-per-image", type=int, default=100, metavar="N", help="default %(default)s")
    parser.add_argument("--seed", type=int, default=42, help="default %(default)s")
    args = parser.parse_args(argv)
    if args.crops_per_image < 1:
        parser.error(f"--crops-per-image must be >= 1, got {args.crops_per_image}")
    options = CropOptions(crops_per_image=args.crops_per_image, seed=args.seed)
    try:
        source = read_source(args.data)
        root = args.out if args.layout == "packed" else args.out / "patches"
        with progress_bar("cropping", "images") as progress:
            target = create_dataset(source, root, options, progress)
        if args.layout == "report":
            with progress_bar("writing BMP", "crops") as progress:
                target = write_report_layout(load_patches(target), args.out, progress)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
