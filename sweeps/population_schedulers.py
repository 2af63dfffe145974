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
from ray.tune.schedulers import PopulationBasedTraining, TrialScheduler
from ray.tune.schedulers.pb2 import PB2
from ray.tune.search.sample import Categorical, Domain, Float, LogUniform, Quantized

from sweeps.population import generation_epochs, inherit, set_aside
from sweeps.search import METRIC, MODE, plain
from sweeps.stopping import end_with_the_run

RESAMPLED, FACTORS = 0.25, (0.8, 1.2)  # the defaults of Ray, and of the paper
WIDE = 10.0  # choices that span this factor are compared by their logarithm


def mutate(settings: dict[str, Any], domains: Mapping[str, Domain], rng: np.random.RandomState) -> dict[str, Any]:
    """New values near the old: one in four drawn anew, a range's times 0.8 or 1.2, of choices the next one.

    Args:
        settings: value of every field of `domains`; other fields are left out.
    """
    return {name: _mutated(settings[name], domain, rng) for name, domain in domains.items()}


def into(domain: Domain, value: float) -> Any:
    """The nearest value that a domain has: of its choices, or inside its range and on its grid."""
    if isinstance(domain, Categorical):
        return min(domain.categories, key=lambda choice: abs(_scaled(domain, choice) - _scaled(domain, value)))
    if isinstance(domain.sampler, Quantized):
        value = round(value / domain.sampler.q) * domain.sampler.q  # whose multiples both ends are
    return plain(domain.cast(min(max(value, domain.lower), domain.upper)))


