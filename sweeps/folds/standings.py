"""Comparison of the cross-validated configurations: leading, tied, eliminated or incomplete.

The report and the console both call `fold_findings`.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sweeps.folds.race import race_outcome, trial_epochs_saved
from sweeps.folds.race_rule import Stop
from sweeps.folds.statistics import Standing, interval_over_images, tied_with_best
from sweeps.folds.tables import Average, FoldResult, FoldTable, average_over, finite, fold_tables, image_means, of_grid
from sweeps.space import Configuration
from sweeps.store import GridCell, SweepFile, TrialRecord


@dataclass(frozen=True)
class Place:
    """A configuration whose cells are all complete, on the leaderboard. PSNR in dB, intervals of 95 %."""

    standing: Standing
    """Comparison with the best, over test images."""
    low: float | None
    """Interval of `standing.mean`: for other images."""
    high: float | None
    over_folds: Average | None
    """Difference to the best over the folds of all labels: for other training images. None for the best itself."""
    parameters: int | None

    @property
    def configuration(self) -> Configuration:
        """Without a seed."""
        return self.standing.config


@dataclass
class FoldFindings:
    """Results of the cross-validation of a sweep."""

    tables: dict[Configuration, list[FoldTable]] = field(default_factory=dict)
    """Configuration -> a table per label; the leading configuration first."""
    places: list[Place] = field(default_factory=list)
    """The leaderboard of the complete configurations, best first; empty where there is only one configuration."""
    stops: dict[Configuration, Stop] = field(default_factory=dict)
    """Configurations that the race eliminated, in that order."""
    cells: tuple[GridCell, ...] = ()
    """The grid in the order in which it runs; empty when sweep.json does not say."""
    raced: bool = False
    """`--race` compared two or more configurations."""
    epochs_saved: int = 0
    """Trial-epochs saved by the race."""
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
    def incomplete(self) -> dict[Configuration, tuple[int, int]]:
        """Configuration -> complete cells and all cells of the grid, of those neither stopped nor complete."""
        grids = {group: current_tables(tables) for group, tables in self.tables.items() if group not in self.stops}
        left = {g: grid for g, grid in grids.items() if grid and not all(table.complete for table in grid)}
        return {g: (sum(t.n_done for t in grid), sum(len(t.rows) for t in grid)) for g, grid in left.items()}

    @property
    def earlier(self) -> list[Configuration]:
        """Configurations that ran an earlier grid only, of other folds or labels: nothing to compare them by."""
        return [group for group, tables in self.tables.items() if not current_tables(tables)]


def fold_findings(
    results: Sequence[FoldResult],
    records: Iterable[TrialRecord],
    sweep_file: SweepFile,
    first: Configuration | None = None,
) -> FoldFindings:
    """All tables of a sweep's cross-validation.

    Args:
        results: of the cross-validation trials.
        records: trial.json of the same trials, for the race.
        first: the search's best configuration, which leads unless a leaderboard says otherwise.
    """
    racing, cells = sweep_file.cv_configurations or (), sweep_file.cv_cells or ()
    order = _configurations(results, sweep_file, first)
    found = FoldFindings(cells=cells)
    if sweep_file.race is not None and len(racing) > 1:
        records, found.raced = list(records), True
        found.stops = race_outcome(records, racing, cells, sweep_file.race.alpha, sweep_file.race.margin)
        found.epochs_saved = trial_epochs_saved(records, found.stops, cells)
    for each in order:
        stop = found.stops.get(each)
        found.tables[each] = fold_tables(results, sweep_file, each, set(cells[stop.cells :]) if stop else ())
    clusters = _conditions(sweep_file, results)
    found.by_condition = clusters is not None
    grids = {c: current_tables(found.tables[c]) for c in order if c not in found.stops}
    complete = [c for c, grid in grids.items() if grid and all(table.complete for table in grid)]
    if complete and len(order) > 1:
        found.places = _leaderboard(results, sweep_file, {c: grids[c] for c in complete}, clusters)
    ranked = [place.configuration for place in found.places] or complete
    rest = sorted((c for c in order if c not in ranked), key=lambda c: c in found.earlier)
    found.tables = {c: found.tables[c] for c in (*ranked, *rest)}
    return found


def current_tables(tables: Iterable[FoldTable]) -> list[FoldTable]:
    """Tables of the last requested cross-validation."""
    return [table for table in tables if table.current]


def _configurations(
    results: Sequence[FoldResult], sweep_file: SweepFile, first: Configuration | None
) -> list[Configuration]:
    """The requested configurations; then others with cells in that grid, by mean validation PSNR."""
    wanted, psnr = sweep_file.cv_configurations or (), {}
    begun = dict.fromkeys(result.configuration for result in results)
    for each in begun:
        if each not in wanted and (own := of_grid(results, sweep_file, each)):
            values = [result.numbers.get("val_psnr_db") for result in own if result.is_complete]
            known = [value for value in values if finite(value)]
            psnr[each] = float(np.mean(known)) if known else -np.inf
    others = sorted(psnr, key=lambda c: (c != first, -psnr[c], c))
    return [each for each in wanted if each in begun] + others


def _leaderboard(
    results: Sequence[FoldResult],
    sweep_file: SweepFile,
    tables: Mapping[Configuration, list[FoldTable]],
    clusters: Mapping[str, Hashable] | None,
) -> list[Place]:
    labels = {table.label for grid in tables.values() for table in grid}
    own = {c: [result for result in of_grid(results, sweep_file, c) if result.label in labels] for c in tables}
    per_image = {c: image_means(own[c]) for c in tables}
    shared = set.intersection(*(set(values) for values in per_image.values()))
    if not shared:
        return []
    places: list[Place] = []
    for standing in tied_with_best(per_image, clusters=clusters):
        each = standing.config
        values = {image: value for image, value in per_image[each].items() if image in shared}
        _, low, high = interval_over_images(values, clusters)
        sizes = {result.parameters for result in own[each] if result.parameters is not None}
        apart = _over_folds(tables[each], tables[places[0].configuration]) if places else None
        places.append(Place(standing, low, high, apart, sizes.pop() if len(sizes) == 1 else None))
    return places


def _over_folds(one: list[FoldTable], best: list[FoldTable], column: str = "test_psnr_db") -> Average | None:
    """Average of the differences in all folds of all labels; None where the two have not the same folds."""
    pairs = [(a.folds.get(column, []), b.folds.get(column, [])) for a, b in zip(one, best, strict=False)]
    if len(one) != len(best) or not all(len(a) == len(b) > 0 for a, b in pairs):
        return None
    differences = [x - y for a, b in pairs for x, y in zip(a, b, strict=True)]
    return average_over(differences, float(np.mean([table.test_share for table in one])))


def _conditions(sweep_file: SweepFile, results: Iterable[FoldResult]) -> dict[str, Hashable] | None:
    """Image -> process condition, None unless sweep.json knows that of every tested image."""
    known = {image: sweep_file.condition_of(image) for result in results for image in result.test_by_image}
    if sweep_file.conditions_of_images is None or None in known.values():
        return None
    return {**known}
