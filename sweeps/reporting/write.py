"""A report's folder, written beside its place and swapped in as a whole."""

import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from sweeps.errors import NotASweep
from sweeps.folds import FoldTable, folds_json
from sweeps.reporting.answers import answers, verdict
from sweeps.reporting.baselines import csv_rows
from sweeps.reporting.figures import make_figures, saved
from sweeps.reporting.findings import Findings, find
from sweeps.reporting.logs import NUMBERS, OPTIONAL, TESTS, Trial, read_logs
from sweeps.reporting.page.html import as_html
from sweeps.reporting.page.markdown import as_markdown
from sweeps.reporting.sections import compose
from sweeps.reporting.standings import standing_rows
from sweeps.store import DataSummary, address

OF_TRIALS = ("trial", "kind", "status", "label", "fold", "n_folds", *NUMBERS, *TESTS, "seconds", "from_record")
"""Columns of trials.csv where there is no trial."""
DIFFERENCES = ("difference", "over_folds")
IN_DB = {
    name: f"{name}_db"
    for name in ("low", "high", *DIFFERENCES, *(f"{d}_{end}" for d in DIFFERENCES for end in ("low", "high")))
}
"""Columns whose names do not say their unit -> their headings in the CSV files."""
Cells = dict[str, Any]
"""Column -> what stands there, of a row of a table or of the summary."""


def make_report(sweep: Path) -> Path:
    """Write `<sweep>/report/` anew; what was in that folder is replaced as a whole, or kept if this fails.

    Returns:
        The report's folder.

    Raises:
        NotASweep: the folder holds neither sweep.json nor trials.
        OSError: the report cannot be written.
    """
    write_report(sweep)
    return sweep / "report"


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
        raise NotASweep(f"{sweep} contains sweeps, but is none itself; choose one: {', '.join(inside)}")
    if (sweep / "trial.json").exists():
        raise NotASweep(f"{sweep} is a single trial; give its sweep: {sweep.resolve().parent}")
    if not any(sweep.glob("*/trial.json")) and not any(sweep.glob("*/events.out.tfevents.*")):
        raise NotASweep(f"{sweep} is not a sweep: it has neither sweep.json nor trial folders; {hint}")


def write_report(sweep: Path) -> Cells:
    """The same; returns what `--json` prints, missing numbers as None."""
    check_sweep_folder(sweep)
    found = find(read_logs(sweep))
    building = sweep / f".report.{os.getpid()}.tmp"
    shutil.rmtree(building, ignore_errors=True)
    try:
        (building / "figures").mkdir(parents=True)
        pictures, drawings = make_figures(found, sweep)
        saved(pictures, drawings, building / "figures")
        _write_csv(found, building)
        report = compose(found, pictures, sweep)
        for name, text in (("report.html", as_html(report)), ("report.md", as_markdown(report))):
            (building / name).write_text(text, encoding="utf-8", errors="backslashreplace")  # paths may be any bytes
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
    _csv(_trials(found), folder / "trials.csv")
    folds, classes = [], []
    for configuration, tables in found.tables.items():
        about = {"configuration": found.titles[configuration]}
        folds += [{**about, **row} for table in tables for row in _fold_rows(table)]
        classes += [{**about, **result.row()} for result in found.classes[configuration]]
    places = [asdict(row) for row in standing_rows(found)]
    tables_of = {"cv": folds, "leaderboard": places, "classes": classes, "baselines": csv_rows(found.logs)}
    for name, rows in tables_of.items():
        if rows:
            _csv(pd.DataFrame(rows).rename(columns=IN_DB), folder / f"{name}.csv")


def _trials(found: Findings) -> pd.DataFrame:
    """All trials, the ranked ones first; without the optional numbers that none has."""
    table = pd.DataFrame(list(map(_trial_row, found.logs.trials)), columns=None if found.logs.trials else OF_TRIALS)
    table = table.drop(columns=[name for name in OPTIONAL if not found.logs.has(name)])
    places = {trial.name: place for place, trial in enumerate(found.ranked, 1)}
    table.insert(0, "rank", table["trial"].map(places).astype("Int64"))
    return table.sort_values(["rank", "trial"])


def _trial_row(trial: Trial) -> Cells:
    record, cell = trial.record, trial.record.cell
    about = {"trial": trial.name, "kind": cell.kind, "status": trial.status}
    split = {"label": cell.label, "fold": cell.fold, "n_folds": cell.n_folds}
    made = {"device": record.device, "error": record.error or None, "used_precision": record.precision}
    return {**about, **split, **trial.config, **trial.numbers, **made, "from_record": trial.from_record}


def _fold_rows(table: FoldTable) -> list[Cells]:
    """Rows of cv.csv: one row per cell, then the mean, its SD and interval; no average of a part."""
    about = {"label": table.label, "n_folds": table.n_folds}
    rows: list[Cells] = []
    for row in table.rows:
        cell = {"fold": row.fold, "seed": row.seed, "state": row.state, "trial": row.trial}
        sizes = {"n_train": row.result.n_train, "n_test": row.result.n_test} if row.result else {}
        numbers = {name: value for name, value in row.numbers.items() if name != "val_psnr_db"}
        rows.append({**about, **cell, "from_record": row.from_record, **sizes, **numbers})
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
    safe.to_csv(path, index=False, lineterminator="\n", errors="backslashreplace")


def _inert(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _summary(found: Findings, sweep: Path) -> Cells:
    """What `--json` prints; missing numbers are null."""
    logs, trade, data = found.logs, found.trade_off, found.logs.sweep_file.data
    known = {name: value for name, value in vars(data).items() if value not in (None, "", ())}
    summary: Cells = {
        "sweep": address(sweep),
        "report": address(sweep / "report"),
        "protocol": logs.sweep_file.protocol or None,
        "data": None if data == DataSummary() else known,
        "trials": found.counts,
        "verdict": asdict(verdict(found)),
        "answers": {answer.question: f"{answer.headline}. {answer.detail}" for answer in answers(found)},
        "best": _best(found.best, found) if found.best else None,
        **folds_json(found.folds),
        "pareto": [asdict(point) for point in trade.points] if trade else None,
        "outside_space": found.fields_outside,
        "classes": [result.row() for result in next(iter(found.classes.values()), [])],
        "hardest_images": [asdict(result) for result in found.hardest],
        "baselines": csv_rows(logs),
        "warnings": found.warnings,
    }
    plain: Cells = _plain(summary)
    return plain


def _best(best: Trial, found: Findings) -> Cells:
    """Its settings and numbers."""
    logs, numbers = found.logs, ("best_epoch", "val_loss", "val_psnr_db", "val_ssim", *TESTS[:3], "parameters")
    settings = best.config.only(logs.sweep_file.current_space.described(best.config, logs.axes))
    return {"trial": best.name, **settings, **{name: best.numbers.get(name) for name in numbers}}


def _plain(value: Any) -> Any:
    """numpy's numbers as Python's, and what is not finite as None."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
