"""Progress of running trials, and the records of trials that could not write their own."""

import errno
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback

from deepdlt.terminal import say, unread
from deepdlt.training import EPOCH_METRICS
from sweeps import stopping
from sweeps.board import end_session
from sweeps.execution.watchdog import HANG_FILE
from sweeps.identity import Provenance
from sweeps.planning import span
from sweeps.store import (
    COMPLETE,
    FAILED,
    METRIC,
    PRUNED,
    SEARCH,
    TrialRecord,
    address,
    ended_record,
    trial_cell,
    trial_name,
    write_record,
)

FULL_DISK = 10_000_000  # bytes; a trial's checkpoints and logs need about as many
RETRIES = 3  # of a trial whose process died


class Silence(TrialProgressCallback):
    """In the place of Tune's own, which prints trials that end without a result on stdout, whatever the verbosity."""

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        """Tune hook."""

    def on_trial_complete(self, *args: Any, **info: Any) -> None:
        """Tune hook."""

    def on_trial_error(self, *args: Any, **info: Any) -> None:
        """Tune hook."""


@dataclass(frozen=True)
class Phase:
    """The search trials, or the fold runs."""

    name: str
    """`search` or `folds`."""
    total: int
    """Number of trials, including those of earlier runs."""
    done: int
    """Trials that were done before this run."""
    then: int = 0
    """Fold runs that follow this phase."""


