"""The label table of an image folder (csv or xlsx), read strictly as text; every fault is given with its row."""

import csv
import hashlib
import io
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from deepdlt.errors import SHOWN, DataError, hint, listing, row_list, some
from deepdlt.images.excel import MAX_BYTES, OLE, Cells, check_size, read_xlsx
from deepdlt.machine import user

SHEET_SUFFIXES = (".xlsx", ".csv", ".tsv")
FOREIGN_SUFFIXES = (".xls", ".xlsm", ".xlsb", ".xltx", ".ods", ".numbers")


@dataclass(frozen=True)
class Sheet:
    """A table of text. `rows`: the cells of each row, '' where blank; `row_numbers` as a spreadsheet counts them.

    `headings`: without units; `units`: those given in brackets; `digest`: sha256 of the file;
    `faults`: (row index, heading) -> problem.
    """

    path: Path
    headings: list[str]
    units: dict[str, str]
    rows: list[list[str]]
    row_numbers: list[int]
    digest: bytes
    faults: dict[tuple[int, str], str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

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
    raise DataError(
        f"{folder} needs exactly one label table (.xlsx or .csv), or one named all_images.xlsx; found {found}{remedy}"
    )


def read_sheet(path: Path, worksheet: str | None = None) -> Sheet:
    """Read a table; `worksheet` names one of several worksheets in a workbook.

    Raises:
        DataError: the file is damaged, too large or of another format, or its rows and headings do not match.
    """
    raw = _read_bytes(path)
    cells = read_xlsx(path, raw, worksheet) if path.suffix.lower() == ".xlsx" else _read_csv(path, raw)
    filled = [(number, row) for number, row in cells.records if any(cell.strip() for cell in row)]
    if not filled:
        raise DataError(f"{path}: empty; it needs headings in the first row and one image in each further row")
    (first, head), *body = filled
    if not body:
        raise DataError(f"{path}: no rows below the headings; add one row per image")
    if path.suffix.lower() != ".xlsx":
        _check_widths(path, len(head), body)
    width = max(len(row) for _, row in filled)
    table = [[*row, *[""] * (width - len(row))] for _, row in filled]
    names = [cell.strip() for cell in table[0]]
    kept = [j for j in range(width) if names[j]]
    numbers = [number for number, _ in body]
    stray = [j + 1 for j in range(width) if not names[j] and any(row[j].strip() for row in table)]
    blank = [n for n, row in cells.records if first < n < numbers[-1] and not any(cell.strip() for cell in row)]
    hidden = sorted(set(cells.hidden) & set(numbers))
    notes = [
        *cells.notes,
        *([f"{path.name}: column(s) {some(stray)} have no heading and are ignored"] if stray else []),
        *([f"{path.name}: skipped blank {row_list(blank)}"] if blank else []),
        *([f"{path.name}: used hidden {row_list(hidden)} like the others"] if hidden else []),
    ]
    bare = [re.sub(r"\s*\[[^\]]*\]\s*$", "", names[j]) for j in kept]
    units = {h: m[1].strip() for h, j in zip(bare, kept, strict=True) if (m := re.search(r"\[([^\]]*)\]$", names[j]))}
    twice = sorted({h for h in bare if bare.count(h) > 1})
    if twice:
        raise DataError(f"{path}: two columns are called {twice[0]!r}; columns: {some(bare, 30)}; rename or delete one")
    index = {number: i for i, number in enumerate(numbers)}
    faults = {
        (index[n], bare[kept.index(j)]): text for (n, j), text in cells.faults.items() if n in index and j in kept
    }
    rows = [[row[j] for j in kept] for row in table[1:]]
    return Sheet(path, bare, units, rows, numbers, hashlib.sha256(raw).digest(), faults, notes)


def _read_bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise DataError(f"{path} is a folder, not a table; rename it")
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path} is a pipe, socket or device, not a file; save the table as a file")
        if status.st_size > MAX_BYTES:
            raise DataError(f"{path}: {status.st_size:,} bytes, more than {MAX_BYTES:,}: not a label table")
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}, {user()}); chmod u+r it") from error
    if not raw:
        raise DataError(f"{path}: empty (0 bytes); export the table again")
    return raw


def _read_csv(path: Path, raw: bytes) -> Cells:
    if raw.startswith((b"PK\x03\x04", OLE)):
        raise DataError(f"{path}: an Excel file named {path.suffix}; save it as CSV UTF-8, or name it .xlsx")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or raw[:1000].count(0) * 4 > len(raw[:1000]):
        raise DataError(f"{path}: encoded as UTF-16; save it as `CSV UTF-8`")
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        row = len(re.findall(rb"\r\n?|\n", raw[: error.start])) + 1
        byte = raw[error.start]
        raise DataError(
            f"{path} row {row}: byte 0x{byte:02x} is not UTF-8 (Latin-1?); save it as `CSV UTF-8`"
        ) from None
    if "\0" in text:
        row = len(re.findall(r"\r\n?|\n", text[: text.index("\0")])) + 1
        raise DataError(f"{path} row {row}: has a NUL byte; export the table again")
    head = re.search(r"[^\r\n]+", text)
    plain = re.sub(r'"[^"]*"', "", head[0] if head else "")
    separator = max(",;\t", key=plain.count)
    cells, total = Cells(), 0
    if separator != ",":
        cells.notes.append(f"{path.name}: columns separated by {'TAB' if separator == chr(9) else repr(separator)}")
    try:
        for number, record in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), 1):
            total += len(record)
            check_size(path, number, total)
            cells.records.append((number, record))
    except csv.Error as error:
        row = len(cells.records) + 1
        quote = "an opening quote is not closed" if "end of data" in str(error) else str(error)
        raise DataError(f"{path} row {row}: {quote}; check the quotes of this row") from error
    return cells


def _check_widths(path: Path, width: int, body: list[tuple[int, list[str]]]) -> None:
    wrong = [(number, len(row)) for number, row in body if len(row) != width]
    if not wrong:
        return
    remedy = "quote cells that contain the separator, or delete separators at the end"
    if len(wrong) == len(body) and len({n for _, n in wrong}) == 1:
        raise DataError(f"{path}: every row has {wrong[0][1]} fields, but there are {width} headings; {remedy}")
    lines = [f"row {number} has {n} fields, but there are {width} headings" for number, n in wrong]
    raise DataError(listing(f"{path}: {len(wrong)} row(s) with a wrong number of fields; {remedy}", lines))
