"""Figures of a latent space: its map coloured by label, images drawn from it, walks through it.

Arrays in, `matplotlib.figure.Figure` out, in the style of deepdlt.figures.training; no training code.
"""

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from deepdlt.figures.style import COLOURS, FAINT, GREY, INK, new_figure, plain_text

MAX_CLASSES = 10  # classes a legend can name and the eye can tell apart: five colours, two shapes
SHAPES = ("o", "^")
NUMBERS = "viridis"
BRIGHTEST = 0.92  # of that colour map; its yellow end is lost on white
WIDTH, MAX_LINES = 20, 11  # characters and lines of a legend
GAP = 2  # px between the images of a grid


def latent_map(
    positions: np.ndarray,
    colours: Mapping[str, Sequence[Any] | np.ndarray],
    captions: Mapping[str, str] | None = None,
    note: str = "",
) -> Figure:
    """The same map once per label, coloured by it: two panels a row, each with its legend or colour bar.

    Up to 10 classes have a legend, numbers among them colours from low to high; more numbers get a colour bar
    (logarithmic when they span a factor of 10); of more words the 9 most frequent are named, the others grey.

    Args:
        positions: (n, 2).
        colours: label -> its n values, numbers or words; None or NaN where there is none. Give the folder too.
        captions: label -> a few words on the right above its panel.
        note: a line or two below the figure.

    Raises:
        ValueError: no label, positions that are not (n, 2) and finite, or not n values.
    """
    if not colours:
        raise ValueError("`colours` must hold at least one label, got none")
    if positions.ndim != 2 or positions.shape[1] != 2 or not len(positions) or not np.isfinite(positions).all():
        raise ValueError(f"`positions` must be (n, 2) and finite, got {positions.shape}")
    wrong = [f"{len(values)} of {name!r}" for name, values in colours.items() if len(values) != len(positions)]
    if wrong:
        raise ValueError(f"`colours` must have {len(positions)} values of each label, got {', '.join(wrong)}")
    columns = min(2, len(colours))
    lines = math.ceil(len(colours) / columns)
    wide, high = np.ptp(positions, axis=0)
    height = float(np.clip(3.6 * high / wide, 2.3, 3.1)) if wide else 3.1  # no empty bands; ten names still fit
    figure = new_figure(5 * columns, (height + 0.3) * lines + 0.35 * bool(note))
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, (name, values) in zip(panels, colours.items(), strict=False):
        _map_panel(axes, positions, list(np.asarray(values, dtype=object)))
        axes.set_title(plain_text(name, 24), fontsize=11, loc="left", color=INK, weight="bold")
        axes.set_title(plain_text((captions or {}).get(name, "")), fontsize=9, loc="right", color=INK)
    for axes in panels[len(colours) :]:
        axes.set_axis_off()
    if note:
        lines_of_note = textwrap.wrap(note, 72 * columns)
        figure.supxlabel(
            "\n".join(plain_text(line, 200) for line in lines_of_note), fontsize=9, color=INK, x=0.004, ha="left"
        )
    return figure


def sample_grid(images: np.ndarray, columns: int = 8) -> Figure:
    """Images drawn from a VAE's prior, row by row.

    Args:
        images: (n, 1, height, width) in [0, 1], n >= 1.

    Raises:
        ValueError: another shape, or no images.
    """
    if images.ndim != 4 or images.shape[1] != 1 or not len(images):
        raise ValueError(f"`images` must be (n, 1, height, width) with n >= 1, got {images.shape}")
    n, _, height, width = images.shape
    columns = min(columns, n)
    tiles = np.ones((math.ceil(n / columns) * columns, height, width))
    tiles[:n] = images[:, 0]
    return _grid(tiles.reshape(-1, columns, height, width))[0]


def traversal_grid(images: np.ndarray, row_names: Sequence[str], column_values: Sequence[float]) -> Figure:
    """Decoder output for one latent dimension after the other, each from low to high.

    Args:
        images: (d, v, 1, height, width) in [0, 1].
        row_names: d names of the latent dimensions.
        column_values: v values they take.

    Raises:
        ValueError: another shape, or names and values that do not fit it.
    """
    if images.ndim != 5 or images.shape[2] != 1 or not images.size:
        raise ValueError(f"`images` must be (d, v, 1, height, width), got {images.shape}")
    d, v, _, height, width = images.shape
    if (len(row_names), len(column_values)) != (d, v):
        raise ValueError(
            f"`row_names` and `column_values` must be {d} and {v}, got {len(row_names)}, {len(column_values)}"
        )
    figure, axes = _grid(images[:, :, 0], below=0.5)
    axes.set_yticks((np.arange(d) + 0.5) * (height + GAP) - GAP / 2, [plain_text(name, 20) for name in row_names])
    axes.set_xticks(
        (np.arange(v) + 0.5) * (width + GAP) - GAP / 2, [f"{value:+.2g}" if value else "0" for value in column_values]
    )
    axes.tick_params(labelsize=9, colors=INK, length=0)
    axes.set_xlabel("latent value", fontsize=10, color=INK)
    return figure


