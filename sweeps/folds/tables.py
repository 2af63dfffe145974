"""Cross-validation as tables: each fold, and averages with their intervals.

The report (whose results come from the logs) and the console (whose results come from trial.json) both call these
functions.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np

from sweeps.folds.statistics import corrected_interval
from sweeps.space import Configuration
from sweeps.store import COMPLETE, GridCell, SweepFile, TrialRecord

MISSING, STOPPED = "missing", "stopped"
COLUMNS = (
    *("train_loss", "val_loss", "val_loss_floor", "test_loss", "test_psnr_db", "test_ssim", "test_spectrum_db"),
    *("test_bits_per_dim", "test_kl_nats", "test_active_units"),
)
"""Columns of a fold table; training and validation losses are those of the tested checkpoint."""


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """A cross-validation trial, complete or not."""

    configuration: Configuration
    """Without the seed."""
    label: str
    fold: int
    n_folds: int
    seed: int
    status: str
    trial: str = ""
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    """`COLUMNS` and `val_psnr_db`, as far as they are known."""
    n_train: int | None = None
    n_test: int | None = None
    parameters: int | None = None
    test_by_image: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    from_record: bool = False
    """The numbers are those of trial.json, because its event file is damaged."""

    @property
    def is_complete(self) -> bool:
        """It was trained to its end and tested."""
        return self.status == COMPLETE


@dataclass(frozen=True)
class FoldRow:
    """One cell (fold, seed) of a table; `state` is the trial's status, or why there is none."""

    fold: int
    seed: int
    state: str
    result: FoldResult | None = None

    @property
    def numbers(self) -> Mapping[str, float | None]:
        """Numbers of a complete cell."""
        return self.result.numbers if self.result and self.state == COMPLETE else {}

    @property
    def trial(self) -> str:
        """Its name, or ''."""
        return self.result.trial if self.result else ""

    @property
    def from_record(self) -> bool:
        """See `FoldResult`."""
        return bool(self.result and self.result.from_record)


@dataclass(frozen=True)
class Average:
    """Mean over folds, SD (n - 1), corrected 95 % interval; None where there are too few folds."""

    mean: float
    sd: float | None
    low: float | None
    high: float | None


@dataclass
class FoldTable:
    """One configuration, one label."""

    configuration: Configuration
    label: str
    n_folds: int
    rows: list[FoldRow]
    """One per (fold, seed), missing ones too."""
    averages: dict[str, Average]
    """Column -> average over the folds (of a fold's seeds first); empty unless all cells are complete."""
    assumed: bool = False
    """The trials do not record their numbers of training and test images: the interval assumes the widest case."""
    folds: dict[str, list[float]] = field(default_factory=dict)
    """Column -> (n_folds,) values behind `averages`."""
    test_share: float = 0.0
    """Units tested per unit trained on."""
    current: bool = True
    """Belongs to the last requested cross-validation, by label and folds. Others are shown, not compared."""

    @property
    def n_done(self) -> int:
        """Number of complete fold runs."""
        return sum(row.state == COMPLETE for row in self.rows)

    @property
    def complete(self) -> bool:
        """All fold runs are complete."""
        return self.n_done == len(self.rows) > 0

    @property
    def incomplete(self) -> str:
        """`incomplete, 4 of 5`, or ''."""
        why = "stopped" if any(row.state == STOPPED for row in self.rows) else "incomplete"
        return "" if self.complete else f"{why}, {self.n_done} of {len(self.rows)}"

    def by_fold(self, column: str) -> list[tuple[float | None, str]]:
        """(n_folds,) value of each fold, averaged over its seeds, or None and why there is none."""
        found: list[tuple[float | None, str]] = []
        for fold in range(1, self.n_folds + 1):
            cells = [row for row in self.rows if row.fold == fold]
            done = [row for row in cells if row.state == COMPLETE]
            if len(done) < len(cells):
                found.append((None, cells[0].state if len(cells) == 1 else f"{len(done)} of {len(cells)}"))
            else:
                found.append((next(iter(_fold_means(cells, column)), None), COMPLETE))
        return found

    @property
    def n_seeds(self) -> int:
        """Trainings of each fold."""
        return len(self.rows) // max(1, self.n_folds)


def fold_results(records: Iterable[TrialRecord]) -> list[FoldResult]:
    """The cross-validation trials by their trial.json; training losses are in the logs only."""
    return [_fold_result(record) for record in records if record.is_fold]


def of_grid(results: Iterable[FoldResult], sweep_file: SweepFile, configuration: Configuration) -> list[FoldResult]:
    """Results of one configuration in the requested grid: its number of folds, its seeds.

    3 of 3 folds and 3 of 5 folds have nothing in common; of an older grid the largest number of folds is taken.
    """
    own = [result for result in results if result.configuration == configuration]
    numbers = {result.n_folds for result in own}
    n_folds = sweep_file.folds if sweep_file.folds in numbers else max(numbers, default=0)
    return [r for r in own if r.n_folds == n_folds and (not sweep_file.cv_seeds or r.seed in sweep_file.cv_seeds)]


