"""The label x fold x seed grid: which configurations it is for, its cells, their order."""

from collections.abc import Iterable
from typing import Any

from deepdlt.config import ConfigError, config_dict
from sweeps.request.request import Request
from sweeps.space import configuration_group, last_settings
from sweeps.space import space as search
from sweeps.store import Cell, best_first

GridCell = tuple[str, int, int]
"""Label, fold (1-based), seed of the training."""


def in_space(request: Request, record: dict[str, Any]) -> bool:
    """Whether a search trial is one of the space as it is now; those of former choices are kept, but do not count."""
    settings = search.settings_of(request.domains, record["config"], request.conditions)
    if not search.contains(request.domains, settings, request.conditions):
        return False
    try:
        asked = config_dict(request.config(settings))  # where an axis was removed, its default
    except ConfigError:
        return False
    return all(asked.get(name) == value for name, value in record["config"].items())


def best_record(records: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The complete search trial that is first; None when there is none."""
    return next(iter(best_first(records)), None)


def chosen_configurations(request: Request, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is cross-validated: the best of the search, or the only configuration of the space."""
    if request.cv_only:
        return [config_dict(request.config({}))]
    inside = [r for r in records if r["kind"] == "search" and in_space(request, r)]
    found = [record["config"] | last_settings(record) for record in best_first(inside)]
    distinct: dict[str, dict[str, Any]] = {}
    for config in found:  # members of a population may end alike
        distinct.setdefault(configuration_group(config), config)
    return list(distinct.values())[: request.cv_top]


def grid_cells(request: Request) -> list[GridCell]:
    """In the order in which they run: a label's folds test every image once, then comes the next label, then seed."""
    folds = range(1, request.folds + 1)
    return [(label, fold, seed) for seed in request.cv_seeds for label in request.labels for fold in folds]


def fold_cells(configs: Iterable[dict[str, Any]], cells: Iterable[GridCell], n_folds: int, data: str) -> list[Cell]:
    """Cell by cell, each with every configuration: whoever stops in the middle can compare what is there."""
    chosen = list(configs)
    return [
        Cell("cv", config | {"seed": seed}, label, fold, n_folds, data)
        for label, fold, seed in cells
        for config in chosen
    ]
