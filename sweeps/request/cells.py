"""The label x fold x seed grid: which configurations it is for, its cells, their order."""

from collections.abc import Iterable

from deepdlt.config import config_dict
from sweeps.request.request import Request
from sweeps.space import Configuration
from sweeps.store import CV, SEARCH, Cell, GridCell, TrialRecord, best_first


def search_cell(request: Request, settings: Configuration, label: str, data: str) -> Cell:
    """The cell that trains one configuration on the plain split, which `label` stratifies.

    Args:
        data: fingerprint.
    """
    return Cell(SEARCH, Configuration.of(config_dict(request.config(settings))), label, 0, 0, data)


def chosen_configurations(request: Request, records: Iterable[TrialRecord]) -> list[Configuration]:
    """What is cross-validated: the best of the search, or the only configuration of the space; all fields."""
    return ranked_configurations(request, records)[: request.cv_top]


def ranked_configurations(request: Request, records: Iterable[TrialRecord]) -> list[Configuration]:
    """All that could be, the best first."""
    if request.cv_only:
        return [Configuration.of(config_dict(request.config()))]
    found: dict[Configuration, Configuration] = {}
    for record in best_first(r for r in records if r.is_search and not request.outside(r.config)):
        found.setdefault(record.configuration, record.ended_with)  # members of a population may end alike
    return list(found.values())


def grid_cells(request: Request) -> list[GridCell]:
    """In the order in which they run: a label's folds test every image once, then comes the next label, then seed."""
    folds = range(1, request.folds + 1)
    return [(label, fold, seed) for seed in request.cv_seeds for label in request.labels for fold in folds]


def fold_cells(
    configurations: Iterable[Configuration], cells: Iterable[GridCell], n_folds: int, data: str
) -> list[Cell]:
    """Cell by cell, each with every configuration: whoever stops in the middle can compare what is there."""
    chosen = list(configurations)
    return [
        Cell(CV, each | {"seed": seed}, label, fold, n_folds, data) for label, fold, seed in cells for each in chosen
    ]