def fold_tables(
    results: Iterable[FoldResult],
    sweep_file: SweepFile,
    configuration: Configuration,
    not_needed: Collection[GridCell] = (),
) -> list[FoldTable]:
    """One table per label, in the order in which the labels were asked for.

    Args:
        results: of any configurations.
        not_needed: cells after the configuration was stopped; what ran of them does not count.
    """
    own = of_grid(results, sweep_file, configuration)
    n_folds = max((result.n_folds for result in own), default=0) or sweep_file.folds or 0
    labels = list(dict.fromkeys([*sweep_file.labels, *sorted(result.label for result in own)]))
    seeds = sweep_file.cv_seeds or sorted({result.seed for result in own}) or [0]
    cells = [(fold, seed) for fold in range(1, n_folds + 1) for seed in seeds]
    tables = []
    for label in labels:
        stopped = {(fold, seed) for fold, seed in cells if (label, fold, seed) in not_needed}
        found = [result for result in own if result.label == label]
        rows = [_fold_row(found, *cell, cell in stopped) for cell in cells]
        table = _fold_table(configuration, label, rows)
        table.current = n_folds == (sweep_file.folds or n_folds) and label in (sweep_file.labels or labels)
        tables.append(table)
    return tables


def over_all_folds(tables: Sequence[FoldTable], column: str = "test_psnr_db") -> Average | None:
    """Average over the folds of all labels, which repeat one cross-validation; None unless all are complete.

    Source: Bouckaert & Frank 2004, as in `corrected_interval`.
    """
    values = [value for table in tables for value in table.folds.get(column, [])]
    if not values or not all(table.complete and column in table.averages for table in tables):
        return None
    return average_over(values, float(np.mean([table.test_share for table in tables])))


def image_means(results: Iterable[FoldResult], metric: str = "psnr_db") -> dict[str, float]:
    """Image -> mean over the complete cells that tested it, by name; values that are not finite are left out."""
    found: dict[str, list[float]] = {}
    for result in results:
        for image, values in (result.test_by_image if result.is_complete else {}).items():
            if finite(value := values.get(metric)):
                found.setdefault(str(image), []).append(float(value))
    return {image: float(np.mean(values)) for image, values in sorted(found.items())}


def finite(value: Any) -> TypeGuard[float]:
    """A number that is one."""
    return isinstance(value, int | float | np.number) and math.isfinite(float(value))


def average_over(values: Sequence[float], test_share: float) -> Average:
    """Average of (n,) values over folds that test `test_share` units per unit they train on."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    mean, low, high = corrected_interval(values, 1, test_share)
    return Average(mean, sd, low, high)


def _fold_result(record: TrialRecord) -> FoldResult:
    cell, metrics = record.cell, record.metrics
    evaluated_best = record.config.get("evaluate", "best") == "best"
    tests = {f"test_{name}": value for name, value in record.test.items()}
    validated = {
        "val_psnr_db": metrics.get("best_val_psnr_db"),
        "val_loss": metrics.get("best_val_loss" if evaluated_best else "val_loss"),
    }
    return FoldResult(
        configuration=record.configuration,
        label=cell.label,
        fold=cell.fold,
        n_folds=cell.n_folds,
        seed=record.config.seed,
        status=record.status,
        trial=record.name,
        numbers=tests | validated,
        n_train=record.n_train,
        n_test=record.n_test,
        parameters=record.parameters,
        test_by_image=record.test_by_image,
    )


def _fold_row(found: list[FoldResult], fold: int, seed: int, stopped: bool) -> FoldRow:
    """One cell of a table; `found` are the results of its configuration and label."""
    here = [] if stopped else [r for r in found if r.fold == fold and r.seed == seed]
    if not here:
        return FoldRow(fold, seed, STOPPED if stopped else MISSING)
    result = min(here, key=lambda r: not r.is_complete)
    return FoldRow(fold, seed, result.status, result)


def _fold_table(configuration: Configuration, label: str, rows: list[FoldRow]) -> FoldTable:
    table = FoldTable(configuration, label, len({row.fold for row in rows}), rows, {})
    if table.complete:
        share = _test_share(rows)
        table.assumed, table.test_share = share is None, share or 1 / max(1, table.n_folds - 1)
        table.folds = {name: values for name in COLUMNS if (values := _fold_means(rows, name))}
        table.averages = {name: average_over(values, table.test_share) for name, values in table.folds.items()}
    return table


def _fold_means(rows: list[FoldRow], column: str) -> list[float]:
    """(n_folds,) mean over the seeds of each fold; empty when a cell has no finite number."""
    by_fold: dict[int, list[float]] = {}
    for row in rows:
        if not finite(value := row.numbers.get(column)):
            return []
        by_fold.setdefault(row.fold, []).append(float(value))
    return [float(np.mean(values)) for values in by_fold.values()]


def _test_share(rows: list[FoldRow]) -> float | None:
    """n_test / n_train, over all cells; None when one does not say."""
    sizes = [(row.result.n_train, row.result.n_test) for row in rows if row.result]
    trained, tested = ([n for n in of if finite(n)] for of in zip(*sizes, strict=True))
    if min(len(trained), len(tested)) < len(rows) or not all(trained):
        return None
    return float(sum(tested) / sum(trained))
