"""An xlsx file -> the text of each cell of one worksheet, as in a CSV file. Its pictures are never unpacked."""

import io
import re
import warnings
import zipfile
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from deepdlt.errors import DataError, hint, short, some
from deepdlt.headings import as_heading
from deepdlt.tables.heading_row import find_headings, name_columns
from deepdlt.tables.written_numbers import as_shown

MAX_BYTES = 50_000_000  # of a label table, unpacked; pictures in a workbook do not count
MAX_PACKED = 500_000_000  # of a workbook with its pictures
MAX_RATIO = 100  # unpacked / packed; spreadsheets compress 5 to 30 times
MAX_ROWS, MAX_CELLS = 50_000, 2_000_000
OLE = b"\xd0\xcf\x11\xe0"
NOT_READ = re.compile(
    r"(?:xl/(?:media|drawings|charts|chartsheets|embeddings|pivot\w+|printerSettings|externalLinks|richData|ctrlProps|"
    r"activeX|slicer\w*|timeline\w*|threadedComments|persons|comments\w*|model|webextensions)|customXml|docProps)[/.]"
    r"|.*(?<!\.xml)(?<!\.rels)$"
)
"""Parts of a workbook that have nothing of its cells."""
STRICT = {
    b"http://purl.oclc.org/ooxml/spreadsheetml/main": b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    b"http://purl.oclc.org/ooxml/officeDocument/": b"http://schemas.openxmlformats.org/officeDocument/2006/",
    b"http://purl.oclc.org/ooxml/drawingml/": b"http://schemas.openxmlformats.org/drawingml/2006/",
}
"""Names of ISO 29500 Strict -> those that every program reads; the cells are written alike."""


@dataclass
class Cells:
    """The content of a table file: (row number, cells). `comments`: row -> text that is no row of the table.

    Spreadsheets also have `faults` and `decimals`, numbers with a fraction, by (row number, index of the column);
    `hidden` rows; `merged` ranges. Text files have a `separator`.
    """

    records: list[tuple[int, list[str]]] = field(default_factory=list)
    faults: dict[tuple[int, int], str] = field(default_factory=dict)
    decimals: set[tuple[int, int]] = field(default_factory=set)
    hidden: list[int] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    comments: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    separator: str = ""

    def filled(self) -> list[tuple[int, list[str]]]:
        """The rows that are not blank."""
        return [(number, row) for number, row in self.records if any(cell.strip() for cell in row)]


def check_size(path: Path, rows: int, cells: int) -> None:
    """Refuse a table that is too large for a label table."""
    if rows > MAX_ROWS or cells > MAX_CELLS:
        raise DataError(f"{path}: more than {MAX_ROWS:,} rows or {MAX_CELLS:,} cells; delete the cells below the table")