def _map_panel(axes: Axes, positions: np.ndarray, values: list[Any]) -> None:
    """One map with its legend or colour bar."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(FAINT)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.06)
    given = np.array([value is not None and value == value for value in values])
    known = [value for value, there in zip(values, given, strict=True) if there]
    numeric = bool(known) and all(isinstance(value, Real) and not isinstance(value, bool) for value in known)
    size = float(np.clip(5000 / len(values), 5, 26))
    if numeric and len(set(known)) > MAX_CLASSES:
        _dots(axes, positions[~given], "o", size, np.repeat(GREY, (~given).sum()))
        _numbers(axes, positions[given], np.array(known, dtype=float), size, top=1.0 if given.all() else 0.88)
        handles = [] if given.all() else [_handle("no value", GREY, "o")]
    else:
        looks = _looks(known, numeric)
        rest = "others" if given.all() else "no value" if len(set(known)) <= MAX_CLASSES else "others or no value"
        of = [looks.get(value, (GREY, "o")) for value in values]
        order = np.random.default_rng(0).permutation(len(values))  # by class, the last would lie on top
        for shape in SHAPES:
            rows = np.array([i for i in order if of[i][1] == shape], dtype=int)
            _dots(axes, positions[rows], shape, size, np.array([of[i][0] for i in rows]))
        handles = [_handle(name, *look) for name, look in zip(_names(looks), looks.values(), strict=True)]
        handles += [_handle(rest, GREY, "o")] if any(value not in looks for value in values) else []
    if handles:
        style: dict[str, Any] = {"frameon": False, "fontsize": 9, "labelcolor": INK, "handletextpad": 0.2}
        style["labelspacing"] = 0.35
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1.03), borderaxespad=0.2, **style)


def _looks(known: list[Any], numeric: bool) -> dict[Any, tuple[str, str]]:
    """Colour and shape of each class that is named: numbers from dark to bright, words one after the other."""
    if numeric:
        distinct = sorted(set(known))
        scale = np.linspace(0, BRIGHTEST, len(distinct)) if len(distinct) > 1 else [0.0]
        return {v: (_hex(colormaps[NUMBERS](x)), "o") for v, x in zip(distinct, scale, strict=True)}
    counts = Counter(known)
    if len(counts) > MAX_CLASSES:
        counts = Counter(dict(sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[: MAX_CLASSES - 1]))
    names = sorted(counts, key=str)
    return {v: (COLOURS[i % len(COLOURS)], SHAPES[i // len(COLOURS)]) for i, v in enumerate(names)}


def _numbers(axes: Axes, positions: np.ndarray, values: np.ndarray, size: float, top: float) -> None:
    low, high = values.min(), values.max()
    norm = (LogNorm if low > 0 and high >= 10 * low else Normalize)(low, high)
    order = np.random.default_rng(0).permutation(len(values))
    x, y = positions[order].T
    drawn = axes.scatter(x, y, s=size, c=values[order], cmap=NUMBERS, norm=norm, linewidths=0)
    bar = axes.figure.colorbar(drawn, cax=axes.inset_axes((1.04, 0, 0.035, top)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9, colors=INK, length=3)


def _dots(axes: Axes, positions: np.ndarray, shape: str, size: float, colours: np.ndarray) -> None:
    if len(positions):
        axes.scatter(positions[:, 0], positions[:, 1], s=size, c=colours.tolist(), marker=shape, linewidths=0)


def _handle(name: str, colour: str, shape: str) -> Line2D:
    return Line2D([], [], color=colour, marker=shape, linestyle="none", markersize=5.5, markeredgewidth=0, label=name)


def _names(values: Iterable[Any]) -> list[str]:
    """Classes as a legend beside its panel can hold them: on several lines each, or cut where they are too many."""
    texts = [f"{v:g}" if isinstance(v, Real) and not isinstance(v, bool) else " ".join(str(v).split()) for v in values]
    wrapped = [textwrap.wrap(text, WIDTH, max_lines=3, placeholder="…") for text in texts]
    if sum(map(len, wrapped)) > MAX_LINES:
        return [plain_text(text, WIDTH) for text in texts]
    return ["\n".join(plain_text(line) for line in lines) for lines in wrapped]


def _hex(rgba: Sequence[float]) -> str:
    return "#" + "".join(f"{round(255 * part):02X}" for part in rgba[:3])


def _grid(tiles: np.ndarray, below: float = 0.0) -> tuple[Figure, Axes]:
    """(rows, columns, height, width) in [0, 1] as one picture with white gaps; `below`: inches for what is written."""
    rows, columns, height, width = tiles.shape
    mosaic = np.ones((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP))
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + GAP), column * (width + GAP)
            mosaic[top : top + height, left : left + width] = tiles[row, column]
    side = min(1.15, 10 / columns)
    figure = new_figure(side * columns + 0.2 + 2 * below, side * rows * height / width + 0.2 + below)
    axes = figure.subplots()
    axes.imshow(mosaic, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return figure, axes
