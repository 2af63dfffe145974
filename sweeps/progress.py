"""What a person sees while trials run, and the records of trials that could not write their own."""

import errno
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from ray import tune

from deepdlt.training import EPOCH_METRICS
from sweeps.records import COMPLETE, FAILED, PRUNED, read_record, write_record
from sweeps.search import METRIC
from sweeps.tensorboard_logs import TrialLog
from sweeps.trainable import trial_cell

FULL_DISK = 10_000_000  # bytes; a trial's checkpoints and logs need about as many


class SweepProgress(tune.Callback):
    """One live line on a terminal, one line per finished trial elsewhere; ends the TensorBoard session of each trial.

    Args:
        sweep: folder of the sweep.
        total: trials of this phase, those done in earlier runs included.
        done: of these, how many were done before.
        quiet: print nothing but failures.
    """

    def __init__(self, sweep: Path, total: int, done: int, quiet: bool = False) -> None:
        # Tune pickles callbacks: no console, lock or file may live here before setup().
        self.sweep, self.total, self.quiet = sweep, total, quiet
        self.counts = {COMPLETE: done, PRUNED: 0, FAILED: 0}
        self.before = done
        self.running: set[str] = set()
        self.best: tuple[float, str] | None = None
        self.started = time.monotonic()
        self._live: Any = None

    def setup(self, stop: Any = None, num_samples: Any = None, total_num_samples: Any = None, **info: Any) -> None:
        """Called by Tune in the driver before the first trial."""
        self.started = time.monotonic()
        if sys.stderr.isatty() and not self.quiet:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(self.line(), console=Console(stderr=True), refresh_per_second=4, transient=True)
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
        if trial_cell(trial.config).kind == "search" and (self.best is None or value > self.best[0]):
            self.best = (value, _name(trial))
        self._show()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune hook: a trial ended, by itself or stopped by the scheduler."""
        directory, cell = self.sweep / _name(trial), trial_cell(trial.config)
        record = read_record(directory)
        if record is None or record["status"] != COMPLETE:
            metrics = {name: value for name, value in trial.last_result.items() if name in EPOCH_METRICS}
            record = write_record(directory, cell, PRUNED, metrics=metrics)
        self._finish(trial, record)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune hook: a trial raised or its process died."""
        directory = self.sweep / _name(trial)
        record = read_record(directory)
        if record is None:  # the trainable could not say why
            reason = "its process died (killed, or out of memory); fewer --max-concurrent may help"
            record = write_record(directory, trial_cell(trial.config), FAILED, error=reason)
        self._finish(trial, record)
        free = shutil.disk_usage(self.sweep).free
        if record["status"] == FAILED and free < FULL_DISK:  # every further trial would fail the same way
            raise OSError(errno.ENOSPC, f"only {free / 1e6:.0f} MB left", str(self.sweep))

    def close(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def line(self) -> str:
        """`trials 37/92 · running 2 · pruned 4 · failed 1 · best val_psnr_db 27.31 (s0012-3fa2c1) · ETA 12-16 min`."""
        finished = sum(self.counts.values())
        parts = [f"trials {finished}/{self.total}", f"running {len(self.running)}"]
        parts += [f"{name} {self.counts[name]}" for name in (PRUNED, FAILED) if self.counts[name]]
        if self.best:
            parts.append(f"best val_psnr_db {self.best[0]:.2f} ({self.best[1]})")
        new = finished - self.before
        if new and finished < self.total:
            left = (time.monotonic() - self.started) / new * (self.total - finished)
            parts.append(f"ETA {_span(0.8 * left, 1.3 * left)}")
        return " · ".join(parts)

    def _finish(self, trial: Any, record: dict[str, Any]) -> None:
        status = record["status"]
        with TrialLog(self.sweep / record["name"]) as log:
            log.session_end(status)
        self.running.discard(trial.trial_id)
        self.counts[status] += 1
        self._print(status, record)

    def _print(self, status: str, record: dict[str, Any]) -> None:
        if self.quiet and status != FAILED:
            return
        if status == FAILED:
            text = f"{record['name']} failed: {record['error']}"
        else:
            metrics = record["metrics"]
            seconds = f" in {record['seconds']:.0f} s" if "seconds" in record else ""
            text = f"{record['name']} {status}, epoch {metrics['epoch']}{seconds}: val_psnr_db {metrics[METRIC]:.2f}"
        if self._live is None:
            print(f"[{sum(self.counts.values())}/{self.total}] {text}", file=sys.stderr, flush=True)
        else:
            self._live.console.print(text, highlight=False, markup=False)
        self._show()

    def _show(self) -> None:
        if self._live is not None:
            self._live.update(self.line())


def _name(trial: Any) -> str:
    return trial.config["trial"]["name"]


def _span(low: float, high: float) -> str:
    """`40-65 s` or `12-16 min`."""
    return f"{low:.0f}-{high:.0f} s" if high < 90 else f"{low / 60:.0f}-{high / 60:.0f} min"
