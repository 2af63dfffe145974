"""The report's pages: figures and the two templates, filled from the findings."""

import base64
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sweeps.reporting.answers import answers, data_line, data_remark, fold_note, how_to_cv, image_name
from sweeps.reporting.baselines import baseline_content, fold_baselines, strongest
from sweeps.reporting.findings import Findings
from sweeps.reporting.formats import code, decimals_of_losses, escape_markdown, formats
from sweeps.reporting.logs import INTERRUPTED, mapping
from sweeps.reporting.marks import mark_content
from sweeps.reporting.pareto import pareto_content
from sweeps.reporting.standings import standings_content, titles
from sweeps.space import describe, show, without_idle
from sweeps.store import FAILED, PRUNED

LEADERS = 10
SEARCH_COLUMNS = (
    ("best_epoch", "Best epoch", "show"),
    ("val_loss", "Val loss", "loss"),
    ("val_loss_floor", "Loss floor", "loss"),
    ("val_psnr_db", "Val PSNR (dB)", "db"),
    ("val_ssim", "Val SSIM", "ssim"),
    ("val_bits_per_dim", "Bits/dim", "ssim"),
    ("val_kl_nats", "KL (nats)", "nats"),
    ("val_active_units", "Active units", "show"),
    ("test_psnr_db", "Test PSNR (dB)", "db"),
    ("parameters", "Parameters", "show"),
)  # of the ranking: column, title, the filter that writes it
FOLD_COLUMNS = (
    ("train_loss", "Train loss", "loss"),
    ("val_loss", "Val loss", "loss"),
    ("test_loss", "Test loss", "loss"),
    ("test_psnr_db", "PSNR (dB)", "db"),
    ("test_ssim", "SSIM", "ssim"),
    ("test_spectrum_db", "Spectrum (dB)", "db"),
)
SEARCH_NOTES = {
    "val_loss_floor": "Loss floor: inputs are in [-1, 1], and outputs in [0, 1] cannot have a lower validation loss.",
    "val_bits_per_dim": "Bits/dim: bits per pixel that the ELBO needs, lower is better. KL: how much the latent vector"
    " says about a crop. Active units: latent numbers that differ from crop to crop. All of validation crops.",
}
FOLD_NOTES = {
    "test_spectrum_db": "Spectrum: distance of the radial power spectra of original and reconstruction, lower is"
    " better.",
    "val_loss_floor": "Floor: outputs in [0, 1] cannot have a lower validation loss.",
}
LISTED = 20  # trials without a result
WARNINGS = 10
ERROR_LENGTH = 300


