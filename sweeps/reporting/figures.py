"""The figures of a report: from the findings and the pictures that trials logged."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from deepdlt import figures
from sweeps.reporting.findings import Findings
from sweeps.reporting.logs import read_events
from sweeps.reporting.pareto import pareto_content
from sweeps.reporting.standings import standings_content
from sweeps.space import without_idle
from sweeps.store import COMPLETE

HIGHLIGHTS = 3  # trials coloured among the training curves


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
        effects: Any = [without_idle(logs.asked, row) for row in found.ranked.to_dict("records")]
        made["axis_effects"] = figures.axis_effects(effects, logs.axes), caption
    made |= _comparisons(found)
    return {name: (figures.png(figure), caption) for name, (figure, caption) in made.items()}


def _comparisons(found: Findings) -> dict[str, tuple[Figure, str]]:
    """The leaderboard, and cost against quality, where there is something to compare."""
    made = {}
    places = standings_content(found)["standings"]
    if len(places) > 1:
        caption = "How far the cross-validated configurations are from the best one: on other images (thick), and with"
        caption += " other trainings (thin); 95 % intervals."
        made["standings"] = figures.standings(places), caption
    trade = pareto_content(found)
    if trade is not None:
        caption = f"Each point is a complete search trial; left and up is better. Of {trade['n']} trials"
        caption += f" {len(trade['rows'])} are on the front: none is better in both."
        made["pareto"] = figures.pareto(trade["points"], trade["title"]), caption
    return made


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
