"""The cross-validated configurations beside each other: who leads, who is tied, stopped or incomplete.

The report and the console both call `fold_findings`.
"""

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sweeps.folds.race import race_outcome, trial_epochs_saved
from sweeps.folds.race_rule import GridCell, Stop
from sweeps.folds.statistics import Standing, interval_over_images, tied_with_best
from sweeps.folds.tables import Average, FoldTable, average_over, finite, fold_tables, grid_rows, image_means
from sweeps.space import configuration_group
from sweeps.store import COMPLETE


@dataclass(frozen=True)
class Place:
    """A configuration whose cells are all complete, on the leaderboard. PSNR in dB, intervals of 95 %."""

    standing: Standing
    """Beside the best, over test images."""
    low: float | None
    """Interval of `standing.mean`: for other images."""
    high: float | None
    over_folds: Average | None
    """Difference to the best over the folds of all labels: for other training images. None for the best itself."""
    parameters: int | None

    @property
    def group(self) -> str:
        """The configuration."""
        return self.standing.config


@dataclass
class FoldFindings:
    """What the cross-validation of a sweep says."""

    tables: dict[str, list[FoldTable]] = field(default_factory=dict)
    """Configuration -> a table per label; the leading configuration first."""
    places: list[Place] = field(default_factory=list)
    """The leaderboard of the complete configurations, best first; empty where there is only one configuration."""
    stops: dict[str, Stop] = field(default_factory=dict)
    """Configurations that the race stopped, in the order of stopping."""
    cells: list[GridCell] = field(default_factory=list)
    """The grid in the order in which it runs; empty when sweep.json does not say."""
    raced: bool = False
    """Two or more configurations ran the grid with `--race`."""
    epochs_saved: int = 0
    """Trial-epochs that the race did not have to run."""
    by_condition: bool = False
    """The units of the leaderboard's tests are process conditions, not images."""

    @property
    def leading(self) -> list[FoldTable]:
        """The tables of the leading configuration; empty without cross-validation."""
        return next(iter(self.tables.values()), [])

    @property
    def tied(self) -> list[Place]:
        """The best and those tied with it."""
        return [place for place in self.places if place.standing.tied]

    @property
    def smallest_tied(self) -> Place | None:
        """The one with the fewest parameters of `tied`; None where it is the best itself, or a number is not known."""
        sizes = [place.parameters for place in self.tied]
        known = [size for size in sizes if size is not None]
        if not known or len(known) < len(sizes) or min(known) >= known[0]:
            return None
        return self.tied[known.index(min(known))]

    @property
    def incomplete(self) -> dict[str, tuple[int, int]]:
        """Configuration -> complete cells and all cells of the grid, of those neither stopped nor complete."""
        grids = {group: asked_tables(tables) for group, tables in self.tables.items() if group not in self.stops}
        left = {g: grid for g, grid in grids.items() if grid and not all(table.complete for table in grid)}
        return {g: (sum(t.n_done for t in grid), sum(len(t.rows) for t in grid)) for g, grid in left.items()}

    @property
    def earlier(self) -> list[str]:
        """Configurations that ran an earlier grid only, of other folds or labels: nothing to compare them by."""
        return [group for group, tables in self.tables.items() if not asked_tables(tables)]


def fold_findings(
    rows: Sequence[Mapping[str, Any]],
    records: Iterable[Mapping[str, Any]],
    asked: Mapping[str, Any],
    first: str | None = None,
) -> FoldFindings:
    """All tables of a sweep's cross-validation.

    Args:
        rows: as of `fold_tables.record_rows`, with `val_psnr_db` where it is known.
        records: trial.json of the same trials, for the race.
        asked: sweep.json.
        first: the search's best configuration, which leads unless a leaderboard says otherwise.
    """
    race, cells = asked.get("race"), _cells(asked)
    order = _configurations(rows, asked, first)
    found = FoldFindings(cells=cells)
    if isinstance(race, Mapping) and len(racers := _asked_groups(asked)) > 1:
        records, found.raced = list(records), True
        found.stops = race_outcome(records, racers, cells, race.get("alpha", 0.05), race.get("margin", 0.0))
        found.epochs_saved = trial_epochs_saved(records, found.stops, cells)
    for group in order:
        stop = found.stops.get(group)
        found.tables[group] = fold_tables(rows, asked, group, set(cells[stop.cells :]) if stop else ())
    clusters = _conditions(asked, rows)
    found.by_condition = clusters is not None
    grids = {g: asked_tables(found.tables[g]) for g in order if g not in found.stops}
    complete = [g for g, grid in grids.items() if grid and all(table.complete for table in grid)]
    if complete and len(order) > 1:
        found.places = _leaderboard(rows, asked, {g: grids[g] for g in complete}, clusters)
    ranked = [place.group for place in found.places] or complete
    rest = sorted((group for group in order if group not in ranked), key=lambda group: group in found.earlier)
    found.tables = {group: found.tables[group] for group in (*ranked, *rest)}
    return found


