"""A search over stored learning curves, event by event: which trial trains when, and who is stopped."""

import heapq
import json
import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from record_curves import EPOCHS, ask, moments, read_rows

from deepdlt.config import parse_settings
from sweeps.request import Request
from sweeps.space import Configuration
from sweeps.store import COMPLETE, METRIC, Cell, trial_config, write_record
from sweeps.tuning import DistinctOptunaSearch, ListedSearch

AT = moments(EPOCHS)
WHOLE = [AT.index(float(epoch)) for epoch in range(1, EPOCHS + 1)]

Rows = dict[int, tuple[Configuration, list[float], list[float]]]
"""Number in the grid -> settings, values, losses."""


@dataclass(frozen=True)
class Grid:
    """Curves of all configurations of a space: `values` and `losses` are (configurations, moments)."""

    asked: Request
    settings: tuple[Configuration, ...]
    values: np.ndarray
    losses: np.ndarray

    @property
    def winner(self) -> int:
        """The configuration with the highest validation PSNR at the end."""
        return int(np.argmax(self.values[:, -1]))


class Stub:
    """What schedulers see of Tune's trial."""

    def __init__(self, config: dict[str, Any], number: int) -> None:
        self.config, self.number, self.status = config, number, "RUNNING"
        self.trial_id = f"t{number:04d}"


class Extrapolation(FIFOScheduler):
    """Learning-curve extrapolation (Baker et al. 2018): least squares from the curve so far to the value at the end.

    Fitted to the trials that were trained to their end, `LEAST` at least. A trial stops if its prediction is more than
    `MARGIN` standard deviations of the fit's errors below the best trial.
    """

    LEAST, MARGIN = 6, 1.5

    def __init__(self) -> None:
        super().__init__()
        self.curves: dict[str, list[float]] = {}
        self.ended: list[list[float]] = []

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop or continue."""
        curve = self.curves.setdefault(trial.trial_id, [])
        curve.append(result[METRIC])
        if result["epoch"] >= EPOCHS:
            self.ended.append(curve)
        elif len(self.ended) >= self.LEAST:
            x = np.array([[*c[: len(curve)][-2:], 1.0] for c in self.ended])
            y = np.array([c[-1] for c in self.ended])
            weights = np.linalg.solve(x.T @ x + 1e-3 * np.eye(x.shape[1]), x.T @ y)
            error = np.std(y - x @ weights)
            if np.array([*curve[-2:], 1.0]) @ weights + self.MARGIN * error < y.max():
                return TrialScheduler.STOP
        return TrialScheduler.CONTINUE


class Extrapolating(DistinctOptunaSearch):
    """The sweep's search with Optuna's Gaussian process, which uses complete trials alone.

    A pruned trial is told with the value that it would have reached: its last one, plus the median gain from that
    epoch to the end of the trials that were trained to their end.
    """

    def __init__(self, *args: Any, seed: int, **options: Any) -> None:
        super().__init__(*args, seed=seed, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.sampler = optuna.samplers.GPSampler(seed=seed, deterministic_objective=True)
        self._told: dict[str, dict[float, float]] = {}
        self._ended: list[dict[float, float]] = []

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Remember."""
        self._told.setdefault(trial_id, {})[result["epoch"]] = result[METRIC]

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the value at the end, or the one that is expected there."""
        told = self._told[trial_id]
        last = max(told)
        if last >= EPOCHS:
            self._ended.append(told)
        gains = [t[EPOCHS] - t[last] for t in self._ended if last in t]
        self._study.tell(self._trials[trial_id], told[last] + (statistics.median(gains) if gains else 0.0))


@dataclass(frozen=True)
class Candidate:
    """A way to search."""

    name: str
    scheduler: Callable[[], Any] = FIFOScheduler
    search: str = "grid"
    """`grid`: in random order; `tpe`, `gp`: Optuna's samplers; `warm`: in the order of an earlier sweep's results."""
    share: float = 1.0
    """Of the grid's configurations, how many are tried at most."""
    first: float = 1.0
    """Moment of the first report, in epochs; all measured ones after it count up to epoch 1, then whole epochs."""
    by_loss: bool = False
    """Inside the first epoch compare the training loss instead of the validation PSNR."""


