"""The figures of a report: from the findings and the pictures that trials logged."""

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from deepdlt import figures
from sweeps.reporting.blocks import Figure
from sweeps.reporting.findings import Findings, by_psnr
from sweeps.reporting.logs import read_events
from sweeps.reporting.standings import standing_rows
from sweeps.store import COMPLETE

HIGHLIGHTS = 3  # trials coloured among the training curves


def make_figures(found: Findings, sweep: Path) -> dict[str, Figure]:
    """Name -> figure, for every figure that the logs allow."""
    logs, made = found.logs, []
    rows = [result.row() for result in next(iter(found.classes.values()), [])]
    if rows and found.average is not None:
        caption = "Mean test PSNR of each class, with 95 % CI. Dotted line: mean over all tested images."
        caption += " Orange: class with the lowest mean of its label, significant or not."
        made.append(_figure("class_errors", caption, figures.class_errors(rows, found.average)))
    search = bool(found.ranked)
    curves = {
        t.name: t.curves for t in logs.trials if t.curves and (t.record.is_search if search else t.record.is_fold)
    }
    if curves:
        caption = f"Learning curves of every {'search trial' if search else 'fold run'}. Dashed: training loss."
        made.append(_figure("training_curves", caption, figures.training_curves(curves, _highlight(found))))
    for part, name in (("val", "validation"), ("test", "test")):
        if found.best and (pairs := _pairs(found, sweep / found.best.name, f"reconstruction/{part}")):
            caption = f"Reconstructed {name} crops, trial {found.best.name}. Top: original. Bottom: reconstruction."
            made.append(_figure(f"reconstruction_{part}", caption, figures.reconstruction_pairs(pairs)))
    if logs.axes and len(found.ranked) > 1:
        caption = f"Validation PSNR by setting. Points: the {len(found.ranked)} complete search trials. Bars: medians."
        effects = [{**logs.sweep_file.current_space.shown(t.config), **t.numbers} for t in found.ranked]
        made.append(_figure("axis_effects", caption, figures.axis_effects(effects, logs.axes)))
    return {figure.name: figure for figure in (*made, *_comparisons(found))}


def _comparisons(found: Findings) -> list[Figure]:
    """The leaderboard, and quality versus cost, if there is something to compare."""
    made = []
    rows = [asdict(row) for row in standing_rows(found)]
    if len(rows) > 1:
        caption = "Difference in test PSNR to the best configuration, with 95 % CI: over test images (thick) and across"
        caption += " folds (thin)."
        made.append(_figure("standings", caption, figures.standings(rows)))
    trade = found.trade_off
    if trade is not None:
        caption = "Each point is a complete search trial; up and left is better. Pareto-optimal:"
        caption += f" {len(trade.front)} of {len(trade.points)}."
        points = [asdict(point) for point in trade.points]
        made.append(_figure("pareto", caption, figures.pareto(points, trade.title)))
    return made


def _figure(name: str, caption: str, drawing: Any) -> Figure:
    return Figure(name, caption, figures.png(drawing))


def _highlight(found: Findings) -> dict[str, str]:
    """Trials to colour and their names: the first of the search, or the best and the worst fold."""
    if found.ranked:
        return {trial.name: f"{place}. {trial.name}" for place, trial in enumerate(found.ranked[:HIGHLIGHTS], 1)}
    done = [trial.name for trial in by_psnr(found.logs.trials) if trial.status == COMPLETE]
    if len(done) < 2:
        return {trial: trial for trial in done}
    return {done[0]: f"best fold run ({done[0]})", done[-1]: f"worst fold run ({done[-1]})"}


def _pairs(found: Findings, folder: Path, tag: str) -> list[tuple[Any, Any]]:
    """Originals and reconstructions, each (size, size) in [0, 1], of a trial's logged picture."""
    picture = read_events(folder).images.get(tag)
    if picture is None:
        return []
    try:
        with Image.open(io.BytesIO(picture), formats=("PNG",)) as image:
            pixels = np.asarray(image.convert("L"), dtype=np.float64) / 255
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        found.logs.warnings.append(f"{folder.name}: the picture {tag} is not readable")
        return []
    size = len(pixels) // 2
    columns = range(0, pixels.shape[1] - size + 1, size) if size else ()
    return [(pixels[:size, x : x + size], pixels[size : 2 * size, x : x + size]) for x in columns]
