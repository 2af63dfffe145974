"""All contents of a report, computed from the logs."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sweeps.folds import FoldFindings, FoldResult, FoldTable, fold_findings, image_means, of_grid
from sweeps.reporting.logs import INTERRUPTED, OPTIONAL, TESTS, SweepLogs, Trial
from sweeps.reporting.surfaces import HARDEST, ClassResult, ImageResult, class_results, tested_images
from sweeps.reporting.trial_notes import fields_outside, not_comparable
from sweeps.space import Configuration
from sweeps.store import COMPLETE, FAILED, PRUNED, place

OF_USED_WEIGHTS = {"train_loss": "used_train_loss", "val_loss": "used_val_loss"}
VARIES = 1.5  # times: networks of nearly one size are no question of size
FEWEST_SIZES = 3  # different costs; of two, one is simply the cheaper
COST_TITLES = {"parameters": "parameters", "epoch_s": "seconds per epoch"}


@dataclass(frozen=True)
class Point:
    """A search trial between cost and quality."""

    trial: str
    cost: float
    psnr_db: float
    """Validation PSNR."""
    front: bool
    """Pareto-optimal."""


@dataclass(frozen=True)
class OnFront:
    """A trial on the front: how much less than the best it reaches, and how many times cheaper it is."""

    trial: Trial
    cost: float
    behind: float
    times: float


@dataclass(frozen=True)
class Trade:
    """Cost against quality."""

    title: str
    """Name of the cost."""
    points: list[Point]
    front: list[OnFront]
    """Pareto-optimal trials, from the cheapest to the best."""


@dataclass
class Findings:
    """All contents of a report."""

    logs: SweepLogs
    fields_outside: Mapping[str, list[str]]
    """Search trial outside the current space -> why."""
    ranked: list[Trial]
    """Complete search trials of the current space, best first."""
    folds: FoldFindings
    classes: dict[Configuration, list[ClassResult]] = field(default_factory=dict)
    """Tables of each cross-validated configuration; the leading one first."""
    hardest: list[ImageResult] = field(default_factory=list)
    """Images of the leading configuration with the lowest PSNR."""
    average: float | None = None
    """Test PSNR in dB, mean over all images that the leading configuration's folds tested."""
    tested: Sequence[ImageResult] = ()
    """All images that the leading configuration's folds tested, the lowest PSNR first."""

    @property
    def n_tested(self) -> int:
        """Images that the leading configuration's folds tested."""
        return len(self.tested)

    @property
    def n_conditions(self) -> int:
        """Their process conditions; 0 where the sweep does not know them."""
        conditions = {self.logs.sweep_file.condition_of(image.image_id) for image in self.tested}
        return 0 if None in conditions else len(conditions)

    @property
    def outside(self) -> list[Trial]:
        """Complete search trials outside the current space, best first: kept, not ranked."""
        return ranking(trial for trial in self.logs.trials if trial.name in self.fields_outside)

    @property
    def counts(self) -> dict[str, int]:
        """Trials by status, of search and cross-validation together."""
        return count(self.logs.trials)

    @property
    def warnings(self) -> list[str]:
        """Damage, and what makes trials of this sweep not comparable to the last bit."""
        return [*self.logs.warnings, *not_comparable(self.logs.records)]

    @property
    def tables(self) -> dict[Configuration, list[FoldTable]]:
        """Cross-validated configuration -> a table per label; the leading configuration first."""
        return self.folds.tables

    @cached_property
    def titles(self) -> dict[Configuration, str]:
        """Cross-validated configuration -> its settings in words."""
        return self.logs.sweep_file.current_space.texts(self.tables, self.logs.axes)

    @cached_property
    def trade_off(self) -> Trade | None:
        """Cost against quality in the search, where that is a question."""
        return trade_off(self.ranked, self.logs.sweep_file.minimize)

    @property
    def leading(self) -> list[FoldTable]:
        """The fold tables of the leading configuration; empty without cross-validation."""
        return self.folds.leading

    @property
    def contested(self) -> bool:
        """Several configurations were cross-validated, and their leaderboard decides which one leads."""
        return bool(self.folds.places)

    @property
    def best(self) -> Trial | None:
        """The trial that stands for the report; None if there is none.

        The search's first; with a leaderboard the search trial of its first, or failing that its best fold.
        """
        leading = next(iter(self.tables), None)
        ranked = [t for t in self.ranked if not self.contested or t.configuration == leading]
        folds = (t for t in self.logs.trials if t.status == COMPLETE and t.configuration == leading)
        return next(iter(ranked or by_psnr(folds)), None)


