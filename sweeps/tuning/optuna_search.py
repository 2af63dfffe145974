"""Optuna's suggestions for Ray Tune, by its ask and tell: none twice, and Optuna learns how trials really ended."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState
from ray.tune.search import Searcher

from sweeps import stopping
from sweeps.space import Configuration, TuneSpace, distinct, distribution, nearest, suggest
from sweeps.store import COMPLETE, FAILED, METRIC, MODE, PRUNED, TrialRecord, TuneConfig, ended_record, trial_name

DRAWS = 1000
STATES = {COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}


class DistinctOptunaSearch(Searcher):
    """Optuna's tree-structured Parzen estimator, which here never repeats a configuration.

    Ray's own OptunaSearch does, and tells a trial that a scheduler stopped as COMPLETE with the value at that moment;
    here it is PRUNED at its epoch. What counts is the trial's commit record; a study is rebuilt from these records at
    every start, so nothing in it can be stale.

    Args:
        space: what to search; its points are not tried by themselves, see `try_first`.
        to_trial: settings -> what Tune hands to the trainable; called once for each new configuration.
        sweep: its folder; optuna.journal there is replaced.
        seed: of the sampler; the number of known trials is added, so that a resumed search does not repeat itself.
        minimize: a second objective, `parameters` or `epoch_s`.
    """

    def __init__(
        self,
        space: TuneSpace,
        to_trial: Callable[[Configuration], TuneConfig],
        *,
        sweep: Path,
        seed: int,
        minimize: str | None = None,
    ) -> None:
        super().__init__(metric=METRIC, mode=MODE)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        for stale in sweep.glob("optuna.journal*"):  # the lock of a killed run too; the sweep is locked by now
            stale.unlink()
        self._searched, self._minimize = space, minimize
        self._domains = space.domains
        self._grid = space.grid([])
        self._to_trial = to_trial
        self._sweep = sweep
        self._trials: dict[str, optuna.Trial] = {}
        self._names: dict[str, str] = {}
        self._epochs: dict[str, int] = {}
        self._seen: set[Configuration] = set()
        self._rng = np.random.RandomState(seed)
        self._distributions = {name: distribution(domain) for name, domain in self._domains.items()}
        options: Any = {"multivariate": True, "group": bool(space.conditions)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group` is, since 2021
            sampler = optuna.samplers.TPESampler(seed=seed, **options)
        self._study = optuna.create_study(
            storage=_storage(sweep),
            sampler=sampler,
            pruner=optuna.pruners.NopPruner(),
            study_name=sweep.name,
            directions=["maximize", "minimize"] if minimize else ["maximize"],
        )

    def add_known(self, settings: Configuration, record: TrialRecord) -> None:
        """Tell the study of a trial that an earlier run completed, stopped early, or saw fail."""
        self._seen.add(settings)
        metrics = record.metrics
        values: dict[str, Any] = {}
        if record.is_complete:
            values = {"values": self._values(record)}
        elif record.status == PRUNED and not self._minimize:
            values = {"value": metrics[METRIC]}
        if metrics and not self._minimize:
            values["intermediate_values"] = {metrics["epoch"]: metrics[METRIC]}
        self._study.add_trial(
            optuna.trial.create_trial(
                state=STATES[record.status],
                params={name: nearest(self._domains[name], value) for name, value in settings.items()},
                distributions={name: self._distributions[name] for name in settings},
                **values,
            )
        )

    def try_first(self, configurations: Iterable[Configuration]) -> None:
        """Queue configurations that are suggested before the sampler's own, unless they are known."""
        for settings in distinct(configurations):
            if settings not in self._seen:
                self._study.enqueue_trial(settings.to_json())

    def suggest(self, trial_id: str) -> Any:
        """A new configuration; FINISHED when a finite space is exhausted or the run is to end."""
        if stopping.reason() or (self._grid is not None and len(self._seen) >= len(self._grid)):
            return Searcher.FINISHED
        with _ends_the_run():
            return self._new(trial_id)
        return Searcher.FINISHED

    def _new(self, trial_id: str) -> Any:
        """`suggest` while there are configurations."""
        for _ in range(10):
            settings = self._suggestion(trial_id)
            if settings not in self._seen and not self._searched.space.refusal(settings):
                break
            self._forget(trial_id)
        else:  # the sampler is certain of its favourite: take an unseen neighbour at random
            unseen = self._unseen()
            if unseen is None:
                return Searcher.FINISHED
            settings = unseen
            self._study.enqueue_trial(settings.to_json())
            settings = self._suggestion(trial_id)
        self._seen.add(settings)
        trial = self._to_trial(settings)
        self._names[trial_id] = trial_name(trial)
        return trial

    def _suggestion(self, trial_id: str) -> Configuration:
        """Optuna's, as values that the axes have."""
        if self._searched.conditions:
            self._trials[trial_id] = trial = self._study.ask()
            return self._define(trial)
        self._trials[trial_id] = trial = self._study.ask(self._distributions)
        return Configuration.of((name, nearest(self._domains[name], value)) for name, value in trial.params.items())

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report an intermediate value at its epoch (Ray counts reports, which restart when a trial is resumed)."""
        if METRIC not in result or self._epochs.get(trial_id, 0) >= result["epoch"]:
            return  # of a trial that goes on, the last epoch once more
        self._epochs[trial_id] = result["epoch"]
        if not self._minimize and not _is_torn():  # Optuna has no intermediate values of several objectives
            with _ends_the_run():
                self._trials[trial_id].report(result[METRIC], result["epoch"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the study how a trial ended: COMPLETE with its values, PRUNED at its epoch, or FAIL.

        A trial that ended with the run (Ctrl-C, time budget) is a FAIL marked `interrupted`; the next run repeats it.
        """
        if _is_torn():
            return
        with _ends_the_run():
            self._tell(trial_id, result, error)

    def _tell(self, trial_id: str, result: dict[str, Any] | None, error: bool) -> None:
        """`on_trial_complete` while the study can be written."""
        finished = bool(result and result.get("finished"))
        trial, record = self._trials[trial_id], ended_record(self._sweep / self._names[trial_id], finished)
        if record is not None and record.is_complete:
            self._study.tell(trial, self._values(record))
        elif error or record is not None or not (trial_id in self._epochs or (result and METRIC in result)):
            self._study.tell(trial, state=TrialState.FAIL)
        elif stopping.reason():
            trial.set_user_attr("interrupted", True)
            self._study.tell(trial, state=TrialState.FAIL)
        else:  # the scheduler did, perhaps while the trial was paused, and then without a result
            self.on_trial_result(trial_id, result or {})
            if not _is_torn():
                self._study.tell(trial, state=TrialState.PRUNED)

    def save(self, checkpoint_path: str) -> None:
        """Leave an empty file: the sweep's records are the state, and Ray insists on a file."""
        Path(checkpoint_path).touch()

    def _values(self, record: TrialRecord) -> list[float]:
        value = record.metrics[METRIC]
        return [value, getattr(record, self._minimize)] if self._minimize else [value]

    def _define(self, trial: optuna.Trial) -> Configuration:
        """Suggest the axes that the ones suggested before let count, those that others depend on first."""
        settings: dict[str, Any] = {}
        waiting = list(self._distributions)
        while waiting:
            depends = {name: set(self._searched.conditions.get(name, {})) & set(waiting) for name in waiting}
            name = next((name for name in waiting if not depends[name]), next(iter(waiting)))
            waiting.remove(name)
            if name in self._searched.space.active({**settings, name: None}):
                settings[name] = nearest(self._domains[name], suggest(trial, name, self._distributions[name]))
        return Configuration.of(settings)

    def _forget(self, trial_id: str) -> None:
        """Take back a suggestion that was made before; Optuna has no other way to ask again."""
        trial = self._trials.pop(trial_id)
        trial.set_user_attr("repeated", True)
        self._study.tell(trial, state=TrialState.FAIL)

    def _unseen(self) -> Configuration | None:
        """At random; None when the space seems to have no further one."""
        if self._grid is not None:
            free = [settings for settings in self._grid if settings not in self._seen]
            return free[self._rng.randint(len(free))] if free else None
        drawn = (self._searched.draw(self._rng) for _ in range(DRAWS))
        refusal = self._searched.space.refusal
        return next((settings for settings in drawn if settings not in self._seen and not refusal(settings)), None)


