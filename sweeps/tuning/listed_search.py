"""Trials that are known beforehand, handed to Tune one by one: a grid, random draws, label x fold cells, fold racing.

A Tune searcher instead of a grid_search of all trials, because it can be asked to end, and knows results as it goes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from sweeps import stopping
from sweeps.folds import ALPHA, race_outcome
from sweeps.space import Configuration
from sweeps.store import (
    FAILED,
    METRIC,
    MODE,
    Cell,
    GridCell,
    TrialRecord,
    TuneConfig,
    ended_record,
    read_records,
    trial_cell,
    trial_name,
)


class ListedSearch(Searcher):
    """Hands out trials in their order until there are no more, or something asks for the end of the run.

    Args:
        trials: what `sweeps.store.trial_config` made.
    """

    def __init__(self, trials: Sequence[TuneConfig]) -> None:
        super().__init__(metric=METRIC, mode=MODE)
        self._waiting = list(trials)

    @property
    def left(self) -> int:
        """Trials that were not handed out."""
        return len(self._waiting)

    def suggest(self, trial_id: str) -> Any:
        """The next trial; FINISHED when there is none."""
        return Searcher.FINISHED if stopping.reason() or not self._waiting else self._waiting.pop(0)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing to learn from a list."""

    def save(self, checkpoint_path: str) -> None:
        """Leave an empty file: the sweep's records are the state, and Ray insists on a file."""
        Path(checkpoint_path).touch()


class RaceSearch(ListedSearch):
    """A label x fold grid cell by cell, in which a configuration gets no further cell once it cannot win any more.

    It never waits: while a cell's last trials run, the next cell is begun. Who is stopped depends only on whole cells
    (see sweeps.folds.race_rule), so what ran ahead changes nothing. Who was stopped by one that fails later races on.

    Args:
        trials: in the order cell by cell; those that are done already left out.
        cells: (label, fold, seed) of the whole grid in this order.
        configurations: that race, without seeds.
        margin: dB of test PSNR.
    """

    def __init__(
        self,
        trials: Sequence[TuneConfig],
        sweep: Path,
        cells: Sequence[GridCell],
        configurations: Sequence[Configuration],
        margin: float,
    ) -> None:
        super().__init__(trials)
        self._left = list(trials)
        self._sweep, self._cells, self._configurations, self._margin = sweep, cells, configurations, margin
        again = set(map(trial_name, trials))
        self._records = [r for r in read_records(sweep).values() if r.name not in again]
        self._running: dict[str, tuple[str, Cell]] = {}
        self._drop_stopped()

    def suggest(self, trial_id: str) -> Any:
        """The next cell of a configuration that is still in the race."""
        found = super().suggest(trial_id)
        if found != Searcher.FINISHED:
            self._left.remove(found)
            self._running[trial_id] = trial_name(found), trial_cell(found)
        return found

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Look at the race again."""
        name, cell = self._running.pop(trial_id)
        try:
            record = ended_record(self._sweep / name, bool(result and result.get("finished")))
        except OSError as problem:  # Tune would make a TuneError of it
            stopping.storage_failed(problem)
            return
        if record is None and error:  # its process died for good; Tune tells us before the record is written
            record = TrialRecord(name=name, status=FAILED, cell=cell, identity=cell.identity)
        if record is not None:
            self._records.append(record)
            self._drop_stopped()

    def _drop_stopped(self) -> None:
        stopped = race_outcome(self._records, self._configurations, self._cells, ALPHA, self._margin)
        self._waiting = [t for t in self._left if trial_cell(t).config.unseeded not in stopped]
