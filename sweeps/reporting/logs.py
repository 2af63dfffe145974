"""Reading a sweep back: event files, trial.json and sweep.json in, one row per trial out.

The numbers come from the event files; trial.json says what should be in them. Where they differ, the record's numbers
are used and the difference is a warning, so that a damaged file never passes for a short training.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sweeps.space import configuration_group, last_settings, swept_axes, whole
from sweeps.store import BASELINES, TrialEvents, read_baselines, read_record, read_sweep, read_trial

INTERRUPTED = "interrupted"
EVENT_FILES = "events.out.tfevents.*"
CURVES = ("train_loss", "val_loss", "val_psnr_db", "val_ssim")
OPTIONAL = ("val_bits_per_dim", "val_kl_nats", "val_active_units", "val_loss_floor")
"""Of VAEs, and of inputs in [-1, 1]."""
NUMBERS = ("best_epoch", "epochs_done", *CURVES, *OPTIONAL)
OPTIONAL_TESTS = ("test_spectrum_db", "test_bits_per_dim", "test_kl_nats", "test_active_units")
TESTS = ("test_loss", "test_psnr_db", "test_ssim", *OPTIONAL_TESTS)
ABOUT = ("parameters", "epoch_s", "seconds", "n_train", "n_test", "threads", "device", "error")
COLUMNS = ["trial", "kind", "status", "label", "fold", "n_folds", "group", *NUMBERS, *TESTS, "seconds", "from_record"]
SPLIT = ("kind", "label", "fold", "n_folds")  # logged beside the hyperparameters


@dataclass
class SweepLogs:
    """Everything a report says, before it is laid out.

    `trials`: one row per trial folder, with `trial, kind, status, label, fold, n_folds, group`, the hyperparameters,
    `NUMBERS` (at the best epoch), `TESTS` (None where there is none), `used_train_loss, used_val_loss` (of the weights
    that met the test set), `from_record` (not from the event file) and `error`. The `OPTIONAL` ones that no trial has
    are no columns.
    """

    asked: dict[str, Any]
    trials: pd.DataFrame
    curves: dict[str, dict[str, dict[int, float]]]
    tests_by_image: dict[str, dict[str, dict[str, float]]]
    axes: list[str]
    """Hyperparameters that the sweep varies."""
    warnings: list[str]
    baselines: dict[str, Any] = field(default_factory=dict)
    """The content of baselines.json; empty without one."""
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Trial -> its trial.json, of those that have one that verifies."""


def is_trial(folder: Path) -> bool:
    """A trial folder has a commit record or event files, and is not hidden."""
    if folder.name.startswith(".") or not folder.is_dir():
        return False
    return (folder / "trial.json").exists() or any(folder.glob(EVENT_FILES))


def read_logs(sweep: Path) -> SweepLogs:
    """Read a sweep; damage becomes warnings."""
    warnings: list[str] = []
    asked = read_sweep(sweep)
    if asked is None:
        warnings.append("sweep.json is missing or unreadable: what was asked is not known, only what was done")
    baselines = read_baselines(sweep)
    if baselines is None and (sweep / BASELINES).exists():
        warnings.append(f"{BASELINES} is damaged or of another version; run the sweep's command again to renew it")
    logs = SweepLogs(asked or {}, pd.DataFrame(), {}, {}, [], warnings, baselines or {})
    rows: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    for folder in sorted(path for path in sweep.iterdir() if is_trial(path)):
        record, events = read_record(folder), read_events(folder)
        if record and (first := seen.setdefault(record["identity"], folder.name)) != folder.name:
            warnings.append(f"{folder.name}: the same trial as {first}, counted once")
            continue
        if record:
            logs.records[folder.name] = record
        rows.append(_row(folder, record, events, warnings))
        logs.curves[folder.name] = {tag: events.scalars[tag] for tag in CURVES if tag in events.scalars}
        if record and isinstance(record.get("test_by_image"), dict):
            logs.tests_by_image[folder.name] = record["test_by_image"]
    trials = pd.DataFrame(rows, columns=None if rows else COLUMNS)
    logs.trials = trials.drop(columns=[name for name in (*OPTIONAL, *OPTIONAL_TESTS) if trials[name].isna().all()])
    logs.axes = _swept(logs)
    return logs


def read_events(folder: Path) -> TrialEvents:
    """A trial's event files; whatever cannot be read is `damaged`, never an exception."""
    try:
        return read_trial(folder)
    except Exception:  # a foreign file under TensorBoard's name can fail in any way; it costs the trial's curves only
        return TrialEvents(damaged=[path.name for path in folder.glob(EVENT_FILES)])


