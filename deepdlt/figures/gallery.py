"""Reconstructions beside their originals, their errors and a linear baseline, with a scale bar."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepdlt.figures.style import INK, new_figure, plain_text

COLUMNS = ("original", "reconstruction", "error")
BARS_UM = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def error_limit(errors: Sequence[np.ndarray]) -> float:
    """Where the colours of error maps end: the largest error but for the worst 0.5 % of the pixels; at least a grey."""
    sizes = np.abs(np.concatenate([np.ravel(error) for error in errors]))
    return max(float(np.quantile(sizes, 0.995)), 1 / 255)


def error_colours(error: np.ndarray, limit: float) -> np.ndarray:
    """(h, w) errors -> (h, w, 3) uint8: too bright is red, too dark blue, none white."""
    return (colormaps["RdBu_r"](0.5 + 0.5 * np.clip(error / limit, -1, 1))[..., :3] * 255).round().astype(np.uint8)


def scale_bar(width_px: int, pixel_um: float | None) -> tuple[float, str]:
    """Share of the width, and text, of a bar of round length, at most 40 % of it; (0, "") where no pitch is known."""
    fitting = [um for um in BARS_UM if pixel_um and um <= 0.4 * width_px * pixel_um]
    if not fitting or not pixel_um:
        return 0.0, ""
    return fitting[-1] / (width_px * pixel_um), f"{fitting[-1]:g} µm"


def reconstruction_gallery(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], baseline: str, limit: float, pixel_um: float | None
) -> Figure:
    """One row per image: original, reconstruction, error, baseline.

    Args:
        rows: title and the images, each (h, w) in [0, 1], the third an error in [-1, 1].
        baseline: name of the last column.
        limit: error at which its colours end.
        pixel_um: pixel pitch, for the scale bar.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("`rows` must hold at least one image, got none")
    names = (*COLUMNS, baseline)
    figure = new_figure(1.45 * len(names) + 0.7, 1.75 * len(rows) + 0.2)
    grid = figure.subplots(len(rows), len(names), squeeze=False)
    for line, (title, images) in zip(grid, rows, strict=True):
        for number, (axes, name, pixels) in enumerate(zip(line, names, images, strict=True)):
            shown = {"cmap": "RdBu_r", "clim": (-limit, limit)} if number == 2 else {"cmap": "gray", "clim": (0, 1)}
            picture = axes.imshow(pixels, interpolation="nearest", **shown)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            axes.set_xlabel(name, fontsize=8, color=INK)
            if number == 0:
                axes.set_title(plain_text(title, 90), fontsize=8, loc="left", color=INK)
                _bar(axes, pixels.shape[1], pixel_um)
            if number == 2:
                last = picture
    bar = figure.colorbar(last, ax=grid[:, -1].tolist(), shrink=0.8, extend="both")
    bar.set_label("reconstruction − original (0 to 1)", fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=8, colors=INK)
    bar.outline.set_visible(False)
    return figure


def _bar(axes: Axes, width: int, pixel_um: float | None) -> None:
    share, text = scale_bar(width, pixel_um)
    if not share:
        return
    left, top = 0.05 * width, 0.94 * width
    for colour, thick in (("black", 4.5), ("white", 2.5)):
        axes.plot([left, left + share * width], [top, top], color=colour, linewidth=thick, solid_capstyle="butt")
    axes.text(
        left,
        top - 0.04 * width,
        text,
        color="white",
        fontsize=8,
        va="bottom",
        bbox={"facecolor": "black", "alpha": 0.5, "pad": 1, "linewidth": 0},
    )
