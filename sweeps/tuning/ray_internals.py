"""All that this system uses of Ray's private names, under public ones: where a version of Ray moves one, look here.

tests/tuning/test_ray_internals.py has a test for each.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import ray
from ray._private import state, worker
from ray.exceptions import GetTimeoutError, RayActorError
from ray.tune.execution.class_cache import _ActorClassCache
from ray.tune.experiment import Trial
from ray.tune.schedulers import HyperBandScheduler, MedianStoppingRule, PopulationBasedTraining

from sweeps.store import METRIC, MODE

ANSWERS_WITHIN_S = 5.0
RULES: Mapping[str, Any] = {"time_attr": "epoch", "metric": METRIC, "mode": MODE}


class Brackets(HyperBandScheduler):
    """Ray's HyperBand with brackets of given sizes; its methods are what a subclass may use and override.

    Args:
        sizes: number of halvings -> trials, in the order in which brackets are filled; one band of them.
        epochs: of a trial that is not stopped.
        eta: of a rung, one trial in this many goes on, and this many times as far.
    """

    def __init__(self, sizes: Mapping[int, int], epochs: int, eta: int) -> None:
        super().__init__(**RULES, max_t=epochs, reduction_factor=eta, stop_last_trials=False)
        self._halvings = list(sizes)
        self._s_max_1 = len(sizes)
        self._get_n0 = dict(sizes).__getitem__
        self._get_r0 = lambda halvings: epochs // eta**halvings

    def knows(self, trial: Trial) -> bool:
        """Whether a trial is in a bracket."""
        return trial in self._trial_info

    def forget_result(self, trial: Trial) -> None:
        """Let a trial's bracket wait until it reports again."""
        live = self._trial_info[trial][0]._live_trials
        if trial in live:
            live[trial] = None

    def brackets(self) -> Iterator[Any]:
        """All that have trials."""
        return (bracket for band in self._hyperbands for bracket in band if bracket is not None)

    def halve(self, tune_controller: Any, bracket: Any) -> str:
        """Stop the worst of a bracket and let the others continue once all have arrived; the last one's action."""
        action = super()._process_bracket(tune_controller, bracket)
        bracket.is_being_processed = False  # Ray leaves it set, and looks at the bracket never again
        return action

    def _process_bracket(self, tune_controller: Any, bracket: Any) -> str:
        return self.halve(tune_controller, bracket)

    def _create_bracket(self, number: int) -> Any:
        """Ray counts brackets from 0 and takes that for the halvings."""
        return super()._create_bracket(self._halvings[number])


class Population(PopulationBasedTraining):
    """Ray's population based training, synchronous; its methods are what a subclass may use and override."""

    def __init__(self, generation_epochs: int, **options: Any) -> None:
        super().__init__(**RULES, perturbation_interval=generation_epochs, synch=True, log_config=False, **options)
        self.generation_epochs = generation_epochs

    @property
    def meeting(self) -> int:
        """The epoch at which all members meet next."""
        return self._next_perturbation_sync

    @meeting.setter
    def meeting(self, epoch: int) -> None:
        self._next_perturbation_sync = epoch

    def state(self, trial: Trial) -> Any:
        """`last_train_time`, `last_score`, `last_checkpoint`."""
        return self._trial_state[trial]

    def remember(self, trial: Trial, epoch: int, result: Mapping[str, Any]) -> None:
        """Enter a result."""
        self._save_trial_state(self._trial_state[trial], epoch, result, trial)

    def quantiles(self) -> tuple[list[Trial], list[Trial]]:
        """The worst quarter and the best."""
        return self._quantiles()

    def exploit(self, tune_controller: Any, trial: Trial, donor: Trial) -> None:
        """Let a trial continue from the donor's last checkpoint with `new_config`."""
        self._exploit(tune_controller, trial, donor)

    def new_config(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        """The config of a trial that takes over the donor's weights."""
        raise NotImplementedError

    def _get_new_config(self, trial: Trial, trial_to_clone: Trial) -> tuple[dict[str, Any], dict[str, str]]:
        return self.new_config(trial, trial_to_clone), {}  # what was done to each value is for Ray's log


class Points:
    """For PB2, in front of it among the bases: trials are the points of a Gaussian process."""

    def point(self, trial: Trial) -> Any:
        """What PB2 takes for the trial: `config` has numbers alone, `str` is its name."""
        raise NotImplementedError

    def proposed(self, trial: Trial, donor: Trial) -> Mapping[str, float]:
        """The point that PB2 wants next."""
        ray_s: Any = super()
        found, _ = ray_s._get_new_config(self.point(trial), self.point(donor))
        return found

    def _save_trial_state(self, state: Any, time: int, result: Mapping[str, Any], trial: Trial) -> Any:
        ray_s: Any = super()
        return ray_s._save_trial_state(state, time, result, self.point(trial))


class MedianRule(MedianStoppingRule):
    """Ray's median stopping rule, whose results can be known beforehand."""

    @property
    def results(self) -> dict[Any, list[Mapping[str, Any]]]:
        """Trial (or a name, of one that has ended before) -> its results, epoch by epoch."""
        return self._results


def let_go_on(tune_controller: Any, trial: Trial) -> None:
    """Let a trial continue that was told to do nothing; Tune has no public way."""
    getattr(tune_controller, "_tune_controller", tune_controller)._schedule_trial_train(trial)


def has_died(trial: Trial) -> bool:
    """Whether the process of a waiting trial is gone. Tune does not look, and would hand it to another trial, which
    then fails without a retry.
    """
    try:
        ray.get(trial.temporary_state.ray_actor.__ray_ready__.remote(), timeout=ANSWERS_WITHIN_S)
    except RayActorError:
        return True
    except GetTimeoutError:  # busy
        pass
    return False


def session_folder() -> str:
    """Where Ray keeps sockets and logs of this run."""
    return worker.global_worker.node.get_session_dir_path()


def silence_errors() -> None:
    """Ray prints a paragraph on stdout for every worker that dies, log_to_driver or not; progress says it in a line."""
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


def use_started_workers() -> None:
    """Let trials run in workers that are there already. Tune asks for an environment of its own for them, of which
    a local run needs nothing, so that Ray would start each worker a second time.
    """
    _ActorClassCache.get = lambda self, trainable: self._cache.setdefault(trainable, ray.remote(trainable))


def started_workers() -> int:
    """Number of processes that can run tasks and are known to Ray."""
    return len(state.workers())
