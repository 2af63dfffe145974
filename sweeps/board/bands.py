"""The folds of a configuration as one run: at each epoch their mean, the lowest and the highest value."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from deepdlt.folder_names import ascii_name
from sweeps.board.columns import BAND, CURVES, VAE_CURVES, code_of
from sweeps.store import EVENT_FILES, TrialLog, TrialRecord, read_trial, remove

BANDS = "bands"
"""Folder of these runs in a sweep's."""
TAGS = tuple(tag for tags in (CURVES | VAE_CURVES).values() for tag in tags)
Curves = Mapping[str, Mapping[int, float]]


def write_bands(sweep: Path, records: Iterable[TrialRecord]) -> None:
    """Write the bands of all configurations and labels with at least two complete folds anew."""
    folds = defaultdict(list)
    for record in records:
        if record.is_fold and record.is_complete:
            place = f"{ascii_name(record.label)}-{record.cell.n_folds}-folds-{code_of(record.configuration)}"
            folds[place].append(record.name)
    for place, names in folds.items():
        if len(names) > 1:
            _write(sweep / BANDS / place, [read_trial(sweep / name, images=False).scalars for name in names])


def _write(folder: Path, curves: list[Curves]) -> None:
    for stale in folder.glob(EVENT_FILES):
        remove(stale)
    with TrialLog(folder) as log:
        log.restart(0)  # for a TensorBoard that has read the former ones
        for tag in TAGS:
            series = [of[tag] for of in curves if tag in of]
            shared = set.intersection(*(set(each) for each in series)) if len(series) == len(curves) else set()
            for epoch in sorted(shared):
                values = [each[epoch] for each in series]
                found = {"mean": np.mean(values), "lowest": np.min(values), "highest": np.max(values)}
                log.scalars({f"{BAND}/{tag}/{part}": float(value) for part, value in found.items()}, epoch)
