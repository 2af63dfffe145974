"""What a reader must know about single trials: not bit-comparable, outside the space, a schedule, failed."""

from collections.abc import Iterable, Mapping
from typing import Any

from sweeps.console import with_option
from sweeps.reporting.logs import SweepLogs
from sweeps.space import last_settings, outside_space, show
from sweeps.store import COMPLETE
from sweeps.store import tally as present

NAMED = 3  # trials named in a remark
PACKAGES = ("python", "torch", "numpy")
OUTSIDE, SCHEDULE = "‡", "§"


def not_comparable(logs: SweepLogs) -> list[str]:
    """One warning per thing in which complete trials differ that changes results in their last digits, or more."""
    made: dict[str, dict[str, list[str]]] = {}
    for trial, record in logs.records.items():
        if record["status"] == COMPLETE:
            for thing, value in _circumstances(record).items():
                made.setdefault(thing, {}).setdefault(value, []).append(trial)
    warnings = []
    for thing, values in made.items():
        if len(values) > 1:
            ranked = sorted(values.items(), key=lambda item: -len(item[1]))
            listed = "; ".join(f"{value}: {_trials(trials)}" for value, trials in ranked)
            warnings.append(f"not bit-comparable: trials were made with different {thing} ({listed})")
    return warnings


def outside(logs: SweepLogs) -> dict[str, list[str]]:
    """Search trial -> fields whose value the present space no longer has; such trials are kept, but not ranked."""
    found = {}
    for row in logs.trials[logs.trials["kind"] == "search"].to_dict("records"):
        record = logs.records.get(row["trial"])
        fields = present.outside(logs.asked, record["config"]) if record else outside_space(logs.asked, row)
        if fields:
            found[str(row["trial"])] = fields
    return found


def schedules(logs: SweepLogs) -> dict[str, str]:
    """Trial of population based training -> `epoch 1: lr 0.001; epoch 4: lr 0.0012`-like text."""
    found = {}
    for trial, record in logs.records.items():
        if last_settings(record):
            steps = [
                f"epoch {step.get('epoch', '?')}: "
                + ", ".join(f"{name} {show(value)}" for name, value in step.items() if name != "epoch")
                for step in record["schedule"]
            ]
            found[trial] = "; ".join(steps)
    return found


def mark_content(logs: SweepLogs) -> dict[str, Any]:
    """`marks` (trial -> signs behind its name) and `mark_notes` (what they mean, and what to do about failures)."""
    beyond, changing = outside(logs), schedules(logs)
    marks = dict.fromkeys(beyond, f" {OUTSIDE}")
    for trial in changing:
        marks[trial] = f"{marks.get(trial, '')} {SCHEDULE}"
    notes = []
    if beyond:
        axes = ", ".join(sorted({name for names in beyond.values() for name in names}))
        notes.append(
            f"{OUTSIDE} Outside the present search space ({axes}): {_trials(beyond)}, of an earlier version of it;"
            " kept, not ranked."
        )
    if changing:
        listed = " | ".join(f"{trial}: {steps}" for trial, steps in list(changing.items())[:NAMED])
        more = f" | and {len(changing) - NAMED} more: see schedule in trial.json" if len(changing) > NAMED else ""
        notes.append(
            f"{SCHEDULE} A schedule (population based training): the settings changed during the training, shown are"
            f" the last. {listed}{more}"
        )
    return {"marks": marks, "mark_notes": notes, "retry": retry_words(logs)}


def retry_words(logs: SweepLogs) -> str:
    """How to repeat the failed trials that still count, or ''."""
    n = sum(present.tally_of(logs.asked, logs.records.values()).failed)
    if not n:
        return ""
    command = with_option(str(logs.asked.get("command") or "python sweeps/run.py --space SPACE"), "--retry-failed")
    return f"{n} failed trial{'' if n == 1 else 's'}; once the cause is gone, repeat with: {command}"


def _circumstances(record: Mapping[str, Any]) -> dict[str, str]:
    """What a record says about how it was made: packages, threads, device, code."""
    environment = record.get("environment")
    if not isinstance(environment, dict):  # of an older sweep
        versions = record.get("versions")
        environment = {name: versions.get(name) for name in PACKAGES} if isinstance(versions, dict) else {}
        environment |= {name: record.get(name) for name in ("threads", "device")}
    found = {**environment, "code": record.get("code")}
    return {
        f"versions of {name}" if name in PACKAGES else name: str(value)
        for name, value in found.items()
        if value is not None and name != "precision"  # that is a setting of the trial
    }


def _trials(names: Iterable[str]) -> str:
    listed = list(names)
    count = f"{len(listed)} trial{'' if len(listed) == 1 else 's'}"
    return count if len(listed) > NAMED else f"{count}, {', '.join(listed)}"
