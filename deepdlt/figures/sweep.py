"""Figures that compare configurations: differences to the best with their intervals, quality versus cost.

Plain dicts in, `matplotlib.figure.Figure` out, in the style of deepdlt.figures.training.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from deepdlt.figures.style import COLOURS, FAINT, GREY, INK, TITLES, given, new_figure, plain_text, style_axes

WIDE = 10.0  # a cost that spans this factor gets a logarithmic axis
TITLE_LENGTH = 60
NAMED = 8  # largest Pareto front on which every point is named
MEDIANS_UP_TO = 8  # distinct values of a hyperparameter; more are a continuous range
FEWEST_FOR_MEDIAN = 3
MAX_CLASSES = 24  # rows per panel that can still be read


def standings(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Difference of each configuration to the best: over test images (thick) and across folds (thin).

    Args:
        rows: best first, with `title`, `difference`, `difference_low`, `difference_high`, `over_folds`,
            `over_folds_low`, `over_folds_high` (dB; None for the best itself, or where not known) and `tied`.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("`rows` must hold at least one configuration, got none")
    figure = new_figure(10, 1.25 + 0.42 * len(rows))
    axes = figure.subplots()
    axes.axvline(0, color=GREY, linewidth=1, linestyle=":", zorder=0)
    for y, row in enumerate(rows):
        colour = COLOURS[0] if row["tied"] else COLOURS[1]
        _whisker(axes, y - 0.13, row["difference_low"], row["difference_high"], colour, 4.5)
        _whisker(axes, y + 0.17, row["over_folds_low"], row["over_folds_high"], GREY, 1.6)
        axes.plot(row["difference"] or 0.0, y - 0.13, "o", color=colour, markersize=7)
        if row["over_folds"] is not None:
            axes.plot(row["over_folds"], y + 0.17, "o", color=GREY, markersize=4)
    names = [f"{place}. {plain_text(row['title'], TITLE_LENGTH)}" for place, row in enumerate(rows, 1)]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    style_axes(axes, "Δ test PSNR to best (dB), 95 % CI", "")
    shown = (
        ("tied", COLOURS[0], 4.5, any(row["tied"] for row in rows)),
        ("significantly worse", COLOURS[1], 4.5, not all(row["tied"] for row in rows)),
        ("across folds", GREY, 1.6, any(row["over_folds"] is not None for row in rows)),
    )
    for name, colour, width, there in shown:
        if there:
            axes.plot([], [], color=colour, linewidth=width, label=name)
    figure.legend(loc="outside lower center", ncols=len(shown), frameon=False, fontsize=9)
    return figure


def pareto(points: Sequence[Mapping[str, Any]], cost: str) -> Figure:
    """Quality versus cost, the Pareto front as a line: up and left is better.

    Args:
        points: with `trial`, `cost` (> 0), `psnr_db` and `front` (bool: Pareto-optimal).
        cost: what the horizontal axis shows, such as `parameters`.

    Raises:
        ValueError: no points.
    """
    if not points:
        raise ValueError("`points` must hold at least one trial, got none")
    figure = new_figure(10, 4.2)
    axes = figure.subplots()
    front = sorted((point for point in points if point["front"]), key=lambda point: point["cost"])
    others = [point for point in points if not point["front"]]
    places = [(point["cost"], point["psnr_db"]) for point in others]
    axes.plot(*_columns(places), "o", color=FAINT, markersize=6, label="other trials" if others else "")
    places = [(point["cost"], point["psnr_db"]) for point in front]
    axes.plot(*_columns(places), "o", color=COLOURS[0], markersize=8, zorder=3, label="Pareto-optimal")
    axes.plot(*_columns(places), color=COLOURS[0], linewidth=1.4, drawstyle="steps-post", alpha=0.6)
    for point in front if len(front) <= NAMED else (front[0], front[-1]):
        name, place = plain_text(str(point["trial"]).partition("-")[0]), (point["cost"], point["psnr_db"])
        axes.annotate(name, place, xytext=(-5, 6), textcoords="offset points", fontsize=9, color=INK, ha="right")
    costs = [point["cost"] for point in points]
    if min(costs) > 0 and max(costs) >= WIDE * min(costs):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 100 else f"{x:g}"))
    axes.margins(x=0.1, y=0.12)
    style_axes(axes, cost, TITLES["val_psnr_db"])
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def _whisker(axes: Any, y: float, low: float | None, high: float | None, colour: str, width: float) -> None:
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, linewidth=width, alpha=0.55, solid_capstyle="butt")


def _columns(places: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in places], [y for _, y in places]


def axis_effects(rows: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> Figure:
    """One panel per swept hyperparameter: every trial's validation PSNR by value, and the median of each value.

    Args:
        rows: one per trial, with `val_psnr_db` and the hyperparameters; those that are `pruned` are hollow and no part
            of a median. A value with fewer than 3 complete trials has no median.
        axes: names of the hyperparameters, at least one; numbers that span a factor of 10 get a logarithmic axis.

    Raises:
        ValueError: no axes.
    """
    if not axes:
        raise ValueError("`axes` must name at least one hyperparameter, got none")
    columns = min(len(axes), 3)
    lines = math.ceil(len(axes) / columns)
    figure = new_figure(10, 2.7 * lines)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for panel, name in zip(panels, axes, strict=False):
        known = [row for row in rows if given(row.get(name)) and given(row.get("val_psnr_db"))]
        _strip(panel, [(row[name], row["val_psnr_db"], bool(row.get("pruned"))) for row in known])
        style_axes(panel, plain_text(name), TITLES["val_psnr_db"] if panel in panels[::columns] else "")
    for panel in panels[len(axes) :]:
        panel.set_axis_off()
    return figure


def class_errors(table: Sequence[Mapping[str, Any]], average: float | None = None) -> Figure:
    """Mean PSNR of each class of each label over images, with its interval.

    Args:
        table: rows with `label`, `class`, `n_images`, `psnr_db`, `low`, `high` (dB; the last two may be None). Those
            that are `significant` (significantly below the other images of their label) are orange.
        average: dB over all images, drawn as a line.

    Raises:
        ValueError: an empty table.
    """
    if not table:
        raise ValueError("`table` must hold at least one class, got none")
    labels = list(dict.fromkeys(row["label"] for row in table))
    groups = [_shown_classes([row for row in table if row["label"] == label]) for label in labels]
    columns = min(len(labels), 2)
    pairs = [groups[i : i + columns] for i in range(0, len(groups), columns)]
    heights = [1.0 + 0.3 * max(len(group) for group in line) for line in pairs]
    figure = new_figure(10, sum(heights))
    panels = figure.subplots(len(pairs), columns, sharex=True, squeeze=False, height_ratios=heights)
    for panel, label, group in zip(panels.ravel(), labels, groups, strict=False):
        _class_panel(panel, group, average)
        panel.set_title(plain_text(label), fontsize=11, loc="left", color=INK, fontweight="bold")
        style_axes(panel, "mean test PSNR over images (dB), 95 % CI" if panel in panels[-1] else "", "")
    for panel in panels.ravel()[len(labels) :]:
        panel.set_axis_off()
    return figure


def _class_panel(axes: Axes, rows: Sequence[Mapping[str, Any]], average: float | None) -> None:
    for y, row in enumerate(rows):
        colour = COLOURS[1] if row.get("significant") else COLOURS[0]
        if given(row["low"]) and given(row["high"]):
            axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2.2, alpha=0.55, solid_capstyle="butt")
        axes.plot(row["psnr_db"], y, "o", color=colour, markersize=6)
    if average is not None:
        axes.axvline(average, color=GREY, linewidth=1, linestyle=":", zorder=0)
    names = [f"{plain_text(row['class'])}  (n = {row['n_images']})" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _shown_classes(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """All classes in their own order, or those with the lowest PSNR when there are too many to read."""
    lowest = sorted(rows, key=lambda row: row["psnr_db"])[:MAX_CLASSES]
    return [row for row in rows if row in lowest]


def _strip(axes: Axes, points: Sequence[tuple[Any, float, bool]]) -> None:
    """Values as dots, side by side where they would cover each other, with the median of each value."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value, _, _ in points)
    distinct = sorted({value for value, _, _ in points}, key=None if numeric else str)
    logarithmic = numeric and bool(distinct) and distinct[0] > 0 and distinct[-1] >= 10 * distinct[0]
    if numeric and len(distinct) > MEDIANS_UP_TO:
        place = {value: math.log10(value) if logarithmic else float(value) for value in distinct}
    else:
        place = {value: float(number) for number, value in enumerate(distinct)}
        logarithmic = False
    span = max(place.values(), default=0) - min(place.values(), default=0) or 1.0
    gap = min(np.diff(sorted(place.values())), default=span)  # between neighbours
    few, shuffle = len(distinct) <= MEDIANS_UP_TO, np.random.default_rng(0)
    for value in distinct:
        found = sorted((psnr, pruned) for v, psnr, pruned in points if v == value)
        spread = 0.18 * gap if few and len(found) > 1 else 0.0
        xs = place[value] + shuffle.permutation(
            np.linspace(-spread, spread, len(found))
        )  # sorted it looks like a trend
        for x, (psnr, pruned) in zip(_back(xs, logarithmic), found, strict=True):
            face = "none" if pruned else COLOURS[0]
            edge = GREY if pruned else COLOURS[0]
            axes.plot(x, psnr, "o", markersize=4.5, alpha=0.75, markerfacecolor=face, markeredgecolor=edge)
        complete = [psnr for psnr, pruned in found if not pruned]
        if few and len(complete) >= FEWEST_FOR_MEDIAN:
            ends = place[value] + np.array([-0.3, 0.3]) * gap
            axes.plot(_back(ends, logarithmic), [float(np.median(complete))] * 2, color=COLOURS[1], linewidth=2.2)
    if logarithmic:
        axes.set_xscale("log")
    margin = np.array([min(place.values(), default=0) - 0.5 * gap, max(place.values(), default=0) + 0.5 * gap])
    axes.set_xlim(*_back(margin, logarithmic))
    if few:
        counts = {v: sum(value == v for value, _, _ in points) for v in distinct}
        names = [f"{f'{v:g}' if numeric else plain_text(v)}\nn = {counts[v]}" for v in distinct]
        axes.xaxis.set_major_locator(FixedLocator(list(_back(np.array([place[v] for v in distinct]), logarithmic))))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels(names)


def _back(positions: np.ndarray, logarithmic: bool) -> np.ndarray:
    return 10.0**positions if logarithmic else positions
