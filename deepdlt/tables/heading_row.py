"""Where a table begins: rows above the headings (titles, comments) and the row of units below them."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from deepdlt.errors import fold
from deepdlt.formats import FORMATS
from deepdlt.headings import as_heading
from deepdlt.tables.written_numbers import UNIT, is_number_like

NAME_HEADINGS = ("names", "name", "file", "filename", "image", "path")
SEARCHED = 50  # rows in which headings are looked for
JUDGED = 1000  # rows by which the width of a table is judged
WORD_FOR_UNIT = re.compile(r"units?|einheit(en)?|unités?|unidad(es)?", re.IGNORECASE)

Row = tuple[int, list[str]]
"""The number of a row, and its cells."""


def without_unit(heading: str) -> str:
    """`power [W]` -> `power`."""
    return re.sub(r"\s*\[[^\]]*\]\s*$", "", heading)


def is_name_heading(cell: str) -> bool:
    """Whether a column of this heading may hold file names."""
    return fold(without_unit(as_heading(cell))).replace("_", "") in NAME_HEADINGS


def name_columns(row: Sequence[str]) -> list[int]:
    """Indices of the cells that may head the column of file names."""
    return [j for j, cell in enumerate(row) if len(cell) < 40 and is_name_heading(cell)]


def find_headings(filled: list[Row]) -> tuple[int, str]:
    """(index of the headings among the rows that are not blank, doubt).

    The headings are the first row that has a column of file names and is as wide as the rows below. A later row than
    the first is believed where the rows above it are shorter (a title), or where file names follow in its column of
    file names; else the first row is taken, and the doubt says which row looks like the headings.
    """
    candidates = [i for i, (_, row) in enumerate(filled[:SEARCHED]) if i + 1 < len(filled) and _may_head(i, row)]
    wide = [i for i in candidates if span(filled[i][1]) >= usual_width([row for _, row in filled[i + 1 :]])]
    for i in [*wide, *candidates[:1]]:
        if i == 0 or _certain(filled, i):
            return i, ""
    if not candidates:
        return 0, ""
    number, row = filled[(wide or candidates)[0]]
    return 0, f"row {number} with {row[name_columns(row)[0]]!r} may have the headings; delete the rows above it"


def span(row: Sequence[str]) -> int:
    """Number of cells up to the last one that is filled."""
    return max((j + 1 for j, cell in enumerate(row) if cell.strip()), default=0)


def usual_width(rows: Sequence[Sequence[str]]) -> int:
    """The most frequent number of cells in a row."""
    return Counter(span(row) for row in rows[:JUDGED]).most_common(1)[0][0] if rows else 0


def units_row(head: Sequence[str], body: list[Row]) -> dict[int, str]:
    """Column -> unit, if the first row below the headings holds nothing but units; else {}.

    Such a row names no file, and what stands in it are units of columns of numbers.
    """
    if len(body) < 2:
        return {}
    row = [cell.strip() for cell in body[0][1]]
    row += [""] * (len(head) - len(row))
    units = {j: cell.strip("[]()").strip() for j, cell in enumerate(row) if cell.strip("[]()-–—/ ")}
    names = name_columns(head)[:1]
    units = {j: unit for j, unit in units.items() if j not in names or not WORD_FOR_UNIT.fullmatch(unit)}
    if not units or not names or names[0] in units or not all(UNIT.fullmatch(unit) for unit in units.values()):
        return {}
    return units if all(_holds_numbers(body[1:], j) for j in units) else {}


def aligned(head: Sequence[str], body: list[Row]) -> tuple[list[Row], str]:
    """(rows as wide as the headings, what was left out) where every row of a text file has one field more.

    That is a separator at the end of every row, or row names, for which R's `write.table` writes no heading.
    """
    if not body or any(len(row) != len(head) + 1 for _, row in body):
        return body, ""
    if not any(row[-1].strip() for _, row in body):
        return [(n, row[:-1]) for n, row in body], "the separator at the end of every row"
    named = name_columns(head)[:1]
    shifted = all(_is_image_name(row[j + 1]) and not _is_image_name(row[j]) for j in named for _, row in body)
    if named and shifted and len({row[0] for _, row in body}) == len(body):
        return [(n, row[1:]) for n, row in body], f"the row names in column 1 (as R writes them): {body[0][1][0]!r}, …"
    return body, ""


def _may_head(i: int, row: Sequence[str]) -> bool:
    """Whether a row has a column of file names and, but for the first row, no number."""
    return bool(name_columns(row)) and (i == 0 or not any(is_number_like(cell.strip()) for cell in row))


def _holds_numbers(body: list[Row], j: int) -> bool:
    cells = [row[j].strip() for _, row in body[:JUDGED] if j < len(row) and row[j].strip()]
    return 2 * sum(map(is_number_like, cells)) > len(cells)


def _certain(filled: list[Row], i: int) -> bool:
    row = filled[i][1]
    j = name_columns(row)[0]
    above = [cells for _, cells in filled[:i]]
    if any(j < len(cells) and _is_image_name(cells[j]) for cells in above):
        return False
    below = [cells[j].strip() for _, cells in filled[i + 1 : i + 1 + JUDGED] if j < len(cells) and cells[j].strip()]
    shorter = all(_count(cells) < _count(row) for cells in above)
    return shorter or 2 * sum(map(_is_image_name, below)) > len(below)


def _count(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _is_image_name(cell: str) -> bool:
    return PurePath(cell.strip()).suffix.lower() in FORMATS
