"""The label table of an image folder (csv or xlsx), read strictly as text; every fault is given with its row."""

import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from deepdlt.errors import SHOWN, DataError, hint, listing, row_list, short, some
from deepdlt.headings import as_heading, invisible, visible
from deepdlt.machine import user
from deepdlt.tables.csv_text import read_csv
from deepdlt.tables.excel import MAX_BYTES, MAX_PACKED, Cells, column_index, column_letters, read_xlsx
from deepdlt.tables.heading_row import Row, aligned, find_headings, span, units_row, without_unit
from deepdlt.tables.written_numbers import common_unit

SHEET_SUFFIXES = (".xlsx", ".csv", ".tsv")
COMMENT_SIGNS = ("#", "%")  # of a row that is a comment, if nothing else stands in it
TEXT_SUFFIXES = (".txt", ".dat", ".asc", ".tab")  # of tables that instruments and spreadsheets write
FOREIGN_SUFFIXES = (".xls", ".xlsm", ".xlsb", ".xltx", ".ods", ".numbers")
ERROR_WORD = re.compile(
    r"#[¡¿]?[^\W\d_][^\W_]*(?:[/ _.][^\W_]+)*[!?]|#(?:N/A|NV|N/D|N/B|I/T|SAKNAS|PUUTTUU|YOK|Н/Д)!?|#GETTING_DATA|"
    r"#N/A N/A|Err:5[0-9][0-9]|#{3,}"
)
"""What Excel and LibreOffice show for a formula that fails, in any language; #### is a narrow column."""


