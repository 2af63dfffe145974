"""What the autoencoders of a sweep must beat: computed once per split, kept in its baselines.json."""

import hashlib
import inspect
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from deepdlt.analysis import baseline_table
from deepdlt.config import REFERENCE_SIZE, ConfigError
from deepdlt.dataset import Split
from deepdlt.terminal import progress_bar
from sweeps.identity import SweepData, code_files
from sweeps.request import Request, best_record
from sweeps.space import space as search
from sweeps.store import COMPLETE, read_baselines, read_records, write_baselines

LATENT_FIELDS = ("model", "latent_channels", "latent_dim")
"""What TrainConfig.latent_size depends on."""
METRICS = "deepdlt/metrics/"  # where these files change, the numbers may
Place = tuple[str, int, int]
"""Label, fold, number of folds; fold 0 of 0 is the search's split."""


def compute_baselines(request: Request, data: SweepData, sweep: Path, quiet: bool = False) -> None:
    """Write baselines.json for every split that trials of this sweep were tested on; what is there already stays.

    PCA is fitted on all training crops: on 16,600 of them 128 components take 4 s, 1024 take 20 s (one core).
    """
    records = read_records(sweep).values()
    if not any(record["status"] == COMPLETE for record in records):
        return  # nothing to compare with
    before = read_baselines(sweep) or {}
    sizes = latent_sizes(request, best_record(records))
    content = {"pixels": data.patches.crops[0].size, "latent_sizes": sizes}
    asked = sorted(size for size in {REFERENCE_SIZE, *sizes} if size < content["pixels"])
    splits: dict[Place, dict[str, Any]] = {_place(split): split for split in before.get("splits", [])}
    keys = {place: _key(data, split, asked) for place, split in _wanted(request, data).items()}
    missing = [place for place, key in keys.items() if splits.get(place, {}).get("key") != key]
    with progress_bar("computing baselines", "splits") as progress:
        if missing and not quiet:
            progress(0, len(missing))
        for done, place in enumerate(missing, start=1):
            rows = _rows(data.patches.crops, data.splits[place[:2]], asked)
            splits[place] = dict(zip(("label", "fold", "n_folds"), place, strict=True)) | {"key": keys[place]}
            splits[place]["rows"] = rows
            write_baselines(sweep, {**content, "splits": list(splits.values())})
            if not quiet:
                progress(done, len(missing))
    if any(before.get(name) != value for name, value in content.items()):
        write_baselines(sweep, {**content, "splits": list(splits.values())})


def latent_sizes(request: Request, best: dict[str, Any] | None = None) -> list[int]:
    """Latent sizes of all configurations of the space, of a range the two ends and that of the best record."""
    swept = {name: axis for name, axis in search.axes(request.domains).items() if name in LATENT_FIELDS}
    choices = {name: axis.ends for name, axis in swept.items()}
    points = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    points += [{name: best["config"][name] for name in swept}] if best else []
    sizes = set()
    for settings in points:
        try:
            sizes.add(request.config(settings).latent_size)
        except ConfigError:  # choices that do not go together are no configuration
            continue
    return sorted(sizes)


def _wanted(request: Request, data: SweepData) -> dict[Place, Split]:
    """The splits of the sweep's trials."""
    splits = {(label, fold, request.folds if fold else 0): split for (label, fold), split in data.splits.items()}
    return {place: split for place, split in splits.items() if place[1] or not request.cv_only}


def _rows(crops: np.ndarray, split: Split, sizes: list[int]) -> list[dict[str, Any]]:
    table = baseline_table(crops, split.train, split.test, sizes, fit_crops=len(split.train))
    return [{name: _finite(value) for name, value in row.items()} for row in table]


def _key(data: SweepData, split: Split, sizes: list[int]) -> str:
    """Hash of all that the numbers of a split depend on."""
    metrics = sorted(found for found in code_files().items() if found[0].startswith(METRICS))
    code = [json.dumps(metrics).encode(), Path(inspect.getfile(baseline_table)).read_bytes()]
    parts = [data.patches.fingerprint.encode(), json.dumps(sizes).encode(), *code]
    parts += [indices.astype("<i8").tobytes() for indices in (split.train, split.test)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _place(split: dict[str, Any]) -> Place:
    return split["label"], split["fold"], split["n_folds"]


def _finite(value: float | int | str) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
