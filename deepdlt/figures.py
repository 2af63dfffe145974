"""Figures of a sweep: arrays and plain dicts in, `matplotlib.figure.Figure` out; no pyplot state, no training code.

Colours are Okabe and Ito's, which the colour-blind tell apart; everything that is only context is grey.
"""

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
GREY, FAINT, INK = "#8C8C8C", "#C4C4C4", "#333333"
TITLES = {
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "val_psnr_db": "validation PSNR (dB)",
    "val_ssim": "validation SSIM",
    "psnr_db": "PSNR (dB)",
}
MEDIANS_UP_TO = 8  # distinct values of a hyperparameter; more are a continuous range
MAX_CLASSES = 24  # rows per panel that can still be read

Series = Mapping[str, Mapping[int, float]]


def training_curves(series: Mapping[str, Series], highlight: Mapping[str, str]) -> Figure:
    """Loss, PSNR and SSIM against the epoch, one line per trial, as in the report's Figure 5.

    Args:
        series: trial -> metric (`train_loss`, `val_loss`, `val_psnr_db`, `val_ssim`) -> epoch -> value.
        highlight: trial -> its name in the legend, at most 5; the other trials are thin and grey, without their
            training loss.
    """
    figure = new_figure(10, 3.7)
    panels = figure.subplots(1, 3)
    for axes, metric in zip(panels, ("val_loss", "val_psnr_db", "val_ssim"), strict=True):
        for trial in (t for t in series if t not in highlight):
            _line(axes, series[trial].get(metric, {}), color=FAINT, linewidth=0.8, zorder=1)
        for (trial, name), colour in zip(highlight.items(), COLOURS, strict=False):
            curves = series.get(trial, {})
            _line(axes, curves.get(metric, {}), color=colour, linewidth=1.8, label=plain_text(name), zorder=3)
            if metric == "val_loss":
                _line(axes, curves.get("train_loss", {}), color=colour, linewidth=1.4, linestyle="--", zorder=2)
        style_axes(axes, "epoch", "loss" if metric == "val_loss" else TITLES[metric])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    _log_if_wide(panels[0])
    panels[0].plot([], [], color=INK, linewidth=1.4, linestyle="--", label="training (dashed)")
    if len(series) > len(highlight):
        panels[0].plot([], [], color=FAINT, linewidth=1.4, label="other trials")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=9)
    return figure


def reconstruction_pairs(pairs: Sequence[tuple[np.ndarray, np.ndarray]], titles: Sequence[str] = ()) -> Figure:
    """Originals in the upper row, what the network made of them below.

    Args:
        pairs: (original, reconstruction), each (height, width) in [0, 1]; at least one pair.
        titles: above each column; may be shorter than `pairs`.

    Raises:
        ValueError: no pairs.
    """
    _refuse_no_pairs(pairs)
    return _image_rows(pairs, ("original", "reconstruction"), titles)[0]


def error_maps(pairs: Sequence[tuple[np.ndarray, np.ndarray]], titles: Sequence[str] = ()) -> Figure:
    """Originals, reconstructions, and below them where and how far these are too bright (red) or too dark (blue).

    The errors of all pairs share one scale, symmetric about 0. It ends at the largest error but for the worst 0.5 %
    of the pixels, whose colour is that of the end: one of them would make all others pale.

    Args:
        pairs: (original, reconstruction), each (height, width) in [0, 1]; at least one pair.
        titles: above each column; may be shorter than `pairs`.

    Raises:
        ValueError: no pairs.
    """
    _refuse_no_pairs(pairs)
    errors = [np.asarray(made, dtype=float) - original for original, made in pairs]
    sizes = np.abs(np.concatenate([error.ravel() for error in errors]))
    limit = max(float(np.quantile(sizes, 0.995)), 1 / 255)  # one grey value: rounding is no error
    columns = [(original, made, error) for (original, made), error in zip(pairs, errors, strict=True)]
    figure, grid = _image_rows(columns, ("original", "reconstruction", "error"), titles, beside=0.95)
    for axes in grid[2, : len(pairs)]:
        axes.images[0].set(cmap="RdBu_r", clim=(-limit, limit))
    last = grid[2, len(pairs) - 1]
    place = last.inset_axes((1.06, 0, 0.07, 1))
    bar = figure.colorbar(last.images[0], cax=place, extend="both" if sizes.max() > limit else "neither")
    bar.set_label("reconstruction −\noriginal (0 to 1)", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=9, colors=INK, length=3)
    bar.outline.set_visible(False)
    return figure


def axis_effects(rows: Sequence[Mapping[str, Any]], axes: Sequence[str], metric: str = "val_psnr_db") -> Figure:
    """One panel per swept hyperparameter: every trial's metric by value, and the median of each value.

    Args:
        rows: one per trial, with `metric` and the hyperparameters.
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
        points = [(row[name], row[metric]) for row in rows if _given(row.get(name)) and _given(row.get(metric))]
        _strip(panel, points)
        style_axes(panel, plain_text(name), TITLES.get(metric, metric) if panel in panels[::columns] else "")
    for panel in panels[len(axes) :]:
        panel.set_axis_off()
    return figure


def class_errors(table: Sequence[Mapping[str, Any]], average: float | None = None) -> Figure:
    """How well each class of each label is reconstructed: mean PSNR over images with its interval.

    Args:
        table: rows with `label`, `class`, `n_images`, `psnr_db`, `low`, `high` (dB; the last two may be None). Of
            each label the class with the lowest mean is coloured.
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
        style_axes(panel, "test PSNR (dB), mean over images with 95 % interval" if panel in panels[-1] else "", "")
    for panel in panels.ravel()[len(labels) :]:
        panel.set_axis_off()
    return figure


