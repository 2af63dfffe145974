"""Early stopping against what other trials reached: ASHA and the median rule, which know earlier runs of the sweep too.

Ray's own begin with nothing at every start. A trial that goes on is then entered at the rung of its last epoch, and
with its next epoch at the rung below: new trials are stopped there by a training many times as long.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from sweeps.store import METRIC, read_trial, trial_name
from sweeps.tuning.ray_internals import RULES, MedianRule
from sweeps.tuning.run_end import EndsWithTheRun

REDUCTION = 3
"""About one trial in this many gets past a rung, and trains to the next one, which is this many times as far."""
TAG = f"best/{METRIC.removeprefix('best_')}"

Known = Mapping[str, Mapping[int, float]]
"""Trial name -> epoch -> METRIC after that epoch."""
NOTHING: Known = {}


def reached(sweep: Path, names: Iterable[str]) -> dict[str, dict[int, float]]:
    """What these trials of a sweep have reached, epoch by epoch, by their event files; finite values alone.

    Args:
        names: of trials that new ones are to be compared with.
    """
    logged = {name: read_trial(sweep / name).scalars.get(TAG, {}) for name in names}
    return {
        name: {epoch: value for epoch, value in values.items() if math.isfinite(value)}
        for name, values in logged.items()
        if values
    }


class Asha(EndsWithTheRun, FIFOScheduler):
    """Asynchronous successive halving (Li et al. 2020) with the cutoffs of Ray's.

    After epochs 1, 3, 9, ... a trial is compared with all that were there before it, of this run or an earlier one, and
    stops below the quantile 2/3 of their values. A trial that was left at such an epoch is compared there when it goes
    on; values of other epochs are never entered.

    Args:
        epochs: of a trial that is not stopped.
        known: what trials of earlier runs reached.
    """

    def __init__(self, epochs: int, known: Known = NOTHING) -> None:
        super().__init__()
        self._epochs = epochs
        milestones = [1]
        while milestones[-1] * REDUCTION < epochs:
            milestones.append(milestones[-1] * REDUCTION)
        self._rungs = {m: {name: _as_logged(of[m]) for name, of in known.items() if m in of} for m in milestones}
        self._compared: dict[str, set[int]] = {}

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop or continue; an epoch that is reported once more, after a retry, changes nothing."""
        if METRIC not in result:
            return TrialScheduler.CONTINUE
        epoch, name, value = int(result["epoch"]), _name(trial), _as_logged(result[METRIC])
        if epoch >= self._epochs:
            return TrialScheduler.STOP
        if name not in self._compared:
            self._compared[name] = set()
            for milestone in [m for m in self._rungs if m > epoch]:  # of a training that was begun again
                self._rungs[milestone].pop(name, None)
        rung = self._rungs.get(epoch)
        if rung is None or epoch in self._compared[name] or not math.isfinite(value):
            return TrialScheduler.CONTINUE
        self._compared[name].add(epoch)
        rung.pop(name, None)
        stops = bool(rung) and value < np.percentile(list(rung.values()), 100 * (1 - 1 / REDUCTION))
        rung[name] = value
        return TrialScheduler.STOP if stops else TrialScheduler.CONTINUE


class Median(EndsWithTheRun, MedianRule):
    """Ray's median stopping rule, for which every epoch counts once, however often it is reported.

    Args:
        known: what trials of earlier runs reached.
    """

    def __init__(self, known: Known = NOTHING) -> None:
        super().__init__(
            **RULES,
            grace_period=1,
            min_samples_required=3,
            min_time_slice=math.inf,  # it shall stop trials and not interrupt them
        )
        for name, values in known.items():
            if values:
                self.results[name] = [_result(epoch, values[epoch]) for epoch in sorted(values)]

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Ray's; what an earlier run knew of the trial is its own from the first report on."""
        if METRIC not in result:
            return TrialScheduler.CONTINUE
        epoch = int(result["epoch"])
        before = self.results.pop(_name(trial), None) or self.results.pop(trial, [])
        self.results[trial] = [known for known in before if known["epoch"] < epoch]
        return super().on_trial_result(tune_controller, trial, _result(epoch, result[METRIC]))

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Nothing: its results are known. Ray enters the last one again, and takes a trial without any for one."""


def _result(epoch: int, value: float) -> dict[str, Any]:
    return {"epoch": epoch, METRIC: _as_logged(value)}


def _as_logged(value: float) -> float:
    """As event files hold it: a resumed sweep decides like one that never stopped, to the last bit."""
    return float(np.float32(value))


def _name(trial: Trial) -> str:
    return trial_name(trial.config)
