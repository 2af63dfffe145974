"""The report as blocks, in the order of the page."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sweeps.folds import counts_text, groups_text, leakage_text
from sweeps.reporting import blocks
from sweeps.reporting.answers import BEST, LOWEST, QUALITY, answers, how_to_cross_validate
from sweeps.reporting.baselines import contest, search_notes
from sweeps.reporting.blocks import DB, NATS, RATIO, SSIM, UNKNOWN, Block, Heading, Name, Row, Table, Text, Write, shown
from sweeps.reporting.cross_validation import fold_blocks
from sweeps.reporting.findings import Findings, Trade
from sweeps.reporting.logs import INTERRUPTED, OPTIONAL, SweepLogs, Trial
from sweeps.reporting.standings import leaderboard
from sweeps.reporting.surfaces import RESAMPLES, ClassResult, ImageResult
from sweeps.reporting.trial_notes import FROM_RECORD, TrialNotes, trial_notes
from sweeps.space import describe, show
from sweeps.store import FAILED, PRUNED, DataSummary, SweepFile, address

LEADERS = 10
LISTED = 20  # trials without a result
WARNINGS = 10
ERROR_LENGTH = 300
FEW_IMAGES = 100  # below this the report warns of wide intervals
SEARCH_NOTES = {
    "val_loss_floor": "Loss floor: the lowest validation loss that outputs in [0, 1] can reach for inputs in [-1, 1].",
    "val_bits_per_dim": "Bits/dim: bits per pixel by the ELBO; lower is better. KL: information about a crop in the"
    " latent vector. Active units: latent dimensions that vary between crops. All values are from validation crops.",
}
Figures = Mapping[str, blocks.Figure]


def compose(found: Findings, figures: Figures, sweep: Path) -> blocks.Report:
    """The whole report.

    Args:
        figures: result of `make_figures`.
    """
    known = [value for trial in found.logs.trials if not np.isnan(value := trial.number("val_loss"))]
    loss = blocks.losses(abs(float(np.median(known))) if known else np.nan)
    sweep_file = found.logs.sweep_file
    statuses = ([t.status for t in found.logs.trials if t.record.is_fold == kind] for kind in (False, True))
    counts = counts_text(*statuses)
    pictures = _shown(figures, "training_curves", "reconstruction_val", "reconstruction_test")
    parts = [
        *_opening(found),
        *(Heading(BEST), *_search(found, figures, loss)),
        *(Heading(QUALITY), *_folds(found, loss)),
        *(Heading(LOWEST), *_surfaces(found, figures)),
        *([Heading("Training and reconstructions"), *pictures] if pictures else []),
        *(Heading("Reproducibility"), _how_made(found.logs, sweep)),
    ]
    subtitle = f"{_data(sweep_file)} · protocol {sweep_file.protocol or 'not known'} · {counts}"
    return blocks.Report(sweep.resolve().name, subtitle, parts)


def _opening(found: Findings) -> list[Block]:
    """The answers and the warnings."""
    remark, warnings = _remark(found.logs.sweep_file.data), found.warnings
    more = f"and {len(warnings) - WARNINGS} more: see from_record in trials.csv, or --json"
    listed = [*warnings[:WARNINGS], *([more] if len(warnings) > WARNINGS else [])]
    opening: list[Block] = [Text(remark, "remark")] if remark else []
    return [*opening, blocks.Answers(answers(found)), *([blocks.Items(listed, "Warnings")] if listed else [])]


def _search(found: Findings, figures: Figures, loss: Write) -> list[Block]:
    """The leaderboard, the ranking of the search, trials without a result, quality versus cost."""
    notes = trial_notes(found.logs, found.fields_outside)
    parts = [*leaderboard(found), *_shown(figures, "standings")]
    if found.ranked or found.outside:
        said = [*notes.notes, *(note for column, note in SEARCH_NOTES.items() if found.logs.has(column))]
        parts += [Heading("Search", 3)] if found.contested else []
        parts += [_ranking(found, notes, loss), *(Text(note, "note") for note in said)]
        parts += contest(found.logs, _first(found))
    elif found.contested:
        parts += [Text("No search: these configurations were cross-validated as they are.")]
    elif found.tables:
        of = "one configuration" if len(found.tables) == 1 else f"{len(found.tables)} configurations"
        parts += [Text(f"No search: the tables below show {of}."), blocks.Items([*found.titles.values()])]
    else:
        parts += [Text("No trial is complete, so there is nothing to rank.")]
    parts += [*_without_result(found.logs), *([Text(notes.retry, "note")] if notes.retry else [])]
    parts += _shown(figures, "axis_effects")
    if found.trade_off:
        parts += [Heading(f"Quality versus {found.trade_off.title}", 3), *_shown(figures, "pareto")]
        parts += [_front(found.trade_off, found.logs, notes)]
    return parts


def _first(found: Findings) -> Trial | None:
    """The trial to compare with the baselines: the best one, if it is a search trial."""
    best = found.best
    return best if found.ranked and best and best.record.is_search else None


def _ranking(found: Findings, notes: TrialNotes, loss: Write) -> Table:
    """The first search trials, then those outside the current search space, which are not ranked."""
    logs, n = found.logs, len(found.ranked)
    columns: dict[str, tuple[str, Write]] = {
        "best_epoch": ("Best epoch", shown),
        "val_loss": ("Val loss", loss),
        "val_loss_floor": ("Loss floor", loss),
        "val_psnr_db": ("Val PSNR (dB)", DB),
        "val_ssim": ("Val SSIM", SSIM),
        "val_bits_per_dim": ("Bits/dim", SSIM),
        "val_kl_nats": ("KL (nats)", NATS),
        "val_active_units": ("Active units", shown),
        "test_psnr_db": ("Test PSNR (dB)", DB),
        "parameters": ("Parameters", shown),
    }
    columns = {name: column for name, column in columns.items() if name not in OPTIONAL or logs.has(name)}
    places: list[tuple[int | None, Trial]] = [*enumerate(found.ranked[:LEADERS], 1)]
    rows = []
    for place, trial in [*places, *((None, trial) for trial in found.outside[:LEADERS])]:
        numbers = (write(trial.numbers.get(name)) for name, (_, write) in columns.items())
        cells = (shown(place), Name(notes.name(trial)), *_settings(logs, trial), *numbers)
        rows.append(Row(cells, "first" if place == 1 else ""))
    which = f"The first {LEADERS} of {n}" if n > LEADERS else f"All {n}"
    caption = f"{which} complete search trials, ranked by validation PSNR at the epoch with the lowest validation loss."
    titles = ("#", "Trial", *logs.axes, *(title for title, _ in columns.values()))
    return Table(titles, rows, caption=f"{caption} All trials: trials.csv.", width="close")


def _front(trade: Trade, logs: SweepLogs, notes: TrialNotes) -> Table:
    """The Pareto-optimal trials."""
    costs = (trade.title.capitalize(), "Val PSNR (dB)", "Below best (dB)", "Reduction (×)")
    rows = []
    for each in trade.front:
        numbers = shown(each.cost), DB(each.trial.number("val_psnr_db")), DB(each.behind), RATIO(each.times)
        rows.append(Row((Name(notes.name(each.trial)), *_settings(logs, each.trial), *numbers)))
    caption = f"Pareto front: trials that no other trial beats in both validation PSNR and {trade.title}"
    caption += f" ({len(trade.front)} of {len(trade.points)})."
    return Table(("Trial", *logs.axes, *costs), rows, caption=caption, width="close")


def _settings(logs: SweepLogs, trial: Trial) -> list[str]:
    """The values of the sweep's axes, a dash where an axis does not apply."""
    settings = logs.sweep_file.current_space.shown(trial.config)
    return [shown(settings.get(name)) for name in logs.axes]


