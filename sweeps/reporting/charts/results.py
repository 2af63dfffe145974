"""Charts of results: importance, Pareto front, folds, classes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.reporting.charts.plot import BLUE, GREY, ORANGE, Spec, axis, chart, number, plain, points

ROW = 26  # px


def importance(shares: Mapping[str, float]) -> Spec:
    """Bars, the most important setting on top."""
    names = [*shares][::-1]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [number(shares[name]) for name in names],
        "y": [plain(name) for name in names],
        "marker": {"color": BLUE},
        "hovertemplate": "%{y}: %{x:.2f}<extra></extra>",
    }
    x_axis = axis("importance (share of explained variance)", range=[0, 1])
    return chart([bars], 110 + ROW * len(names), xaxis=x_axis, yaxis={"automargin": True}, margin=_margin())


def pareto(rows: Sequence[Mapping[str, Any]], cost: str, texts: Mapping[str, str]) -> Spec:
    """Quality versus cost, the front as a line."""
    front = sorted((row for row in rows if row["front"]), key=lambda row: row["cost"])
    others = [row for row in rows if not row["front"]]
    data = []
    for name, own, marker in (
        ("other trials", others, {"color": GREY, "size": 7}),
        ("Pareto-optimal", front, {"color": BLUE, "size": 10}),
    ):
        if own:
            found = [
                (r["trial"], number(r["cost"]), r["psnr_db"], f"{r['psnr_db']:.2f} dB · {texts.get(r['trial'], '')}")
                for r in own
            ]
            line = {"mode": "lines+markers", "line": {"shape": "hv", "color": BLUE}} if own is front else {}
            data.append(points(name, found, marker=marker, **line))
    costs = [row["cost"] for row in rows]
    kind = {"type": "log"} if max(costs) >= 10 * min(costs) else {}
    return chart(data, 360, xaxis=axis(cost, **kind), yaxis=axis("validation PSNR (dB)"))


def folds(rows: Sequence[Mapping[str, Any]], reference: tuple[str, float] | None) -> Spec:
    """Every fold of every label, with mean and interval."""
    titles = [plain(row["title"], 70) for row in rows]
    dots = points(
        "a fold",
        [
            (trial, psnr, k, f"fold {fold}: {psnr:.2f} dB")
            for k, row in enumerate(rows)
            for trial, fold, psnr in row["folds"]
        ],
        marker={"color": GREY, "size": 9, "opacity": 0.8},
    )
    known = [(k, row) for k, row in enumerate(rows) if row["mean"] is not None]
    means = _interval("mean, 95 % CI", [(k, r["mean"], r["low"], r["high"]) for k, r in known], BLUE, "diamond")
    layout: dict[str, Any] = {}
    if reference:
        line = {"color": ORANGE, "dash": "dash", "width": 2}
        x = number(reference[1])
        layout["shapes"] = [{"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line}]
        layout["annotations"] = [
            {"x": x, "y": 1, "yref": "paper", "yanchor": "bottom", "text": plain(reference[0]), "showarrow": False}
        ]
    return chart([dots, means], 150 + ROW * len(rows), xaxis=axis("test PSNR (dB)"), yaxis=_rows(titles), **layout)


def classes(rows: Sequence[Mapping[str, Any]], average: float) -> Spec:
    """Mean PSNR of each class with its interval; significantly low ones in colour."""
    titles = [plain(f"{row['label']} {row['class']}  (n = {row['n_images']})", 44) for row in rows]
    groups = ((False, "not significant", BLUE), (True, "significantly below the others of its label", ORANGE))
    data = [
        _interval(
            name,
            [
                (k, r["psnr_db"], r["low"], r["high"])
                for k, r in enumerate(rows)
                if bool(r["significant"]) == significant
            ],
            colour,
        )
        for significant, name, colour in groups
        if any(bool(row["significant"]) == significant for row in rows)
    ]
    x = number(average)
    line = {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": GREY, "dash": "dot"}}
    text = {"x": x, "y": 1, "yref": "paper", "yanchor": "bottom", "text": "mean of all images", "showarrow": False}
    axes = {"xaxis": axis("mean test PSNR over images (dB), 95 % CI"), "yaxis": _rows(titles)}
    return chart(data, 150 + 22 * len(rows), shapes=[line], annotations=[text], **axes)


def _interval(
    name: str, rows: Sequence[tuple[int, float, float | None, float | None]], colour: str, symbol: str = "circle"
) -> Spec:
    """Dots with their intervals on the rows of a chart."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plain(name),
        "x": [number(mean) for _, mean, _, _ in rows],
        "y": [k for k, *_ in rows],
        "marker": {"color": colour, "size": 9, "symbol": symbol},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [number(high - mean) if high is not None else 0 for _, mean, _, high in rows],
            "arrayminus": [number(mean - low) if low is not None else 0 for _, mean, low, _ in rows],
            "thickness": 3,
            "width": 0,
        },
        "hovertemplate": "%{x:.2f} dB<extra></extra>",
    }


def _rows(titles: Sequence[str]) -> dict[str, Any]:
    """A vertical axis with a text per row, the first on top."""
    return {
        "tickvals": [*range(len(titles))],
        "ticktext": [*titles],
        "range": [len(titles) - 0.4, -0.6],
        "automargin": True,
        "zeroline": False,
    }


def _margin() -> dict[str, int]:
    return {"l": 10, "r": 10, "t": 20, "b": 50}
