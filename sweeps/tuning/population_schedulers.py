"""Population based training and its bandit (PB2, Parker-Holder et al. 2020): Ray's, made to fit our trials.

Ray's own, in its synchronous mode, waits for ever for a member that failed or was resumed at another epoch, replaces
members whose training is over already, takes no searcher, and copies the donor's name with its settings. Here all
members meet at the end of every generation; when each of them has come, failed or finished, the worst quarter goes on
with weights of the best quarter.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.schedulers.pb2 import PB2
from ray.tune.search.sample import Domain

from sweeps.space import ends, mutate, nearest_in, scaled, unscaled
from sweeps.tuning.population_members import generation_epochs, inherit, set_aside
from sweeps.tuning.ray_internals import Points, Population, has_died, let_go_on
from sweeps.tuning.run_end import end_with_the_run


class Generations(Population):
    """Synchronous PBT over searcher-made trials that keep their names.

    Args:
        epochs: of every trial; a trial that has done them is not touched any more.
        domains: changeable field -> Tune domain; the fields are keys of the trials' configs.
        seed: of donors and mutations.
        options: of Ray's class, for its constructor.
    """

    def __init__(self, epochs: int, domains: Mapping[str, Domain], seed: int, **options: Any) -> None:
        super().__init__(generation_epochs(epochs), **options)
        self._epochs, self._domains = epochs, dict(domains)
        self._rng = np.random.RandomState(seed)
        self._held: set[Trial] = set()
        self._replacements: list[tuple[Trial, Trial]] = []
        self._is_over = False

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Ray's, which refuses searchers because they learn nothing true here: ours knows that, and only begins."""
        super().on_trial_add(SimpleNamespace(search_alg=None), trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Wait at the end of a generation; be left alone at the end of the training.

        A member waits in its process, unless another one needs that: a new process costs seconds.
        """
        epoch = int(result["epoch"])
        if epoch >= self._epochs or result.get("finished"):
            return TrialScheduler.STOP
        if epoch < self.meeting or epoch % self.generation_epochs:
            return TrialScheduler.CONTINUE
        self.remember(trial, epoch, result)
        others = [other for other in tune_controller.get_trials() if other is not trial]
        if any(other.status == Trial.PENDING or self._is_behind(other) for other in others):
            return TrialScheduler.PAUSE
        self._held.add(trial)
        return TrialScheduler.NOOP

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """A waiting member that is behind; before that, when all have arrived, which member continues from which."""
        if end_with_the_run(tune_controller, self._held):
            return None
        alive = [trial for trial in tune_controller.get_trials() if not trial.is_finished()]
        if alive and all(self._has_come(trial) for trial in alive):
            self._replace_the_worst(tune_controller)
            newest = max(self.state(trial).last_train_time for trial in alive)
            self.meeting = (newest // self.generation_epochs + 1) * self.generation_epochs
            self._is_over = True
        behind = [trial for trial in alive if self._is_behind(trial)]
        is_one_pending = any(trial.status == Trial.PENDING for trial in alive)
        if self._is_over and (is_one_pending or not behind):
            self._release(tune_controller)
        elif is_one_pending:
            self._give_way(tune_controller)
        return min(behind, key=lambda trial: self.state(trial).last_train_time, default=None)

    def _has_come(self, trial: Trial) -> bool:
        """Whether a member has ended this generation and waits, with its checkpoint known."""
        here = self.state(trial).last_train_time >= self.meeting
        return here and (trial.status == Trial.PAUSED or (trial in self._held and not trial.is_saving))

    def _is_behind(self, trial: Trial) -> bool:
        return trial.status == Trial.PAUSED and not self._has_come(trial)

    def _replace_the_worst(self, tune_controller: Any) -> None:
        worst, best = self.quantiles()
        for trial in best:
            self.state(trial).last_checkpoint = trial.checkpoint
        donors = [trial for trial in best if trial.checkpoint is not None]
        for trial in worst:
            donor = donors[self._rng.randint(len(donors))] if donors else trial
            if self.state(donor).last_score <= self.state(trial).last_score:
                continue
            try:
                set_aside(donor.checkpoint, trial.config)
            except OSError:  # the member goes on with its own weights
                continue
            if trial in self._held:
                self._replacements.append((trial, donor))
            else:
                self.exploit(tune_controller, trial, donor)

    def _release(self, tune_controller: Any) -> None:
        """Let members that waited in their processes continue, or give the process to a pending member."""
        replaced = {trial for trial, _ in self._replacements}
        for trial, donor in self._replacements:
            if has_died(trial):
                let_go_on(tune_controller, trial)
            else:
                self.exploit(tune_controller, trial, donor)
        for trial in sorted(self._held - replaced, key=str):
            let_go_on(tune_controller, trial)
        self._held.clear()
        self._replacements.clear()
        self._is_over = False

    def _give_way(self, tune_controller: Any) -> None:
        """Free the processes of waiting members: a member pending in mid-generation has lost its own, perhaps its node.

        They continue from the checkpoint that they reported when they arrived.
        """
        for trial in sorted(self._held, key=str):
            if trial.is_saving:
                continue
            self._held.discard(trial)
            if has_died(trial):
                let_go_on(tune_controller, trial)
            else:
                tune_controller.pause_trial(trial, should_checkpoint=False)

    def new_config(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        """The donor's settings under the member's own name."""
        return inherit(trial.config, donor.config, self._explored(trial, donor))

    def _explored(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        return mutate(donor.config, self._domains, self._rng)


class Mutations(Generations):
    """PBT: new values by chance."""

    def __init__(self, epochs: int, domains: Mapping[str, Domain], seed: int) -> None:
        super().__init__(epochs, domains, seed, hyperparam_mutations=dict(domains))


class Bandit(Generations, Points, PB2):
    """PB2: new values by a Gaussian process on the gains so far, in logarithms where an axis is logarithmic."""

    def __init__(self, epochs: int, domains: Mapping[str, Domain], seed: int) -> None:
        bounds = {name: [scaled(d, value) for value in ends(d)] for name, d in domains.items()}
        super().__init__(epochs, domains, seed, hyperparam_bounds=bounds)

    def point(self, trial: Trial) -> "_Scaled":
        """In logarithms."""
        return _Scaled(trial, self._domains)

    def remember(self, trial: Trial, epoch: int, result: Mapping[str, Any]) -> None:
        """Enter a result as a point of the process."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas on Ray's empty table
            super().remember(trial, epoch, result)

    def _explored(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        with warnings.catch_warnings(), _numpy_seeded(self._rng):
            warnings.simplefilter("ignore")  # the process's fits on a handful of points do not always converge
            found = self.proposed(trial, donor)
        values = {name: nearest_in(domain, unscaled(domain, found[name])) for name, domain in self._domains.items()}
        unchanged = all(values[name] == donor.config[name] for name in values)  # too little is known yet
        return super()._explored(trial, donor) if unchanged else values


class _Scaled:
    """A trial to PB2: its name, and its config as the points of the Gaussian process."""

    def __init__(self, trial: Trial, domains: Mapping[str, Domain]) -> None:
        self.name = str(trial)
        self.config = {name: float(scaled(domain, trial.config[name])) for name, domain in domains.items()}

    def __str__(self) -> str:
        return self.name


@contextmanager
def _numpy_seeded(rng: np.random.RandomState) -> Iterator[None]:
    """PB2 draws from numpy's global generator: its numbers come from ours, and afterwards it is as before."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(rng.randint(2**31))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
