"""Columns of a label table, from text to integers, floats or classes, and the problems in them. Nothing is guessed."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepdlt.errors import SHOWN, fold, has_control, hint, short, some
from deepdlt.headings import SPACES, join_headings
from deepdlt.tables.sheet import Sheet
from deepdlt.tables.written_numbers import as_shown, is_number_like, read_numbers

OWN_COLUMNS = ("image_id", "condition", "file", "pixel_um")  # of Source.images; no label may have these names
FEW = 8  # distinct numbers; with more, the column is a measurement and a word in it is a mistake
NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
CODE = re.compile(r"[+-]?0[0-9]+(?:\.[0-9]*)?")  # 007: a name, not a number
DATE = re.compile(
    r"(?P<first>[0-9]{4}|[0-9]{1,2})(?P<mark>[-./])[0-9]{1,2}(?P=mark)(?P<last>[0-9]{4}|[0-9]{1,2})(?: .*)?"
)
ALMOST = re.compile(r"[+\-−]?[0-9][0-9.' ]*,[0-9]+|[+\-−]?(?:inf|infinity|nan)|[-–—+.?]+|−[0-9.]+", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column with its type: int64, float64 (blank = NaN) or str. With `problems` it cannot be a label."""

    values: pd.Series
    problems: list[str]
    notes: list[str]


