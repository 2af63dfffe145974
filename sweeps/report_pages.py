"""The report's pages: figures and the two templates, filled from the findings."""

import base64
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from deepdlt import figures
from sweeps.records import COMPLETE, FAILED, PRUNED
from sweeps.report_answers import Findings, answers, data_line, data_remark, fold_note, how_to_cv, image_name
from sweeps.report_baselines import baseline_content, fold_baselines, strongest
from sweeps.report_logs import INTERRUPTED, mapping, read_events
from sweeps.report_tables import describe, described, show

HIGHLIGHTS = 3  # trials coloured among the training curves
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


class Verbatim(str):
    """Markdown that is written as it is."""


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
        finalize=_escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"db": _number(2), "ssim": _number(3), "nats": _number(1), "loss": _number(_loss_decimals(found))}
    filters["show"] = _show
    filters["number"] = lambda value, style: filters[style](value)
    for environment in (html, markdown):
        environment.filters.update(filters)
    markdown.filters["code"] = lambda text: Verbatim(f"`{' '.join(re.sub('[`|]', '', str(text)).split())}`")
    embedded = {name: (base64.b64encode(data).decode(), caption) for name, (data, caption) in pictures.items()}
    return {
        "report.html": html.get_template("report.html.j2").render(content, figures=embedded),
        "report.md": markdown.get_template("report.md.j2").render(content, figures=pictures),
    }


def make_figures(found: Findings, sweep: Path) -> dict[str, tuple[bytes, str]]:
    """Name -> (PNG, caption) of every figure that the logs allow."""
    logs, made = found.logs, {}
    rows: Any = next(iter(found.classes.values()), [])
    if rows and found.average is not None:
        caption = "Test PSNR of each class; the dotted line is the mean over all tested images."
        made["class_errors"] = figures.class_errors(rows, found.average), caption
    kind = "search" if len(found.ranked) else "cv"
    shown = logs.trials.loc[logs.trials["kind"] == kind, "trial"]
    curves = {trial: logs.curves[trial] for trial in shown if logs.curves.get(trial)}
    if curves:
        caption = f"Training of every {'search trial' if kind == 'search' else 'fold'}; training losses are dashed."
        made["training_curves"] = figures.training_curves(curves, _highlight(found)), caption
    for part, name in (("val", "validation"), ("test", "test")):
        pairs = _pairs(found, sweep, f"reconstruction/{part}")
        if pairs:
            caption = f"Reconstructed {name} crops, trial {found.best['trial']}: original above, reconstruction below."
            made[f"reconstruction_{part}"] = figures.reconstruction_pairs(pairs), caption
    if logs.axes and len(found.ranked) > 1:
        caption = f"Effect of each setting on the {len(found.ranked)} complete search trials; the bars are medians."
        effects: Any = found.ranked.to_dict("records")
        made["axis_effects"] = figures.axis_effects(effects, logs.axes), caption
    return {name: (figures.png(figure), caption) for name, (figure, caption) in made.items()}


def _highlight(found: Findings) -> dict[str, str]:
    """Trials to colour and their names: the first of the search, or the best and the worst fold."""
    if len(found.ranked):
        trials = found.ranked["trial"].head(HIGHLIGHTS)
        return {trial: f"{place}. {trial}" for place, trial in enumerate(trials, 1)}
    folds = found.logs.trials
    done = folds[folds["status"] == COMPLETE].sort_values("val_psnr_db", ascending=False)["trial"].tolist()
    if len(done) < 2:
        return {trial: trial for trial in done}
    return {done[0]: f"best fold ({done[0]})", done[-1]: f"worst fold ({done[-1]})"}