def render(found: Findings, pictures: dict[str, tuple[bytes, str]], sweep: Path) -> dict[str, str]:
    """The text of report.html (self-contained, no scripts) and report.md (beside figures/).

    Args:
        pictures: name -> (PNG, caption).
    """
    content = _content(found, sweep)
    loader = FileSystemLoader(Path(__file__).parent)
    html = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    markdown = Environment(  # S701: its `finalize` escapes every value instead
        loader=loader,
        autoescape=False,
        finalize=escape_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    typical = abs(float(found.logs.trials["val_loss"].astype(float).median()))  # not a number when there is none
    for environment in (html, markdown):
        environment.filters.update(formats(decimals_of_losses(typical)))
    markdown.filters["code"] = code
    embedded = {name: (base64.b64encode(data).decode(), caption) for name, (data, caption) in pictures.items()}
    return {
        "report.html": html.get_template("report.html.j2").render(content, figures=embedded),
        "report.md": markdown.get_template("report.md.j2").render(content, figures=pictures),
    }


def _content(found: Findings, sweep: Path) -> dict[str, Any]:
    """What both templates show."""
    logs, asked, groups = found.logs, found.logs.asked, _groups(found)
    beside = found.best if len(found.ranked) and found.best["kind"] == "search" else None
    return {
        "name": sweep.resolve().name,
        "asked": asked,
        "data_line": data_line(asked),
        "data_remark": data_remark(mapping(asked, "data")),
        "protocol": asked.get("protocol", "not known"),
        "answers": answers(found),
        "counts": found.counts,
        "warnings": found.warnings[:WARNINGS],
        "interval_note": _interval_note(found),
        "more_warnings": max(0, len(found.warnings) - WARNINGS),
        "axes": logs.axes,
        "leaders": _leaders(found),
        "n_shown": min(LEADERS, len(found.ranked)),
        **mark_content(logs),
        **standings_content(found),
        "pareto": pareto_content(found),
        "search_columns": _columns(SEARCH_COLUMNS, logs.trials),
        "search_notes": [note for column, note in SEARCH_NOTES.items() if column in logs.trials],
        "fold_columns": _columns(FOLD_COLUMNS, logs.trials),
        "fold_table_note": " ".join(note for column, note in FOLD_NOTES.items() if column in logs.trials),
        **baseline_content(logs, beside, groups),
        "labels": list(mapping(asked, "classes")),
        "marked": any(found.logs.trials["from_record"]),
        "n_ranked": len(found.ranked),
        "unfinished": _unfinished(found),
        "groups": groups,
        "fold_note": fold_note(found),
        "how_to_cv": how_to_cv(logs),
        "classes": next(iter(found.classes.values()), []),
        "hardest": [{**row, "name": image_name(row)} for row in found.hardest],
        "made": _how_made(found, sweep),
    }


def _leaders(found: Findings) -> list[dict[str, Any]]:
    """Rows of the ranking with their `place`, then of trials outside the present space, which have none."""
    rows: list[dict[str, Any]] = []
    for table, ranked in ((found.ranked, True), (found.outside, False)):
        for place, row in enumerate(table.head(LEADERS).to_dict("records"), 1):
            rows.append({**without_idle(found.logs.asked, row), "place": place if ranked else None})
    return rows


def _columns(columns: Any, trials: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Those that trials have: older sweeps lack some, and not every sweep has VAEs."""
    return [column for column in columns if column[0] in trials]


def _groups(found: Findings) -> list[dict[str, Any]]:
    """Cross-validated configurations with their tables."""
    groups, named = [], titles(found)
    for group, tables in found.groups.items():
        baselines = {table.label: fold_baselines(found.logs, table) for table in tables}
        linear = {label: strongest(rows) for label, rows in baselines.items()}
        losses = {table.label: table.by_fold("test_loss") for table in tables}
        content = {"tables": tables, "losses": losses, "baselines": baselines, "linear": linear}
        groups.append({"title": named[group], **content})
    return groups


def _interval_note(found: Findings) -> str:
    """What the intervals over folds mean."""
    note = "Intervals: 95 %, for other training images of this kind; wider than folds that shared no training images"
    note += " would make them (Nadeau and Bengio)."
    seeds = max((table.n_seeds for table in found.leading), default=1)
    note += f" The {seeds} trainings of a fold are averaged first." if seeds > 1 else ""
    if any(table.assumed for tables in found.groups.values() for table in tables):
        note += " Trials of this sweep do not say how many images they trained on and tested: their intervals take"
        note += " the widest case, 1 / (folds - 1)."
    return f"{note} A label with a missing or failed cell has no average."


def _unfinished(found: Findings) -> dict[str, Any]:
    """Failed, interrupted and pruned trials, in this order, the first ones listed."""
    trials, axes = found.logs.trials, found.logs.axes
    rows = []
    for status in (FAILED, INTERRUPTED, PRUNED):
        for _, trial in trials[trials["status"] == status].iterrows():
            split = f"{trial['label']} fold {trial['fold']}" if trial["kind"] == "cv" else ""
            what = split or describe(without_idle(found.logs.asked, trial), axes)
            error = _short_error(trial.get("error"))
            rows.append({"trial": trial["trial"], "status": status, "what": what, "epochs": trial["epochs_done"]})
            rows[-1]["error"] = error
    return {"rows": rows[:LISTED], "more": max(0, len(rows) - LISTED)}


def _short_error(error: Any) -> str:
    """The error itself: of a traceback its last line."""
    lines = [line for line in error.strip().splitlines() if line.strip()] if isinstance(error, str) else []
    if not lines:
        return ""
    text = lines[-1].strip() if lines[0].startswith("Traceback") else " ".join(lines)
    return text if len(text) <= ERROR_LENGTH else text[: ERROR_LENGTH - 1] + "…"


def _how_made(found: Findings, sweep: Path) -> dict[str, str]:
    """Name -> value, as far as known."""
    asked, trials = found.logs.asked, found.logs.trials
    names = ("space", "question", "search", "scheduler", "trials", "epochs", "folds", "seed", "git_commit", "created")
    made = {name.replace("_", " "): str(asked[name]) for name in names if asked.get(name) is not None}
    made |= {"versions": ", ".join(f"{k} {v}" for k, v in mapping(asked, "versions").items())}
    made |= {"data fingerprint": str(mapping(asked, "data").get("fingerprint", ""))[:16]}
    for name, column in (("device", "device"), ("precision", "used_precision"), ("threads per trial", "threads")):
        if column in trials:
            made[name] = ", ".join(sorted({show(value) for value in trials[column].dropna()}))
    seconds = trials["seconds"].dropna().astype(float)
    if len(seconds):
        made["time"] = f"{_duration(seconds.sum())} of trials, {_duration(float(seconds.median()))} each (median)"
    made["command"] = str(asked.get("command", ""))
    made["compare trials"] = f"tensorboard --logdir {sweep}"
    return {name: text for name, text in made.items() if text}


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