def read_xlsx(path: Path, worksheet: str | None) -> Cells:
    """Read one worksheet: the named one, else the only visible one with data, or with a column of file names.

    Raises:
        DataError: damaged, not an xlsx, too large, with macros, or more than one worksheet may be meant.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(8)
        if start.startswith(OLE):
            raise DataError(f"{path}: an old (.xls) or password-protected Excel file; save it as .xlsx or .csv")
        if not start.startswith(b"PK"):
            raise DataError(f"{path}: not a readable xlsx; rename it to .csv if it is CSV text, else save it again")
        try:
            with warnings.catch_warnings():  # openpyxl warns about features that it drops
                warnings.simplefilter("ignore")
                with zipfile.ZipFile(file) as archive:
                    parts = _read_parts(path, archive)
                return _chosen_worksheet(path, parts, worksheet)
        except DataError:
            raise
        except Exception as error:  # zipfile, zlib, expat and openpyxl raise many types for damaged files
            reason = (str(error).strip().splitlines() or [""])[0][:100] or type(error).__name__
            raise DataError(f"{path}: not a readable xlsx (damaged: {short(reason)}); save it again") from error


def _read_parts(path: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    """The parts with cells, Strict names translated. Bombs are refused unopened; so are macros and XML entities."""
    names = archive.namelist()
    if any(name.endswith("vbaProject.bin") for name in names):
        raise DataError(f"{path}: contains macros; save it as .xlsx without macros, or as .csv")
    if "[Content_Types].xml" not in names or not any(name.startswith("xl/") for name in names):
        raise DataError(f"{path}: a zip archive, but not a readable xlsx; save the table as .xlsx or .csv")
    read = [part for part in archive.infolist() if not NOT_READ.match(part.filename)]
    total, packed = sum(part.file_size for part in read), sum(part.compress_size for part in read)
    if total > MAX_BYTES or (total > 1_000_000 and total > MAX_RATIO * packed):
        times = f"{total / max(packed, 1):.0f} times its size"
        raise DataError(f"{path}: unpacks to {total:,} bytes ({times}): not a label table")
    parts = {}
    for part in read:
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{path}: not a readable xlsx (unknown compression); save it again")
        body = archive.read(part)
        start = body.replace(b"\0", b"")  # UTF-16 as well
        if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
            raise DataError(f"{path}: {part.filename!r} defines XML entities, unlike a spreadsheet; save it again")
        for strict, usual in STRICT.items():
            body = body.replace(strict, usual)
        parts[part.filename] = body
    return parts


def _chosen_worksheet(path: Path, parts: dict[str, bytes], worksheet: str | None) -> Cells:
    import openpyxl  # late: half a second, for workbooks alone

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    book = openpyxl.load_workbook(packed, read_only=True, data_only=True, keep_links=False)
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    xml = {title: parts[sheet._worksheet_path] for title, sheet in sheets.items()}
    if worksheet is not None:
        worksheet = next((title for title in sheets if as_heading(title) == as_heading(worksheet)), worksheet)
        if worksheet not in sheets:
            raise DataError(f"{path}: no worksheet {worksheet!r}{hint(worksheet, xml)}; it has {some(list(xml))}")
        return _worksheet_cells(path, sheets[worksheet], xml[worksheet])
    full = [title for title, x in xml.items() if re.search(rb"<(?:\w+:)?(?:v|is)[ >]", x)]
    shown = [title for title in full if sheets[title].sheet_state == "visible"]
    if len(full) < 2 and shown == full:
        title = (full or list(xml))[0]
        return _worksheet_cells(path, sheets[title], xml[title])
    tables = {title: _worksheet_cells(path, sheets[title], xml[title]) for title in full}
    naming = [title for title, cells in tables.items() if _has_names(cells)]
    seen = [title for title in naming if title in shown]
    if not seen and (naming or not shown):
        remedy = "name one with --sheet, or unhide it"
        raise DataError(f"{path}: only hidden worksheets have the data ({some(naming or full)}); {remedy}")
    if len(seen or shown) > 1:
        raise DataError(f"{path}: several worksheets with data ({some(seen or shown)}); name one with --sheet")
    title = (seen or shown)[0]
    others = some([other for other in shown if other != title])
    note = f"{path.name}: read worksheet {title!r}, the only one with a column of file names, not {others}"
    tables[title].notes.extend([note] if len(shown) > 1 else [])
    return tables[title]


def _has_names(cells: Cells) -> bool:
    filled = cells.filled()
    at, doubt = find_headings(filled)
    return bool(doubt or (filled and name_columns(filled[at][1])))


def _worksheet_cells(path: Path, sheet: Any, xml: bytes) -> Cells:
    cells, total = Cells(), 0
    cells.merged = [m.decode() for m in re.findall(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z0-9:]+)"', xml)]
    sheet.reset_dimensions()  # the size stated in the file may be wrong or huge
    for number, row in enumerate(sheet.iter_rows(), start=1):
        total += len(row)
        check_size(path, number, total)
        texts = [_text(_as_dated(cell) if isinstance(cell.value, datetime) else cell.value) for cell in row]
        cells.faults |= {
            (number, j): f"{cell.coordinate}: the formula gives {texts[j]}; correct it"
            for j, cell in enumerate(row)
            if cell.data_type == "e"
        }
        cells.decimals |= {
            (number, j) for j, cell in enumerate(row) if isinstance(cell.value, float) and not cell.value.is_integer()
        }
        while texts and not texts[-1]:
            texts.pop()
        cells.records.append((number, texts))
    prefix = rb"(?:\w+:)?"
    formula = (
        rb'<%bc\s[^>]*?r="([A-Z]+)([0-9]+)"[^>]*>\s*<%bf\b[^>]*?(?:/>|>[^<]*</%bf>)\s*(?:<%bv\s*/>|<%bv></%bv>)?\s*</'
    )
    for letters, digits in re.findall(formula % ((prefix,) * 6), xml):
        where = f"{letters.decode()}{digits.decode()}"
        cells.faults[int(digits), column_index(letters.decode())] = (
            f"{where}: a formula without a stored value; open it in Excel and save it"
        )
    rows = re.findall(rb"<(?:\w+:)?row\s[^>]*>", xml)
    numbers = [re.search(rb'\sr="([0-9]+)"', row) for row in rows if re.search(rb'\shidden="(?:1|true)"', row)]
    cells.hidden = [int(n[1]) for n in numbers if n]
    return cells


def column_index(letters: str) -> int:
    """`A` -> 0, `AB` -> 27."""
    index = 0
    for letter in letters:
        index = 26 * index + ord(letter) - 64
    return index - 1


def column_letters(index: int) -> str:
    """0 -> `A`, 27 -> `AB`."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _as_dated(cell: Any) -> date:
    """The date of a cell, without the time of day where its format does not show one."""
    shown = re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", cell.number_format).lower()
    return cell.value if re.search("[hs]", shown) else cell.value.date()


def _text(value: object) -> str:
    """A value of a spreadsheet as text, as in a CSV file; decimals as Excel shows them."""
    if value is None:
        return ""
    if isinstance(value, float):
        value = as_shown(value)
        if value.is_integer() and abs(value) < 2**53:
            return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(value, str) and "_x00" in value:  # how a workbook holds line ends and tabs
        return re.sub("_x000([9AD])_", lambda match: chr(int(match[1], 16)), value)
    return str(value)
