"""Charts of trials: history, learning curves, slices, parallel coordinates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweeps.reporting.charts.plot import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    Spec,
    axis,
    chart,
    lines,
    nth,
    panels,
    plain,
    points,
    whole_numbers,
)

BANDS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")  # viridis, which the colour-blind read as well
HOLLOW = {"symbol": "circle-open", "color": GREY, "size": 8}
FILLED = {"color": BLUE, "size": 8}
FEWEST_FOR_MEDIAN = 3
JITTER = 0.16
Rows = Sequence[Mapping[str, Any]]
"""Of trials: `trial`, `number`, `val_psnr_db`, `pruned`, `text`."""


def history(rows: Rows) -> Spec:
    """Validation PSNR in the order of the trials."""
    data = [
        points(name, [(r["trial"], r["number"], r["val_psnr_db"], _said(r)) for r in own], marker=marker)
        for name, marker, own in _by_fate(rows)
    ]
    done = [row for row in rows if not row["pruned"]]
    if done:
        best = np.maximum.accumulate([row["val_psnr_db"] for row in done])
        curve = dict(zip((row["number"] for row in done), best.tolist(), strict=True))
        line = {"color": ORANGE, "shape": "hv", "width": 2}
        data.append(
            lines("best so far", [("", curve)], " dB", line=line, mode="lines", hoverinfo="skip", customdata=None)
        )
    axes = {"xaxis": axis("search trial", **whole_numbers(len(rows))), "yaxis": axis("validation PSNR (dB)")}
    return chart(data, 320, **axes)


def curves(series: Mapping[str, Mapping[str, Mapping[int, float]]], named: Mapping[str, str]) -> Spec:
    """Learning curves of all trials; the named ones in colour, with their training loss."""
    metrics = (("val_psnr_db", "validation PSNR (dB)"), ("val_ssim", "validation SSIM"), ("val_loss", "loss"))
    wide, narrow = panels(3, 3, 300, [("epoch", title) for _, title in metrics])
    losses = [v for of in series.values() for v in of.get("val_loss", {}).values() if v > 0]
    if losses and max(losses) > 10 * min(losses):
        for layout in (wide, narrow):
            layout["yaxis3"]["type"] = "log"
    longest = max((epoch for of in series.values() for epoch in of.get("val_loss", {})), default=1)
    for layout in (wide, narrow):
        for name in ("xaxis", "xaxis2", "xaxis3"):
            layout[name] |= whole_numbers(longest)
    data = []
    for k, (metric, _) in enumerate(metrics):
        others = [(trial, of[metric]) for trial, of in series.items() if trial not in named and metric in of]
        if others:
            style: dict[str, Any] = {"line": {"color": GREY, "width": 1}, "opacity": 0.5, "marker": {"size": 4}}
            data.append(lines("other trials", others, legendgroup="others", showlegend=k == 0, **style, **nth(k)))
        for (trial, name), colour in zip(named.items(), (BLUE, GREEN, PURPLE), strict=False):
            of = series.get(trial, {})
            group: dict[str, Any] = {"legendgroup": trial, **nth(k)}
            if metric in of:
                own: dict[str, Any] = {"line": {"color": colour, "width": 2.5}, "showlegend": k == 0}
                data.append(lines(name, [(trial, of[metric])], **own, **group))
            if metric == "val_loss" and "train_loss" in of:
                dashed: dict[str, Any] = {"line": {"color": colour, "width": 2, "dash": "dash"}, "showlegend": False}
                data.append(lines(f"{name}, training loss", [(trial, of["train_loss"])], **dashed, **group))
    return chart(data, meta={"stacked": narrow}, **wide)


def slices(rows: Rows, names: Sequence[str]) -> Spec:
    """Validation PSNR by each setting."""
    wide, narrow = panels(
        len(names), 3, 260, [(name, "validation PSNR (dB)" if k % 3 == 0 else "") for k, name in enumerate(names)]
    )
    data = []
    for k, name in enumerate(names):
        known = [row for row in rows if row["settings"].get(name) is not None]
        place, ticks = places([row["settings"][name] for row in known])
        draw = np.random.default_rng(0).uniform(-JITTER, JITTER, len(known)) if ticks else np.zeros(len(known))
        xs = {row["trial"]: place[key(row["settings"][name])] + d for row, d in zip(known, draw, strict=True)}
        for title, marker, own in _by_fate(known):
            found = [(r["trial"], round(xs[r["trial"]], 4), r["val_psnr_db"], _said(r)) for r in own]
            data.append(points(title, found, marker=marker, legendgroup=title, showlegend=k == 0, **nth(k)))
        data += _medians(known, name, place if ticks else {}, k)
        for layout in (wide, narrow):
            of = layout[f"xaxis{'' if k == 0 else k + 1}"]
            if ticks:
                counts = {t: sum(key(row["settings"][name]) == t for row in known) for t in place}
                texts = [f"{plain(text, 14)}<br>n = {counts[t]}" for t, text in ticks]
                of |= {"tickvals": [place[t] for t, _ in ticks], "ticktext": texts, "range": [-0.6, len(ticks) - 0.4]}
            elif _logarithmic([row["settings"][name] for row in known]):
                of["type"] = "log"
    return chart(data, meta={"stacked": narrow}, **wide)


def parallel(rows: Rows, names: Sequence[str]) -> tuple[Spec, list[dict[str, Any]], list[dict[str, Any]]]:
    """Parallel coordinates, and lines and axes for the static figure."""
    columns = [*names, "val_psnr_db"]
    axes: list[dict[str, Any]] = []
    placed: dict[str, list[float | None]] = {row["trial"]: [] for row in rows}
    for name in columns:
        values = [row["val_psnr_db"] if name == "val_psnr_db" else row["settings"].get(name) for row in rows]
        share, ticks = _shares(values, many=name == "val_psnr_db")
        axes.append({"title": "validation PSNR (dB)" if name == "val_psnr_db" else name, "ticks": ticks})
        for row, value in zip(rows, values, strict=True):
            placed[row["trial"]].append(share(value))
    data = [_band(name, colour, own, placed) for name, colour, own in _bands(rows)]
    texts = [
        {
            "x": x,
            "y": y,
            "text": plain(text, 14),
            "showarrow": False,
            "xanchor": "left",
            "xshift": 4,
            "font": {"size": 11},
        }
        for x, of in enumerate(axes)
        for y, text in of["ticks"]
    ]
    bars = [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": {"color": GREY, "width": 1}}
        for x in range(len(axes))
    ]
    x_axis = {
        "tickvals": [*range(len(axes))],
        "ticktext": [plain(of["title"], 22) for of in axes],
        "range": [-0.15, len(axes) - 0.4],
        "showgrid": False,
        "zeroline": False,
    }
    y_axis = {"visible": False, "range": [-0.08, 1.08], "zeroline": False}
    spec = chart(data, 380, xaxis=x_axis, yaxis=y_axis, annotations=texts, shapes=bars)
    static = [{"y": placed[r["trial"]], "val_psnr_db": r["val_psnr_db"], "pruned": r["pruned"]} for r in rows]
    return spec, static, axes


def key(value: Any) -> Any:
    """Equal for equal settings: 3 and 3.0 are one, True and 1 are not."""
    return str(value) if isinstance(value, bool | str) else float(value)


def places(values: Sequence[Any]) -> tuple[dict[Any, float], list[tuple[Any, str]]]:
    """Place of each value on an axis, and its ticks; no ticks where numbers are too many to name each."""
    distinct = sorted({key(v): v for v in values}.items(), key=lambda item: (isinstance(item[0], str), item[0]))
    numeric = all(isinstance(k, float) for k, _ in distinct)
    if numeric and len(distinct) > 8:
        return {k: k for k, _ in distinct}, []
    ticks = [(k, f"{v:g}" if isinstance(v, float) else str(v)) for k, v in distinct]
    return {k: float(n) for n, (k, _) in enumerate(distinct)}, ticks


def _shares(values: Sequence[Any], many: bool = False) -> tuple[Any, list[tuple[float, str]]]:
    """Function from a value to its height in [0, 1], and the ticks; of `many` values only three."""
    given = [value for value in values if value is not None]
    place, ticks = ({value: value for value in given}, []) if many else places(given)
    if ticks:
        span = max(1, len(ticks) - 1)
        heights = {k: (place[k] / span if len(ticks) > 1 else 0.5) for k in place}
        return (lambda v: None if v is None else heights[key(v)]), [(heights[k], text) for k, text in ticks]
    low, high = min(place.values(), default=0.0), max(place.values(), default=1.0)
    log = _logarithmic(given)

    def share(value: Any) -> float | None:
        if value is None:
            return None
        if high == low:
            return 0.5
        if log:
            return float(np.log(value / low) / np.log(high / low))
        return float((value - low) / (high - low))

    middle = float(np.sqrt(low * high)) if log else (low + high) / 2
    return share, [(share(v) or 0.0, f"{v:.4g}") for v in ((low, middle, high) if high > low else (low,))]


def _bands(rows: Rows) -> list[tuple[str, str, list[Mapping[str, Any]]]]:
    """Name, colour and trials of each range of PSNR; pruned trials are one of their own."""
    done = sorted((r for r in rows if not r["pruned"]), key=lambda r: r["val_psnr_db"])
    pruned = [row for row in rows if row["pruned"]]
    found: list[tuple[str, str, list[Mapping[str, Any]]]] = [("pruned", GREY, pruned)] if pruned else []
    n = min(len(BANDS) - 1, len(done))
    for k, part in enumerate(np.array_split(np.arange(len(done)), n) if n else []):
        own = [done[i] for i in part]
        name = (
            f"{own[0]['val_psnr_db']:.2f} to {own[-1]['val_psnr_db']:.2f} dB"
            if len(own) > 1
            else f"{own[0]['val_psnr_db']:.2f} dB"
        )
        found.append((name, BANDS[k if n > 1 else 2], own))
    return found


def _band(name: str, colour: str, own: Sequence[Mapping[str, Any]], placed: Mapping[str, list[float | None]]) -> Spec:
    texts = [text for r in own for text in [plain(_said(r), 160)] * (len(placed[r["trial"]]) + 1)]
    series = [(r["trial"], {x: y for x, y in enumerate(placed[r["trial"]]) if y is not None}) for r in own]
    trace = lines(
        name, series, line={"color": colour, "width": 2}, opacity=0.5 if name == "pruned" else 0.9, mode="lines"
    )
    if len(trace["x"]) == len(texts):
        trace |= {"text": texts, "hovertemplate": "%{customdata}<br>%{text}<extra></extra>"}
    return trace


def _medians(known: Rows, name: str, place: Mapping[Any, float], k: int) -> list[Spec]:
    """A bar at the median of each value that enough complete trials have."""
    x: list[Any] = []
    y: list[Any] = []
    for value, at in place.items():
        found = [r["val_psnr_db"] for r in known if not r["pruned"] and key(r["settings"][name]) == value]
        if len(found) >= FEWEST_FOR_MEDIAN:
            middle = round(float(np.median(found)), 4)
            x += [at - 0.3, at + 0.3, None]
            y += [middle, middle, None]
    line = {"color": ORANGE, "width": 3}
    bar = {
        "type": "scatter",
        "mode": "lines",
        "name": "median (n ≥ 3)",
        "x": x,
        "y": y,
        "line": line,
        "hoverinfo": "skip",
    }
    return [bar | {"legendgroup": "median", "showlegend": k == 0} | nth(k)] if x else []


def _by_fate(rows: Rows) -> list[tuple[str, dict[str, Any], list[Mapping[str, Any]]]]:
    found = (
        ("complete", FILLED, [r for r in rows if not r["pruned"]]),
        ("pruned", HOLLOW, [r for r in rows if r["pruned"]]),
    )
    return [each for each in found if each[2]]


def _said(row: Mapping[str, Any]) -> str:
    return f"{row['val_psnr_db']:.2f} dB{' (pruned)' if row['pruned'] else ''} · {row['text']}"


def _logarithmic(values: Sequence[Any]) -> bool:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return bool(numbers) and min(numbers) > 0 and max(numbers) >= 10 * min(numbers)
