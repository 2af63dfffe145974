"""Baselines of a sweep: computed once per split, beside the trials or after them, and kept in baselines.json."""

import hashlib
import inspect
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from deepdlt.analysis import baseline_table
from deepdlt.config import REFERENCE_SIZE, ConfigError
from deepdlt.dataset import Split
from deepdlt.terminal import progress_bar
from sweeps.identity import SweepData, code_files
from sweeps.request import Request
from sweeps.space import Configuration
from sweeps.store import (
    Baselines,
    SplitBaselines,
    SplitPlace,
    TrialRecord,
    best_first,
    read_baselines,
    read_records,
    write_baselines,
)

LATENT_FIELDS = ("model", "latent_channels", "latent_dim")  # of those that can be swept
"""What TrainConfig.latent_size depends on."""
METRICS = "deepdlt/metrics/"  # where these files change, the numbers may


def compute_baselines(request: Request, data: SweepData, sweep: Path, quiet: bool = False) -> None:
    """Write baselines.json for every split that trials of this sweep were tested on; what is there already stays.

    PCA is fitted on all training crops: on 16,600 of them 128 components take 4 s, 1024 take 20 s (one core).
    """
    with progress_bar("computing baselines", "splits") as progress:
        for done, of in computed_baselines(request, data, sweep):
            if not quiet:
                progress(done, of)


def computed_baselines(request: Request, data: SweepData, sweep: Path) -> Iterator[tuple[int, int]]:
    """Compute one missing split after the other; yields how many are done, from 0, and how many there are."""
    records = read_records(sweep).values()
    if not any(record.is_complete for record in records):
        return  # nothing to compare with
    before = read_baselines(sweep) or Baselines()
    sizes = latent_sizes(request, next(iter(best_first(records)), None))
    now = replace(before, pixels=data.patches.crops[0].size, latent_sizes=tuple(sizes))
    linear_sizes = sorted(size for size in {REFERENCE_SIZE, *sizes} if size < now.pixels)
    splits = {split.split: split for split in before.splits}
    keys = {place: _key(data, split, linear_sizes) for place, split in _wanted(request, data).items()}
    missing = [place for place, key in keys.items() if place not in splits or splits[place].key != key]
    if missing:
        yield 0, len(missing)
    for done, place in enumerate(missing, start=1):
        rows = _rows(data.patches.crops, data.splits[place[:2]], linear_sizes)
        splits[place] = SplitBaselines(*place, keys[place], rows)
        write_baselines(sweep, replace(now, splits=tuple(splits.values())))
        yield done, len(missing)
    if not missing and now != before:
        write_baselines(sweep, now)


def latent_sizes(request: Request, best: TrialRecord | None = None) -> list[int]:
    """Latent sizes of all configurations of the space, of a range the two ends and that of the best record."""
    axes = request.tune_space.axes
    choices = {name: axes[name].ends for name in LATENT_FIELDS if name in axes}
    points = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    points += [{name: best.config[name] for name in choices}] if best else []
    sizes = set()
    for settings in points:
        try:
            sizes.add(request.config(Configuration.of(settings)).latent_size)
        except ConfigError:  # choices that do not go together are no configuration
            continue
    return sorted(sizes)


def _wanted(request: Request, data: SweepData) -> dict[SplitPlace, Split]:
    """The splits of the sweep's trials."""
    splits = {(label, fold, request.folds if fold else 0): split for (label, fold), split in data.splits.items()}
    return {place: split for place, split in splits.items() if place[1] or not request.cv_only}


def _rows(crops: np.ndarray, split: Split, sizes: list[int]) -> tuple[Mapping[str, Any], ...]:
    table = baseline_table(crops, split.train, split.test, sizes, fit_crops=len(split.train))
    return tuple({name: _finite(value) for name, value in row.items()} for row in table)


def _key(data: SweepData, split: Split, sizes: list[int]) -> str:
    """Hash of all that the numbers of a split depend on."""
    metrics = sorted(found for found in code_files().items() if found[0].startswith(METRICS))
    code = [json.dumps(metrics).encode(), Path(inspect.getfile(baseline_table)).read_bytes()]
    parts = [data.patches.fingerprint.encode(), json.dumps(sizes).encode(), *code]
    parts += [indices.astype("<i8").tobytes() for indices in (split.train, split.test)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _finite(value: float | int | str) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
