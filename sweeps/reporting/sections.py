"""The report as blocks, in the order of the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from deepdlt.errors import many
from sweeps.reporting import blocks
from sweeps.reporting.answers import BEST, LOWEST, QUALITY, how_to_cross_validate
from sweeps.reporting.baselines import contest, search_notes
from sweeps.reporting.blocks import (
    DB,
    NATS,
    RATIO,
    SSIM,
    UNKNOWN,
    Block,
    Code,
    Heading,
    Name,
    Row,
    Table,
    Text,
    Write,
    shown,
)
from sweeps.reporting.cross_validation import fold_blocks
from sweeps.reporting.findings import Findings, Trade
from sweeps.reporting.first_screen import GLOSSARY, WARNINGS, first_screen, how_made, subtitle
from sweeps.reporting.logs import INTERRUPTED, OPTIONAL, SweepLogs, Trial
from sweeps.reporting.paper.citing import bibtex, methods
from sweeps.reporting.standings import leaderboard
from sweeps.reporting.surfaces import RESAMPLES, ClassResult, ImageResult, significantly_low
from sweeps.reporting.trial_notes import FROM_RECORD, TrialNotes, trial_notes
from sweeps.space import describe
from sweeps.store import FAILED, PRUNED

LEADERS = 10
LISTED = 20  # trials without a result
ERROR_LENGTH = 300
SEARCH_NOTES = {
    "val_loss_floor": "Loss floor: the lowest validation loss that outputs in [0, 1] can reach for inputs in [-1, 1].",
    "val_bits_per_dim": "Bits/dim: bits per pixel by the ELBO; lower is better. KL: information about a crop in the"
    " latent vector. Active units: latent dimensions that vary between crops. All values are from validation crops.",
}
WAVES = ("Period error (%)", "Direction error (°)", "Fringes lost (% of images)")
Figures = Mapping[str, blocks.Figure | blocks.Gallery]


def compose(found: Findings, pictures: Figures, sweep: Path) -> blocks.Report:
    """The whole report.

    Args:
        pictures: result of `make_figures`.
    """
    known = [value for trial in found.logs.trials if not np.isnan(value := trial.number("val_loss"))]
    loss = blocks.losses(abs(float(np.median(known))) if known else np.nan)
    tuned = _shown(pictures, "parallel", "importance", "axis_effects")
    trained = _shown(pictures, "history", "training_curves")
    reconstructed = _shown(pictures, "extremes_train", "extremes_folds")
    parts = [
        *first_screen(found, pictures, sweep),
        *(Heading(BEST), *_search(found, pictures, loss)),
        *([Heading("Which settings matter?"), *tuned] if tuned else []),
        *([Heading("Search and training"), *trained] if trained else []),
        *_quality_versus_cost(found, pictures),
        *(Heading(QUALITY), *_shown(pictures, "folds"), *_folds(found, loss)),
        *(Heading(LOWEST), *_surfaces(found, pictures)),
        *([Heading("More reconstructions"), *reconstructed] if reconstructed else []),
        *_failures(found),
        *(Heading("Reproducibility"), how_made(found.logs, sweep)),
        *(Heading("Cite"), Text(methods(found)), blocks.Folded("BibTeX", [Code("BibTeX", bibtex(found))])),
        blocks.Folded("Terms on this page", [GLOSSARY]),
    ]
    texts = {trial.name: _told(found, trial) for trial in found.logs.trials}
    return blocks.Report(sweep.resolve().name, subtitle(found), parts, texts)


def _told(found: Findings, trial: Trial) -> str:
    """A trial in words: its settings, and its place among the folds."""
    cell = trial.record.cell
    place = f"fold {cell.fold} of {cell.n_folds} by {cell.label}" if trial.record.is_fold else ""
    psnr = trial.number("val_psnr_db")
    quality = f"validation PSNR {psnr:.2f} dB" if np.isfinite(psnr) else ""
    return ", ".join(filter(None, (trial.status, place, found.logs.describe(trial.config), quality)))


def _search(found: Findings, pictures: Figures, loss: Write) -> list[Block]:
    """The leaderboard, the ranking of the search with the command that trains its first, the baselines."""
    notes = trial_notes(found.logs, found.fields_outside)
    parts = [*leaderboard(found), *_shown(pictures, "standings")]
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
    return parts


def _quality_versus_cost(found: Findings, pictures: Figures) -> list[Block]:
    """The Pareto front, where it is a question."""
    if not found.trade_off:
        return []
    notes = trial_notes(found.logs, found.fields_outside)
    front = _front(found.trade_off, found.logs, notes)
    return [Heading(f"Quality versus {found.trade_off.title}"), *_shown(pictures, "pareto"), front]


def _failures(found: Findings) -> list[Block]:
    """Damage, and trials without a result."""
    notes = trial_notes(found.logs, found.fields_outside)
    warnings = [blocks.Items(found.warnings, "Warnings")] if len(found.warnings) > WARNINGS else []
    table = _without_result(found.logs)
    retry = [Text(notes.retry, "note")] if notes.retry else []
    listed: list[Block] = [*warnings, *table, *retry]
    return [Heading("Damage, failed and pruned trials"), *listed] if listed else []


def _first(found: Findings) -> Trial | None:
    """The trial to compare with the baselines: the best one, if it is a search trial."""
    best = found.best
    return best if found.ranked and best and best.record.is_search else None


def _ranking(found: Findings, notes: TrialNotes, loss: Write) -> Table:
    """The first search trials, then those outside the current search space, which are not ranked."""
    logs, n = found.logs, len(found.ranked)
    columns: dict[str, tuple[str, Write]] = {
        "val_psnr_db": ("Val PSNR (dB)", DB),
        "val_ssim": ("Val SSIM", SSIM),
        "val_loss": ("Val loss", loss),
        "val_loss_floor": ("Loss floor", loss),
        "val_bits_per_dim": ("Bits/dim", SSIM),
        "val_kl_nats": ("KL (nats)", NATS),
        "val_active_units": ("Active units", shown),
        "best_epoch": ("Best epoch", shown),
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
    return Table(
        titles,
        rows,
        caption=f"{caption} No test values: who chooses by them has no test left. All trials: trials.csv.",
        width="close",
    )


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
    table = Table(("Status", "Trial", "Settings or split", "Epochs", "Reason"), rows, caption=caption)
    if rows and all(trial.status == PRUNED for trial in trials):
        return [blocks.Folded(f"{many(len(trials), 'pruned trial')}", [table])]
    return [table] if rows else []


def _reason(trial: Trial) -> str:
    """The error, or when and how good a pruned trial was."""
    if trial.status != PRUNED or trial.record.error:
        return _short(trial.record.error)
    psnr_db, epoch = trial.number("val_psnr_db"), shown(trial.numbers["epochs_done"])
    return f"pruned at epoch {epoch}" + ("" if np.isnan(psnr_db) else f" (validation PSNR {psnr_db:.2f} dB)")


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
    rows, label, low = [], "", significantly_low(classes)
    known = any("period_error_percent" in each.means for each in classes)
    for each in classes:
        n = shown(each.n_images) + ("" if each.n_images == each.of else f" of {each.of}")
        bounds = UNKNOWN if each.low is None else f"{DB(each.low)} to {DB(each.high)}"
        numbers = map(blocks.Number, (n, DB(each.psnr_db), bounds, SSIM(each.means.get("ssim"))))
        mark = "significantly lower" if each in low else ""
        rows.append(Row(("" if each.label == label else each.label, each.name, *numbers, *_waves(each, known), mark)))
        label = each.label
    caption = (
        f"Mean test PSNR and SSIM over images, with 95 % bootstrap CI ({RESAMPLES} resamples; a rough guide for fewer"
        " than 5 images). Each label is evaluated on the folds that are stratified by it."
    )
    waves = WAVES if known else ()
    titles = ("Label", "Class", "Images tested", "PSNR (dB)", "95 % CI", "SSIM", *waves, "Significance" if low else "")
    if not low:
        titles, rows = titles[:-1], [Row(row.cells[:-1]) for row in rows]
    return Table(titles, rows, caption=caption)


def _waves(each: ClassResult, known: bool) -> tuple[str, ...]:
    """Errors of the fringes of a class, in columns that there are only where they were measured."""
    if not known:
        return ()
    names = ("period_error_percent", "orientation_error_deg", "wave_lost")
    found = [each.means.get(name) for name in names]
    return DB(found[0]), DB(found[1]), blocks.decimals(0)(None if found[2] is None else 100 * found[2])


def _image_table(images: Sequence[ImageResult], labels: Sequence[str]) -> Table:
    rows = [
        Row((i.title, *(i.classes.get(label, UNKNOWN) for label in labels), DB(i.psnr_db), SSIM(i.ssim)))
        for i in images
    ]
    caption = f"The {len(images)} images with the lowest PSNR, over all folds of this configuration"
    return Table(("Image", *labels, "PSNR (dB)", "SSIM"), rows, caption=caption)


def _shown(figures: Figures, *names: str) -> list[Block]:
    return [figures[name] for name in names if name in figures]
