"""How the report writes numbers, averages and texts: the filters of its templates."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from sweeps.folds import Average, interval_text, p_text
from sweeps.space import show

Write = Callable[[Any], str]


class Verbatim(str):
    """Markdown that is written as it is."""


def formats(loss_decimals: int) -> dict[str, Callable[..., str]]:
    """Name of a filter -> what it does; a dash stands for what is not known."""
    styles: dict[str, Write] = {
        "db": _number(2),
        "ssim": _number(3),
        "nats": _number(1),
        "loss": _number(loss_decimals),
        "ratio": _number(1),
        "p": p_text,
        "show": shown,
    }

    def part(average: Average | None, name: str, style: str) -> str:
        return styles[style](getattr(average, name) if average else None)

    def mean_sd(average: Average | None, style: str) -> str:
        """`24.10 ± 0.42`."""
        spread = f" ± {part(average, 'sd', style)}" if average and average.sd is not None else ""
        return part(average, "mean", style) + spread

    def interval(average: Average | None, style: str) -> str:
        """`[23.40, 24.80]`, '' without one."""
        known = average is not None and average.low is not None
        return f"[{part(average, 'low', style)}, {part(average, 'high', style)}]" if known else ""

    return {
        **styles,
        "part": part,
        "mean_sd": mean_sd,
        "interval": interval,
        "range": lambda low, high: interval_text(low, high, 2).strip(),
        "number": lambda value, style: styles[style](value),
    }


def decimals_of_losses(typical: float) -> int:
    """As many for all losses as show 4 significant digits of a typical one, and at least 4 below 100."""
    if not math.isfinite(typical) or typical == 0:
        return 4
    return 1 if typical >= 100 else min(8, max(4, 3 - math.floor(math.log10(typical))))


def shown(value: Any) -> str:
    """A setting or a count as people write it."""
    if _missing(value):
        return "–"
    if isinstance(value, int | float | np.number) and not isinstance(value, bool) and float(value).is_integer():
        whole = int(value)
        return f"{whole:,}" if abs(whole) >= 10_000 else str(whole)
    return show(value)


def escape_markdown(value: Any) -> Any:
    """Text that Markdown and the HTML within it show as it is, on one line of a table."""
    if isinstance(value, Verbatim):
        return value
    text = re.sub(r"([\\`*|\[\]])", r"\\\1", " ".join(str(value).split()))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: Any) -> Verbatim:
    """Markdown's code, which must hold neither of its own signs."""
    return Verbatim(f"`{' '.join(re.sub('[`|]', '', str(text)).split())}`")


def _number(decimals: int) -> Write:
    return lambda value: "–" if _missing(value) else f"{float(value):.{decimals}f}"


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and not math.isfinite(value))
