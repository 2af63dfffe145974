"""Names of search trials: numbered in the order of their start; one that was begun before keeps its name."""

from collections.abc import Sequence
from pathlib import Path

from sweeps.execution.begun_trials import begun_by_other_code
from sweeps.identity import code_files, digest
from sweeps.store import Cell, TuneConfig, read_records, trial_config
from sweeps.tuning import member


class TrialNames:
    """Hands out what Tune runs for a cell, under the cell's name in this sweep.

    Args:
        axes: swept fields, if trials are members of a population.
        epochs: of a trial.
    """

    def __init__(self, sweep: Path, axes: Sequence[str] = (), epochs: int = 1) -> None:
        self.sweep, self.axes, self.epochs = sweep, list(axes), epochs
        self.known = {identity: record.name for identity, record in read_records(sweep).items()}
        directories = sorted(path.name for path in sweep.glob("s[0-9]*-*"))
        self.begun = {name.rpartition("-")[2]: name for name in directories if name not in self.known.values()}
        self.next = 1 + max((int(name[1:].partition("-")[0]) for name in directories), default=0)

    def trial(self, cell: Cell, number: int | None = None) -> TuneConfig:
        """The trial of a search cell, new or begun.

        Args:
            number: in the name of a new one, where the list that it is from gives it one; else the next.
        """
        name = self.known.get(cell.identity) or self.begun.pop(cell.identity[:6], None)
        if name is None:
            name = cell.name(self.next if number is None else number)
            self.next += number is None
        self.known[cell.identity] = name
        trial = trial_config(cell, name)
        if not self.axes:
            return trial
        directory = self.sweep / name
        anew = begun_by_other_code(directory, digest(code_files()))
        return member(trial, directory, self.axes, self.epochs, anew)
