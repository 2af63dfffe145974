"""Optuna's suggestions for Ray Tune, without Ray's two untruths: repeated configurations, early stops as COMPLETE."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from sweeps import search
from sweeps.records import COMPLETE


class DistinctOptunaSearch(OptunaSearch):
    """Ray's OptunaSearch that never repeats a configuration and tells Optuna the truth about early stopping.

    Ray's own tells a trial that a scheduler stopped as COMPLETE with the value at that moment; here it is PRUNED at
    its epoch. A study is rebuilt from the sweep's commit records at every start, so nothing in it can be stale.

    Args:
        space: field -> Tune domain or constant.
        to_trial: settings -> what Tune hands to the trainable; called once for each new configuration.
        epochs: a result at this epoch is complete.
        seed: of the sampler; the number of known trials is added, so that a resumed search does not repeat itself.
        journal: Optuna's journal file; replaced.
    """

    def __init__(
        self,
        space: search.Settings,
        to_trial: Callable[[search.Settings], search.Settings],
        *,
        epochs: int,
        seed: int,
        journal: Path,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("ray.tune.search.optuna").setLevel(logging.ERROR)
        journal.unlink(missing_ok=True)
        self._domains = search.domains(space)
        self._grid = search.grid(space, [])
        self._to_trial = to_trial
        self._epochs = epochs
        self._seen: set[tuple[Any, ...]] = set()
        self._rng = np.random.RandomState(seed)
        super().__init__(
            space=self.convert_search_space(self._domains),
            metric=search.METRIC,
            mode=search.MODE,
            sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True),
            study_name=journal.parent.name,
            storage=JournalStorage(JournalFileBackend(str(journal))),
        )

    def add_known(self, settings: search.Settings, record: dict[str, Any]) -> None:
        """Tell the study of a trial that an earlier run completed or stopped early."""
        value, epoch = record["metrics"][search.METRIC], record["metrics"]["epoch"]
        self._seen.add(search.key(settings))
        self._ot_study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.COMPLETE if record["status"] == COMPLETE else TrialState.PRUNED,
                params=settings,
                distributions=self._space,
                value=value,
                intermediate_values={epoch: value},
            )
        )

    def try_first(self, configurations: Iterable[search.Settings]) -> None:
        """Queue configurations that are suggested before the sampler's own, unless they are known."""
        for settings in search.distinct(configurations):
            if search.key(settings) not in self._seen:
                self._ot_study.enqueue_trial(settings)

    def suggest(self, trial_id: str) -> Any:
        """A configuration nobody has had yet; FINISHED when a finite space is exhausted."""
        if self._grid is not None and len(self._seen) >= len(self._grid):
            return Searcher.FINISHED
        for _ in range(10):
            settings = {name: search.plain(value) for name, value in super().suggest(trial_id).items()}
            if search.key(settings) not in self._seen:
                break
            self._forget(trial_id)
        else:  # the sampler is certain of its favourite: take an unseen neighbour at random
            settings = self._unseen()
            self._ot_study.enqueue_trial(settings)
            settings = {name: search.plain(value) for name, value in super().suggest(trial_id).items()}
        self._seen.add(search.key(settings))
        return self._to_trial(settings)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report an intermediate value at its epoch (Ray counts reports, which restart when a trial is resumed)."""
        self._ot_trials[trial_id].report(result[search.METRIC], result["epoch"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the study how a trial ended: COMPLETE at the last epoch, PRUNED before it, FAIL on an error."""
        trial = self._ot_trials[trial_id]
        if error or not result:
            self._ot_study.tell(trial, state=TrialState.FAIL)
        elif result["epoch"] < self._epochs:
            self.on_trial_result(trial_id, result)
            self._ot_study.tell(trial, state=TrialState.PRUNED)
        else:
            self._ot_study.tell(trial, result[search.METRIC])

    def save(self, checkpoint_path: str) -> None:
        """Leave an empty file: the sweep's records are the state, and Ray insists on a file."""
        Path(checkpoint_path).touch()

    def _forget(self, trial_id: str) -> None:
        """Take back a suggestion that was made before; Optuna has no other way to ask again."""
        trial = self._ot_trials.pop(trial_id)
        trial.set_user_attr("repeated", True)
        self._ot_study.tell(trial, state=TrialState.FAIL)

    def _unseen(self) -> search.Settings:
        if self._grid is None:
            return search.draw(self._domains, self._rng)
        free = [settings for settings in self._grid if search.key(settings) not in self._seen]
        return free[self._rng.randint(len(free))]
