"""HyperBand (Li et al. 2018) for a given number of trials: Ray's, with brackets that fill and never wait for ever."""

from collections.abc import Mapping
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from sweeps.tuning.ray_internals import Brackets
from sweeps.tuning.run_end import end_with_the_run

REDUCTION = 3
"""Each rung keeps one trial in this many and trains it this many times as long."""


def brackets(epochs: int, trials: int) -> dict[int, int]:
    """Number of halvings -> trials that go through them, most halvings first.

    The shares are those of the paper; they add up to the trials there are, so that every bracket is full.
    """
    deepest = 0
    while REDUCTION ** (deepest + 1) <= epochs:
        deepest += 1
    shares = {s: (deepest + 1) / (s + 1) * REDUCTION**s for s in range(deepest, -1, -1)}
    exact = {s: share * trials / sum(shares.values()) for s, share in shares.items()}
    sizes = {s: int(n) for s, n in exact.items()}
    for s in sorted(exact, key=lambda s: sizes[s] - exact[s])[: trials - sum(sizes.values())]:
        sizes[s] += 1
    return {s: n for s, n in sizes.items() if n}


class HyperBand(Brackets):
    """Ray's HyperBand for trials that are all there from the start; the last ones of a bracket train to their end.

    Ray's own begins with brackets that stop nobody, and stops the winner of 10 epochs at 9. It no longer looks at a
    bracket after its first halving when one of its trials fails or finishes early, nor when all that are left come from
    an earlier run and are further than the next rung: those that wait then wait for ever.

    Args:
        epochs: of a trial that is not stopped.
        trials: how many there will be; with `max_concurrent_trials` of at least as many all are compared that should.
    """

    def __init__(self, epochs: int, trials: int) -> None:
        super().__init__(brackets(epochs, trials), epochs, REDUCTION)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Ray's; a trial that is retried is in its bracket still."""
        if not self.knows(trial):
            super().on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Ray's, but one that Tune is about to retry keeps its place, and the bracket waits until it reports again.

        Ray's own lets it join another bracket, where it may be alone and win every rung.
        """
        if trial.status != Trial.ERROR:  # Tune sets that first when it retries, last when it gives up
            super().on_trial_error(tune_controller, trial)
            return
        self.forget_result(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: Mapping[str, Any]) -> str:
        """Ray's, but for a trial that is finished: it waits for no other."""
        if result.get("finished"):
            return TrialScheduler.STOP
        return super().on_trial_result(tune_controller, trial, result)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """A trial that waited and may go on; Ray's names one that is starting already, and the others start later."""
        if end_with_the_run(tune_controller):
            return None
        for bracket in self.brackets():
            for trial in bracket.current_trials():
                if trial.status == Trial.PAUSED and trial in bracket.trials_to_unpause:
                    return trial
        return None

    def halve(self, tune_controller: Any, bracket: Any) -> str:
        """Ray's, again and again while all that are left have been trained for the next rung too."""
        while True:
            action = super().halve(tune_controller, bracket)
            left = bracket.current_trials()
            if action == TrialScheduler.STOP or not left or not bracket.cur_iter_done():
                break
            if bracket.continue_trial(left[0]):  # the last rung: to the end
                break
        return action
