"""The crops that a sweep trains on, and what makes two sweeps the same one."""

import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from deepdlt.dataset import (
    CACHE,
    Leakage,
    Patches,
    Split,
    bin_rule,
    class_notes,
    crop_options,
    cut_patches,
    mean_leakage,
    replicate_note,
    replicate_numbers,
)
from deepdlt.dataset.leakage import leakage
from deepdlt.errors import DataError
from deepdlt.headings import join_headings
from deepdlt.images import Source, read_labelled, read_source
from deepdlt.synthetic import make_synthetic
from deepdlt.tables import OWN_COLUMNS
from deepdlt.terminal import progress_bar, say
from sweeps.errors import SweepRefused
from sweeps.identity.images import image_digests
from sweeps.identity.splits import check_labels, make_splits, search_label
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
    grouped_by: tuple[str, ...] = ()
    """Columns that make the conditions; () if each image is its own."""
    notes: tuple[str, ...] = ()
    """On the classes and on replicates."""


def read(folder: Path | None, request: Request) -> Source:
    """Read and check the images and their labels (or make the built-in ones); PyTorch is not needed for it.

    Raises:
        DataError, SweepRefused: images, labels or folds cannot be used; nothing but the cache was written.
    """
    with _cache():
        if folder is None:
            with progress_bar("making synthetic images", "images") as progress:
                folder = make_synthetic(CACHE / "synthetic", "small", progress=progress)
        source = _read(folder, request)
        for note in source.notes:
            say(f"note: {note}")
        check_labels(request, source.images)
    return source


def cut(source: Source, request: Request, synthetic: bool) -> SweepData:
    """Cut the images into crops, once, and split them.

    Args:
        source: what `read` returned.
        synthetic: it is of the built-in images.

    Raises:
        DataError, SweepRefused: see `read`.
    """
    with _cache():
        options = crop_options(request.config(), synthetic, "augment_brightness" in request.tune_space.fields)
        with progress_bar("cutting crops", "images") as progress:
            patches = cut_patches(source, CACHE / "patches", options, progress)
        for note in patches.notes:
            say(f"note: {note}")
    name = "synthetic" if synthetic else _slug(source.folder.resolve().name)
    patches = replace(patches, fingerprint=_fingerprint(patches))
    splits = make_splits(request, patches)
    leaks, replicates = _leakage(splits, patches, source.grouped_by)
    labels = request.labels if request.cv else ()
    notes = class_notes(patches.images, labels, bin_rule(request.config().split_unit)) + replicates
    images = image_digests(source)
    return SweepData(patches, splits, name, synthetic, leaks, images, source.grouped_by, tuple(notes))


def load(folder: Path | None, request: Request) -> SweepData:
    """`read`, then `cut`."""
    return cut(read(folder, request), request, folder is None)


@contextmanager
def _cache() -> Iterator[None]:
    """A cache that cannot be written is refused."""
    try:
        yield
    except OSError as error:
        raise SweepRefused(
            f"the crops cannot be kept in {CACHE.resolve()}: {error}; run this from a folder of yours"
        ) from error


def _fingerprint(patches: Patches) -> str:
    """Of the crops and of what the search's split depends on; labels of folds are compared when a sweep goes on."""
    images, name = patches.images, search_label(patches.images)
    values = images[name].tolist() if name else []
    rows = [patches.fingerprint, images["file"].tolist(), images["condition"].tolist(), values]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _read(folder: Path, request: Request) -> Source:
    """The checked images."""
    options: dict[str, Any] = {"sheet": request.sheet, "group_by": request.group_by, "pixel_pitch": request.pixel_pitch}
    try:
        return read_labelled(folder, request.labels, **options)
    except DataError as error:
        if request.labels == LABELS and "unknown label" in str(error):
            suited = _suited_labels(folder, options)
            example = (
                f", as in: --labels {shlex.quote(join_headings(suited))}" if suited else "; `deepdlt check` lists them"
            )
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


def _leakage(
    splits: dict[tuple[str, int], Split], patches: Patches, grouped_by: tuple[str, ...]
) -> tuple[dict[str, dict[str, float | None]], list[str]]:
    """Label -> shares of the test crops that were trained on, see `Leakage`, mean over folds; notes on replicates."""
    folds: dict[str, list[Leakage]] = {}
    columns: dict[str, tuple[str, ...]] = {}
    size = patches.crop_size
    for (label, fold), split in splits.items():
        if fold:
            replicates, columns[label] = replicate_numbers(patches.images, label)
            folds.setdefault(label, []).append(leakage(patches.table, split, size, patches.images, replicates))
    means = {label: mean_leakage(found) for label, found in folds.items()}
    worst = sorted(means, key=lambda label: means[label].replicate_share or 0.0)[-1:]
    notes = [note for label in worst for note in replicate_note(means[label], columns[label], grouped_by)]
    return {label: asdict(mean) for label, mean in means.items()}, notes


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "images"
