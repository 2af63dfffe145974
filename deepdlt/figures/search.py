"""Figures of a search and of its folds: history, parallel coordinates, importance, fold by fold.

Plain dicts in, `matplotlib.figure.Figure` out, in the style of deepdlt.figures.sweep.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from deepdlt.figures.style import COLOURS, FAINT, GREY, INK, TITLES, new_figure, plain_text, style_axes


def history(trials: Sequence[Mapping[str, Any]]) -> Figure:
    """Validation PSNR of the trials in the order in which they began, pruned ones hollow, with the best so far.

    Args:
        trials: with `number`, `val_psnr_db` and `pruned`, in order; at least one.

    Raises:
        ValueError: no trials.
    """
    if not trials:
        raise ValueError("`trials` must hold at least one trial, got none")
    figure = new_figure(7, 2.9)
    axes = figure.subplots()
    for pruned, name, face, edge in ((False, "complete", COLOURS[0], COLOURS[0]), (True, "pruned", "none", GREY)):
        own = [t for t in trials if bool(t["pruned"]) == pruned]
        if own:
            x, y = [t["number"] for t in own], [t["val_psnr_db"] for t in own]
            axes.plot(x, y, "o", markersize=5, markerfacecolor=face, markeredgecolor=edge, label=name)
    done = [t for t in trials if not t["pruned"]]
    best = np.maximum.accumulate([t["val_psnr_db"] for t in done] or [0.0])[: len(done)]
    axes.plot([t["number"] for t in done], best, color=COLOURS[1], drawstyle="steps-post", label="best so far")
    style_axes(axes, "search trial", TITLES["val_psnr_db"])
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def parallel(lines: Sequence[Mapping[str, Any]], axes_of: Sequence[Mapping[str, Any]]) -> Figure:
    """Parallel coordinates: one line per trial over its settings, coloured by its validation PSNR.

    Args:
        lines: with `y`, (n_axes,) places in [0, 1], None where a setting does not apply; `val_psnr_db`; `pruned`.
        axes_of: with `title` and `ticks`, [(place, text)].

    Raises:
        ValueError: no lines.
    """
    if not lines:
        raise ValueError("`lines` must hold at least one trial, got none")
    figure = new_figure(max(7.0, 1.2 * len(axes_of)), 3.6)
    panel = figure.subplots()
    psnr = [line["val_psnr_db"] for line in lines]
    low, high = min(psnr), max(psnr)
    for line in sorted(lines, key=lambda each: (not each["pruned"], each["val_psnr_db"])):
        share = (line["val_psnr_db"] - low) / (high - low) if high > low else 0.5
        colour = FAINT if line["pruned"] else colormaps["viridis"](0.9 * share)
        places = [np.nan if y is None else y for y in line["y"]]
        panel.plot(range(len(places)), places, color=colour, linewidth=0.8 if line["pruned"] else 1.4, alpha=0.8)
    for x, of in enumerate(axes_of):
        panel.axvline(x, color=GREY, linewidth=0.8, zorder=0)
        for place, text in of["ticks"]:
            panel.text(x + 0.03, place, plain_text(text, 16), fontsize=8, color=INK, va="center")
    panel.set_xticks(range(len(axes_of)), [plain_text(of["title"], 24) for of in axes_of], fontsize=8)
    panel.set(yticks=[], xlim=(-0.1, len(axes_of) - 0.5), ylim=(-0.06, 1.06))
    panel.spines[:].set_visible(False)
    return figure


def importance(shares: Mapping[str, float]) -> Figure:
    """Share of the variance of the validation PSNR that each setting explains.

    Raises:
        ValueError: no settings.
    """
    if not shares:
        raise ValueError("`shares` must hold at least one hyperparameter, got none")
    figure = new_figure(7, 0.9 + 0.3 * len(shares))
    axes = figure.subplots()
    names = [*shares][::-1]
    axes.barh([plain_text(name) for name in names], [shares[name] for name in names], color=COLOURS[0], height=0.6)
    axes.set_xlim(0, 1)
    style_axes(axes, "importance (share of explained variance, 0 to 1)", "")
    return figure


def folds(rows: Sequence[Mapping[str, Any]], reference: tuple[str, float] | None = None) -> Figure:
    """Test PSNR of every fold, a row per configuration and label, with mean and interval.

    Args:
        rows: with `title`, `psnr_db` (list of dB), `mean`, `low`, `high` (None where there is none).
        reference: name and PSNR of a baseline, drawn as a line.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("`rows` must hold at least one label, got none")
    figure = new_figure(7, 1.2 + 0.42 * len(rows))
    axes = figure.subplots()
    for y, row in enumerate(rows):
        axes.plot(row["psnr_db"], [y] * len(row["psnr_db"]), "o", color=FAINT, markeredgecolor=GREY, markersize=5)
        if row["low"] is not None and row["high"] is not None:
            axes.plot([row["low"], row["high"]], [y, y], color=COLOURS[0], linewidth=3, alpha=0.6)
        if row["mean"] is not None:
            axes.plot(row["mean"], y, "D", color=COLOURS[0], markersize=6)
    if reference:
        axes.axvline(reference[1], color=COLOURS[1], linestyle="--", linewidth=1.2, label=plain_text(reference[0]))
    axes.plot([], [], "o", color=FAINT, markeredgecolor=GREY, label="a fold")
    axes.plot([], [], "D-", color=COLOURS[0], label="mean, 95 % CI")
    axes.set_yticks(range(len(rows)), [plain_text(row["title"], 60) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    style_axes(axes, "test PSNR (dB)", "")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure
