"""How much of what was asked is done: edited spaces and other folds leave trials behind that do not count.

`sweeps.planning.tally` asks the request itself; a report that is made again later has nothing but sweep.json.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from sweeps.store.sweep_file import SweepFile
from sweeps.store.trial_record import FAILED, TrialRecord

CV_OPTIONS = ("--cv", "--cv-top", "--cv-seeds", "--folds", "--labels", "--race", "--race-margin")
"""Options of a sweep that ask for a cross-validation: they mean nothing without one."""
Pair = tuple[int, int]
"""Counts of search trials and of fold runs."""


@dataclass(frozen=True)
class Tally:
    """The trials of one request."""

    planned: Pair
    to_run: Pair
    done: Pair
    """Complete, or stopped early by a scheduler."""
    failed: Pair
    """Failed trials, which `--retry-failed` repeats."""
    searched: int
    """Distinct configurations of complete search trials."""
    compared: int
    """How many of the best of these have complete folds."""
    space_size: int | None
    """Configurations; None when there is no end of them."""


def tally_of(sweep: SweepFile, records: Iterable[TrialRecord]) -> Tally:
    """The tally from sweep.json and the records: what is left to run is not known from them, and counts as nothing."""
    records = list(records)
    search = [r for r in records if r.is_search and not sweep.outside(r.config)]
    folds = [r for r in records if r.is_fold and _is_asked(sweep, r)]
    failed = [sum(r.status == FAILED for r in of) for of in (search, folds)]
    every = sweep.current_space.configurations
    return Tally(
        planned=(sweep.trials or len(search), len(folds)),
        to_run=(0, 0),
        done=(len(search) - failed[0], len(folds) - failed[1]),
        failed=(failed[0], failed[1]),
        searched=len({r.configuration for r in search if r.is_complete}),
        compared=len({r.configuration for r in folds if r.is_complete}),
        space_size=None if every is None else len(every),
    )


def _is_asked(sweep: SweepFile, fold: TrialRecord) -> bool:
    """Whether a fold is of the grid that sweep.json asks for, as far as it says; a search alone asks for none."""
    words = {word.partition("=")[0] for word in shlex.split(sweep.command)}
    if sweep.command and sweep.axes and not words & set(CV_OPTIONS):
        return False
    return (
        fold.cell.n_folds == (sweep.folds or fold.cell.n_folds)
        and fold.label in (sweep.labels or [fold.label])
        and (not sweep.cv_seeds or fold.config.seed in sweep.cv_seeds)
        and (sweep.cv_configurations is None or fold.configuration in sweep.cv_configurations)
    )