def asked_tables(tables: Iterable[FoldTable]) -> list[FoldTable]:
    """Those of the grid that was asked for last."""
    return [table for table in tables if table.asked]


def _configurations(rows: Sequence[Mapping[str, Any]], asked: Mapping[str, Any], first: str | None) -> list[str]:
    """Those of the grid that was asked for; then what else has cells in it, by mean validation PSNR."""
    wanted = _asked_groups(asked)
    psnr: dict[str, list[float]] = {}
    for group in dict.fromkeys(str(row["group"]) for row in rows):
        of_grid = grid_rows(rows, asked, group)
        if of_grid and group not in wanted:
            values = [row.get("val_psnr_db") for row in of_grid if row["status"] == COMPLETE]
            psnr[group] = [float(value) for value in values if value is not None and finite(value)]
    others = sorted(psnr, key=lambda g: (g != first, -float(np.mean(psnr[g])) if psnr[g] else np.inf, g))
    begun = {str(row["group"]) for row in rows}
    return [group for group in wanted if group in begun] + others


def _leaderboard(
    rows: Sequence[Mapping[str, Any]],
    asked: Mapping[str, Any],
    tables: Mapping[str, list[FoldTable]],
    clusters: Mapping[str, Hashable] | None,
) -> list[Place]:
    labels = {table.label for grid in tables.values() for table in grid}
    own = {group: [row for row in grid_rows(rows, asked, group) if row["label"] in labels] for group in tables}
    per_image = {group: image_means(own[group]) for group in tables}
    shared = set.intersection(*(set(values) for values in per_image.values()))
    if not shared:
        return []
    places: list[Place] = []
    for standing in tied_with_best(per_image, clusters=clusters):
        group = standing.config
        values = {image: value for image, value in per_image[group].items() if image in shared}
        _, low, high = interval_over_images(values, clusters)
        sizes = {int(row["parameters"]) for row in own[group] if finite(row.get("parameters"))}
        apart = _over_folds(tables[group], tables[places[0].group]) if places else None
        places.append(Place(standing, low, high, apart, sizes.pop() if len(sizes) == 1 else None))
    return places


def _over_folds(one: list[FoldTable], best: list[FoldTable], column: str = "test_psnr_db") -> Average | None:
    """Average of the differences in all folds of all labels; None where the two have not the same folds."""
    pairs = [(a.folds.get(column, []), b.folds.get(column, [])) for a, b in zip(one, best, strict=False)]
    if len(one) != len(best) or not all(len(a) == len(b) > 0 for a, b in pairs):
        return None
    differences = [x - y for a, b in pairs for x, y in zip(a, b, strict=True)]
    return average_over(differences, float(np.mean([table.test_share for table in one])))


def _cells(asked: Mapping[str, Any]) -> list[GridCell]:
    cells = asked.get("cv_cells")
    return [(str(label), int(fold), int(seed)) for label, fold, seed in cells] if isinstance(cells, list) else []


def _asked_groups(asked: Mapping[str, Any]) -> list[str]:
    """The grid's configurations as sweep.json lists them, spelled as those of the rows are."""
    listed = asked.get("cv_configurations")
    return [configuration_group(json.loads(group)) for group in listed] if isinstance(listed, list) else []


def _conditions(asked: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> dict[str, Hashable] | None:
    """Image -> process condition, None unless sweep.json knows that of every tested image."""
    listed = asked.get("conditions_of_images")
    if not isinstance(listed, list):
        return None
    known: dict[str, Hashable] = {str(image): str(condition) for image, condition in enumerate(listed)}
    tested = {str(image) for row in rows for image in row.get("test_by_image") or {}}
    return known if tested <= known.keys() else None