def close_study(sweep: Path) -> None:
    """Mark trials that a stopped run left RUNNING as FAIL, `interrupted`; nothing in the journal claims to run.

    A journal that cannot be read or written is left as it is: the next run makes another one from the records.
    """
    if not (sweep / "optuna.journal").exists():
        return
    with suppress(Exception):  # a torn line is a ValueError, a missing one a KeyError, ...
        storage = _storage(sweep)
        study = optuna.load_study(study_name=sweep.name, storage=storage)
        study_id = storage.get_study_id_from_name(sweep.name)
        for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            number = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
            storage.set_trial_user_attr(number, "interrupted", True)
            study.tell(trial.number, state=TrialState.FAIL)


@contextmanager
def _ends_the_run() -> Iterator[None]:
    """A full disk ends the run; Tune would turn the exception of a hook into a TuneError."""
    try:
        yield
    except OSError as error:
        stopping.storage_failed(error)


def _is_torn() -> bool:
    """Whether storage failed: the journal may end in the middle of a line, behind which nothing can be written."""
    return stopping.reason() == stopping.STORAGE_FAILED


def _storage(sweep: Path) -> JournalStorage:
    """The sweep's lock keeps others off; Optuna's own is the kind that needs no symbolic links, which shares lack."""
    journal = str(sweep / "optuna.journal")
    return JournalStorage(JournalFileBackend(journal, JournalFileOpenLock(journal)))
