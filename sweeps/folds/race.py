"""The fold race of a sweep, from its trial.json records: eliminated configurations and saved epochs.

Used during the cross-validation and by the report, so that both agree; the rule itself is in race_rule.py.
"""

from collections.abc import Iterable, Mapping, Sequence

from sweeps.folds.race_rule import ALPHA, Race, Stop
from sweeps.space import Configuration
from sweeps.store import GridCell, TrialRecord

METRIC = "psnr_db"
CellValues = Mapping[GridCell, Mapping[str, float]]
"""Finished cell -> image -> test PSNR in dB; a failed cell is an empty mapping."""


def race_outcome(
    records: Iterable[TrialRecord],
    configurations: Sequence[Configuration],
    cells: Sequence[GridCell],
    alpha: float = ALPHA,
    margin: float = 0.0,
) -> dict[Configuration, Stop]:
    """Configuration -> why it needs no further cells, in the order of stopping; cheap enough to ask after every cell.

    Args:
        records: of the sweep, in any order; those of other grids (search, other folds or configurations) stay out.
        configurations: all that race, without seeds. Fewer than two do not race.
        cells: in the order in which they run. Neighbours should differ in fold and label rather than in the seed alone:
            two seeds of one fold are hardly two interim analyses.
        alpha: probability, in (0, 1), of stopping the one that would have won the full grid.
        margin: dB of test PSNR by less than which a winner may be stopped, >= 0.

    Raises:
        ValueError: alpha, margin or cells break the rules of `Race`.
    """
    if len(configurations) < 2 or not cells:
        return {}
    return Race(len(configurations), cells, alpha, margin).stops(grid_values(records, configurations, cells))


def grid_values(
    records: Iterable[TrialRecord], configurations: Iterable[Configuration], cells: Sequence[GridCell]
) -> dict[Configuration, CellValues]:
    """What each configuration reached in its finished cells."""
    n_folds, places = max((cell[1] for cell in cells), default=0), set(cells)
    found: dict[Configuration, dict[GridCell, Mapping[str, float]]] = {each: {} for each in configurations}
    for record in records:
        if not record.is_fold or record.cell.n_folds != n_folds:  # fold 2 of 3 is not fold 2 of 5
            continue
        configuration = record.config.unseeded
        if record.place in places and configuration in found:
            tested = record.test_by_image if record.is_complete else {}
            found[configuration][record.place] = {image: values[METRIC] for image, values in tested.items()}
    return {**found}


def trial_epochs_saved(
    records: Iterable[TrialRecord], stopped: Iterable[Configuration], cells: Sequence[GridCell]
) -> int:
    """Trial-epochs that stopped configurations did not run: their cells without a record, times their epochs.

    Cells that were under way when their configuration was stopped, and ran to their end, are not saved.
    """
    finished = grid_values(records, stopped, cells)
    return sum(int(each.get("epochs", 0)) * (len(cells) - len(values)) for each, values in finished.items())