@dataclass(frozen=True)
class Outcome:
    """What a replay used and found."""

    epochs: float
    same: bool
    lost_db: float


class Replay:
    """One search over stored curves.

    Args:
        earlier: the grid of an earlier sweep of the same data, for candidates that are warm-started.
    """

    def __init__(self, candidate: Candidate, grid: Grid, earlier: Grid, seed: int, folder: Path) -> None:
        self.candidate, self.grid, self.earlier, self.seed, self.folder = candidate, grid, earlier, seed, folder
        self.rng = np.random.default_rng(seed)
        self.number = {settings: k for k, settings in enumerate(grid.settings)}
        inside = [k for k, at in enumerate(AT) if candidate.first <= at < 1]
        self.points = inside + WHOLE
        self.cells = [Cell("search", s, "", 0, 0, "") for s in grid.settings]
        self.trials = [trial_config(cell, f"s{k:04d}") for k, cell in enumerate(self.cells)]
        self.scheduler, self.search = candidate.scheduler(), self._search()

    def run(self) -> Outcome:
        """Two trials at a time until the search ends."""
        begun, used, waiting = 0, 0.0, []
        ended: dict[int, float] = {}
        limit = round(self.candidate.share * len(self.grid.settings))
        for worker in range(2):
            heapq.heappush(waiting, (0.0, worker, None, 0))
        while waiting:
            now, worker, trial, point = heapq.heappop(waiting)
            if trial is not None:
                epoch, done = AT[self.points[point]], point == len(self.points) - 1
                used += epoch - (AT[self.points[point - 1]] if point else 0.0)
                if not done and self._says(trial, point) == TrialScheduler.CONTINUE:
                    heapq.heappush(waiting, (now + self._takes(trial, point + 1), worker, trial, point + 1))
                    continue
                if done:
                    self._says(trial, point)
                    ended[trial.number] = self.grid.values[trial.number, -1]
                self._end(trial, point, done)
            config = self.search.suggest(f"t{begun}") if begun < limit else None
            if isinstance(config, dict):
                trial = Stub(config, int(config["trial"]["name"][1:]))
                trial.trial_id = f"t{begun}"
                begun += 1
                self.scheduler.on_trial_add(None, trial)
                heapq.heappush(waiting, (now + self._takes(trial, 0), worker, trial, 0))
        best = max(ended, key=lambda k: ended[k])
        winner = self.grid.winner
        return Outcome(used, best == winner, float(self.grid.values[winner, -1] - ended[best]))

    def _says(self, trial: Stub, point: int) -> str:
        result = self._result(trial, point)
        if result["epoch"] == int(result["epoch"]):
            self.search.on_trial_result(trial.trial_id, result)
        return str(self.scheduler.on_trial_result(None, trial, result))

    def _result(self, trial: Stub, point: int) -> dict[str, Any]:
        at = self.points[point]
        inside = AT[at] < 1 and self.candidate.by_loss
        value = -self.grid.losses[trial.number, at] if inside else self.grid.values[trial.number, at]
        epoch = int(AT[at]) if AT[at] == int(AT[at]) else AT[at]
        return {"epoch": epoch, "training_iteration": point + 1, METRIC: float(value)}

    def _takes(self, trial: Stub, point: int) -> float:
        """Time from the report before: of an epoch 1, of one with a kernel of 5 pixels 2, more or less."""
        before = AT[self.points[point - 1]] if point else 0.0
        cost = 2.0 if self.grid.settings[trial.number].get("kernel_size") == 5 else 1.0
        return (AT[self.points[point]] - before) * cost * self.rng.uniform(0.9, 1.1)

    def _end(self, trial: Stub, point: int, done: bool) -> None:
        result = self._result(trial, point)
        if done:
            cell = self.cells[trial.number]
            write_record(self.folder / f"s{trial.number:04d}", cell, COMPLETE, metrics=result)
        self.search.on_trial_complete(trial.trial_id, result)
        self.scheduler.on_trial_complete(None, trial, result)

    def _search(self) -> Any:
        if self.candidate.search in ("grid", "warm"):
            warm = self.candidate.search == "warm"
            order = np.argsort(-self.earlier.values[:, -1]) if warm else self.rng.permutation(len(self.trials))
            return ListedSearch([self.trials[k] for k in order])
        kind = {"tpe": DistinctOptunaSearch, "gp": Extrapolating}[self.candidate.search]
        space = self.grid.asked.tune_space
        return kind(space, lambda s: self.trials[self.number[s]], sweep=self.folder, seed=self.seed)


