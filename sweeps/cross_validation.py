"""The label x fold grid: which configuration it is for, its cells, its averages."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from sweeps.records import COMPLETE, Cell
from sweeps.search import METRIC


def best_record(records: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The complete search trial with the highest validation PSNR; None when there is none."""
    complete = [r for r in records if r["kind"] == "search" and r["status"] == COMPLETE]
    return max(complete, key=lambda r: r["metrics"][METRIC], default=None)


def fold_cells(config: dict[str, Any], labels: Iterable[str], n_folds: int, data: str) -> list[Cell]:
    """One cell per label and fold, in the order in which they run."""
    return [Cell("cv", config, label, fold, n_folds, data) for label in labels for fold in range(1, n_folds + 1)]


def fold_averages(records: Iterable[dict[str, Any]], labels: Iterable[str]) -> list[dict[str, Any]]:
    """Per label: number of complete folds, mean and standard deviation (n - 1) of test loss, PSNR and SSIM."""
    records = [r for r in records if r["kind"] == "cv" and r["status"] == COMPLETE]
    rows = []
    for label in labels:
        tests = [r["test"] for r in records if r["label"] == label]
        row: dict[str, Any] = {"label": label, "folds": len(tests)}
        for name in ("loss", "psnr_db", "ssim"):
            values = np.array([test[name] for test in tests])
            row[f"test_{name}_mean"] = float(values.mean()) if len(values) else None
            row[f"test_{name}_sd"] = float(values.std(ddof=1)) if len(values) > 1 else None
        rows.append(row)
    return rows