def png(figure: Figure, dpi: int = 144) -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # labels may be in any script
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _refuse_no_pairs(pairs: Sequence[Any]) -> None:
    if not pairs:
        raise ValueError("`pairs` must hold at least one (original, reconstruction), got none")


def _image_rows(
    columns: Sequence[Sequence[np.ndarray]], names: Sequence[str], titles: Sequence[str], beside: float = 0.0
) -> tuple[Figure, np.ndarray]:
    """One column of images per item, a name before each row; with the axes (rows, columns). `beside`: spare inches."""
    width = max(len(columns), 4)  # few stay small
    figure = new_figure(1.3 * width + beside, 1.35 * len(names) + 0.25 * bool(titles))
    figure.set_layout_engine("constrained", h_pad=0.03, w_pad=0.03, hspace=0, wspace=0)
    grid = figure.subplots(len(names), width, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for column, images in enumerate(columns):
        for axes, pixels in zip(grid[:, column], images, strict=True):
            axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_axis_on()
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        if column < len(titles):
            grid[0, column].set_title(plain_text(titles[column]), fontsize=9, color=INK)
    for axes, name in zip(grid[:, 0], names, strict=True):
        axes.set_ylabel(name, fontsize=10, color=INK)
    return figure, grid


def _class_panel(axes: Axes, rows: Sequence[Mapping[str, Any]], average: float | None) -> None:
    worst = min(rows, key=lambda row: row["psnr_db"])
    for y, row in enumerate(rows):
        colour = COLOURS[1] if row is worst and len(rows) > 1 else COLOURS[0]
        if _given(row["low"]) and _given(row["high"]):
            axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2.2, alpha=0.55, solid_capstyle="butt")
        axes.plot(row["psnr_db"], y, "o", color=colour, markersize=6)
    if average is not None:
        axes.axvline(average, color=GREY, linewidth=1, linestyle=":", zorder=0)
    names = [f"{plain_text(row['class'])}  (n = {row['n_images']})" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _shown_classes(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """All classes, or the hardest when they are too many to be read, in their own order."""
    hardest = sorted(rows, key=lambda row: row["psnr_db"])[:MAX_CLASSES]
    return [row for row in rows if row in hardest]


def _strip(axes: Axes, points: Sequence[tuple[Any, float]]) -> None:
    """Values as dots, side by side where they would cover each other, with the median of each value."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value, _ in points)
    distinct = sorted({value for value, _ in points}, key=None if numeric else str)
    logarithmic = numeric and bool(distinct) and distinct[0] > 0 and distinct[-1] >= 10 * distinct[0]
    if numeric and len(distinct) > 1:
        place = {value: math.log10(value) if logarithmic else float(value) for value in distinct}
    else:
        place = {value: float(number) for number, value in enumerate(distinct)}
    span = max(place.values(), default=0) - min(place.values(), default=0) or 1.0
    gap = min(np.diff(sorted(place.values())), default=span)  # between neighbours
    few, shuffle = len(distinct) <= MEDIANS_UP_TO, np.random.default_rng(0)
    for value in distinct:
        found = sorted(metric for v, metric in points if v == value)
        spread = 0.18 * gap if few and len(found) > 1 else 0.0
        x = place[value] + shuffle.permutation(np.linspace(-spread, spread, len(found)))  # sorted it looks like a trend
        axes.plot(_back(x, logarithmic), found, "o", color=COLOURS[0], markersize=4.5, alpha=0.6, markeredgewidth=0)
        if few:
            ends = place[value] + np.array([-0.3, 0.3]) * gap
            axes.plot(_back(ends, logarithmic), [float(np.median(found))] * 2, color=COLOURS[1], linewidth=2.2)
    if logarithmic:
        axes.set_xscale("log")
    margin = np.array([min(place.values(), default=0) - 0.5 * gap, max(place.values(), default=0) + 0.5 * gap])
    axes.set_xlim(*_back(margin, logarithmic))
    if few:
        names = [f"{v:g}" if numeric else plain_text(v) for v in distinct]
        axes.xaxis.set_major_locator(FixedLocator(list(_back(np.array([place[v] for v in distinct]), logarithmic))))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels(names)


def _back(positions: np.ndarray, logarithmic: bool) -> np.ndarray:
    return 10.0**positions if logarithmic else positions


def _line(axes: Axes, values: Mapping[int, float], **style: Any) -> None:
    """A curve over epochs; short ones get dots, so that a single epoch is seen."""
    epochs = sorted(values)
    marker = "o" if len(epochs) <= 5 else "none"
    axes.plot(epochs, [values[epoch] for epoch in epochs], marker=marker, markersize=3.5, **style)


def _log_if_wide(axes: Axes) -> None:
    """A logarithmic axis when the losses span a factor of 10 (one diverged trial hides the others otherwise)."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() >= 10 * values.min():
        axes.set_yscale("log")


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of that size in inches, without pyplot's global state."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, x_label: str, y_label: str) -> None:
    """Labels, light grid, no box: how all our axes look."""
    axes.set_xlabel(x_label, fontsize=10, color=INK)
    axes.set_ylabel(y_label, fontsize=10, color=INK)
    axes.tick_params(labelsize=9, colors=INK, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def _given(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def plain_text(text: Any, length: int = 40) -> str:
    """Text as it is: no mathematics between dollar signs, one line, not endless."""
    line = " ".join(str(text).split())
    return (line if len(line) <= length else line[: length - 1] + "…").replace("$", r"\$")
