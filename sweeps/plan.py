"""The trials that a request amounts to, and what they will cost: decided and checked before Ray starts."""

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deepdlt.config import config_dict
from sweeps import cost, cross_validation, search
from sweeps.configurations import configuration_group
from sweeps.fold_race import race_outcome
from sweeps.records import COMPLETE, FAILED, PRUNED, Cell, read_records
from sweeps.request import Request
from sweeps.resources import Resources


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


def planned_trials(request: Request) -> tuple[int, int]:
    """(search trials, cross-validation trials)."""
    per_configuration = len(request.labels) * request.folds * len(request.cv_seeds) if request.cv else 0
    if request.cv_only:
        return 0, per_configuration
    finite = search.grid(request.domains, request.points, request.conditions)
    n_search = min(request.trials, len(finite)) if finite is not None else request.trials
    return n_search, per_configuration * min(request.cv_top, n_search)


def missing_trials(request: Request, records: dict[str, dict[str, Any]], data: str, retry: bool) -> tuple[int, int]:
    """How many of `planned_trials` are still to run.

    Args:
        records: of the sweep by identity.
        data: fingerprint.
        retry: failed trials are run again.
    """
    kept = (COMPLETE, PRUNED) if retry else (COMPLETE, PRUNED, FAILED)
    n_search, n_cv = planned_trials(request)
    done = [
        r
        for r in records.values()
        if r["kind"] == "search" and r["status"] in kept and cross_validation.in_space(request, r)
    ]
    to_search = 0 if request.cv_only else max(0, n_search - len(done))
    configs = cross_validation.chosen_configurations(request, records.values()) if request.cv else []
    grid = cross_validation.grid_cells(request)
    out: Collection[str] = ()
    if request.race is not None and not to_search:
        groups = [configuration_group(config) for config in configs]
        out = race_outcome(records.values(), groups, grid, margin=request.race)
    cells = cross_validation.fold_cells(configs, grid, request.folds, data)
    run = {identity for identity, record in records.items() if record["status"] in kept}
    ready = sum(cell.identity in run or configuration_group(cell.config) in out for cell in cells)
    return to_search, (n_cv if to_search else len(cells)) - ready  # fewer may have completed than were to be compared


def describe(
    request: Request, resources: Resources, asked: dict[str, Any], sweep: Path, retry: bool = False
) -> dict[str, Any]:
    """The plan as plain values, for people (`--plan`) and scripts (`--plan --json`)."""
    n_search, n_cv = planned_trials(request)
    by_identity = read_records(sweep)
    records = by_identity.values()
    to_run = missing_trials(request, by_identity, asked["data_fingerprint"], retry)
    by_status = {s: sum(r["status"] == s for r in records) for s in (COMPLETE, PRUNED, FAILED)}
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
        "done_already": by_status[COMPLETE] + by_status[PRUNED],
        "failed_already": by_status[FAILED],
        "to_run": list(to_run),
        "epochs_per_trial": request.epochs,
        **{key: asked["data"][key] for key in ("images", "crops", "synthetic")},
        "leakage": asked["leakage"],
        "resources": asdict(resources),
        "disk_mb": round((n_search + n_cv) * cost.trial_mb(request.config({})), 1),
    }
