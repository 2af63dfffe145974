"""What all charts share: escaped texts, axes, panels beside or below each other, traces."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]
Line = tuple[str, Mapping[int, float]]
"""Trial, and x -> y."""
BLUE, ORANGE, GREEN, PURPLE, YELLOW = "#3388cc", "#e07020", "#009e73", "#cc79a7", "#e69f00"
GREY = "#8c97a3"
GAP = 0.09  # between panels beside each other, as a share of the width


def plain(text: Any, length: int = 60) -> str:
    """Text that plotly shows as it is; it takes some HTML for its own."""
    line = " ".join(str(text).split())
    return html.escape(line if len(line) <= length else f"{line[: length - 1]}…", quote=False)


def number(value: float | None) -> float | None:
    """Six significant digits, None where it is not finite: JSON has no other."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with its title."""
    return {"title": {"text": plain(title), "standoff": 6}, "zeroline": False, **more}


def whole_numbers(largest: int) -> dict[str, int]:
    """Ticks of an axis of counts, at most about eight."""
    return {"tick0": 0, "dtick": max(1, -(-largest // 8))}


def chart(data: Sequence[Spec], height: int, *, meta: Any = None, **layout: Any) -> Spec:
    """A whole chart."""
    legend = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0}
    whole = {"height": height, "margin": {"l": 10, "r": 10, "t": 30, "b": 70}, "legend": legend, "hovermode": "closest"}
    return {"data": [*data], "layout": whole | layout | ({"meta": meta} if meta else {})}


def points(name: str, rows: Sequence[tuple[str, Any, float | None, str]], **style: Any) -> Spec:
    """Dots of trials: (trial, x, y, hover text)."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plain(name),
        "x": [x for _, x, _, _ in rows],
        "y": [number(y) for _, _, y, _ in rows],
        "customdata": [trial for trial, _, _, _ in rows],
        "text": [plain(text, 160) for *_, text in rows],
        "hovertemplate": "%{customdata}<br>%{text}<extra></extra>",
        **style,
    }


def lines(name: str, series: Sequence[Line], unit: str = "", **style: Any) -> Spec:
    """Curves of trials as one trace with gaps, so that hundreds are drawn at once."""
    x: list[Any] = []
    y: list[Any] = []
    trials: list[Any] = []
    for trial, curve in series:
        for place in sorted(curve):
            x.append(place)
            y.append(number(curve[place]))
            trials.append(trial)
        x.append(None)
        y.append(None)
        trials.append(None)
    hover = f"%{{customdata}}<br>%{{x}}: %{{y:.4g}}{unit}<extra></extra>"
    mode = "lines+markers" if all(len(curve) <= 5 for _, curve in series) else "lines"
    return {
        "type": "scatter",
        "mode": mode,
        "name": plain(name),
        "x": x,
        "y": y,
        "customdata": trials,
        "hovertemplate": hover,
        "connectgaps": False,
        **style,
    }


def panels(n: int, columns: int, height: int, titles: Sequence[tuple[str, str]]) -> tuple[Spec, Spec]:
    """Axes of n panels: beside each other on wide screens, below each other on narrow ones.

    Args:
        columns: of the wide layout.
        height: px of a line of panels.
        titles: (n,) of x and of y.

    Returns:
        Axes for the layout, and for narrow screens.
    """
    columns = min(columns, n)
    rows = -(-n // columns)
    return _grid(n, columns, rows, titles) | {"height": rows * height + 60}, _grid(n, 1, n, titles) | {
        "height": n * height + 60
    }


def _grid(n: int, columns: int, rows: int, titles: Sequence[tuple[str, str]]) -> Spec:
    found: Spec = {}
    wide, tall = (1 - GAP * (columns - 1)) / columns, 1 / rows
    for k in range(n):
        at, name = (k % columns, k // columns), "" if k == 0 else str(k + 1)
        left, top = at[0] * (wide + GAP), 1 - at[1] * tall
        x, y = titles[k]
        room = 0.28 if rows > 1 else 0.0
        found[f"xaxis{name}"] = axis(x, domain=[left, left + wide], anchor=f"y{name}")
        found[f"yaxis{name}"] = axis(y, domain=[top - tall * (1 - room), top], anchor=f"x{name}")
    return found


def nth(k: int) -> dict[str, str]:
    """Axes of the k-th panel, from 0."""
    name = "" if k == 0 else str(k + 1)
    return {"xaxis": f"x{name}", "yaxis": f"y{name}"}
