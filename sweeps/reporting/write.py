"""A report's folder, written beside its place and swapped in as a whole."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from sweeps.errors import NotASweep
from sweeps.folds import FoldTable, folds_json
from sweeps.reporting.answers import answers
from sweeps.reporting.baselines import csv_rows
from sweeps.reporting.figures import make_figures
from sweeps.reporting.findings import Findings, find
from sweeps.reporting.logs import read_logs
from sweeps.reporting.marks import outside
from sweeps.reporting.pages import render
from sweeps.reporting.pareto import pareto_content
from sweeps.reporting.standings import standings_content, titles
from sweeps.space import described


def make_report(sweep: Path) -> Path:
    """Write `<sweep>/report/` anew; what was in that folder is replaced as a whole, or kept if this fails.

    Returns:
        The report's folder.

    Raises:
        NotASweep: the folder holds neither sweep.json nor trials.
        OSError: the report cannot be written.
    """
    return Path(write_report(sweep)["report"])


def check_sweep_folder(sweep: Path) -> None:
    """Raise NotASweep, with what to give instead, unless the folder is one of a sweep."""
    hint = "give the folder of a sweep, ray_results/<sweep>"
    if not sweep.exists():
        near = sorted(path.parent.name for path in sweep.parent.glob("*/sweep.json"))
        raise NotASweep(f"no such folder: {sweep}; " + (f"sweeps there: {', '.join(near)}" if near else hint))
    if not sweep.is_dir():
        raise NotASweep(f"{sweep} is a file; {hint}")
    if (sweep / "sweep.json").exists():
        return
    inside = sorted(path.parent.name for path in sweep.glob("*/sweep.json"))
    if inside:
        raise NotASweep(f"{sweep} holds sweeps, it is none; give one of them: {', '.join(inside)}")
    if (sweep / "trial.json").exists():
        raise NotASweep(f"{sweep} is a single trial; give its sweep: {sweep.resolve().parent}")
    if not any(sweep.glob("*/trial.json")) and not any(sweep.glob("*/events.out.tfevents.*")):
        raise NotASweep(f"{sweep} is not a sweep: it has neither sweep.json nor trial folders; {hint}")


def write_report(sweep: Path) -> dict[str, Any]:
    """The same; returns what `--json` prints, missing numbers as None."""
    check_sweep_folder(sweep)
    found = find(read_logs(sweep))
    building = sweep / f".report.{os.getpid()}.tmp"
    shutil.rmtree(building, ignore_errors=True)
    try:
        (building / "figures").mkdir(parents=True)
        figures = make_figures(found, sweep)
        for name, (content, _) in figures.items():
            (building / "figures" / f"{name}.png").write_bytes(content)
        _write_csv(found, building)
        for name, text in render(found, figures, sweep).items():
            (building / name).write_text(text, encoding="utf-8")
        _swap(building, sweep / "report")
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return _summary(found, sweep)


def _swap(new: Path, place: Path) -> None:
    """Put a folder in the place of another; the old one comes back if that fails."""
    old = new.with_suffix(".old")
    if place.is_symlink() or place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)


def _write_csv(found: Findings, folder: Path) -> None:
    trials = found.logs.trials.drop(columns="group")
    places = {trial: place for place, trial in enumerate(found.ranked["trial"], 1)}
    trials.insert(0, "rank", trials["trial"].map(places).astype("Int64"))
    _csv(trials.sort_values(["rank", "trial"]), folder / "trials.csv")
    folds, classes, named = [], [], titles(found)
    for group, tables in found.groups.items():
        about = {"configuration": named[group]}
        folds += [{**about, **row} for table in tables for row in _fold_rows(table)]
        classes += [{**about, **row} for row in found.classes[group]]
    if folds:
        _csv(pd.DataFrame(folds), folder / "cv.csv")
    if places := standings_content(found)["standings"]:
        _csv(pd.DataFrame(places).drop(columns="group"), folder / "leaderboard.csv")
    if classes:
        _csv(pd.DataFrame(classes), folder / "classes.csv")
    if baselines := csv_rows(found.logs):
        _csv(pd.DataFrame(baselines), folder / "baselines.csv")


def _fold_rows(table: FoldTable) -> list[dict[str, Any]]:
    """Of cv.csv: one row per cell, then the mean, its standard deviation and interval; no average of a part."""
    about = {"label": table.label, "n_folds": table.n_folds}
    rows = [{**about, **row} for row in table.rows]
    if not table.complete:
        return [*rows, {**about, "fold": "mean", "state": table.incomplete}]
    parts = {"mean": "mean", "sd": "sd", "low": "95 % low", "high": "95 % high"}
    return rows + [
        {**about, "fold": name, "state": "average"}
        | {column: getattr(average, part) for column, average in table.averages.items()}
        for part, name in parts.items()
    ]


def _csv(table: pd.DataFrame, path: Path) -> None:
    """Save a table so that no spreadsheet takes one of its texts for a formula."""
    safe = table.convert_dtypes().map(_inert).rename(columns=_inert)
    safe.to_csv(path, index=False, lineterminator="\n")


def _inert(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _summary(found: Findings, sweep: Path) -> dict[str, Any]:
    """What `--json` prints; missing numbers are null."""
    best, trade = found.best, pareto_content(found)
    summary: dict[str, Any] = {
        "sweep": str(sweep),
        "report": str(sweep / "report"),
        "protocol": found.logs.asked.get("protocol"),
        "data": found.logs.asked.get("data"),
        "trials": found.counts,
        "answers": {answer.question: f"{answer.headline}. {answer.detail}" for answer in answers(found)},
        "best": None,
        **folds_json(found.folds),
        "pareto": trade["points"] if trade else None,
        "outside_space": outside(found.logs),
        "classes": next(iter(found.classes.values()), []),
        "hardest_images": found.hardest,
        "baselines": csv_rows(found.logs),
        "warnings": found.warnings,
    }
    if best is not None:
        names = [
            "trial",
            *described(found.logs.asked, best, found.logs.axes),
            "best_epoch",
            "val_loss",
            "val_psnr_db",
            "val_ssim",
        ]
        names += ["test_loss", "test_psnr_db", "test_ssim", "parameters"]
        summary["best"] = {name: best[name] for name in names if name in best}
    plain: dict[str, Any] = _plain(summary)
    return plain


def _plain(value: Any) -> Any:
    """numpy's numbers as Python's, and what is not finite as None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
