"""The pictures and labels behind a sweep, small enough for sweep.json, and what has changed in them since."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from deepdlt.images import Source
from deepdlt.tables import OWN_COLUMNS

NOT_LABELS = (*OWN_COLUMNS, "Names")  # "Names" is what `file` was found by

Image = tuple[str, dict[str, Any]]
"""The sha256 of an image's file, and its labels."""


def image_digests(source: Source) -> dict[str, Any]:
    """`{"labels": [names], "images": {file: [sha256, *values]}}`: all that `changed` needs of a checked folder.

    JSON-able; the sha256 is of the file's bytes (12 digits), a blank is None. The order is the sheet's, which crops
    depend on. 208 images with 13 labels take 26 kB.
    """
    names = [name for name in source.images if name not in NOT_LABELS]
    columns = [_plain(source.images[name].to_numpy()) for name in names]
    rows = zip(source.images["file"], (sha.hex()[:12] for sha in source.digests), *columns, strict=True)
    return {"labels": names, "images": {file: row for file, *row in rows}}


def label_digests(identity: Mapping[str, Any], labels: tuple[str, ...]) -> dict[str, str]:
    """Label -> sha256 (12 digits) of its values in the order of the images."""
    rows = identity["images"].values()
    at = {name: i for i, name in enumerate(identity["labels"], start=1) if name in labels}
    values = {name: json.dumps([row[i] for row in rows]) for name, i in at.items()}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:12] for name, text in values.items()}


def of_labels(identity: Mapping[str, Any], labels: Collection[str]) -> dict[str, Any]:
    """An `image_digests` with these labels alone."""
    kept = [name in labels for name in identity["labels"]]
    images = {
        file: [sha, *(value for value, keep in zip(row, kept, strict=True) if keep)]
        for file, (sha, *row) in identity["images"].items()
    }
    return {"labels": [name for name in identity["labels"] if name in labels], "images": images}


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two `image_digests`, a line each: `x.png: label NP changed from 10 to 20`.

    Empty if pictures and labels are the same; then crops are cut by other rules, or the sheet differs in what is
    neither (the grouping of images).
    """
    old, new = _images(before), _images(now)
    removed, added = [file for file in old if file not in new], [file for file in new if file not in old]
    renamed = _renamed({file: old[file] for file in removed}, {file: new[file] for file in added})
    lines = [f"{file}: renamed to {name}" for file, name in renamed.items()]
    lines += [f"{file}: removed" for file in removed if file not in renamed]
    lines += [f"{file}: added" for file in added if file not in renamed.values()]
    kept = [file for file in old if file in new]
    lines += [f"{file}: {what}" for file in kept for what in _differences(old[file], new[file])]
    order = [file for file in new if file in old]
    if kept != order:
        was, now_is = next(pair for pair in zip(kept, order, strict=True) if pair[0] != pair[1])
        lines.append(f"label table: its rows are in another order ({now_is} where {was} was); sort them as before")
    for what, there, elsewhere in (("removed", before, now), ("added", now, before)):
        lines += [f"label table: label {name} {what}" for name in there["labels"] if name not in elsewhere["labels"]]
    return lines


def _images(identity: Mapping[str, Any]) -> dict[str, Image]:
    names = identity["labels"]
    return {file: (sha, dict(zip(names, row, strict=True))) for file, (sha, *row) in identity["images"].items()}


def _differences(before: Image, now: Image) -> list[str]:
    """Differences of one image, in the labels that both have."""
    (old_sha, old), (new_sha, new) = before, now
    different = [name for name in new if name in old and old[name] != new[name]]
    lines = ["image changed"] if old_sha != new_sha else []
    return lines + [f"label {name} changed from {_shown(old[name])} to {_shown(new[name])}" for name in different]


def _renamed(removed: Mapping[str, Image], added: Mapping[str, Image]) -> dict[str, str]:
    """Old -> new name of what is the same picture with the same labels."""
    left, found = dict(added), {}
    for file, image in removed.items():
        name = next((name for name, other in left.items() if other == image), None)
        if name is not None:
            found[file] = name
            del left[name]
    return found


def _plain(values: np.ndarray) -> list[Any]:
    """Numbers and text as JSON has them; NaN is None, since it equals nothing, not even itself."""
    return [None if value != value else value for value in values.tolist()]


def _shown(value: Any) -> str:
    """A label in a message: text in quotes, as it may hold anything."""
    return "blank" if value is None else repr(value)