def _pairs(found: Findings, sweep: Path, tag: str) -> list[tuple[Any, Any]]:
    """Originals and reconstructions, each (size, size) in [0, 1], of the best trial's logged picture."""
    if found.best is None:
        return []
    picture = read_events(sweep / found.best["trial"]).images.get(tag)
    if picture is None:
        return []
    try:
        with Image.open(io.BytesIO(picture), formats=("PNG",)) as image:
            pixels = np.asarray(image.convert("L"), dtype=np.float64) / 255
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        found.logs.warnings.append(f"{found.best['trial']}: the picture {tag} is not readable")
        return []
    size = len(pixels) // 2
    columns = range(0, pixels.shape[1] - size + 1, size) if size else ()
    return [(pixels[:size, x : x + size], pixels[size : 2 * size, x : x + size]) for x in columns]


def _content(found: Findings, sweep: Path) -> dict[str, Any]:
    """What both templates show."""
    logs, asked, groups = found.logs, found.logs.asked, _groups(found)
    return {
        "name": sweep.resolve().name,
        "asked": asked,
        "data_line": data_line(asked),
        "data_remark": data_remark(mapping(asked, "data")),
        "protocol": asked.get("protocol", "not known"),
        "answers": answers(found),
        "counts": found.counts,
        "warnings": logs.warnings[:WARNINGS],
        "more_warnings": max(0, len(logs.warnings) - WARNINGS),
        "axes": logs.axes,
        "leaders": found.ranked.head(LEADERS).to_dict("records"),
        "search_columns": _columns(SEARCH_COLUMNS, logs.trials),
        "search_notes": [note for column, note in SEARCH_NOTES.items() if column in logs.trials],
        "fold_columns": _columns(FOLD_COLUMNS, logs.trials),
        "fold_table_note": " ".join(note for column, note in FOLD_NOTES.items() if column in logs.trials),
        **baseline_content(logs, found.best if len(found.ranked) else None, groups),
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


def _columns(columns: Any, trials: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Those that trials have: older sweeps lack some, and not every sweep has VAEs."""
    return [column for column in columns if column[0] in trials]


def _groups(found: Findings) -> list[dict[str, Any]]:
    """Cross-validated configurations with their tables."""
    groups = []
    for group, tables in found.groups.items():
        settings = json.loads(group)
        title = describe(settings, described(found.logs, settings))
        baselines = {table.label: fold_baselines(found.logs, table) for table in tables}
        linear = {label: strongest(rows) for label, rows in baselines.items()}
        groups.append({"title": title, "tables": tables, "baselines": baselines, "linear": linear})
    return groups


def _unfinished(found: Findings) -> dict[str, Any]:
    """Failed, interrupted and pruned trials, in this order, the first ones listed."""
    trials, axes = found.logs.trials, found.logs.axes
    rows = []
    for status in (FAILED, INTERRUPTED, PRUNED):
        for _, trial in trials[trials["status"] == status].iterrows():
            split = f"{trial['label']} fold {trial['fold']}" if trial["kind"] == "cv" else ""
            what = split or describe(trial, axes)
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


def _loss_decimals(found: Findings) -> int:
    """As many for all losses as show 4 significant digits of a typical one, and at least 4 below 100."""
    trials = found.logs.trials
    typical = abs(float(trials["val_loss"].astype(float).median()))  # not a number when there is none
    if not math.isfinite(typical) or typical == 0:
        return 4
    return 1 if typical >= 100 else min(8, max(4, 3 - math.floor(math.log10(typical))))


def _number(decimals: int) -> Any:
    """A filter: fixed decimals, a dash where there is no number."""
    return lambda value: "–" if _missing(value) else f"{float(value):.{decimals}f}"


def _show(value: Any) -> str:
    """A filter: a setting or a count as people write it, a dash where there is none."""
    if _missing(value):
        return "–"
    if isinstance(value, int | float | np.number) and not isinstance(value, bool) and float(value).is_integer():
        whole = int(value)
        return f"{whole:,}" if abs(whole) >= 10_000 else str(whole)
    return show(value)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and not math.isfinite(value))


def _escape(value: Any) -> Any:
    """Text that Markdown and the HTML within it show as it is, on one line of a table."""
    if isinstance(value, Verbatim):
        return value
    text = re.sub(r"([\\`*|\[\]])", r"\\\1", " ".join(str(value).split()))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
