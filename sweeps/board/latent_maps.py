"""The PROJECTOR tab: the latents of the best trials, each point with its crop, labels and PSNR."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from deepdlt.analysis import encode_crops, folder_names, shown_labels
from deepdlt.atomic import write_atomic
from deepdlt.dataset import Patches, Split
from deepdlt.metrics import similarity
from deepdlt.models import DamagedCheckpoint, load_model, reconstruct
from sweeps.board.shown_crops import part_of
from sweeps.store import TrialRecord, best_first, bring, published, remove

BEST_TRIALS = 3
MOST_POINTS = 1024  # crops, the same in all trials
THUMBNAIL = 32  # px; 32 x 32 of them make a sprite of 1024 x 1024, which every browser can hold
PROJECTOR, LATENTS = "projector_config.pbtxt", "latents.bytes"
METADATA, SPRITE = "latents.tsv", "latents.png"
NAMES = {"PP1": "pattern"}
"""Labels under the name of what they are; the report's other names say it themselves."""


def write_latent_maps(
    sweep: Path, records: Iterable[TrialRecord], patches: Patches, splits: dict[tuple[str, int], Split]
) -> list[str]:
    """Write the latents of the best trials beside their event files, and remove those of trials that are it no more.

    The best are the first search trials, or, where there was no search, the first fold run of each configuration.

    Returns:
        Names of the trials.
    """
    records = list(records)
    folds = {record.configuration: record for record in reversed(records) if record.is_fold and record.is_complete}
    best = (best_first(records) or list(folds.values()))[:BEST_TRIALS]
    for path in sweep.glob(f"*/{PROJECTOR}"):
        if path.parent.name not in [record.name for record in best]:
            for name in (PROJECTOR, LATENTS, METADATA, SPRITE):
                remove(path.parent / name)
    points = _points(len(patches.crops))
    written = []
    for record in best:
        folder, split = sweep / record.name, splits.get((record.label, record.cell.fold))
        weights = folder / f"{record.config.get('evaluate', 'best')}.pt"
        bring(weights)
        known = (folder / PROJECTOR).exists() and weights.exists() and _newer(folder / PROJECTOR, weights)
        if known or (split is not None and _write(folder, weights, patches, points, split)):
            written.append(record.name)
    return written


def _write(folder: Path, weights: Path, patches: Patches, points: np.ndarray, split: Split) -> bool:
    """All files of a trial, the one that TensorBoard looks for last; False where its weights are lost."""
    try:
        model, config = load_model(weights)
    except (DamagedCheckpoint, FileNotFoundError):
        return False
    crops = patches.crops[points]
    latents = encode_crops(model, config, crops)
    originals = torch.as_tensor(crops)
    psnr = similarity.psnr_db(reconstruct(model, config, originals), originals.float().div(255)).numpy()
    write_atomic(folder / LATENTS, latents.astype("<f4").tobytes())
    write_atomic(folder / METADATA, _metadata(patches, points, split, psnr).encode(errors="backslashreplace"))
    write_atomic(folder / SPRITE, _sprite(crops[:, 0]))
    about = ProjectorConfig()
    embedding = about.embeddings.add(tensor_name="latents", tensor_path=LATENTS, metadata_path=METADATA)
    embedding.tensor_shape.extend(latents.shape)
    embedding.sprite.image_path = SPRITE
    embedding.sprite.single_image_dim.extend([THUMBNAIL, THUMBNAIL])
    write_atomic(folder / PROJECTOR, text_format.MessageToString(about).encode())
    for name in (LATENTS, METADATA, SPRITE, PROJECTOR):
        published(folder / name)
    return True


def _points(n: int) -> np.ndarray:
    """Indices of the crops that are shown, spread over all."""
    return np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).astype(int))


def _metadata(patches: Patches, points: np.ndarray, split: Split, psnr: np.ndarray) -> str:
    """A line per point: image, folder, labels, part of the split, PSNR; and how many pixels from the left and top."""
    images = patches.images.set_index("image_id", drop=False)
    rows = patches.table.iloc[points]
    of_each = images.loc[rows["image_id"]]
    columns: dict[str, Sequence[object] | pd.Series] = {
        "image": of_each["file"].tolist(),
        "folder": folder_names(images["file"]).loc[rows["image_id"]].tolist(),
        **{NAMES.get(label, label): of_each[label].tolist() for label in shown_labels(patches.images)},
        "PSNR (dB)": [f"{value:.2f}" for value in psnr],
        "part": [part_of(int(crop), split) for crop in points],
        "x (px)": rows["x"].tolist(),
        "y (px)": rows["y"].tolist(),
    }
    text = io.StringIO()
    lines = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, escapechar="\\")
    lines.writerow(columns)
    lines.writerows(zip(*([_plain(value) for value in column] for column in columns.values()), strict=True))
    return text.getvalue()


def _plain(value: object) -> str:
    """Without what would end a cell or a line; a whole number without a point."""
    number = isinstance(value, float) and math.isfinite(value) and value.is_integer()
    return " ".join(str(int(value) if number and isinstance(value, float) else value).replace("\\", "/").split())


def _sprite(crops: np.ndarray) -> bytes:
    """Thumbnails row by row, as many in a row as there are rows, as PNG."""
    size = crops.shape[-1]
    columns = math.ceil(math.sqrt(len(crops)))
    step = max(1, size // THUMBNAIL)
    small = crops[:, : THUMBNAIL * step, : THUMBNAIL * step].reshape(len(crops), THUMBNAIL, step, THUMBNAIL, step)
    thumbs = small.mean((2, 4)).round().astype(np.uint8)
    sheet = np.zeros((columns * THUMBNAIL, columns * THUMBNAIL), np.uint8)
    for k, thumb in enumerate(thumbs):
        y, x = k // columns * THUMBNAIL, k % columns * THUMBNAIL
        sheet[y : y + THUMBNAIL, x : x + THUMBNAIL] = thumb
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="PNG")
    return buffer.getvalue()


def _newer(file: Path, than: Path) -> bool:
    return file.stat().st_mtime_ns >= than.stat().st_mtime_ns
