"""The look that all figures share: colours, axes, size, PNG."""

import io
import math
import warnings
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")

GREY, FAINT, INK = "#8C8C8C", "#C4C4C4", "#333333"

TITLES = {
    "val_psnr_db": "validation PSNR (dB)",
    "val_ssim": "validation SSIM",
}


def png(figure: Figure, dpi: int = 144) -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # labels may be in any script
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """The figure as SVG, its letters as outlines, so that it looks the same everywhere."""
    return _vector(figure, "svg").decode()


def pdf(figure: Figure) -> bytes:
    """The figure as PDF, its fonts embedded."""
    return _vector(figure, "pdf")


def _vector(figure: Figure, kind: str) -> bytes:
    """The same figure gives the same bytes: no dates, no random names."""
    buffer = io.BytesIO()
    fixed: Any = {"svg.fonttype": "path", "svg.hashsalt": "deepdlt", "pdf.fonttype": 42}
    undated = {"Date": None} if kind == "svg" else {"CreationDate": None}
    with warnings.catch_warnings(), rc_context(fixed):
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # labels may be in any script
        if figure.get_layout_engine() is not None:  # once for all files: it takes as long as the drawing
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        figure.savefig(buffer, format=kind, dpi=300, metadata=undated)
    return buffer.getvalue()


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


def given(value: Any) -> bool:
    """Whether there is a value to show."""
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def plain_text(text: Any, length: int = 40) -> str:
    """Text as it is: no mathematics between dollar signs, one line, not endless."""
    line = " ".join(str(text).split())
    return (line if len(line) <= length else line[: length - 1] + "…").replace("$", r"\$")
