"""The crops that a sweep trains on, and what makes two sweeps the same one."""

import re
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deepdlt.dataset import CACHE, Leakage, Patches, Split, crop_options, load_patches, mean_leakage
from deepdlt.dataset.create_dataset import create_dataset
from deepdlt.dataset.leakage import leakage
from deepdlt.errors import DataError
from deepdlt.images import OWN_COLUMNS, Source, read_labelled, read_source
from deepdlt.synthetic import make_synthetic
from deepdlt.terminal import progress_bar
from sweeps.errors import SweepRefused
from sweeps.identity.images import image_digests
from sweeps.identity.splits import check_labels, make_splits
from sweeps.request import LABELS, Request


@dataclass(frozen=True)
class SweepData:
    """Crops with labels, and the splits that the sweep needs."""

    patches: Patches
    splits: dict[tuple[str, int], Split]
    name: str
    synthetic: bool
    leakage: dict[str, dict[str, float | None]]
    """Leakage of the cross-validation's folds; see deepdlt.dataset.leakage."""
    images: dict[str, Any] = field(default_factory=dict)
    """Pictures and labels as `sweeps.identity.images` compares them."""


def load(folder: Path | None, request: Request) -> SweepData:
    """Read and check the images (or make the built-in ones), cut them into crops once, and split them.

    Raises:
        DataError, SweepRefused: images, labels or folds cannot be used; nothing but the cache was written.
    """
    synthetic = folder is None
    try:
        if folder is None:
            with progress_bar("making synthetic images", "images") as progress:
                folder = make_synthetic(CACHE / "synthetic", "small", progress=progress)
        source = _read(folder, request)
        for note in source.notes:
            print(f"note: {note}", file=sys.stderr)
        check_labels(request, source.images)
        options = crop_options(request.config(), synthetic, "augment_brightness" in request.tune_space.fields)
        with progress_bar("cutting crops", "images") as progress:
            patches = load_patches(create_dataset(source, CACHE / "patches", options, progress))
        for note in patches.notes:
            print(f"note: {note}", file=sys.stderr)
    except OSError as error:
        raise SweepRefused(
            f"the crops cannot be kept in {CACHE.resolve()}: {error}; run this from a folder of yours"
        ) from error
    name = "synthetic" if synthetic else _slug(folder.resolve().name)
    splits = make_splits(request, patches)
    return SweepData(patches, splits, name, synthetic, _leakage(splits, patches), image_digests(source))


def _read(folder: Path, request: Request) -> Source:
    """The checked images."""
    options: dict[str, Any] = {"sheet": request.sheet, "group_by": request.group_by, "pixel_pitch": request.pixel_pitch}
    try:
        return read_labelled(folder, request.labels, **options)
    except DataError as error:
        if request.labels == LABELS and "unknown label" in str(error):
            suited = _suited_labels(folder, options)
            example = f", as in: --labels {','.join(suited)}" if suited else "; `deepdlt check` lists them"
            remedy = f"name labels of this table with --labels{example}"
            raise SweepRefused(f"{error}\n{remedy}") from error
        raise


def _suited_labels(folder: Path, options: dict[str, Any]) -> list[str]:
    """Up to two columns that divide the images into a few classes of several images each; none of a faulty folder."""
    try:
        images = read_source(folder, **options).images
    except DataError:
        return []
    found = []
    for name in images.columns:
        sizes = images[name].value_counts()
        if name not in OWN_COLUMNS and images[name].notna().all() and 2 <= len(sizes) <= 20 and sizes.min() >= 2:
            found.append(name)
    return found[:2]


def _leakage(splits: dict[tuple[str, int], Split], patches: Patches) -> dict[str, dict[str, float | None]]:
    """Label -> shares of the test crops' images, conditions, crops and pixels that were trained on, mean over folds."""
    folds: dict[str, list[Leakage]] = {}
    for (label, fold), split in splits.items():
        if fold:
            size = patches.crops.shape[-1]
            folds.setdefault(label, []).append(leakage(patches.table, split, size, patches.images))
    return {label: asdict(mean_leakage(found)) for label, found in folds.items()}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "images"
