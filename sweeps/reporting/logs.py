"""Reading a sweep back: event files, trial.json and sweep.json in, one `Trial` per folder out.

The numbers come from the event files; trial.json says what should be in them. Where they differ, the record's numbers
are used and the difference is a warning, so that a damaged file never passes for a short training.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sweeps import store
from sweeps.console import with_option
from sweeps.space import Configuration, describe, whole
from sweeps.store import (
    CV,
    EVENT_FILES,
    SEARCH,
    Baselines,
    Cell,
    EventCache,
    SweepFile,
    TrialEvents,
    TrialRecord,
)

INTERRUPTED = "interrupted"
CURVES = ("train_loss", "val_loss", "val_psnr_db", "val_ssim")
OPTIONAL_VALIDATION = ("val_bits_per_dim", "val_kl_nats", "val_active_units", "val_loss_floor")
OPTIONAL_TESTS = ("test_spectrum_db", "test_bits_per_dim", "test_kl_nats", "test_active_units")
OPTIONAL = (*OPTIONAL_VALIDATION, *OPTIONAL_TESTS)
"""Only VAEs, inputs in [-1, 1] or newer sweeps have these: tables leave out those that no trial has."""
TESTS = ("test_loss", "test_psnr_db", "test_ssim", *OPTIONAL_TESTS)
NUMBERS = ("best_epoch", "epochs_done", *CURVES, *OPTIONAL_VALIDATION)
COSTS = ("parameters", "epoch_s", "seconds", "n_train", "n_test", "threads")
SPLIT = ("kind", "label", "fold", "n_folds")  # logged beside the hyperparameters
SOME_COMMAND = "python sweeps/run.py --space SPACE"
Numbers = dict[str, float | None]
Scalars = Mapping[str, Mapping[int, float]]
"""Tag -> epoch -> value."""


@dataclass(frozen=True)
class Trial:
    """Content of a trial's folder."""

    record: TrialRecord
    """Under the folder's name. An interrupted trial has none: this is then what its event file says of it."""
    numbers: Mapping[str, float | None]
    """`NUMBERS` at the best epoch, `used_train_loss` and `used_val_loss` of the tested checkpoint, `TESTS`,
    `COSTS`; None where there is none."""
    curves: Scalars
    from_record: bool
    """The event file is damaged, so the numbers are from trial.json."""

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.record.name

    @property
    def status(self) -> str:
        """`complete`, `pruned`, `failed` or `interrupted`."""
        return self.record.status

    @cached_property
    def config(self) -> Configuration:
        """The hyperparameters, of population based training the last ones."""
        return self.record.ended_with

    @cached_property
    def configuration(self) -> Configuration:
        """Without the seed: what repetitions have in common."""
        return self.config.unseeded

    def number(self, name: str) -> float:
        """One of `numbers`, not a number where it is not known."""
        value = self.numbers.get(name)
        return math.nan if value is None else float(value)


@dataclass
class SweepLogs:
    """A sweep as the report reads it."""

    sweep_file: SweepFile
    trials: list[Trial] = field(default_factory=list)
    """One per folder, in the order of their names."""
    axes: list[str] = field(default_factory=list)
    """Hyperparameters that the sweep varies."""
    warnings: list[str] = field(default_factory=list)
    baselines: Baselines = field(default_factory=Baselines)

    @property
    def records(self) -> list[TrialRecord]:
        """The trial.json of those that have one that verifies."""
        return [trial.record for trial in self.trials if trial.status != INTERRUPTED]

    def has(self, name: str) -> bool:
        """Whether any trial knows this number: older sweeps lack some, and not every sweep has VAEs."""
        return any(not math.isnan(trial.number(name)) for trial in self.trials)

    def describe(self, configuration: Configuration) -> str:
        """The configuration as text, by the axes of the sweep."""
        return describe(configuration, self.sweep_file.current_space.described(configuration, self.axes))

    def command_with(self, option: str) -> str:
        """The sweep's command with one more option."""
        return with_option(self.sweep_file.command or SOME_COMMAND, option)