def _without_result(logs: SweepLogs) -> list[Block]:
    """Failed, interrupted and pruned trials, in this order, the first ones listed."""
    trials = [t for status in (FAILED, INTERRUPTED, PRUNED) for t in logs.trials if t.status == status]
    rows = []
    for trial in trials[:LISTED]:
        cell, settings = trial.record.cell, logs.sweep_file.current_space.shown(trial.config)
        what = f"{cell.label}, fold {cell.fold}" if trial.record.is_fold else describe(settings, logs.axes)
        done = shown(trial.numbers["epochs_done"])
        rows.append(Row((trial.status, Name(trial.name), what, done, _reason(trial))))
    more = f" {len(trials) - LISTED} more are in trials.csv." if len(trials) > LISTED else ""
    caption = f"Pruned, failed and interrupted trials. They are neither ranked nor averaged.{more}"
    return [Table(("Status", "Trial", "Settings or split", "Epochs", "Reason"), rows, caption=caption)] if rows else []


def _reason(trial: Trial) -> str:
    """The error, or how good a pruned trial was."""
    psnr_db = trial.number("val_psnr_db")
    if trial.status != PRUNED or trial.record.error or np.isnan(psnr_db):
        return _short(trial.record.error)
    return f"pruned by the scheduler (val PSNR {psnr_db:.2f} dB)"


def _short(error: str) -> str:
    """The error itself: the last line of a traceback."""
    lines = [line for line in error.strip().splitlines() if line.strip()]
    if not lines:
        return ""
    text = lines[-1].strip() if lines[0].startswith("Traceback") else " ".join(lines)
    return text if len(text) <= ERROR_LENGTH else text[: ERROR_LENGTH - 1] + "…"


