"""Figures of a sweep: arrays and plain dicts in, `matplotlib.figure.Figure` out; no pyplot state, no training code.

Colours are Okabe and Ito's, which the colour-blind tell apart; everything that is only context is grey.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepdlt.figures.style import COLOURS, FAINT, INK, TITLES, new_figure, plain_text, style_axes

Series = Mapping[str, Mapping[int, float]]


def training_curves(series: Mapping[str, Series], highlight: Mapping[str, str]) -> Figure:
    """Loss, PSNR and SSIM against the epoch, one line per trial, as in the study's Figure 5.

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
    panels[0].plot([], [], color=INK, linewidth=1.4, linestyle="--", label="training loss")
    if len(series) > len(highlight):
        panels[0].plot([], [], color=FAINT, linewidth=1.4, label="other trials")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=9)
    return figure


def reconstruction_pairs(pairs: Sequence[tuple[np.ndarray, np.ndarray]], titles: Sequence[str] = ()) -> Figure:
    """Originals in the upper row, reconstructions below.

    Args:
        pairs: (original, reconstruction), each (height, width) in [0, 1]; at least one pair.
        titles: above each column; may be shorter than `pairs`.

    Raises:
        ValueError: no pairs.
    """
    _refuse_no_pairs(pairs)
    return _image_rows(pairs, ("original", "reconstruction"), titles)[0]


def error_maps(pairs: Sequence[tuple[np.ndarray, np.ndarray]], titles: Sequence[str] = ()) -> Figure:
    """Originals, reconstructions, and maps of the error: too bright (red) or too dark (blue).

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