def settings(trials: Iterable[Trial], name: str) -> set[Any]:
    """The values of a hyperparameter that these trials have."""
    return {trial.config[name] for trial in trials if trial.config.get(name) is not None}


def is_trial(folder: Path) -> bool:
    """A trial folder has a commit record or event files, and is not hidden."""
    if folder.name.startswith(".") or not folder.is_dir():
        return False
    return (folder / "trial.json").exists() or any(folder.glob(EVENT_FILES))


def read_logs(sweep: Path) -> SweepLogs:
    """Read a sweep; damage becomes warnings."""
    sweep_file, baselines = store.read_sweep(sweep), store.read_baselines(sweep)
    logs = SweepLogs(sweep_file or SweepFile(), baselines=baselines or Baselines())
    if sweep_file is None:
        logs.warnings.append("sweep.json is missing or unreadable: the report shows the trials found, not the plan")
    if baselines is None and (sweep / store.BASELINES).exists():
        renew = "run the sweep's command again to renew it"
        logs.warnings.append(f"{store.BASELINES} is damaged or of another version; {renew}")
    seen: dict[str, str] = {}
    cache = EventCache(sweep)
    for folder in sorted(path for path in sweep.iterdir() if is_trial(path)):
        record, events = store.read_record(folder), read_curves(folder, cache)
        if record and (first := seen.setdefault(record.identity, folder.name)) != folder.name:
            logs.warnings.append(f"{folder.name}: same trial as {first}; counted once")
            continue
        logs.trials.append(_trial(folder, record, events, logs.warnings))
    cache.save()
    logs.axes = _swept(logs)
    return logs


def read_curves(folder: Path, cache: EventCache) -> TrialEvents:
    """A trial's event files without pictures; whatever cannot be read is `damaged`, never an exception."""
    return _guarded(cache.read, folder)


def read_events(folder: Path) -> TrialEvents:
    """The same with pictures, always from the files."""
    return _guarded(store.read_trial, folder)


def _guarded(read: Callable[[Path], TrialEvents], folder: Path) -> TrialEvents:
    try:
        return read(folder)
    except Exception:  # a foreign file under TensorBoard's name can fail in any way; it costs the trial's curves only
        return TrialEvents(damaged=[path.name for path in folder.glob(EVENT_FILES)])


def _trial(folder: Path, record: TrialRecord | None, events: TrialEvents, warnings: list[str]) -> Trial:
    problem, scalars = _problem(record, events), events.scalars
    if problem:
        used = "values from trial.json are used (†)" if record else "it is listed as interrupted"
        warnings.append(f"{folder.name}: {problem}; {used}")
    known = replace(record, name=folder.name) if record else _interrupted(folder, events)
    from_record = bool(record and problem)
    numbers = _record_numbers(known, events) if from_record else _event_numbers(scalars, known.config)
    if not from_record:  # the same numbers, with the digits that an event file has no room for
        numbers |= {name: test for name in TESTS if (test := known.test.get(name.removeprefix("test_")))}
    numbers |= {name: getattr(known, name) for name in COSTS}
    return Trial(known, numbers, {tag: scalars[tag] for tag in CURVES if tag in scalars}, from_record)


def _interrupted(folder: Path, events: TrialEvents) -> TrialRecord:
    """A trial without a record, from its event file."""
    logged = events.hparams
    config = Configuration.of((name, whole(value)) for name, value in logged.items() if name not in SPLIT)
    kind = logged.get("kind") or (CV if folder.name.startswith("cv-") else SEARCH)
    fold, n_folds = (int(logged.get(name) or 0) for name in ("fold", "n_folds"))
    cell = Cell(kind, config, str(logged.get("label", "")), fold, n_folds, "")
    unverified = "trial.json does not verify; run the sweep's command again to repeat this trial"
    error = unverified if (folder / "trial.json").exists() else ""
    return TrialRecord(name=folder.name, status=INTERRUPTED, cell=cell, identity="", error=error)