class SweepProgress(tune.Callback):
    """One live line on a terminal, one line per finished trial elsewhere; ends the TensorBoard session of each trial.

    Args:
        sweep: folder of the sweep.
        made_by: for the records that are written here.
        quiet: print nothing but failures.
        best: record of the best complete search trial so far.
    """

    def __init__(
        self, sweep: Path, phase: Phase, made_by: Provenance, *, quiet: bool = False, best: TrialRecord | None = None
    ) -> None:
        # Tune pickles callbacks: no console, lock or file may live here before setup().
        self.sweep, self.phase, self.made_by, self.quiet = sweep, phase, made_by, quiet
        self.counts = {COMPLETE: phase.done, PRUNED: 0, FAILED: 0}
        self.epochs: list[int] = []  # of the trials that finished in this run
        self.running: set[str] = set()
        self.died_at: dict[str, int] = {}  # trial -> epoch
        self.best: tuple[float, str] | None = (float(best.metrics[METRIC]), best.name) if best else None
        self.started = time.monotonic()
        self._live: Any = None

    def setup(self, stop: Any = None, num_samples: Any = None, total_num_samples: Any = None, **info: Any) -> None:
        """Called by Tune in the driver before the first trial."""
        self.started = time.monotonic()
        if sys.stderr.isatty() and not self.quiet:
            from rich.console import Console  # late: most lines need no bar
            from rich.live import Live  # late: most lines need no bar

            console = Console(stderr=True, highlight=False, markup=False, emoji=False)  # texts as they are
            self._live = Live(self.line(), console=console, refresh_per_second=4, transient=True)
            self._live.start()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune hook."""
        self.running.add(trial.trial_id)
        self._show()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Tune hook: an epoch of a trial is done."""
        value = float(result[METRIC])
        if trial_cell(trial.config).kind == SEARCH and (self.best is None or value > self.best[0]):
            self.best = (value, _name(trial))
        self._show()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune hook: a trial ended, by itself or stopped by the scheduler, a Ctrl-C or the time budget."""
        self._guarded(self._complete, trial)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune hook: a trial's process died and gets another one, in which it resumes after its last epoch."""
        epoch = _epoch(trial)
        if epoch > self.died_at.get(trial.trial_id, 0):  # it got on since: nodes that come and go may kill it often
            trial.run_metadata.num_failures = 1
        self.died_at[trial.trial_id] = epoch
        retry = f"retry {trial.num_failures} of {RETRIES} from epoch {epoch}"
        self._say(f"{_name(trial)}: {self._how_died(trial)}; {retry}")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune hook: a trial's process died once too often, or could not write its record."""
        self._guarded(self._error, trial)

    def close(self) -> None:
        """Release the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def line(self) -> str:
        """`search 11/12 · running 1 · pruned 4 · best val_psnr_db 27.31 (s0012) · then 20 fold runs · ETA 9-12 min`.

        The ETA is of all that is left, including the fold runs that follow.
        """
        parts = [f"{self.phase.name} {sum(self.counts.values())}/{self.phase.total}", f"running {len(self.running)}"]
        parts += [f"{name} {self.counts[name]}" for name in (PRUNED, FAILED) if self.counts[name]]
        if self.best:
            parts.append(f"best val_psnr_db {self.best[0]:.2f} ({self.best[1]})")
        parts += [f"then {self.phase.then} fold runs"] if self.phase.then else []
        return " · ".join([*parts, *self._eta()])

    def _eta(self) -> list[str]:
        left = self._left_s()
        return [f"ETA {span(0.8 * left, 1.3 * left)}"] if left else []

    def _left_s(self) -> float | None:
        """At the pace so far, None while there is none: trials end as those did, folds have all epochs."""
        finished, elapsed = sum(self.counts.values()), time.monotonic() - self.started
        new, then = finished - self.phase.done, self.phase.then
        if not new or (then and not any(self.epochs)):
            return None
        left = elapsed / new * max(0, self.phase.total - finished)
        return left + (elapsed / sum(self.epochs) * max(self.epochs) * then if then else 0.0)

    def _guarded(self, hook: Callable[[Any], None], trial: Any) -> None:
        """Tune runs a trial again when a callback of it raises; a full disk must end the run instead."""
        try:
            hook(trial)
        except OSError as error:
            stopping.storage_failed(error)

    def _complete(self, trial: Any) -> None:
        directory, cell = self.sweep / _name(trial), trial_cell(trial.config)
        record = ended_record(directory, bool(trial.last_result and trial.last_result.get("finished")))
        if record is None and stopping.reason():
            self._left(trial)
            return
        if record is None or record.status not in (COMPLETE, FAILED):
            metrics = {name: value for name, value in (trial.last_result or {}).items() if name in EPOCH_METRICS}
            record = write_record(directory, cell, PRUNED, metrics=metrics, **vars(self.made_by))
        self._finish(trial, record)
        self._check_disk(record)

    def _error(self, trial: Any) -> None:
        directory = self.sweep / _name(trial)
        record = ended_record(directory, finished=False)
        if record is None and stopping.reason():
            self._left(trial)
            return
        if record is None and trial.num_failures <= RETRIES:  # Tune retries no trial that had not begun in this process
            self.running.discard(trial.trial_id)
            self._say(f"{_name(trial)}: {self._how_died(trial)} before it began; run the command again to repeat it")
            return
        if record is None:  # the trainable could not say why
            reason = f"{self._how_died(trial)}, {trial.num_failures} times; fewer --max-concurrent may help"
            record = write_record(directory, trial_cell(trial.config), FAILED, error=reason, **vars(self.made_by))
        self._finish(trial, record)
        self._check_disk(record)

    def _how_died(self, trial: Any) -> str:
        hang = self.sweep / _name(trial) / HANG_FILE
        if hang.is_file() and hang.stat().st_size:
            return f"it hung and was stopped (stack trace: {hang})"
        return "its process died (killed, or out of memory)"

    def _check_disk(self, record: TrialRecord) -> None:
        free = shutil.disk_usage(self.sweep).free
        if record.status == FAILED and free < FULL_DISK:  # every further trial would fail the same way
            raise OSError(errno.ENOSPC, f"only {free / 1e6:.0f} MB left", address(self.sweep))

    def _left(self, trial: Any) -> None:
        """A trial that ended with the run: no record, so that the next run resumes it."""
        self.running.discard(trial.trial_id)
        if not self.quiet:
            self._say(f"{_name(trial)} interrupted after epoch {_epoch(trial)}")

    def _finish(self, trial: Any, record: TrialRecord) -> None:
        status = record.status
        end_session(self.sweep / record.name, record)
        self.running.discard(trial.trial_id)
        self.counts[status] += 1
        self.epochs.append(int(record.metrics.get("epoch", 0)))
        self._print(status, record)

    def _print(self, status: str, record: TrialRecord) -> None:
        if self.quiet and status != FAILED:
            return
        if status == FAILED:
            text = f"{record.name} failed: {record.error}"
        else:
            metrics = record.metrics
            seconds = f" in {record.seconds:.0f} s" if record.seconds is not None else ""
            text = f"{record.name} {status}, epoch {metrics['epoch']}{seconds}: val_psnr_db {metrics[METRIC]:.2f}"
        eta = [] if self._live else self._eta()  # else it is in the live line
        self._say(" · ".join([f"[{sum(self.counts.values())}/{self.phase.total}] {text}", *eta]))
        self._show()

    def _say(self, text: str) -> None:
        """A line that stays: above the live line on a terminal."""
        if self._live is None:
            say(text)
        else:
            with unread(sys.stderr):
                self._live.console.print(text, highlight=False, markup=False)

    def _show(self) -> None:
        if self._live is not None:
            self._live.update(self.line())


def _epoch(trial: Any) -> int:
    """The last one that the trial reported in this run."""
    return trial.last_result.get("epoch", 0) if trial.last_result else 0


def _name(trial: Any) -> str:
    return trial_name(trial.config)