@dataclass(frozen=True)
class Sheet:
    """A table of text. `rows`: the cells of each row, '' where blank; `row_numbers` as a spreadsheet counts them.

    `headings`: without units, as `as_heading` spells them; `units`: heading -> unit, of the heading, of a row of units
    or of the cells; `faults`: (row index, heading) -> problem; `decimals`: cells with a fraction that a spreadsheet
    holds as numbers; `separator`: of a csv file, else ''; `problems`: of the table itself, with which it cannot be used
    though it can be read.
    """

    path: Path
    headings: list[str]
    units: dict[str, str]
    rows: list[list[str]]
    row_numbers: list[int]
    faults: dict[tuple[int, str], str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    decimals: set[tuple[int, str]] = field(default_factory=set)
    separator: str = ""
    problems: list[str] = field(default_factory=list)

    def texts(self, heading: str) -> list[str]:
        """The cells of a column."""
        at = self.headings.index(heading)
        return [row[at] for row in self.rows]


def find_sheet(folder: Path) -> Path:
    """The label table of a folder: its only table, or `all_images.*` if there are several.

    Raises:
        DataError: no folder, or not exactly one table.
    """
    try:
        if not folder.exists():
            near = hint(folder.name, (p.name for p in folder.parent.iterdir()) if folder.parent.is_dir() else ())
            raise DataError(f"no such folder: {folder}{near}; give --data a folder of images with a label table")
        if not folder.is_dir():
            raise DataError(f"{folder} is a file; give --data the folder that holds the images and their label table")
        entries = sorted(p for p in folder.iterdir() if not p.name.startswith((".", "~$")))
    except OSError as error:
        raise DataError(f"{str(folder)!r} cannot be listed ({error.strerror}, {user()})") from error
    sheets = [p for p in entries if p.suffix.lower() in SHEET_SUFFIXES]
    preferred = [p for p in sheets if p.stem == "all_images"]
    if len(preferred) == 1 or len(sheets) == 1:
        return (preferred or sheets)[0]
    foreign = [p.name for p in entries if p.suffix.lower() in FOREIGN_SUFFIXES]
    found = ", ".join(repr(p.name) for p in sheets[:SHOWN]) or "none"
    remedy = f"; save {foreign[0]!r} as .xlsx or .csv (no macros, no old formats)" if foreign and not sheets else ""
    texts = [p.name for p in entries if p.suffix.lower() in TEXT_SUFFIXES]
    if texts and not (foreign or sheets):
        remedy = f"; if {texts[0]!r} is the table, name it {Path(texts[0]).stem}.csv"
    raise DataError(
        f"{folder} needs exactly one label table (.xlsx or .csv), or one named all_images.xlsx; found {found}{remedy}"
    )


def read_sheet(path: Path, worksheet: str | None = None) -> Sheet:
    """Read a table; `worksheet` names one of several worksheets in a workbook.

    Raises:
        DataError: the file is damaged, too large or of another format, or there is no table in it.
    """
    book = path.suffix.lower() == ".xlsx"
    if worksheet is not None and not book:
        raise DataError(f"{path}: a {path.suffix} file has no worksheets; leave --sheet {short(worksheet)} out")
    raw = _read_bytes(path, MAX_PACKED if book else MAX_BYTES, keep=not book)
    cells = read_xlsx(path, worksheet) if book else read_csv(path, raw)
    layout = _layout(path, cells)
    numbers = [number for number, _ in layout.body]
    width = max(len(row) for _, row in layout.body) if book else 0
    width = max(width, len(layout.head))
    problems = layout.problems + ([] if book else _widths(path, len(layout.head), layout.body))
    head, *rows = [[*row, *[""] * (width - len(row))][:width] for row in [layout.head, *[r for _, r in layout.body]]]
    names = [as_heading(cell) for cell in head]
    kept = [j for j in range(width) if names[j]]
    bare = [without_unit(names[j]) for j in kept]
    problems += _merged(path, cells.merged, layout.first, numbers, kept, rows)
    notes = [
        *cells.notes,
        *_column_notes(path, width, kept, rows),
        *_row_notes(path, cells, layout, numbers),
        *_unseen(path, [(layout.first, head), *zip(numbers, rows, strict=True)], kept),
    ]
    rows = [[visible(row[j]) for j in kept] for row in rows]
    units = _units(names, kept, layout.units, rows)
    index, column = {n: i for i, n in enumerate(numbers)}, {j: bare[k] for k, j in enumerate(kept)}

    def inside(found: Iterable[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, str]]:
        return {(n, j): (index[n], column[j]) for n, j in found if n in index and j in column}

    faults = _error_words(rows, numbers, kept, bare)
    faults |= {key: cells.faults[cell] for cell, key in inside(cells.faults).items()}
    decimals = set(inside(cells.decimals).values())
    twice = sorted({h for h in bare if bare.count(h) > 1})
    if twice:
        problems.append(f"{path}: two columns are called {twice[0]!r}; columns: {some(bare, 30)}; rename or delete one")
    return Sheet(path, bare, units, rows, numbers, faults, notes, decimals, cells.separator, problems)


@dataclass(frozen=True)
class _Layout:
    """Where the table stands in its file: row number and cells of the headings, the rows below them, their units."""

    first: int
    head: list[str]
    body: list[Row]
    units: dict[int, str]
    skipped: dict[int, str]
    problems: list[str]


def _layout(path: Path, cells: Cells) -> _Layout:
    filled = cells.filled()
    if not filled:
        raise DataError(f"{path}: empty; it needs headings in the first row and one image in each further row")
    at, doubt = find_headings(filled)
    (first, head), *body = filled[at:]
    if cells.separator:
        body, left_out = aligned(head, body)
        cells.notes.extend([f"{path.name}: left out {left_out}"] if left_out else [])
    units = units_row(head, body)
    skipped = cells.comments | {n: next(filter(str.strip, row)).strip() for n, row in filled[:at]}
    if units:
        skipped[body[0][0]] = "units"
        del body[0]
    if len(head) > 1:
        comments = {n: row[0].strip() for n, row in body if row[0].lstrip()[:1] in COMMENT_SIGNS and span(row) == 1}
        skipped |= comments
        body = [(n, row) for n, row in body if n not in comments]
    if not body:
        raise DataError(f"{path}: no rows below the headings; add one row per image")
    return _Layout(first, head, body, units, skipped, [f"{path}: {doubt}"] if doubt else [])


def _widths(path: Path, width: int, body: list[Row]) -> list[str]:
    wrong = [(number, len(row)) for number, row in body if len(row) != width]
    if not wrong:
        return []
    remedy = "quote cells that contain the separator, or delete separators at the end"
    if len(wrong) == len(body) and len({n for _, n in wrong}) == 1:
        return [f"{path}: every row has {wrong[0][1]} fields, but there are {width} headings; {remedy}"]
    lines = [f"row {number} has {n} fields, but there are {width} headings" for number, n in wrong]
    return [listing(f"{path}: {len(wrong)} row(s) with a wrong number of fields; {remedy}", lines)]


def _merged(
    path: Path, ranges: list[str], first: int, numbers: list[int], kept: list[int], rows: list[list[str]]
) -> list[str]:
    """Problem: merged cells in the table; a title above it may be merged. The rows get the merged value."""
    index = {number: i for i, number in enumerate(numbers)}
    wrong = []
    for text in ranges:
        corners = [re.fullmatch("([A-Z]+)([0-9]+)", corner) for corner in text.split(":")]
        if None in corners or not corners:
            continue
        (left, top), (right, bottom) = [(column_index(m[1]), int(m[2])) for m in (corners[0], corners[-1]) if m]
        inside = [index[n] for n in range(top, min(bottom, numbers[-1]) + 1) if n in index]
        columns = [j for j in kept if left <= j <= right]
        if not columns or not (inside or top <= first <= bottom) or (not inside and left == right):
            continue
        wrong.append(text)
        value = rows[inside[0]][left] if inside else ""
        for i in inside:
            for j in columns:
                rows[i][j] = rows[i][j] or value
    return [f"{path}: merged cells {some(wrong)}; unmerge them and fill every cell"] if wrong else []


def _column_notes(path: Path, width: int, kept: list[int], rows: list[list[str]]) -> list[str]:
    stray = [j + 1 for j in range(width) if j not in kept and any(row[j].strip() for row in rows)]
    return [f"{path.name}: column(s) {some(stray)} have no heading and are ignored"] if stray else []


def _row_notes(path: Path, cells: Cells, layout: _Layout, numbers: list[int]) -> list[str]:
    """Notes on the rows that are not used, and on hidden ones, which are."""
    above = [n for n in sorted(layout.skipped) if n < layout.first]
    titles = f"ignored {row_list(above)} above the headings in row {layout.first}: " if above else ""
    blank = [n for n, row in cells.records if layout.first < n < numbers[-1] and not any(c.strip() for c in row)]
    blank = [n for n in blank if n not in layout.skipped]
    hidden = sorted(set(cells.hidden) & set(numbers))
    units = ", ".join(f"{layout.head[j].strip()} [{unit}]" for j, unit in layout.units.items())
    comments = [n for n in sorted(layout.skipped) if n > layout.first and layout.skipped[n][0] in COMMENT_SIGNS]
    below = [n for n in layout.skipped if n > layout.first and n not in comments]
    return [
        *([f"{path.name}: {titles}{some([layout.skipped[n] for n in above], 3)}"] if above else []),
        *([f"{path.name}: {row_list(below)} has the units: {units}"] if below else []),
        *([f"{path.name}: ignored comment {row_list(comments)}"] if comments else []),
        *([f"{path.name}: skipped blank {row_list(blank)}"] if blank else []),
        *([f"{path.name}: used hidden {row_list(hidden)} like the others"] if hidden else []),
    ]


def _unseen(path: Path, rows: list[Row], kept: list[int]) -> list[str]:
    """A note on characters that nobody sees, with their rows."""
    found = {n: {c for j in kept for c in invisible(row[j])} for n, row in rows if not "".join(row).isascii()}
    where = [n for n, characters in found.items() if characters]
    which = sorted(set().union(*found.values()))
    return [f"{path.name}: left out invisible characters ({', '.join(which)}) in {row_list(where)}"] if where else []


def _units(names: list[str], kept: list[int], below: dict[int, str], rows: list[list[str]]) -> dict[str, str]:
    """Heading -> unit: in brackets behind the heading, in the row below it, or in every cell."""
    units = {}
    for k, j in enumerate(kept):
        match = re.search(r"\[([^\]]*)\]$", names[j])
        unit = match[1].strip() if match else below.get(j) or common_unit([row[k].strip() for row in rows])
        if match or unit:
            units[without_unit(names[j])] = unit
    return units


def _error_words(
    rows: list[list[str]], numbers: list[int], kept: list[int], bare: list[str]
) -> dict[tuple[int, str], str]:
    """Faults: cells with what a spreadsheet shows instead of a value."""
    faults = {}
    for i, row in enumerate(rows):
        for k, cell in enumerate(row):
            text = cell.strip()
            if text[:1] in ("#", "E") and ERROR_WORD.fullmatch(text):
                narrow = "the cell shows #### (a narrow column); widen the column and export the table again"
                what = narrow if text.strip("#") == "" else f"the formula gives {text}; correct it"
                faults[i, bare[k]] = f"{column_letters(kept[k])}{numbers[i]}: {what}"
    return faults


def _read_bytes(path: Path, most: int, *, keep: bool) -> bytes:
    """The content (b"" if it is not kept) of a file of at most `most` bytes."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise DataError(f"{path} is a folder, not a table; rename it")
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path} is a pipe, socket or device, not a file; save the table as a file")
        if status.st_size > most:
            remedy = "delete the pictures in it, or save the table as .csv" if most > MAX_BYTES else "not a label table"
            raise DataError(f"{path}: {status.st_size:,} bytes, more than {most:,}: {remedy}")
        if not status.st_size:
            raise DataError(f"{path}: empty (0 bytes); export the table again")
        with path.open("rb") as file:
            return file.read() if keep else b""
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}, {user()}); chmod u+r it") from error
