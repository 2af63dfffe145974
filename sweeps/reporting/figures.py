"""The figures of a report: pictures in PNG, SVG and PDF, and most of them also as charts."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from deepdlt import figures
from sweeps.reporting.answers import complete_tables
from sweeps.reporting.baselines import LINEAR, fold_baselines, is_standard
from sweeps.reporting.blocks import Figure, Gallery
from sweeps.reporting.charts import results, trials
from sweeps.reporting.charts.gallery import Logged, make_fold_gallery, make_gallery
from sweeps.reporting.charts.importance import caveat, importances
from sweeps.reporting.findings import Findings, by_psnr
from sweeps.reporting.standings import standing_rows
from sweeps.reporting.surfaces import significantly_low
from sweeps.store import COMPLETE, PRUNED

HIGHLIGHTS = 3  # trials coloured among the training curves
Pictures = dict[str, Figure | Gallery]


def make_figures(found: Findings, sweep: Path) -> tuple[Pictures, dict[str, Any]]:
    """Name -> figure or gallery, for all that the logs allow; and name -> matplotlib's drawing of it."""
    logged = Logged(found, sweep)
    made: Pictures = {}
    drawings: dict[str, Any] = {}
    for gallery in (
        make_gallery(found, logged, "test"),
        make_gallery(found, logged, "train"),
        make_fold_gallery(found, logged),
    ):
        if gallery:
            made[gallery[0].name], drawings[gallery[0].name] = gallery
    for name, caption, drawing, spec in (*_of_search(found), *_of_results(found)):
        svg = figures.svg(drawing)
        made[name] = Figure(name, caption, figures.png(drawing), svg, figures.pdf(drawing), spec)
        drawings[name] = drawing
    return made, drawings


def saved(pictures: Pictures, drawings: Mapping[str, Any], folder: Path) -> None:
    """Write each figure as PNG, SVG and PDF."""
    for name, picture in pictures.items():
        known = picture if isinstance(picture, Figure) else None
        drawing = drawings[name]
        (folder / f"{name}.png").write_bytes(known.png if known else figures.png(drawing))
        (folder / f"{name}.svg").write_text(known.svg if known else figures.svg(drawing), encoding="utf-8")
        (folder / f"{name}.pdf").write_bytes(known.pdf if known else figures.pdf(drawing))


def _of_search(found: Findings) -> list[tuple[str, str, Any, Any]]:
    """History, parallel coordinates, importance, slices, learning curves, Pareto front."""
    logs, rows = found.logs, search_rows(found)
    axes = [name for name in logs.axes if any(row["settings"].get(name) is not None for row in rows)]
    made: list[tuple[str, str, Any, Any]] = []
    n_pruned = sum(row["pruned"] for row in rows)
    which = (
        f"{len(rows) - n_pruned} complete" + (f" and {n_pruned} pruned (hollow)" if n_pruned else "") + " search trials"
    )
    if len(rows) > 1:
        caption = f"Optimisation history: {which} in the order in which they began, and the best so far."
        made.append(("history", caption, figures.history(rows), trials.history(rows)))
    if axes and len(rows) > 1:
        spec, lines, of_axes = trials.parallel(rows, axes)
        caption = "Parallel coordinates: a line per search trial through its settings to its PSNR; brighter is better."
        made.append(("parallel", caption, figures.parallel(lines, of_axes), spec))
        shares = importances(found.ranked, axes, logs.sweep_file.current_space)
        if shares:
            made.append(
                ("importance", caveat(len(found.ranked)), figures.importance(shares), results.importance(shares))
            )
        caption = f"Validation PSNR by setting: {which}. Bars: medians of at least 3 complete trials."
        effects = [{**row["settings"], "val_psnr_db": row["val_psnr_db"], "pruned": row["pruned"]} for row in rows]
        made.append(("axis_effects", caption, figures.axis_effects(effects, axes), trials.slices(rows, axes)))
    curves = _curves(found)
    if curves:
        kind = "search trial" if found.ranked else "fold run"
        caption = f"Learning curves of every {kind}. Dashed: training loss. Loss has no unit."
        named = _highlight(found)
        made.append(("training_curves", caption, figures.training_curves(curves, named), trials.curves(curves, named)))
    trade = found.trade_off
    if trade is not None:
        caption = "Each point is a complete search trial; up and left is better. Pareto-optimal:"
        caption += f" {len(trade.front)} of {len(trade.points)}."
        points = [asdict(point) for point in trade.points]
        texts = {trial.name: logs.describe(trial.config) for trial in found.ranked}
        made.append(
            ("pareto", caption, figures.pareto(points, trade.title), results.pareto(points, trade.title, texts))
        )
    return made


