"""The figure of an audit: measured against expected period of every image."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepdlt.figures.style import COLOURS, FAINT, GREY, INK, new_figure, plain_text, style_axes
from deepdlt.images import TOLERANCE, of_folder


def audit_figure(table: pd.DataFrame) -> Figure:
    """Measured against expected period, logarithmic; contradicting images coloured by folder.

    Args:
        table: what `audit` returns.
    """
    figure = new_figure(8.2, 5.6)
    axes = figure.subplots()
    shown = table[table["period_um"].notna()]
    span = np.array([1.2, 7.4])
    axes.fill_between(span, span / TOLERANCE, span * TOLERANCE, color=FAINT, alpha=0.35, linewidth=0)
    axes.plot(span, span, color=GREY, linewidth=1)
    for verdict, style in (
        ("agrees", {"color": GREY, "alpha": 0.55, "markeredgewidth": 0}),
        ("unclear", {"markerfacecolor": "white", "markeredgecolor": INK}),
    ):
        rows = shown[shown["verdict"] == verdict]
        _dots(axes, rows, f"{verdict}: {len(rows)} images", style)
    wrong = shown[shown["verdict"] == "contradicts"]
    for number, (folder, rows) in enumerate(wrong.groupby(of_folder(wrong["file"]))):
        colour = COLOURS[number % len(COLOURS)]
        style = {"color": colour, "markeredgewidth": 0, "zorder": 3}
        _dots(axes, rows, f"contradicts: {len(rows)} in {plain_text(folder, 60)}", style)
        for (expected, angle), group in rows.groupby(["expected_um", "suggested_angle"]):
            place = (expected * 1.05, group["period_um"].median())
            axes.annotate(f"measured {angle:g}°", place, color=colour, fontsize=9, va="center")
    for (angle, expected), _ in shown.groupby(["angle", "expected_um"]):
        place = (expected, 0.02)
        axes.annotate(f"{angle:g}°", place, xycoords=("data", "axes fraction"), color=INK, fontsize=9, ha="center")
    axes.set(xscale="log", yscale="log", xlim=span, ylim=span)
    style_axes(axes, "period from the angle in the label table (μm)", "measured period (μm)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([1.5, 2, 3, 4, 5, 6, 7], labels=["1.5", "2", "3", "4", "5", "6", "7"])
        axis.set_ticks([], minor=True)
    figure.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=9)
    return figure


def _dots(axes: Axes, rows: pd.DataFrame, name: str, style: dict) -> None:
    """One dot per image, side by side in a narrow range as many have the same label."""
    shift = 1.03 ** np.linspace(-1, 1, 7)[np.arange(len(rows)) % 7]
    axes.plot(rows["expected_um"] * shift, rows["period_um"], "o", markersize=5, linestyle="none", label=name, **style)
