"""The crops whose reconstructions every trial of a sweep shows: drawn once, of every class, and kept with the sweep."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deepdlt.dataset import Split
from sweeps.store import SweepFile, read_sealed, write_sealed

SHOWN_CROPS = "shown_crops.json"
MOST = 12
FEWEST = 6


@dataclass(frozen=True)
class ShownCrop:
    """One of them."""

    crop: int
    """Index into the crops of the sweep."""
    image: str
    """File of its image."""
    classes: Mapping[str, str] = field(default_factory=dict)
    """Label -> class of its image."""


def draw_crops(
    sweep: Path, sweep_file: SweepFile, image_id: np.ndarray, held_out: np.ndarray, seed: int
) -> tuple[ShownCrop, ...]:
    """Those of an earlier run of the sweep, or new ones: few images that have all classes of all labels between them.

    Images of which no crop is in the search's training set come first, so that their pictures tell how well new ones
    are reconstructed.

    Args:
        image_id: (n,) image of each crop.
        held_out: indices of the crops that the search does not train on.
        seed: of the draw.
    """
    path, data = sweep / SHOWN_CROPS, sweep_file.data.fingerprint
    kept = read_sealed(path)
    if kept is not None and kept.get("data") == data:
        return tuple(ShownCrop(**crop) for crop in kept["crops"])
    classes, files = _classes(sweep_file), sweep_file.data.files
    draw = np.random.default_rng(seed)
    images = draw.permutation(np.unique(image_id)).tolist()
    unseen = set(image_id[held_out].tolist())
    images.sort(key=lambda image: image not in unseen)  # stable: drawn within both parts
    crops = []
    for image in _covering(images, classes):
        mine = np.flatnonzero(image_id == image)
        theirs = np.intersect1d(mine, held_out)
        crop = int(draw.choice(theirs if len(theirs) else mine))
        name = files[image] if image < len(files) else f"image {image}"
        crops.append(ShownCrop(crop, name, classes.get(image, {})))
    write_sealed(path, {"data": data, "crops": [vars(crop) | {"classes": dict(crop.classes)} for crop in crops]})
    return tuple(crops)


def part_of(crop: int, split: Split) -> str:
    """`train`, `val` or `test`; "" for a crop that the split leaves out."""
    parts = (("train", split.train), ("val", split.val), ("test", split.test))
    return next((name for name, indices in parts if crop in indices), "")


def _classes(sweep_file: SweepFile) -> dict[int, dict[str, str]]:
    """Image -> label -> class."""
    found: dict[int, dict[str, str]] = {}
    for label, members in sweep_file.classes.items():
        for name, images in members.items():
            for image in images:
                found.setdefault(int(image), {})[label] = str(name)
    return found


def _covering(images: list[int], classes: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Up to MOST images, each the one with most classes that those before lack, in the order of the classes."""
    chosen: list[int] = []
    missing = {pair for image in images for pair in classes.get(image, {}).items()}
    while len(chosen) < min(MOST, len(images)) and (missing or len(chosen) < FEWEST):
        rest = [image for image in images if image not in chosen]
        best = max(rest, key=lambda image: len(missing & classes.get(image, {}).items()))
        missing -= classes.get(best, {}).items()
        chosen.append(best)
    return sorted(chosen)
