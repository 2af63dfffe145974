"""How Tune's trials end with a run that ends early."""

from collections.abc import Collection
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.stopper import Stopper

from sweeps.stopping import reason


class AtNextEpoch(Stopper):
    """Tune's stopper that ends each trial at its next report once there is a reason."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Tune hook."""
        return reason() is not None

    def stop_all(self) -> bool:
        """Never: Tune would not wait for the epochs."""
        return False


class EndsWithTheRun:
    """For schedulers, in front of Tune's among the bases: trials that wait, for a node perhaps, end with the run."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Tune hook, many times a second."""
        if end_with_the_run(tune_controller):
            return None
        tune_s: Any = super()
        return tune_s.choose_trial_to_run(tune_controller)


class InTurn(EndsWithTheRun, FIFOScheduler):
    """Tune's scheduler that stops no trial and lets each begin in its turn."""


def end_with_the_run(tune_controller: Any, held: Collection[Trial] = ()) -> bool:
    """Once something asks for the end of the run, stop the trials that wait; whether something does.

    Those that run end with their epoch; those that wait would each begin another one.

    Args:
        held: trials that Tune takes for running and that wait.
    """
    if not reason():
        return False
    for trial in list(tune_controller.get_trials()):
        if trial.status in (Trial.PENDING, Trial.PAUSED) or (trial in held and not trial.is_saving):
            tune_controller.stop_trial(trial)
    return True