def read_columns(
    table: Sheet, name_column: str, labels: tuple[str, ...], group_by: tuple[str, ...] = ()
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """(typed columns, problems of the requested columns, notes). Without `labels`, problems become notes."""
    known = [h for h in table.headings if h != name_column]
    listed = ", ".join(map(repr, known))
    problems = [
        f"{table.path.name}: unknown {what} {name!r}{_meant(option, name, known)}; {what}s: {listed}"
        for option, what, names in (("--labels", "label", labels), ("--group-by", "column", group_by))
        for name in names
        if name not in known
    ]
    problems += [
        f"{table.path.name}: {name!r} is a reserved column name; rename the label"
        for name in labels
        if name in OWN_COLUMNS
    ]
    columns: dict[str, pd.Series] = {"Names": pd.Series(table.texts("Names"))} if name_column == "Names" else {}
    notes: list[str] = []
    asked = {*labels, *group_by}
    for heading in known:
        texts = None
        if heading == "PP1" and "PP2" in known:  # PP1 = 0: the pattern is in the second pulse (as in the original code)
            pairs = zip(table.texts("PP1"), table.texts("PP2"), strict=True)
            texts = [second if first.strip() == "0" else first for first, second in pairs]
        column = read_column(table, heading, texts)
        if heading in asked:
            problems += column.problems
        if heading in asked or not labels:
            notes += column.notes + ([] if heading in asked else column.problems)
        if heading in labels and column.values.nunique() == 1:
            notes.append(f"{table.path.name}: label {heading!r} has only one value, {column.values[0]!r}")
        if heading not in OWN_COLUMNS:
            columns[heading] = column.values
    return pd.DataFrame(columns, index=range(len(table.rows))), problems, notes


def read_column(sheet: Sheet, heading: str, texts: Sequence[str] | None = None) -> Column:
    """Determine the type of a column and its problems; `texts` replaces the cells.

    The whole column decides its type, so `007`, `NA` and `None` stay text. A column of numbers becomes int64 or
    float64, to 12 significant digits; one way of writing them, with one unit, is read, and a note says so. Any other
    column is text, also one with codes (007, integers above 2^53). A word in a column of mostly numbers is a mistake if
    there are more than 8 different numbers; otherwise it is a class, and a note lists them.
    """
    cells = sheet.texts(heading) if texts is None else texts
    raw = [cell if cell.isascii() else cell.translate(SPACES) for cell in cells]
    values = [_shown(cell.strip()) for cell in raw]
    where = f"{sheet.path.name}: {heading!r}"
    faulty = {i for i, name in sheet.faults if name == heading}
    problems = [f"{sheet.path.name} {text}" for (_, name), text in sorted(sheet.faults.items()) if name == heading]
    blank = [sheet.row_numbers[i] for i, value in enumerate(values) if not value and i not in faulty]
    if blank:
        problems.append(f"{sheet.path.name}: column {heading!r} has no value in row(s) {some(blank)}; fill them in")
    numbers = read_numbers(
        ["" if i in faulty else value for i, value in enumerate(values)],
        sheet.row_numbers,
        decimal_comma=sheet.separator not in ("", ","),
        stored={i for i, name in sheet.decimals if name == heading},
        unit=sheet.units.get(heading, ""),
    )
    if numbers and not numbers.problem:
        return Column(_numbers(numbers.texts), problems, [f"{where}: {numbers.note}"] if numbers.note else [])
    problems += [f"{where} {numbers.problem}"] if numbers else []
    kinds = [_kind(value) for value in values]
    wrong = [] if numbers else [i for i in _not_numbers(values, kinds) if i not in faulty]
    if wrong:
        remedy = "; decimals need a point" if any("," in values[i] for i in wrong) else ""
        shown = ", ".join(f"row {sheet.row_numbers[i]} {short(values[i])}" for i in wrong[:SHOWN])
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        problems.append(f"{where} expected a number, got {shown}{more}{remedy}")
    if not numbers and set(kinds) <= {"number", "blank"}:
        return Column(_numbers(values), problems, [])
    column = _text_column(where, raw, values, kinds, may_mix=not (wrong or numbers))
    return Column(column.values, problems + column.problems, column.notes)


def _text_column(where: str, raw: list[str], values: list[str], kinds: list[str], *, may_mix: bool) -> Column:
    """A column that is not read as numbers; `may_mix`: a note says so if some of it are numbers."""
    if {v.casefold() for v in values if v} <= {"true", "false"}:
        raw = values = [v.capitalize() for v in values]
    filled = [cell for cell in raw if cell.strip()]
    problems = [f"{where} {text}" for text in (*_text_problems(filled), *_date_problems(filled))]
    classes = sorted({v for v, kind in zip(values, kinds, strict=True) if kind != "blank"})
    numbers = {v for v, kind in zip(values, kinds, strict=True) if kind == "number"}
    mixed = may_mix and "code" not in kinds and numbers and numbers != {"0"}  # 0 is how the DLIP sheet says none
    notes = [f"{where} mixes numbers and words; all its values are read as text: {some(classes)}"] if mixed else []
    return Column(pd.Series([v or None for v in values], dtype="str"), problems, notes)


def _meant(option: str, name: str, known: list[str]) -> str:
    """A hint at the heading that an unknown name probably means."""
    commas = [h for h in known if "," in h and name in [part.strip() for part in h.split(",")]]
    if commas:
        typed = shlex.quote(join_headings(commas[:1]))
        return f" (the name {commas[0]!r} has a comma: type it in quotes, as in {option} {typed})"
    return hint(name, known)


def _shown(text: str) -> str:
    """A decimal with more than 12 digits as Excel shows it, so that equal numbers are equal as text, too."""
    if len(text) < 13 or not NUMBER.fullmatch(text) or text.lstrip("+-").isdigit():
        return text
    value = float(text)
    return text if not np.isfinite(value) or as_shown(value) == value else repr(as_shown(value)).removesuffix(".0")


def _kind(text: str) -> str:
    if not text:
        return "blank"
    if NUMBER.fullmatch(text):
        if re.fullmatch("[+-]?[0-9]+", text) and len(text) < 400 and abs(int(text)) > 2**53:
            return "code"
        return "number" if np.isfinite(float(text)) else "almost"
    if CODE.fullmatch(text):
        return "code"
    if ALMOST.fullmatch(text):
        return "almost"
    return "written" if is_number_like(text) else "word"


def _not_numbers(values: list[str], kinds: list[str]) -> list[int]:
    """Indices of the cells that should be numbers, judged by the rest of the column."""
    count = {kind: kinds.count(kind) for kind in ("number", "written", "almost", "word", "code")}
    numbers = {v for v, kind in zip(values, kinds, strict=True) if kind in ("number", "written")}
    if count["word"] and 2 * (count["number"] + count["written"]) > sum(count.values()) and len(numbers) > FEW:
        return [i for i, kind in enumerate(kinds) if kind in ("word", "almost")]
    almost = [i for i, kind in enumerate(kinds) if kind == "almost"]
    digits = any(c.isdigit() for i in almost for c in values[i])
    return almost if almost and not count["word"] and not count["code"] and (numbers or digits) else []


def _numbers(values: list[str]) -> pd.Series:
    if all(re.fullmatch("[+-]?[0-9]+", v) for v in values):
        return pd.Series([int(v) for v in values], dtype="int64")
    return pd.Series([as_shown(float(v)) if v else np.nan for v in values], dtype="float64")


def _date_problems(raw: list[str]) -> list[str]:
    """Problems of dates that are written in several ways: one day would be several classes, or several groups."""
    dates = [match for text in dict.fromkeys(map(str.strip, raw)) if (match := DATE.fullmatch(text))]
    ways = {(m["mark"], len(m["first"]) == 4, len(m["last"]) == 4): m[0] for m in dates}
    days: dict[str, list[str]] = {}
    for m in dates:
        days.setdefault(re.sub("(?<![0-9])0", "", m[0]), []).append(m[0])
    several = [list(ways.values()), *days.values()]
    shown = next((" and ".join(map(short, texts[:2])) for texts in several if len(texts) > 1), "")
    return [f"writes dates in several ways, such as {shown}; write all alike, as 2024-05-31"] if shown else []


def _text_problems(raw: list[str]) -> list[str]:
    """Problems of classes that look alike to a reader, or that contain control characters."""
    alike: dict[str, list[str]] = {}
    for text in sorted(set(raw)):
        alike.setdefault(fold(text), []).append(text)
    problems = [
        f"has {' and '.join(map(short, texts))}, which differ only in capitals, spaces or Unicode form; use one of them"
        for texts in alike.values()
        if len(texts) > 1
    ]
    return problems + [f"has a control character in {short(t)}; delete it" for t in set(raw) if has_control(t.strip())]
