"""The label x fold grid: which configuration it is for, its cells, its averages."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from deepdlt.config import config_dict
from sweeps.plan import Request
from sweeps.records import COMPLETE, Cell
from sweeps.search import METRIC


def best_record(records: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The complete search trial with the highest validation PSNR; None when there is none.

    All search trials of a sweep have one validation set: sweep.json fixes the label that it is stratified by.
    """
    complete = [r for r in records if r["kind"] == "search" and r["status"] == COMPLETE]
    return max(complete, key=lambda r: r["metrics"][METRIC], default=None)


def fold_cells(config: dict[str, Any], labels: Iterable[str], n_folds: int, data: str) -> list[Cell]:
    """One cell per label and fold, in the order in which they run."""
    return [Cell("cv", config, label, fold, n_folds, data) for label in labels for fold in range(1, n_folds + 1)]


def planned_folds(request: Request, records: dict[str, dict[str, Any]], data: str) -> list[Cell]:
    """The label x fold cells of the best configuration (of the only one, if the space has one); none without a best."""
    if request.cv_only:
        return fold_cells(config_dict(request.config({})), request.labels, request.folds, data)
    best = best_record(records.values())
    return fold_cells(best["config"], request.labels, request.folds, data) if best else []


def fold_averages(records: dict[str, dict[str, Any]], cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """Per label of these cells: number of complete folds, mean and standard deviation (n - 1) of the test metrics.

    Args:
        records: all records of the sweep by identity; those of other cells (other folds, an earlier best) stay out.
    """
    tests: dict[str, list[dict[str, float]]] = {}
    for cell in cells:
        record = records.get(cell.identity)
        complete = record is not None and record["status"] == COMPLETE
        tests.setdefault(cell.label, []).extend([record["test"]] if record and complete else [])
    return [_average(label, found) for label, found in tests.items()]


def _average(label: str, tests: list[dict[str, float]]) -> dict[str, Any]:
    row: dict[str, Any] = {"label": label, "folds": len(tests)}
    for name in ("loss", "psnr_db", "ssim"):
        values = np.array([test[name] for test in tests])
        row[f"test_{name}_mean"] = float(values.mean()) if len(values) else None
        row[f"test_{name}_sd"] = float(values.std(ddof=1)) if len(values) > 1 else None
    return row