def _problem(record: TrialRecord | None, events: TrialEvents) -> str:
    """How the event files contradict the record, or ''."""
    readable = events.scalars.get("val_loss", {})
    done, epochs = len(readable), int(record.metrics.get("epoch") or 0) if record else max(readable, default=0)
    if events.damaged:
        at_least = "" if record else "at least "
        return f"event file damaged ({', '.join(events.damaged)}): {done} of {at_least}{epochs} epochs are readable"
    if record is None:
        return ""
    if done < epochs:
        return f"the event file has {done} of {epochs} epochs"
    stated = {f"test/{name}": value for name, value in record.test.items()}
    if lost := [tag for tag in stated if not events.scalars.get(tag)]:
        return f"the event file lacks {', '.join(lost)}"
    stated |= {name: record.metrics[name] for name in CURVES if name in record.metrics}
    differ = [tag for tag, value in stated.items() if not _same(_last(events.scalars, tag), value)]
    return f"event file and trial.json differ in {', '.join(differ)}" if differ else ""


def _same(logged: float | None, stated: Any) -> bool:
    """Equal as far as an event file's float32 goes."""
    return logged is not None and isinstance(stated, int | float) and bool(np.isclose(logged, stated, 1e-4, 0, True))


def _event_numbers(scalars: Scalars, config: Configuration) -> Numbers:
    """All numbers but `COSTS` of a trial by its event file."""
    losses = {epoch: value for epoch, value in scalars.get("val_loss", {}).items() if np.isfinite(value)}
    best = min(losses, key=lambda epoch: (losses[epoch], epoch), default=None)
    last = max(scalars.get("val_loss", {}), default=None)
    used = best if config.get("evaluate", "best") == "best" else last

    def at(epoch: int | None, names: Iterable[str]) -> Numbers:
        return {name: None if epoch is None else scalars.get(name, {}).get(epoch) for name in names}

    return {
        "best_epoch": best,
        "epochs_done": len(scalars.get("val_loss", {})),
        **at(best, (*CURVES, *OPTIONAL_VALIDATION)),
        **{f"used_{name}": value for name, value in at(used, ("train_loss", "val_loss")).items()},
        **{test: _last(scalars, test.replace("_", "/", 1)) for test in TESTS},
    }


def _record_numbers(record: TrialRecord, events: TrialEvents) -> Numbers:
    """The same by trial.json; of some it has the last epoch's only, those of an earlier one must be in a file."""
    metrics: Mapping[str, Any] = record.metrics
    best, last = metrics.get("best_epoch"), metrics.get("epoch", 0)
    partly = {
        tag: {**events.scalars.get(tag, {}), last: metrics.get(tag)} for tag in ("train_loss", *OPTIONAL_VALIDATION)
    }
    evaluated_best = record.config.get("evaluate", "best") == "best"
    return {
        "best_epoch": best,
        "epochs_done": last,
        **{tag: series.get(best) for tag, series in partly.items()},
        **{name: metrics.get(f"best_{name}") for name in ("val_loss", "val_psnr_db", "val_ssim")},
        "used_train_loss": partly["train_loss"].get(best if evaluated_best else last),
        "used_val_loss": metrics.get("best_val_loss" if evaluated_best else "val_loss"),
        **{name: record.test.get(name.removeprefix("test_")) for name in TESTS},
    }


def _swept(logs: SweepLogs) -> list[str]:
    """Axes with more than one value by sweep.json; without it, the settings in which the search trials differ."""
    names = dict.fromkeys(name for trial in logs.trials for name in trial.config)
    if logs.sweep_file.axes:
        return [name for name in logs.sweep_file.swept if name in names]
    search = [trial for trial in logs.trials if trial.record.is_search]
    return [name for name in names if name != "seed" and len({*map(whole, settings(search, name))}) > 1]


def _last(scalars: Scalars, tag: str) -> float | None:
    series = scalars.get(tag, {})
    return series[max(series)] if series else None
