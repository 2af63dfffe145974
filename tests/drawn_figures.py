"""Figures as the tests look at them: pixels, and whether they could be drawn."""

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from deepdlt import figures


def pixels(figure: Figure) -> np.ndarray:
    """The drawn figure, (height, width) in 0..255."""
    import io

    with Image.open(io.BytesIO(figures.png(figure, dpi=50))) as image:
        return np.asarray(image.convert("L"))


def drawn(axes: object) -> list[tuple[list[float], list[float]]]:
    """x and y of every line with data."""
    lines = [(list(map(float, line.get_xdata())), list(map(float, line.get_ydata()))) for line in axes.lines]  # type: ignore[attr-defined]
    return [line for line in lines if line[0]]
