"""Figures that compare configurations: differences to the best with their intervals, cost against quality.

Plain dicts in, `matplotlib.figure.Figure` out, in the style of figures.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from deepdlt.figures import COLOURS, FAINT, GREY, INK, TITLES, new_figure, plain_text, style_axes

WIDE = 10.0  # a cost that spans this factor gets a logarithmic axis
TITLE_LENGTH = 60
NAMED = 8  # points of a front that get a name


def standings(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """How far each configuration is from the best: over test images (thick), and over folds (thin).

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
    style_axes(axes, "difference to the best in test PSNR (dB), 95 % intervals", "")
    shown = (
        ("tied", COLOURS[0], 4.5, any(row["tied"] for row in rows)),
        ("behind", COLOURS[1], 4.5, not all(row["tied"] for row in rows)),
        ("over folds (other trainings)", GREY, 1.6, any(row["over_folds"] is not None for row in rows)),
    )
    for name, colour, width, there in shown:
        if there:
            axes.plot([], [], color=colour, linewidth=width, label=name)
    figure.legend(loc="outside lower center", ncols=len(shown), frameon=False, fontsize=9)
    return figure


def pareto(points: Sequence[Mapping[str, Any]], cost: str) -> Figure:
    """Cost against quality, the front as a line: left and up is better.

    Args:
        points: with `trial`, `cost` (> 0), `psnr_db` and `front` (bool: no other is better in both).
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
    axes.plot(*_columns(places), "o", color=COLOURS[0], markersize=8, zorder=3, label="no trial is better in both")
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
