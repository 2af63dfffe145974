"""The trials that a request amounts to: decided and checked before Ray starts."""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweeps.cluster import Cluster
from sweeps.folds import race_outcome
from sweeps.planning.eta import Forecast, trial_mb
from sweeps.request import Request, Resources, fold_cells, grid_cells, ranked_configurations
from sweeps.space import Axis, Configuration
from sweeps.store import COMPLETE, FAILED, PRUNED, Cell, Pair, SweepFile, Tally, TrialRecord, address, read_records

Records = Mapping[str, TrialRecord]
"""Identity -> record."""
NOT_NEEDED = "not needed"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would run, for people (`--plan`) and scripts (`--plan --json`). Counts refer to this request only."""

    sweep: Path
    request: Request
    resources: Resources
    sweep_file: SweepFile
    tally: Tally
    retry_failed: bool
    forecast: Forecast | None = None
    notes: tuple[str, ...] = ()
    cluster: Cluster | None = None
    """None for this machine."""

    @property
    def axes(self) -> Mapping[str, Axis]:
        """The swept fields."""
        return self.sweep_file.axes

    @property
    def is_done(self) -> bool:
        """Nothing is left to run."""
        return not any(self.tally.to_run)

    @property
    def disk_mb(self) -> float:
        """Disk space of all trials."""
        return round(sum(self.tally.planned) * trial_mb(self.request.config()), 1)

    @property
    def missing_mb(self) -> float:
        """Disk space of the trials that are still to run."""
        return self.disk_mb * sum(self.tally.to_run) / max(1, sum(self.tally.planned))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        n_search, n_cv = self.tally.planned
        data = self.sweep_file.data
        return {
            "sweep": address(self.sweep),
            "space": self.request.space,
            "question": self.request.question,
            "axes": {name: axis.to_json() for name, axis in self.axes.items()},
            "protocol": self.sweep_file.protocol,
            "search": self.request.search,
            "scheduler": self.request.scheduler,
            "search_trials": n_search,
            "cv_trials": n_cv,
            "cv_configurations": min(self.request.cv_top, max(1, n_search)) if self.request.cv else 0,
            "done_already": sum(self.tally.done),
            "failed_already": sum(self.tally.failed),
            "retry_failed": self.retry_failed,
            "to_run": list(self.tally.to_run),
            "epochs_per_trial": self.request.epochs,
            "images": data.images,
            "crops": data.crops,
            "synthetic": data.synthetic,
            "conditions": len(set(self.sweep_file.conditions_of_images or ())),
            "grouped_by": list(self.sweep_file.grouped_by or ()),
            "leakage": self.sweep_file.leakage,
            "resources": asdict(self.resources),
            **({"cluster": asdict(self.cluster)} if self.cluster else {}),
            "disk_mb": self.disk_mb,
            **(self.forecast.to_json() if self.forecast else {}),
            "notes": list(self.notes),
        }


def describe(request: Request, resources: Resources, sweep_file: SweepFile, sweep: Path, retry: bool = False) -> Plan:
    """The plan without a forecast, which takes seconds."""
    now = tally(request, read_records(sweep), sweep_file.data_fingerprint, retry)
    return Plan(sweep=sweep, request=request, resources=resources, sweep_file=sweep_file, tally=now, retry_failed=retry)


def searched_settings(request: Request) -> list[Configuration] | None:
    """The configurations of a grid or random search, in order; None when Optuna decides as it goes."""
    if request.search == "optuna":
        return None
    if request.search == "grid":
        return (request.tune_space.grid() or [])[: request.trials]
    return request.tune_space.random(request.trials, request.seed)


def planned_trials(request: Request) -> Pair:
    """(search trials, cross-validation trials)."""
    return _planned(request, _space_size(request))


def missing_trials(request: Request, records: Records, data: str, retry: bool) -> Pair:
    """How many of `planned_trials` are still to run; for the arguments see `tally`."""
    return tally(request, records, data, retry).to_run


def tally(request: Request, records: Records, data: str, retry: bool = False) -> Tally:
    """The trials of this request alone: of all records those in the current space and of the current folds.

    Args:
        records: of the sweep.
        data: fingerprint.
        retry: failed trials are run again.
    """
    size = _space_size(request)
    n_search, n_cv = _planned(request, size)
    inside = [r for r in records.values() if r.is_search and not request.outside(r.config)]
    search = Counter(r.status for r in inside if not request.cv_only)
    searched = min(n_search, search[COMPLETE] + search[PRUNED])
    search_failed = min(n_search - searched, search[FAILED])
    to_search = n_search - searched - (0 if retry else search_failed)

    ranked, grid = ranked_configurations(request, inside), grid_cells(request)
    chosen = ranked[: request.cv_top] if request.cv else []
    out: Collection[Configuration] = ()
    if request.race is not None and not to_search:
        out = race_outcome(records.values(), [each.unseeded for each in chosen], grid, margin=request.race)
    cells = fold_cells(chosen, grid, request.folds, data)
    folds = Counter(_fold_state(cell, records, out) for cell in cells)
    folds_done = folds[COMPLETE] + folds[PRUNED]
    ready = folds_done + folds[NOT_NEEDED] + (0 if retry else folds[FAILED])
    return Tally(
        planned=(n_search, n_cv),
        to_run=(to_search, (n_cv if to_search else len(cells)) - ready),  # fewer may have completed than were to be
        done=(searched, folds_done),
        failed=(search_failed, folds[FAILED]),
        searched=0 if request.cv_only else len(ranked),
        compared=_with_folds(ranked, records),
        space_size=size,
    )


def _space_size(request: Request) -> int | None:
    finite = request.tune_space.grid()
    return None if finite is None else len(finite)


def _planned(request: Request, size: int | None) -> Pair:
    per_configuration = len(request.labels) * request.folds * len(request.cv_seeds) if request.cv else 0
    if request.cv_only:
        return 0, per_configuration
    n_search = request.trials if size is None else min(request.trials, size)
    return n_search, per_configuration * min(request.cv_top, n_search)


def _fold_state(cell: Cell, records: Records, out: Collection[Configuration]) -> str:
    """The status of its record, `NOT_NEEDED` when its configuration lost the race before, '' when it is to run."""
    status = records[cell.identity].status if cell.identity in records else ""
    return status if status in (COMPLETE, PRUNED) or cell.config.unseeded not in out else NOT_NEEDED


def _with_folds(ranked: Iterable[Configuration], records: Records) -> int:
    """How many of the configurations, from the first on, have complete folds."""
    there = {r.configuration for r in records.values() if r.is_fold and r.is_complete}
    return sum(1 for _ in itertools.takewhile(lambda each: each.unseeded in there, ranked))