def _of_results(found: Findings) -> list[tuple[str, str, Any, Any]]:
    """Standings, folds, classes."""
    made: list[tuple[str, str, Any, Any]] = []
    standings = [asdict(row) for row in standing_rows(found)]
    if len(standings) > 1:
        caption = "Difference in test PSNR to the best configuration, with 95 % CI: over test images (thick) and across"
        caption += " folds (thin)."
        made.append(("standings", caption, figures.standings(standings), None))
    rows = fold_rows(found)
    if rows:
        reference = _reference(found)
        caption = "Test PSNR of every fold, with mean and corrected 95 % CI over the folds of a label."
        caption += f" Dashed: {reference[0]} on the same folds." if reference else ""
        drawn = [{**row, "psnr_db": [psnr for _, _, psnr in row["folds"]]} for row in rows]
        made.append(("folds", caption, figures.folds(drawn, reference), results.folds(rows, reference)))
    classes = next(iter(found.classes.values()), [])
    if classes and found.average is not None:
        low = significantly_low(classes)
        shown = [{**each.row(), "significant": each in low} for each in classes]
        caption = "Mean test PSNR of each class, with 95 % CI. Dotted line: mean over all tested images."
        caption += (
            " Orange: significantly below the other images of its label (5 %, Bonferroni)."
            if low
            else " No class differs significantly."
        )
        made.append(
            ("class_errors", caption, figures.class_errors(shown, found.average), results.classes(shown, found.average))
        )
    return made


def search_rows(found: Findings) -> list[dict[str, Any]]:
    """Complete and pruned search trials of the current space with a validation PSNR, in the order of their names."""
    logs, space = found.logs, found.logs.sweep_file.current_space
    rows = []
    for trial in logs.trials:
        known = trial.record.is_search and trial.status in (COMPLETE, PRUNED) and trial.name not in found.fields_outside
        if known and np.isfinite(trial.number("val_psnr_db")):
            row = {"trial": trial.name, "val_psnr_db": trial.number("val_psnr_db"), "pruned": trial.status == PRUNED}
            rows.append({**row, "settings": space.shown(trial.config), "text": logs.describe(trial.config)})
    return [{**row, "number": number} for number, row in enumerate(rows, 1)]


def fold_rows(found: Findings) -> list[dict[str, Any]]:
    """A row per configuration and label, with the PSNR of each fold run."""
    rows = []
    for configuration, tables in found.tables.items():
        for table in tables:
            runs = [
                (row.trial, row.fold, row.numbers.get("test_psnr_db")) for row in table.rows if row.state == COMPLETE
            ]
            known = [(trial, fold, float(psnr)) for trial, fold, psnr in runs if psnr is not None and np.isfinite(psnr)]
            average = table.averages.get("test_psnr_db")
            title = table.label if len(found.tables) == 1 else f"{found.titles[configuration]} · {table.label}"
            part = {name: getattr(average, name) if average else None for name in ("mean", "low", "high")}
            rows += [{"title": title, "folds": known, **part}] if known else []
    return rows


def _reference(found: Findings) -> tuple[str, float] | None:
    """The better linear baseline over the folds of the leading configuration."""
    if not is_standard(found.logs):
        return None
    values: dict[str, list[float]] = {}
    tables = complete_tables(found)
    for table in tables:
        for baseline in fold_baselines(found.logs, table):
            psnr = baseline.mean.get("test_psnr_db")
            if baseline.method in LINEAR and psnr is not None:
                values.setdefault(baseline.name, []).append(psnr)
    means = {name: float(np.mean(of)) for name, of in values.items() if len(of) == len(tables)}
    best = max(means, key=lambda name: means[name], default=None)
    return (best, means[best]) if best else None


def _curves(found: Findings) -> dict[str, Any]:
    search = bool(found.ranked)
    return {
        t.name: t.curves for t in found.logs.trials if t.curves and (t.record.is_search if search else t.record.is_fold)
    }


def _highlight(found: Findings) -> dict[str, str]:
    """Trials to colour and their names: the first of the search, or the best and the worst fold."""
    if found.ranked:
        return {trial.name: f"{place}. {trial.name}" for place, trial in enumerate(found.ranked[:HIGHLIGHTS], 1)}
    done = [trial.name for trial in by_psnr(found.logs.trials) if trial.status == COMPLETE]
    if len(done) < 2:
        return {trial: trial for trial in done}
    return {done[0]: f"best fold run ({done[0]})", done[-1]: f"worst fold run ({done[-1]})"}
