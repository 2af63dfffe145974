"""Texts for averages over folds, intervals, p-values and counts, and the same as JSON."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from deepdlt.errors import many
from sweeps.folds.standings import FoldFindings
from sweeps.folds.tables import FoldTable
from sweeps.store import COMPLETE, FAILED, PRUNED, SweepFile

STATUSES = (COMPLETE, PRUNED, FAILED)  # their order in texts


def average_text(table: FoldTable, column: str, digits: int) -> str:
    """`24.10 ± 0.42 [23.40, 24.80]`, or why there is none: `incomplete, 4 of 5`."""
    average = table.averages.get(column)
    if average is None:
        return table.incomplete or "–"
    spread = f" ± {average.sd:.{digits}f}" if average.sd is not None else ""
    return f"{average.mean:.{digits}f}{spread}{interval_text(average.low, average.high, digits)}"


def interval_text(low: float | None, high: float | None, digits: int) -> str:
    """` [23.40, 24.80]` with a space before, '' where there is none."""
    return f" [{low:.{digits}f}, {high:.{digits}f}]" if low is not None and high is not None else ""


def p_text(p: float | None) -> str:
    """`0.034`, `< 0.001`, a dash."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def counts_text(search: Iterable[str], folds: Iterable[str]) -> str:
    """`search 12 trials (5 complete, 7 pruned), cross-validation 20 fold runs`; one kind of status is not repeated.

    Args:
        search: status of every search trial.
        folds: status of every fold run.
    """
    parts = []
    for kind, unit, statuses in (("search", "trial", search), ("cross-validation", "fold run", folds)):
        counts = Counter(statuses)
        if n := sum(counts.values()):
            known = (*(s for s in STATUSES if s in counts), *sorted(counts.keys() - {*STATUSES}))
            listed = ", ".join(f"{counts[status]} {status}" for status in known)
            detail = "" if counts.keys() == {COMPLETE} else f" ({listed})"
            parts.append(f"{kind} {many(n, unit)}{detail}")
    return ", ".join(parts) or "no trials"


def folds_json(found: FoldFindings) -> dict[str, Any]:
    """`cv`: every configuration and label with its averages; `leaderboard`; `race`. Missing numbers are null."""
    tables = [
        {
            "configuration": table.configuration.to_json(),
            "label": table.label,
            "folds": table.n_folds,
            "cells": len(table.rows),
            "complete": table.n_done,
            "interval": "n_test / n_train taken as 1 / (folds - 1)" if table.assumed else "corrected",
            **{
                part: {name: _plain(asdict(average)[part]) for name, average in table.averages.items()}
                for part in ("mean", "sd", "low", "high")
            },
        }
        for tables in found.tables.values()
        for table in tables
    ]
    places = [
        {
            "configuration": place.configuration.to_json(),
            "test_psnr_db": place.standing.mean,
            "low": place.low,
            "high": place.high,
            "difference": place.standing.difference,
            "difference_low": place.standing.low,
            "difference_high": place.standing.high,
            "p_holm": place.standing.p_holm,
            "tied": place.standing.tied,
            "difference_over_folds": asdict(place.over_folds) if place.over_folds else None,
            "parameters": place.parameters,
        }
        for place in found.places
    ]
    stops = [
        {"configuration": configuration.to_json(), "cells": stop.cells, "rival": stop.rival.to_json()}
        | {"behind_db": stop.difference, "p": stop.p}
        for configuration, stop in found.stops.items()
    ]
    race = {"cells": len(found.cells), "stopped": stops, "trial_epochs_saved": found.epochs_saved}
    return {"cv": tables, "leaderboard": places, "race": race if found.raced else None}


def _plain(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def groups_text(sweep_file: SweepFile) -> str:
    """`174 conditions: images with equal angle, PP1, ... stay together`; "" where an older sweep does not say."""
    if sweep_file.grouped_by is None:
        return ""
    if not sweep_file.grouped_by:
        return "each image by itself (--group-by COLUMN keeps replicates together)"
    n = len(set(sweep_file.conditions_of_images or ()))
    named = ", ".join(sweep_file.grouped_by)
    return f"{many(n, 'condition')}: images with equal {named} stay together"


def most_leaked(by_label: Mapping[str, Mapping[str, float | None]], share: str) -> float:
    """A share of `Leakage` for the label with the most, in 0..1; 0 where it is not known."""
    return max((of.get(share) or 0.0 for of in by_label.values()), default=0.0)


def leakage_text(by_label: Mapping[str, Mapping[str, float | None]]) -> str:
    """`0% of test crops overlap a training crop; ...`: of each share that of the label with the most; "" for none."""
    if not by_label:
        return ""
    names = ("overlap_share", "image_share", "replicate_share")
    overlap, image, replicate = (most_leaked(by_label, name) for name in names)
    text = f"{overlap:.0%} of test crops overlap a training crop; {image:.0%} come from an image used in training"
    return text + (f"; {replicate:.0%} from a probable replicate of one" if replicate else "")