def _row(folder: Path, record: dict[str, Any] | None, events: TrialEvents, warnings: list[str]) -> dict[str, Any]:
    """One row of the table of trials."""
    source = record or events.hparams
    settings = record["config"] if record else {k: whole(v) for k, v in source.items()}
    content = record or {}
    config = {k: v for k, v in settings.items() if k not in SPLIT}
    config |= {name: value for name, value in last_settings(content).items() if name in config}
    row = {
        "trial": folder.name,
        "kind": source.get("kind") or ("cv" if folder.name.startswith("cv-") else "search"),
        "status": record["status"] if record else INTERRUPTED,
        "label": str(source.get("label", "")),
        "fold": int(source.get("fold") or 0),
        "n_folds": int(source.get("n_folds") or 0),
        "group": configuration_group(config),
        **config,
    }
    problem = _problem(record, events)
    if problem:
        used = "its numbers are those of trial.json (†)" if record else "it is listed as interrupted"
        warnings.append(f"{folder.name}: {problem}; {used}")
    numbers = _record_numbers(record, events) if record and problem else _event_numbers(events.scalars, config)
    if record and not problem:  # the same numbers, with the digits that an event file has no room for
        numbers |= {name: test for name in TESTS if (test := mapping(record, "test").get(name[len("test_") :]))}
    about = {key: content.get(key) for key in ABOUT}
    if record is None and (folder / "trial.json").exists():
        about["error"] = "trial.json does not verify; run the sweep's command again to repeat this trial"
    about |= {"used_precision": content.get("precision"), "from_record": bool(record and problem)}
    return {**row, **numbers, **about}


def _problem(record: dict[str, Any] | None, events: TrialEvents) -> str:
    """What is wrong with the event files in the light of the record, or ''."""
    done = len(events.scalars.get("val_loss", {}))
    if events.damaged:
        return f"event file damaged ({', '.join(events.damaged)}), {done} epoch(s) readable"
    if record is None:
        return ""
    metrics = mapping(record, "metrics")
    epochs = int(metrics.get("epoch") or 0)
    if done < epochs:
        return f"the event file has {done} of {epochs} epochs"
    test = mapping(record, "test")
    lost = [f"test/{name}" for name in test if not events.scalars.get(f"test/{name}")]
    if lost:
        return f"the event file lacks {', '.join(lost)}"
    stated = {f"test/{name}": value for name, value in test.items()}
    stated |= {name: metrics[name] for name in CURVES if name in metrics}
    differ = [tag for tag, value in stated.items() if not _same(_last(events.scalars, tag), value)]
    return f"event file and trial.json differ in {', '.join(differ)}" if differ else ""


def _same(logged: float | None, stated: Any) -> bool:
    """Equal as far as an event file's float32 goes."""
    return logged is not None and isinstance(stated, int | float) and bool(np.isclose(logged, stated, 1e-4, 0, True))


def _event_numbers(scalars: dict[str, dict[int, float]], config: dict[str, Any]) -> dict[str, Any]:
    """`NUMBERS` and `TESTS` of a trial by its event file."""
    losses = {epoch: value for epoch, value in scalars.get("val_loss", {}).items() if np.isfinite(value)}
    best = min(losses, key=lambda epoch: (losses[epoch], epoch), default=None)
    last = max(scalars.get("val_loss", {}), default=None)
    used = best if config.get("evaluate", "best") == "best" else last
    at = {tag: scalars.get(tag, {}) for tag in (*CURVES, *OPTIONAL)}
    return {
        "best_epoch": best,
        "epochs_done": len(at["val_loss"]),
        **{tag: series.get(best) if best is not None else None for tag, series in at.items()},
        "used_train_loss": at["train_loss"].get(used) if used is not None else None,
        "used_val_loss": at["val_loss"].get(used) if used is not None else None,
        **{test: _last(scalars, test.replace("_", "/", 1)) for test in TESTS},
    }


def _record_numbers(record: dict[str, Any], events: TrialEvents) -> dict[str, Any]:
    """The same by trial.json; of some it has the last epoch's only, those of an earlier one must be in a file."""
    metrics, test = mapping(record, "metrics"), mapping(record, "test")
    best, last = metrics.get("best_epoch"), metrics.get("epoch", 0)
    partly = {tag: {**events.scalars.get(tag, {}), last: metrics.get(tag)} for tag in ("train_loss", *OPTIONAL)}
    curve = partly["train_loss"]
    evaluated_best = record["config"].get("evaluate", "best") == "best"
    return {
        "best_epoch": best,
        "epochs_done": last,
        **{tag: series.get(best) for tag, series in partly.items()},
        **{name: metrics.get(f"best_{name}") for name in ("val_loss", "val_psnr_db", "val_ssim")},
        "used_train_loss": curve.get(best if evaluated_best else last),
        "used_val_loss": metrics.get("best_val_loss" if evaluated_best else "val_loss"),
        **{name: test.get(name.removeprefix("test_")) for name in TESTS},
    }


def _swept(logs: SweepLogs) -> list[str]:
    """Axes with more than one value by sweep.json; without it, the settings in which the search trials differ."""
    asked, trials, axes = mapping(logs.asked, "axes"), logs.trials, swept_axes(logs.asked)
    if not asked and len(trials):
        columns = list(trials.columns)
        settings = columns[columns.index("group") + 1 : columns.index("best_epoch")]
        search = trials[trials["kind"] == "search"]
        axes = [name for name in settings if name != "seed" and search[name].map(whole).nunique() > 1]
    return [name for name in axes if name in trials.columns]


def mapping(content: dict[str, Any], key: str) -> dict[str, Any]:
    """The dict under a key; empty when an older sweep has none there."""
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def _last(scalars: dict[str, dict[int, float]], tag: str) -> float | None:
    series = scalars.get(tag, {})
    return series[max(series)] if series else None
