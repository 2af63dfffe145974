"""The fold race of a sweep, from its trial.json records: who is stopped, and what that saved.

Used while the grid runs and by the report, so both tell the same; the rule itself is in racing.py.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweeps.folds.race_rule import GridCell, Race, Stop
from sweeps.space import configuration_group
from sweeps.store import COMPLETE

METRIC = "psnr_db"


def race_outcome(
    records: Iterable[Mapping[str, Any]],
    configurations: Sequence[str],
    cells: Iterable[Sequence[Any]],
    alpha: float = 0.05,
    margin: float = 0.0,
) -> dict[str, Stop]:
    """Configuration -> why it needs no further cells, in the order of stopping; cheap enough to ask after every cell.

    Args:
        records: of the sweep, in any order; those of other grids (search, other folds or configurations) stay out.
        configurations: `configuration_group`s of all that race. Fewer than two do not race.
        cells: (label, fold, seed), 1-based folds, in the order in which they run. Neighbours should differ in fold and
            label rather than in the seed alone: two trainings on one fold are hardly two looks.
        alpha: probability, in (0, 1), of stopping the one that would have won the full grid.
        margin: dB of test PSNR by less than which a winner may be stopped, >= 0.

    Raises:
        ValueError: alpha, margin or cells break the rules of `racing.Race`.
    """
    order = _grid(cells)
    if len(configurations) < 2 or not order:
        return {}
    finished = grid_values(records, configurations, order)
    return Race(len(configurations), order, alpha, margin).stops(finished)


def grid_values(
    records: Iterable[Mapping[str, Any]], configurations: Sequence[str], cells: Sequence[GridCell]
) -> dict[str, dict[GridCell, dict[str, float]]]:
    """Configuration -> finished cell -> image -> test PSNR in dB; a failed cell is an empty mapping."""
    wanted = {_normal(name): name for name in configurations}
    n_folds, places = max((cell[1] for cell in cells), default=0), set(cells)
    found: dict[str, dict[GridCell, dict[str, float]]] = {name: {} for name in configurations}
    for record in records:
        if record["kind"] != "cv" or record["n_folds"] != n_folds:  # fold 2 of 3 is not fold 2 of 5
            continue
        config = record["config"]
        cell = (str(record["label"]), int(record["fold"]), int(config.get("seed", 0)))
        name = wanted.get(configuration_group(config)) if cell in places else None
        if name is not None:
            tested = record.get("test_by_image") if record["status"] == COMPLETE else None
            found[name][cell] = {image: values[METRIC] for image, values in (tested or {}).items()}
    return found


def trial_epochs_saved(
    records: Iterable[Mapping[str, Any]], stopped: Iterable[str], cells: Iterable[Sequence[Any]]
) -> int:
    """Trial-epochs that stopped configurations did not run: their cells without a record, times their epochs.

    Cells that were under way when their configuration was stopped, and ran to their end, are not saved.
    """
    order, names = _grid(cells), list(stopped)
    finished = grid_values(records, names, order)
    return sum(int(json.loads(name).get("epochs", 0)) * (len(order) - len(finished[name])) for name in names)


def _grid(cells: Iterable[Sequence[Any]]) -> list[GridCell]:
    return [(str(label), int(fold), int(seed)) for label, fold, seed in cells]


def _normal(group: str) -> str:
    """The same configuration, spelled as `configuration_group` does: 0.0 and 0 are one dropout."""
    return configuration_group(json.loads(group))
