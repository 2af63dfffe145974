"""Ranking of trials: one rule for the console, the cross-validation and the report."""

import math
from collections.abc import Iterable
from typing import Any

from sweeps.store.trial_record import TrialRecord

METRIC, MODE = "best_val_psnr_db", "max"
"""Objective of a search."""
LOSS = "best_val_loss"
Place = tuple[float, float, str]


def place(quality: Any, loss: Any, name: str) -> Place | None:
    """What a trial is sorted by, the best first; None, which is no place, without a finite quality.

    The higher quality leads; of equal ones the lower validation loss (none is the worst), of these the first name.
    """
    if not _is_finite(quality):
        return None
    return -float(quality), float(loss) if _is_finite(loss) else math.inf, name


def best_first(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The complete search trials that have a place, the best first.

    All search trials of a sweep have one validation set: sweep.json fixes the label that it is stratified by.
    """
    complete = [r for r in records if r.is_search and r.is_complete]
    found = ((place(r.metrics.get(METRIC), r.metrics.get(LOSS), r.name), r) for r in complete)
    return [record for _, record in sorted(((at, r) for at, r in found if at), key=lambda item: item[0])]


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