def _folds(found: Findings, loss: Write) -> list[Block]:
    """Every fold, or how to run them, and the meaning of the sign for trial.json."""
    add = f"This sweep has no cross-validation. {how_to_cross_validate(found.logs)}"
    said = search_notes(found.logs, _first(found))
    sign = f"{FROM_RECORD} Values from trial.json: the event file is damaged or incomplete (see Warnings)."
    signed = any(trial.from_record for trial in found.logs.trials)
    parts = fold_blocks(found, loss, said) if found.tables else [Text(add)]
    return [*parts, *([Text(sign, "note")] if signed else [])]


def _surfaces(found: Findings, figures: Figures) -> list[Block]:
    """Classes and images of the leading configuration."""
    if not found.hardest:
        needs = "This needs complete cross-validation folds: each surface is then tested without being trained on."
        return [Text(f"{needs} {how_to_cross_validate(found.logs)}")]
    classes = next(iter(found.classes.values()), [])
    tables = [_class_table(classes)] if classes else []
    return [*_shown(figures, "class_errors"), *tables, _image_table(found.hardest, [*found.logs.sweep_file.classes])]


def _class_table(classes: Sequence[ClassResult]) -> Table:
    rows, label = [], ""
    for each in classes:
        n = shown(each.n_images) + ("" if each.n_images == each.of else f" of {each.of}")
        bounds = UNKNOWN if each.low is None else f"{DB(each.low)} to {DB(each.high)}"
        numbers = map(blocks.Number, (n, DB(each.psnr_db), bounds, SSIM(each.means.get("ssim"))))
        rows.append(Row(("" if each.label == label else each.label, each.name, *numbers)))
        label = each.label
    caption = (
        f"Mean test PSNR and SSIM over images, with 95 % bootstrap CI ({RESAMPLES} resamples; a rough guide for fewer"
        " than 5 images). Each label is evaluated on the folds that are stratified by it."
    )
    titles = ("Label", "Class", "Images tested", "PSNR (dB)", "95 % CI", "SSIM")
    return Table(titles, rows, caption=caption)


def _image_table(images: Sequence[ImageResult], labels: Sequence[str]) -> Table:
    rows = [
        Row((i.title, *(i.classes.get(label, UNKNOWN) for label in labels), DB(i.psnr_db), SSIM(i.ssim)))
        for i in images
    ]
    caption = f"The {len(images)} images with the lowest PSNR, over all folds of this configuration"
    return Table(("Image", *labels, "PSNR (dB)", "SSIM"), rows, caption=caption)


def _shown(figures: Figures, *names: str) -> list[Block]:
    return [figures[name] for name in names if name in figures]


def _data(sweep_file: SweepFile) -> str:
    """`30 synthetic images, 960 crops of 64x64 px, seed 42`, as far as known."""
    data, size = sweep_file.data, sweep_file.data.crop_size
    known = {
        f"{data.images} {'synthetic images' if data.synthetic else 'images'}": data.images,
        f"{data.crops} crops" + (f" of {size}x{size} px" if size else ""): data.crops,
        f"seed {sweep_file.seed}": sweep_file.seed,
    }
    return ", ".join(text for text, value in known.items() if value is not None) or "data not described (no sweep.json)"


def _remark(data: DataSummary) -> str:
    """What these data cannot show, or ''."""
    if data.synthetic:
        return (
            "These images are synthetic. The ranking shows that the system works and how settings behave on such"
            " structures. To choose a model for real micrographs, run the sweep on your own images (--data FOLDER)."
        )
    if data.images is not None and data.images < FEW_IMAGES:
        return f"Only {data.images} images: intervals are wide, and some classes may have very few images."
    return ""


def _how_made(logs: SweepLogs, sweep: Path) -> Table:
    """Name and value, as far as known."""
    sweep_file, records = logs.sweep_file, logs.records
    names = ("space", "question", "search", "scheduler", "trials", "epochs", "folds", "seed", "git_commit", "created")
    values = {name.replace("_", " "): getattr(sweep_file, name) for name in names}
    values["versions"] = ", ".join(f"{name} {version}" for name, version in sweep_file.versions.items())
    values["groups"] = groups_text(sweep_file)
    values["leakage"] = leakage_text(sweep_file.leakage)
    values["data fingerprint"] = sweep_file.data.fingerprint[:16]
    for name, field in (("device", "device"), ("precision", "precision"), ("threads per trial", "threads")):
        values[name] = ", ".join(sorted(map(show, {getattr(record, field) for record in records} - {None})))
    seconds = [record.seconds for record in records if record.seconds is not None]
    if seconds:
        values["time"] = f"{_duration(sum(seconds))} (sum over trials), {_duration(float(np.median(seconds)))} (median)"
    commands = {
        "command": sweep_file.command,
        "compare trials": shlex.join(["tensorboard", "--logdir", address(sweep)]),
    }
    rows = [Row((name, str(value))) for name, value in values.items() if value not in (None, "")]
    rows += [Row((name, blocks.Entry(text, look="code"))) for name, text in commands.items() if text]
    return Table(("", ""), rows, width="keys")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
