"""The trials that a request amounts to, and what they will cost: decided and checked before Ray starts."""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from deepdlt.config import config_dict
from sweeps.folds import race_outcome
from sweeps.planning import cost
from sweeps.request import Request, Resources
from sweeps.request import cells as cross_validation
from sweeps.space import configuration_group
from sweeps.space import space as search
from sweeps.store import COMPLETE, FAILED, PRUNED, Cell, Pair, Tally, read_records

Records = Mapping[str, dict[str, Any]]
NOT_NEEDED = "not needed"


def search_cell(request: Request, settings: dict[str, Any], label: str, data: str) -> Cell:
    """The cell that trains one configuration on the plain split, which `label` stratifies."""
    return Cell("search", config_dict(request.config(settings)), label, 0, 0, data)


def searched_settings(request: Request) -> list[dict[str, Any]] | None:
    """The configurations of a grid or random search, in order; None when Optuna decides as it goes."""
    if request.search == "optuna":
        return None
    space = request.domains, request.points
    if request.search == "grid":
        return (search.grid(*space, request.conditions) or [])[: request.trials]
    return search.random_configurations(*space, request.trials, request.seed, request.conditions)


def planned_trials(request: Request) -> Pair:
    """(search trials, cross-validation trials)."""
    return _planned(request, _space_size(request))


def missing_trials(request: Request, records: Records, data: str, retry: bool) -> Pair:
    """How many of `planned_trials` are still to run; for the arguments see `tally`."""
    return tally(request, records, data, retry).to_run


def tally(request: Request, records: Records, data: str, retry: bool = False) -> Tally:
    """The trials of this request alone: of all records those in the present space and of the present folds.

    Args:
        records: of the sweep by identity.
        data: fingerprint.
        retry: failed trials are run again.
    """
    size = _space_size(request)
    n_search, n_cv = _planned(request, size)
    inside = [r for r in records.values() if r["kind"] == "search" and cross_validation.in_space(request, r)]
    search = Counter(r["status"] for r in inside if not request.cv_only)
    searched = min(n_search, search[COMPLETE] + search[PRUNED])
    search_failed = min(n_search - searched, search[FAILED])
    to_search = n_search - searched - (0 if retry else search_failed)

    best = cross_validation.chosen_configurations(replace(request, cv_top=max(1, len(inside))), inside)
    configs, grid = best[: request.cv_top] if request.cv else [], cross_validation.grid_cells(request)
    out: Collection[str] = ()
    if request.race is not None and not to_search:
        groups = [configuration_group(config) for config in configs]
        out = race_outcome(records.values(), groups, grid, margin=request.race)
    cells = cross_validation.fold_cells(configs, grid, request.folds, data)
    folds = Counter(_fold_state(cell, records, out) for cell in cells)
    folds_done = folds[COMPLETE] + folds[PRUNED]
    ready = folds_done + folds[NOT_NEEDED] + (0 if retry else folds[FAILED])
    return Tally(
        planned=(n_search, n_cv),
        to_run=(to_search, (n_cv if to_search else len(cells)) - ready),  # fewer may have completed than were to be
        done=(searched, folds_done),
        failed=(search_failed, folds[FAILED]),
        searched=0 if request.cv_only else len(best),
        compared=_with_folds(best, records),
        space_size=size,
    )


def _space_size(request: Request) -> int | None:
    finite = search.grid(request.domains, request.points, request.conditions)
    return None if finite is None else len(finite)


def _planned(request: Request, size: int | None) -> Pair:
    per_configuration = len(request.labels) * request.folds * len(request.cv_seeds) if request.cv else 0
    if request.cv_only:
        return 0, per_configuration
    n_search = request.trials if size is None else min(request.trials, size)
    return n_search, per_configuration * min(request.cv_top, n_search)


def _fold_state(cell: Cell, records: Records, out: Collection[str]) -> str:
    """The status of its record, `NOT_NEEDED` when its configuration lost the race before, '' when it is to run."""
    status = records[cell.identity]["status"] if cell.identity in records else ""
    return status if status in (COMPLETE, PRUNED) or configuration_group(cell.config) not in out else NOT_NEEDED


def _with_folds(best: Iterable[dict[str, Any]], records: Records) -> int:
    """How many of the configurations, from the first on, have complete folds."""
    there = {configuration_group(r["config"]) for r in records.values() if (r["kind"], r["status"]) == ("cv", COMPLETE)}
    return sum(1 for _ in itertools.takewhile(lambda config: configuration_group(config) in there, best))


def describe(
    request: Request, resources: Resources, asked: dict[str, Any], sweep: Path, retry: bool = False
) -> dict[str, Any]:
    """The plan as plain values, for people (`--plan`) and scripts (`--plan --json`).

    What is done and what failed is of this request alone; a sweep may hold more.
    """
    now = tally(request, read_records(sweep), asked["data_fingerprint"], retry)
    n_search, n_cv = now.planned
    return {
        "sweep": str(sweep),
        "space": request.space,
        "question": request.question,
        "axes": asked["axes"],
        "protocol": asked["protocol"],
        "search": request.search,
        "scheduler": request.scheduler,
        "search_trials": n_search,
        "cv_trials": n_cv,
        "cv_configurations": min(request.cv_top, max(1, n_search)) if request.cv else 0,
        "done_already": sum(now.done),
        "failed_already": sum(now.failed),
        "retry_failed": retry,
        "to_run": list(now.to_run),
        "epochs_per_trial": request.epochs,
        **{key: asked["data"][key] for key in ("images", "crops", "synthetic")},
        "leakage": asked["leakage"],
        "resources": asdict(resources),
        "disk_mb": round((n_search + n_cv) * cost.trial_mb(request.config({})), 1),
    }