def halving(grid: Grid, rungs: Sequence[float], eta: int) -> Outcome:
    """Successive halving (Jamieson & Talwalkar 2016): all trials wait at a rung, and the best 1/eta of them go on.

    Args:
        rungs: in epochs; the last is the end.
    """
    left, used, before = np.arange(len(grid.settings)), 0.0, 0.0
    for rung in rungs:
        used += len(left) * (rung - before)
        before = rung
        if rung < EPOCHS:
            ranked = left[np.argsort(-grid.values[left, AT.index(rung)])]
            left = ranked[: max(1, -(-len(left) // eta))]
    best = left[np.argmax(grid.values[left, -1])]
    winner = grid.winner
    return Outcome(used, int(best) == winner, float(grid.values[winner, -1] - grid.values[best, -1]))


def recorded(path: Path) -> dict[tuple[str, int], Rows]:
    """(space, seed) -> its rows."""
    found: dict[tuple[str, int], Rows] = {}
    for row in read_rows(path):
        curve = [[float(row[f"{part}_{at:g}"]) for at in AT] for part in ("val", "train")]
        settings = Configuration.of(json.loads(row["settings"]))
        found.setdefault((row["space"], int(row["seed"])), {})[int(row["number"])] = (settings, curve[0], curve[1])
    return found


def make_grid(space: str, fixed: Sequence[str], rows: Rows) -> Grid:
    """The full grid of a space, or its part with these values of fields (`KEY=VALUE`, as run.py's --set).

    Raises:
        LookupError: the curve of a configuration is not recorded.
    """
    asked, values = ask(space, 42, fixed), parse_settings(fixed)
    there = [(settings, curve) for settings, *curve in rows.values() if values.items() <= dict(settings).items()]
    known = {settings.without(*values): curve for settings, curve in there}
    settings = tuple(asked.tune_space.grid() or ())
    if missing := [each for each in settings if each not in known]:
        raise LookupError(f"{space} {' '.join(fixed)}: no curves of {len(missing)} of {len(settings)} configurations")
    psnr_db, losses = (np.array([known[each][part] for each in settings]) for part in (0, 1))
    return Grid(asked, settings, psnr_db, losses)


@dataclass(frozen=True)
class Noise:
    """Differences of the curves of two seeds, of configurations with final values `at`; none where all is empty."""

    at: np.ndarray
    values: np.ndarray
    losses: np.ndarray

    @classmethod
    def between(cls, one: Any, other: Any) -> "Noise":
        """Of the configurations that both have; what all of them have in common is the split's, and no noise."""
        both = sorted(set(one) & set(other))
        if not both:
            return cls(*np.empty((3, 0)))
        values, losses = (np.array([np.subtract(one[k][part], other[k][part]) for k in both]) for part in (1, 2))
        at = np.array([one[k][1][-1] for k in both])
        return cls(at, (values - np.median(values, 0)) / 2**0.5, (losses - np.median(losses, 0)) / 2**0.5)

    def onto(self, grid: Grid, rng: np.random.Generator, near: int = 12) -> Grid:
        """The grid of another seed: each curve with the noise of one that ends about as high."""
        if not self.at.size:
            return grid
        nearest = np.argsort(abs(grid.values[:, -1:] - self.at), axis=1)[:, :near]
        drawn = nearest[np.arange(len(nearest)), rng.integers(nearest.shape[1], size=len(nearest))]
        sign = rng.choice([-1.0, 1.0], (len(drawn), 1))
        values, losses = grid.values + sign * self.values[drawn], grid.losses + sign * self.losses[drawn]
        return Grid(grid.asked, grid.settings, values, losses)
