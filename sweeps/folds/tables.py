"""Cross-validation as tables, from results in rows: each fold, and averages that say how sure they are.

The report (whose rows come from the logs) and the console (whose rows come from trial.json) both call these functions.
A row is a mapping with `group, label, fold, n_folds, seed, status, trial`, the `COLUMNS` as far as they are known, and
`n_train, n_test, test_by_image, parameters` where the trial has them.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sweeps.folds.race_rule import GridCell
from sweeps.folds.statistics import corrected_interval
from sweeps.space import configuration_group
from sweeps.store import COMPLETE, asked_seeds

MISSING, STOPPED = "missing", "stopped"
COLUMNS = {
    "train_loss": "used_train_loss",
    "val_loss": "used_val_loss",
    "val_loss_floor": "val_loss_floor",
    "test_loss": "test_loss",
    "test_psnr_db": "test_psnr_db",
    "test_ssim": "test_ssim",
    "test_spectrum_db": "test_spectrum_db",
    "test_bits_per_dim": "test_bits_per_dim",
    "test_kl_nats": "test_kl_nats",
    "test_active_units": "test_active_units",
}
"""Column of a fold table -> key of a row; losses are of the weights that met the test set."""


@dataclass(frozen=True)
class Average:
    """Mean over folds, standard deviation (n - 1), corrected 95 % interval; None where there are too few folds."""

    mean: float
    sd: float | None
    low: float | None
    high: float | None


@dataclass
class FoldTable:
    """One configuration, one label."""

    group: str
    label: str
    n_folds: int
    rows: list[dict[str, Any]]
    """One per (fold, seed), missing ones too: `fold, seed, state, trial, from_record` and, if complete, `COLUMNS`."""
    averages: dict[str, Average]
    """Column -> average over the folds (of a fold's seeds first); empty unless all cells are complete."""
    assumed: bool = False
    """The trials do not say how many images they trained on and tested: the interval takes the widest case."""
    folds: dict[str, list[float]] = field(default_factory=dict)
    """Column -> (n_folds,) values behind `averages`."""
    test_share: float = 0.0
    """Units tested per unit trained on."""
    asked: bool = True
    """Of the grid that was asked for last, by label and number of folds. Others are shown, not compared."""

    @property
    def n_done(self) -> int:
        """Complete cells."""
        return sum(row["state"] == COMPLETE for row in self.rows)

    @property
    def complete(self) -> bool:
        """All cells are."""
        return self.n_done == len(self.rows) > 0

    @property
    def incomplete(self) -> str:
        """`incomplete, 4 of 5`, or ''."""
        why = "stopped" if any(row["state"] == STOPPED for row in self.rows) else "incomplete"
        return "" if self.complete else f"{why}, {self.n_done} of {len(self.rows)}"

    def by_fold(self, column: str) -> list[tuple[float | None, str]]:
        """(n_folds,) value of each fold, averaged over its seeds, or None and why there is none."""
        found: list[tuple[float | None, str]] = []
        for fold in range(1, self.n_folds + 1):
            cells = [row for row in self.rows if row["fold"] == fold]
            done = [row for row in cells if row["state"] == COMPLETE]
            if len(done) < len(cells):
                found.append((None, cells[0]["state"] if len(cells) == 1 else f"{len(done)} of {len(cells)}"))
            else:
                found.append((next(iter(_fold_means(cells, column)), None), COMPLETE))
        return found

    @property
    def n_seeds(self) -> int:
        """Trainings of each fold."""
        return len(self.rows) // max(1, self.n_folds)


def record_rows(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of cross-validation trials by their trial.json; training losses are in the logs only."""
    rows = []
    for record in records:
        if record["kind"] != "cv":
            continue
        config, metrics = record["config"], record.get("metrics") or {}
        evaluated_best = config.get("evaluate", "best") == "best"
        rows.append(
            {
                "group": configuration_group(config),
                **{name: record[name] for name in ("label", "fold", "n_folds", "status")},
                "trial": record.get("name", ""),
                "seed": config.get("seed", 0),
                "val_psnr_db": metrics.get("best_val_psnr_db"),
                "used_val_loss": metrics.get("best_val_loss" if evaluated_best else "val_loss"),
                **{f"test_{name}": value for name, value in (record.get("test") or {}).items()},
                **{name: record.get(name) for name in ("n_train", "n_test", "test_by_image", "parameters")},
            }
        )
    return rows


def grid_rows(rows: Iterable[Mapping[str, Any]], asked: Mapping[str, Any], group: str) -> list[dict[str, Any]]:
    """Those of one configuration that belong to the grid that was asked for: its number of folds, its seeds.

    3 of 3 folds and 3 of 5 folds have nothing in common; of an older grid the largest number of folds is taken.
    """
    own = [dict(row) for row in rows if row["group"] == group]
    numbers = {int(row["n_folds"]) for row in own}
    wanted = asked.get("folds")
    n_folds = wanted if isinstance(wanted, int) and wanted in numbers else max(numbers, default=0)
    own = [row for row in own if int(row["n_folds"]) == n_folds]
    seeds = asked_seeds(asked)
    return [row for row in own if row["seed"] in seeds] if seeds else own


def fold_tables(
    rows: Iterable[Mapping[str, Any]], asked: Mapping[str, Any], group: str, not_needed: Collection[GridCell] = ()
) -> list[FoldTable]:
    """One table per label, in the order in which the labels were asked for.

    Args:
        rows: of any configurations.
        asked: sweep.json, of which `labels`, `folds` and `cv_seeds` say which cells there should be.
        not_needed: (label, fold, seed) after the configuration was stopped; what ran of them does not count.
    """
    own = grid_rows(rows, asked, group)
    n_folds = max((int(row["n_folds"]) for row in own), default=0) or int(asked.get("folds") or 0)
    labels = list(dict.fromkeys([*map(str, asked.get("labels") or []), *sorted(str(row["label"]) for row in own)]))
    seeds = asked_seeds(asked) or sorted({row["seed"] for row in own}) or [0]
    cells = [(fold, seed) for fold in range(1, n_folds + 1) for seed in seeds]
    tables = []
    for label in labels:
        stopped = {(fold, seed) for fold, seed in cells if (label, fold, seed) in not_needed}
        found = [row for row in own if row["label"] == label]
        table = _fold_table(group, label, [_fold_row(found, *cell, cell in stopped) for cell in cells])
        table.asked = n_folds == (asked.get("folds") or n_folds) and label in (asked.get("labels") or labels)
        tables.append(table)
    return tables


def over_all_folds(tables: Sequence[FoldTable], column: str = "test_psnr_db") -> Average | None:
    """Average over the folds of all labels, which repeat one cross-validation; None unless all are complete.

    Source: Bouckaert & Frank 2004, as in `fold_statistics.corrected_interval`.
    """
    values = [value for table in tables for value in table.folds.get(column, [])]
    if not values or not all(table.complete and column in table.averages for table in tables):
        return None
    return average_over(values, float(np.mean([table.test_share for table in tables])))


def image_means(rows: Iterable[Mapping[str, Any]], metric: str = "psnr_db") -> dict[str, float]:
    """Image -> mean over the complete cells that tested it, by name; values that are not finite are left out."""
    found: dict[str, list[float]] = {}
    for row in rows:
        tested = row.get("test_by_image") if row["status"] == COMPLETE else None
        for image, values in (tested or {}).items():
            if finite(values.get(metric)):
                found.setdefault(str(image), []).append(float(values[metric]))
    return {image: float(np.mean(values)) for image, values in sorted(found.items())}


def finite(value: Any) -> bool:
    """A number that is one."""
    return isinstance(value, int | float | np.number) and math.isfinite(float(value))


def _fold_row(found: list[dict[str, Any]], fold: int, seed: Any, stopped: bool) -> dict[str, Any]:
    """One cell of a table; `found` are the rows of its configuration and label."""
    state = STOPPED if stopped else MISSING
    row: dict[str, Any] = {"fold": fold, "seed": seed, "state": state, "trial": "", "from_record": False}
    here = [] if stopped else [r for r in found if int(r["fold"]) == fold and r["seed"] == seed]
    if not here:
        return row
    trial = min(here, key=lambda r: r["status"] != COMPLETE)
    row |= {"state": trial["status"], "trial": trial["trial"], "from_record": bool(trial.get("from_record"))}
    row |= {name: trial[name] for name in ("n_train", "n_test") if name in trial}
    if trial["status"] == COMPLETE:
        row |= {name: trial[key] for name, key in COLUMNS.items() if key in trial}
    return row


def _fold_table(group: str, label: str, rows: list[dict[str, Any]]) -> FoldTable:
    table = FoldTable(group, label, len({row["fold"] for row in rows}), rows, {})
    if table.complete:
        share = _test_share(rows)
        table.assumed, table.test_share = share is None, share or 1 / max(1, table.n_folds - 1)
        table.folds = {name: values for name in COLUMNS if (values := _fold_means(rows, name))}
        table.averages = {name: average_over(values, table.test_share) for name, values in table.folds.items()}
    return table


def _fold_means(rows: list[dict[str, Any]], column: str) -> list[float]:
    """(n_folds,) mean over the seeds of each fold; empty when a cell has no finite number."""
    if not all(finite(row.get(column)) for row in rows):
        return []
    by_fold: dict[int, list[float]] = {}
    for row in rows:
        by_fold.setdefault(row["fold"], []).append(float(row[column]))
    return [float(np.mean(values)) for values in by_fold.values()]


def _test_share(rows: list[dict[str, Any]]) -> float | None:
    """n_test / n_train, over all cells; None when one does not say."""
    if not all(finite(row.get("n_train")) and finite(row.get("n_test")) and row["n_train"] > 0 for row in rows):
        return None
    return float(sum(row["n_test"] for row in rows) / sum(row["n_train"] for row in rows))


def average_over(values: Sequence[float], test_share: float) -> Average:
    """Of (n,) values over folds that test `test_share` units per unit they train on."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    mean, low, high = corrected_interval(values, 1, test_share)
    return Average(mean, sd, low, high)