def find(logs: SweepLogs) -> Findings:
    """Compute every table of the report."""
    outside = fields_outside(logs)
    ranked = ranking(t for t in logs.trials if t.record.is_search and t.name not in outside)
    results = fold_results(logs)
    folds = fold_findings(results, logs.records, logs.sweep_file, ranked[0].configuration if ranked else None)
    cells = {configuration: of_grid(results, logs.sweep_file, configuration) for configuration in folds.tables}
    classes = {configuration: class_results(logs.sweep_file, own) for configuration, own in cells.items()}
    leading = next(iter(cells.values()), [])
    psnr = list(image_means(leading).values())
    average = float(np.mean(psnr)) if psnr else None
    tested = tested_images(logs.sweep_file, leading)
    return Findings(logs, outside, ranked, folds, classes, tested[:HARDEST], average, tested)


def ranking(trials: Iterable[Trial]) -> list[Trial]:
    """Trials that are complete and have a finite validation PSNR, best first."""
    complete = [trial for trial in trials if trial.status == COMPLETE]
    numbers = [(trial.numbers.get("val_psnr_db"), trial.numbers.get("val_loss")) for trial in complete]
    places = [place(psnr, loss, trial.name) for trial, (psnr, loss) in zip(complete, numbers, strict=True)]
    found = [(at, trial) for at, trial in zip(places, complete, strict=True) if at]
    return [trial for _, trial in sorted(found, key=lambda item: item[0])]


def by_psnr(trials: Iterable[Trial]) -> list[Trial]:
    """The highest validation PSNR first, what has none last."""
    return sorted(trials, key=lambda trial: -np.nan_to_num(trial.number("val_psnr_db"), nan=-np.inf))


def count(trials: Iterable[Trial]) -> dict[str, int]:
    """How many have each status."""
    found = Counter(trial.status for trial in trials)
    return {status: found[status] for status in (COMPLETE, PRUNED, FAILED, INTERRUPTED)}


def fold_results(logs: SweepLogs) -> list[FoldResult]:
    """The cross-validation trials, with numbers from the logs; losses are those of the tested checkpoint."""
    names = [name for name in ("val_loss_floor", *TESTS) if name not in OPTIONAL or logs.has(name)]
    sources = {**OF_USED_WEIGHTS, **{name: name for name in (*names, "val_psnr_db")}}
    return [
        FoldResult(
            configuration=trial.configuration,
            label=trial.record.label,
            fold=trial.record.cell.fold,
            n_folds=trial.record.cell.n_folds,
            seed=trial.config.seed,
            status=trial.status,
            trial=trial.name,
            numbers={name: trial.numbers.get(source) for name, source in sources.items()},
            n_train=trial.record.n_train,
            n_test=trial.record.n_test,
            parameters=trial.record.parameters,
            test_by_image=trial.record.test_by_image,
            from_record=trial.from_record,
        )
        for trial in logs.trials
        if trial.record.is_fold
    ]


def trade_off(ranked: list[Trial], minimize: str | None) -> Trade | None:
    """Quality versus cost; None when neither asked for nor sizes vary much, or too few costs are known.

    Args:
        ranked: search trials, best first.
        minimize: of sweep.json: the cost that it names.
    """
    cost = minimize if minimize in COST_TITLES else "parameters"
    known = [trial for trial in ranked if math.isfinite(trial.number(cost)) and trial.number(cost) > 0]
    costs, psnr = ([trial.number(name) for trial in known] for name in (cost, "val_psnr_db"))
    if len(set(costs)) < FEWEST_SIZES or (minimize not in COST_TITLES and max(costs) <= VARIES * min(costs)):
        return None
    on_front = pareto_front(psnr, costs)
    front = [
        OnFront(trial, own_cost, psnr[0] - own_psnr, costs[0] / own_cost)
        for trial, own_cost, own_psnr, on in zip(known, costs, psnr, on_front, strict=True)
        if on
    ]
    return Trade(
        COST_TITLES[cost],
        [Point(t.name, *of) for t, of in zip(known, zip(costs, psnr, on_front, strict=True), strict=True)],
        sorted(front, key=lambda each: (each.cost, each.trial.name)),
    )


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
