"""The blocks of a report, independent of HTML and Markdown, and the formats of their numbers."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from sweeps.folds import Average
from sweeps.space import show


class Number(str):
    """Stands on the right of its column."""


class Name(str):
    """Stays on one line."""


UNKNOWN = "–"
Write = Callable[[Any], str]
"""Format of a number; a dash if it is not known."""


@dataclass(frozen=True)
class Heading:
    """Heading of a section or of a part of one."""

    text: str
    level: Literal[2, 3] = 2

    @property
    def anchor(self) -> str:
        """For links to it."""
        return "".join(c if c.isascii() and c.isalnum() else "-" for c in self.text.lower()).strip("-")


@dataclass(frozen=True)
class Text:
    """A paragraph; a note explains a table, a remark warns."""

    text: str
    look: Literal["", "note", "remark"] = ""


@dataclass(frozen=True)
class Items:
    """A list; with a title one of warnings."""

    items: Sequence[str]
    title: str = ""


@dataclass(frozen=True)
class Answer:
    """`headline` answers the question; `detail` gives the evidence."""

    question: str
    headline: str
    detail: str


@dataclass(frozen=True)
class Answers:
    """The answers to the questions of a sweep."""

    answers: Sequence[Answer]


@dataclass(frozen=True)
class Verdict:
    """Whether the best autoencoder beats the linear baselines."""

    state: Literal["above", "below", "tie", "open"]
    headline: str
    detail: str
    command: str = ""
    """What to run next; '' where nothing is to be done."""


@dataclass(frozen=True)
class Code:
    """A command or lines of a program, to copy."""

    title: str
    text: str


@dataclass(frozen=True)
class Link:
    """To a file beside the report, or to a heading (`#id`)."""

    text: str
    target: str


@dataclass(frozen=True)
class Links:
    """Links beside each other."""

    title: str
    links: Sequence[Link]


@dataclass(frozen=True)
class Figure:
    """A picture with its caption; with a `spec` also a chart that answers to the pointer."""

    name: str
    caption: str
    png: bytes
    svg: str = ""
    pdf: bytes = b""
    spec: Mapping[str, Any] | None = None
    """`data` and `layout` of plotly.js."""


@dataclass(frozen=True)
class Tile:
    """A small picture with a scale bar."""

    png: bytes
    title: str
    bar: float = 0.0
    """Length of the scale bar, as a share of the width; 0 for none."""
    bar_text: str = ""


@dataclass(frozen=True)
class Gallery:
    """Rows of small pictures, each row under its title."""

    name: str
    caption: str
    rows: Sequence[tuple[str, Sequence[Tile]]]


@dataclass(frozen=True)
class Entry:
    """Content of a table cell that is more than a text."""

    text: str
    more: str = ""
    """Smaller, behind it; after `between`, or `below` it where a cell can have two lines."""
    between: str = " "
    below: bool = False
    look: Literal["", "bold", "code", "gap"] = ""
    """A gap says why there is no number."""
    span: int = 1
    """Columns."""


@dataclass(frozen=True)
class Row:
    """`first` is marked; `aside` is not compared, `bounds` belongs to the row above, `reference` to another method."""

    cells: Sequence[Entry | str]
    look: Literal["", "first", "aside", "bounds", "reference"] = ""

    @property
    def entries(self) -> list[Entry]:
        """The cells."""
        return [cell if isinstance(cell, Entry) else Entry(cell) for cell in self.cells]


@dataclass(frozen=True)
class Table:
    """Under its name and caption; titles of "" are left out."""

    titles: Sequence[str]
    """Titles of the columns."""
    rows: Sequence[Row]
    foot: Sequence[Row] = ()
    name: str = ""
    caption: str = ""
    width: Literal["", "close", "narrow", "small", "keys"] = ""
    """How much room it leaves between columns; a small table is not as wide as the page, keys have names and values."""

    @property
    def kinds(self) -> list[str]:
        """Of each column `number`, `name` or `text`, by what stands there."""
        found: list[set[type[str]]] = [set() for _ in self.titles]
        for row in self.rows:
            at = 0
            for entry in row.entries:
                found[at] |= {type(entry.text)} if entry.span == 1 and entry.text not in _NEUTRAL else set()
                at += entry.span
        return ["number" if kinds == {Number} else "name" if kinds == {Name} else "text" for kinds in found]


_NEUTRAL = ("", UNKNOWN)


@dataclass(frozen=True)
class Beside:
    """Tables that stand beside each other where there is room."""

    tables: Sequence[Table]


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown when asked for."""

    title: str
    blocks: Sequence["Block"]


Block = Heading | Text | Items | Answers | Verdict | Code | Links | Figure | Gallery | Table | Beside | Folded


@dataclass(frozen=True)
class Report:
    """A whole report."""

    title: str
    subtitle: str
    blocks: Sequence[Block]
    trials: Mapping[str, str] = field(default_factory=dict)
    """Trial -> its settings in words, for charts in which one can be picked."""


def decimals(n: int) -> Write:
    """Numbers with so many decimals."""
    return lambda value: Number(f"{float(value):.{n}f}" if known(value) else UNKNOWN)


DB, SSIM, NATS, RATIO = decimals(2), decimals(3), decimals(1), decimals(1)


def losses(typical: float) -> Write:
    """As many decimals for all losses as show 3 significant digits of a typical one, and at least 4 below 100."""
    if not math.isfinite(typical) or typical == 0:
        return decimals(4)
    return decimals(1 if typical >= 100 else min(8, max(4, 2 - math.floor(math.log10(typical)))))


def shown(value: Any) -> str:
    """A setting or a count."""
    if not known(value):
        return UNKNOWN
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        return show(value)
    whole = int(value)
    return Number(show(value) if whole != value else f"{whole:,}" if abs(whole) >= 10_000 else whole)


def interval(low: float | None, high: float | None, write: Write = DB) -> str:
    """`[23.40, 24.80]`, '' where there is none."""
    return Number(f"[{write(low)}, {write(high)}]") if low is not None and high is not None else ""


def spread(average: Average | None, write: Write) -> Entry:
    """`24.10 ± 0.42`."""
    mean, sd = (average.mean, average.sd) if average else (None, None)
    return Entry(write(mean), f"± {write(sd)}", below=True)


def known(value: Any) -> bool:
    """Neither None nor a number that is none."""
    return value is not None and not (isinstance(value, float | np.floating) and not math.isfinite(value))
