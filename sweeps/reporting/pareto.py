"""Small or fast against good: the search trials that no other beats in validation PSNR and cost at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sweeps.folds import finite
from sweeps.reporting.findings import Findings
from sweeps.space import without_idle

VARIES = 1.5  # times: networks of nearly one size are no question of size
COSTS = {"parameters": "parameters", "epoch_s": "seconds per epoch"}


def pareto_front(values: Sequence[float], costs: Sequence[float]) -> list[bool]:
    """Which of n (value, cost) no other beats: one that is as good at no more cost, and better in one of the two.

    Args:
        values: (n,), higher is better; `costs` (n,), lower is better; all finite.

    Source: Optuna's `Study.best_trials` of a study that maximises the one and minimises the other.
    """
    value, cost = np.asarray(values, float), np.asarray(costs, float)
    no_worse = np.greater_equal.outer(value, value) & np.less_equal.outer(cost, cost)
    better = np.greater.outer(value, value) | np.less.outer(cost, cost)
    return [not beaten for beaten in (no_worse & better).any(axis=0).tolist()]


def pareto_content(found: Findings) -> dict[str, Any] | None:
    """What the report shows, or None: when neither asked for (`minimize`) nor sizes vary much, or too few are known.

    Returns:
        `cost` (column), `title`, `points` (trial, cost, psnr, front), `rows` of the front from the cheapest to the
        best: the trial's own columns, `cost`, `behind` (dB less than the best trial), `times` (cheaper than it).
    """
    ranked, asked = found.ranked, found.logs.asked.get("minimize")
    cost = asked if asked in COSTS else "parameters"
    if cost not in ranked:
        return None
    known = [row for row in ranked.to_dict("records") if finite(row[cost]) and row[cost] > 0]
    if len(known) < 2 or (asked not in COSTS and not _varies([row[cost] for row in known])):
        return None
    front = pareto_front([row["val_psnr_db"] for row in known], [row[cost] for row in known])
    best = known[0]
    points = [
        {"trial": row["trial"], "cost": float(row[cost]), "psnr_db": float(row["val_psnr_db"]), "front": on}
        for row, on in zip(known, front, strict=True)
    ]
    rows = [
        {
            **without_idle(found.logs.asked, row),
            "cost": row[cost],
            "behind": best["val_psnr_db"] - row["val_psnr_db"],
            "times": best[cost] / row[cost],
        }
        for row, on in zip(known, front, strict=True)
        if on
    ]
    rows = sorted(rows, key=lambda row: (row["cost"], row["trial"]))
    return {"cost": cost, "title": COSTS[cost], "points": points, "rows": rows, "n": len(known)}


def _varies(costs: Sequence[float]) -> bool:
    return max(costs) > VARIES * min(costs)
