"""Notes about single trials: not bit-comparable, outside the search space, with a schedule, failed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deepdlt.errors import many
from sweeps.reporting.logs import INTERRUPTED, SweepLogs, Trial
from sweeps.space import describe
from sweeps.store import TrialRecord, tally_of

NAMED = 3  # trials named in a remark
PACKAGES = ("python", "torch", "numpy")
OUTSIDE, SCHEDULE, FROM_RECORD = "‡", "§", "†"


@dataclass(frozen=True)
class TrialNotes:
    """Signs after the names of trials, and their meaning."""

    signs: Mapping[str, str] = field(default_factory=dict)
    """Trial outside the search space or with a schedule -> its sign."""
    notes: tuple[str, ...] = ()
    retry: str = ""
    """How to repeat the failed trials, or ''."""

    def name(self, trial: Trial) -> str:
        """With its signs: `s0007-3fa2c1 † ‡`."""
        signs = [trial.name, FROM_RECORD if trial.from_record else "", self.signs.get(trial.name, "")]
        return " ".join(sign for sign in signs if sign)


def trial_notes(logs: SweepLogs, outside: Mapping[str, list[str]]) -> TrialNotes:
    """The notes of a sweep.

    Args:
        outside: of `fields_outside`.
    """
    changing, notes = schedules(logs), []
    signs = dict.fromkeys(outside, OUTSIDE)
    for trial in changing:
        signs[trial] = f"{signs[trial]} {SCHEDULE}" if trial in signs else SCHEDULE
    if outside:
        axes = ", ".join(sorted({name for names in outside.values() for name in names}))
        notes.append(
            f"{OUTSIDE} Outside the current search space ({axes}): {_trials(outside)}; made with an earlier"
            " version of the space, kept, not ranked."
        )
    if changing:
        listed = " | ".join(f"{trial}: {steps}" for trial, steps in list(changing.items())[:NAMED])
        more = f" | and {len(changing) - NAMED} more: see schedule in trial.json" if len(changing) > NAMED else ""
        notes.append(
            f"{SCHEDULE} Population based training changed the settings during training (a schedule); the table shows"
            f" the last ones. {listed}{more}"
        )
    return TrialNotes(signs, tuple(notes), _retry(logs))


def fields_outside(logs: SweepLogs) -> dict[str, list[str]]:
    """Search trial -> fields whose value the current space no longer has; such trials are kept, but not ranked."""
    found = {}
    for trial in logs.trials:
        if trial.record.is_search:
            outside = logs.sweep_file.current_space.off_axis if trial.status == INTERRUPTED else logs.sweep_file.outside
            found[trial.name] = outside(trial.record.config)
    return {trial: fields for trial, fields in found.items() if fields}


def schedules(logs: SweepLogs) -> dict[str, str]:
    """Trial of population based training -> `epoch 1: lr 0.001; epoch 4: lr 0.0012`-like text."""
    return {
        trial.name: "; ".join(
            f"epoch {step.get('epoch', '?')}: {describe(step, (name for name in step if name != 'epoch'))}"
            for step in trial.record.schedule
        )
        for trial in logs.trials
        if trial.record.last_settings
    }


def not_comparable(records: Iterable[TrialRecord]) -> list[str]:
    """One warning per thing in which complete trials differ that changes results in their last digits, or more."""
    made: dict[str, dict[str, list[str]]] = {}
    for record in records:
        for thing, value in (_circumstances(record) if record.is_complete else {}).items():
            made.setdefault(thing, {}).setdefault(value, []).append(record.name)
    warnings = []
    for thing, values in made.items():
        if len(values) > 1:
            ranked = sorted(values.items(), key=lambda item: -len(item[1]))
            listed = "; ".join(f"{value}: {_trials(trials)}" for value, trials in ranked)
            warnings.append(f"not bit-comparable: trials were made with different {thing} ({listed})")
    return warnings


def _retry(logs: SweepLogs) -> str:
    n = sum(tally_of(logs.sweep_file, logs.records).failed)
    command = logs.command_with("--retry-failed")
    return f"{many(n, 'failed trial')}; after you fix the cause, repeat with: {command}" if n else ""


def _circumstances(record: TrialRecord) -> dict[str, str]:
    """What a record says about how it was made: packages, threads, device, code."""
    older: dict[str, Any] = {name: record.versions.get(name) for name in PACKAGES}
    older |= {"threads": record.threads, "device": record.device}
    found = {**(record.environment or older), "code": record.code}
    return {
        f"versions of {name}" if name in PACKAGES else name: str(value)
        for name, value in found.items()
        if value is not None and name != "precision"  # that is a setting of the trial
    }


def _trials(names: Iterable[str]) -> str:
    listed = list(names)
    count = many(len(listed), "trial")
    return count if len(listed) > NAMED else f"{count}, {', '.join(listed)}"