class Generations(PopulationBasedTraining):
    """Synchronous PBT over searcher-made trials that keep their names.

    Args:
        epochs: of every trial; a trial that has done them is not touched any more.
        domains: changeable field -> Tune domain; the fields are keys of the trials' configs.
        seed: of donors and mutations.
        options: of Ray's class, for its constructor.
    """

    def __init__(self, epochs: int, domains: Mapping[str, Domain], seed: int, **options: Any) -> None:
        super().__init__(
            time_attr="epoch",
            metric=METRIC,
            mode=MODE,
            perturbation_interval=generation_epochs(epochs),
            synch=True,
            log_config=False,
            **options,
        )
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
        epoch = int(result[self._time_attr])
        if epoch >= self._epochs or result.get("finished"):
            return TrialScheduler.STOP
        if epoch < self._next_perturbation_sync or epoch % self._perturbation_interval:
            return TrialScheduler.CONTINUE
        self._save_trial_state(self._trial_state[trial], epoch, result, trial)
        others = [other for other in tune_controller.get_trials() if other is not trial]
        if any(other.status == Trial.PENDING or self._is_behind(other) for other in others):
            return TrialScheduler.PAUSE
        self._held.add(trial)
        return TrialScheduler.NOOP

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """A waiting member that is behind; before that, when all have come, who goes on from whom."""
        if end_with_the_run(tune_controller, self._held):
            return None
        alive = [trial for trial in tune_controller.get_trials() if not trial.is_finished()]
        if alive and all(self._has_come(trial) for trial in alive):
            self._replace_the_worst(tune_controller)
            newest = max(self._trial_state[trial].last_train_time for trial in alive)
            self._next_perturbation_sync = (newest // self._perturbation_interval + 1) * self._perturbation_interval
            self._is_over = True
        behind = [trial for trial in alive if self._is_behind(trial)]
        if self._is_over and (not behind or any(trial.status == Trial.PENDING for trial in alive)):
            self._release(tune_controller)
        return min(behind, key=lambda trial: self._trial_state[trial].last_train_time, default=None)

    def _has_come(self, trial: Trial) -> bool:
        """Whether a member has ended this generation and waits, with its checkpoint known."""
        here = self._trial_state[trial].last_train_time >= self._next_perturbation_sync
        return here and (trial.status == Trial.PAUSED or (trial in self._held and not trial.is_saving))

    def _is_behind(self, trial: Trial) -> bool:
        return trial.status == Trial.PAUSED and not self._has_come(trial)

    def _replace_the_worst(self, tune_controller: Any) -> None:
        worst, best = self._quantiles()
        for trial in best:
            self._trial_state[trial].last_checkpoint = trial.checkpoint
        donors = [trial for trial in best if trial.checkpoint is not None]
        for trial in worst:
            donor = donors[self._rng.randint(len(donors))] if donors else trial
            if self._trial_state[donor].last_score <= self._trial_state[trial].last_score:
                continue
            try:
                set_aside(donor.checkpoint, trial.config)
            except OSError:  # the member goes on with its own weights
                continue
            if trial in self._held:
                self._replacements.append((trial, donor))
            else:
                self._exploit(tune_controller, trial, donor)

    def _release(self, tune_controller: Any) -> None:
        """Let those that waited in their processes go on, or give the process to somebody who is pending by now."""
        replaced = {trial for trial, _ in self._replacements}
        for trial, donor in self._replacements:
            self._exploit(tune_controller, trial, donor)
        for trial in sorted(self._held - replaced, key=str):
            # Tune has no public way to continue a trial that was told to do nothing.
            getattr(tune_controller, "_tune_controller", tune_controller)._schedule_trial_train(trial)
        self._held.clear()
        self._replacements.clear()
        self._is_over = False

    def _get_new_config(self, trial: Trial, trial_to_clone: Trial) -> tuple[dict[str, Any], dict[str, str]]:
        """The donor's settings under the member's own name, and what was done to each value (for Ray's log)."""
        values = self._explored(trial, trial_to_clone)
        return inherit(trial.config, trial_to_clone.config, values), {}

    def _explored(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        return mutate(donor.config, self._domains, self._rng)


class Mutations(Generations):
    """PBT: new values by chance."""

    def __init__(self, epochs: int, domains: Mapping[str, Domain], seed: int) -> None:
        super().__init__(epochs, domains, seed, hyperparam_mutations=dict(domains))


class Bandit(Generations, PB2):
    """PB2: new values by a Gaussian process on the gains so far, in logarithms where an axis is logarithmic."""

    def __init__(self, epochs: int, domains: Mapping[str, Domain], seed: int) -> None:
        bounds = {name: [_scaled(d, value) for value in _ends(d)] for name, d in domains.items()}
        super().__init__(epochs, domains, seed, hyperparam_bounds=bounds)

    def _save_trial_state(self, state: Any, time: int, result: dict[str, Any], trial: Trial) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas on Ray's empty table
            return super()._save_trial_state(state, time, result, _Scaled(trial, self._domains))

    def _explored(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        with warnings.catch_warnings(), _numpy_seeded(self._rng):
            warnings.simplefilter("ignore")  # the process's fits on a handful of points do not always converge
            found, _ = PB2._get_new_config(self, _Scaled(trial, self._domains), _Scaled(donor, self._domains))
        values = {name: into(domain, _unscaled(domain, found[name])) for name, domain in self._domains.items()}
        unchanged = all(values[name] == donor.config[name] for name in values)  # too little is known yet
        return super()._explored(trial, donor) if unchanged else values


class _Scaled:
    """A trial to PB2: its name, and its config as the points of the Gaussian process."""

    def __init__(self, trial: Trial, domains: Mapping[str, Domain]) -> None:
        self.name = str(trial)
        self.config = {name: float(_scaled(domain, trial.config[name])) for name, domain in domains.items()}

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


def _mutated(value: Any, domain: Domain, rng: np.random.RandomState) -> Any:
    if rng.uniform() < RESAMPLED:
        return plain(domain.sample(random_state=rng))
    if isinstance(domain, Categorical):
        choices = sorted(domain.categories)
        position = choices.index(into(domain, value)) + rng.choice([-1, 1])
        return choices[int(np.clip(position, 0, len(choices) - 1))]
    return into(domain, value * rng.choice(FACTORS))


def _ends(domain: Domain) -> tuple[float, float]:
    if isinstance(domain, Categorical):
        return min(domain.categories), max(domain.categories)
    return domain.lower, domain.upper


def _is_logarithmic(domain: Domain) -> bool:
    if isinstance(domain, Categorical):
        low, high = _ends(domain)
        return low > 0 and high / low >= WIDE
    sampler = domain.sampler.get_sampler() if isinstance(domain.sampler, Quantized) else domain.sampler
    return isinstance(domain, Float) and isinstance(sampler, LogUniform)


def _scaled(domain: Domain, value: float) -> float:
    return float(np.log10(value)) if _is_logarithmic(domain) else float(value)


def _unscaled(domain: Domain, value: float) -> float:
    return 10**value if _is_logarithmic(domain) else value
