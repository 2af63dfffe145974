"""The bytes of an xlsx file -> the text of each cell of one worksheet, as in a CSV file."""

import io
import re
import warnings
import zipfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from deepdlt.errors import DataError, hint, short, some

MAX_BYTES = 50_000_000  # of a label table, unpacked
MAX_RATIO = 100  # unpacked / packed; spreadsheets compress 5 to 30 times
MAX_ROWS, MAX_CELLS = 50_000, 2_000_000
OLE = b"\xd0\xcf\x11\xe0"


@dataclass
class Cells:
    """The content of a table file: (row number, cells); spreadsheets also have faults and hidden rows."""

    records: list[tuple[int, list[str]]] = field(default_factory=list)
    faults: dict[tuple[int, int], str] = field(default_factory=dict)
    hidden: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_size(path: Path, rows: int, cells: int) -> None:
    """Refuse a table that is too large for a label table."""
    if rows > MAX_ROWS or cells > MAX_CELLS:
        raise DataError(f"{path}: more than {MAX_ROWS:,} rows or {MAX_CELLS:,} cells; delete the cells below the table")


def read_xlsx(path: Path, raw: bytes, worksheet: str | None) -> Cells:
    """Read one worksheet: the named one, or the only one that has data."""
    if raw.startswith(OLE):
        raise DataError(f"{path}: an old (.xls) or password-protected Excel file; save it as .xlsx or .csv")
    if not raw.startswith(b"PK"):
        raise DataError(f"{path}: not a readable xlsx; rename it to .csv if it is CSV text, else save it again")
    try:
        with warnings.catch_warnings():  # openpyxl warns about features that it drops
            warnings.simplefilter("ignore")
            archive = zipfile.ZipFile(io.BytesIO(raw))
            _check_archive(path, archive, len(raw))
            return _worksheet_cells(path, archive, raw, worksheet)
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib, expat and openpyxl raise many types for damaged files
        reason = (str(error).strip().splitlines() or [""])[0][:100] or type(error).__name__
        raise DataError(f"{path}: not a readable xlsx (damaged: {short(reason)}); save it again") from error


def _check_archive(path: Path, archive: zipfile.ZipFile, packed: int) -> None:
    """Refuse decompression bombs before unpacking, then macros and XML that defines entities."""
    parts = archive.infolist()
    total = sum(part.file_size for part in parts)
    if total > MAX_BYTES or (total > 1_000_000 and total > MAX_RATIO * packed):
        raise DataError(f"{path}: unpacks to {total:,} bytes ({total / packed:.0f} times its size): not a label table")
    names = [part.filename for part in parts]
    if any(name.endswith("vbaProject.bin") for name in names):
        raise DataError(f"{path}: contains macros; save it as .xlsx without macros, or as .csv")
    if "[Content_Types].xml" not in names or not any(name.startswith("xl/") for name in names):
        raise DataError(f"{path}: a zip archive, but not a readable xlsx; save the table as .xlsx or .csv")
    for part in parts:
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{path}: not a readable xlsx (unknown compression); save it again")
        start = archive.read(part).replace(b"\0", b"")  # UTF-16 as well
        if part.filename.endswith((".xml", ".rels")) and (b"<!DOCTYPE" in start or b"<!ENTITY" in start):
            raise DataError(f"{path}: {part.filename!r} defines XML entities, unlike a spreadsheet; save it again")


def _worksheet_cells(path: Path, archive: zipfile.ZipFile, raw: bytes, worksheet: str | None) -> Cells:
    import openpyxl  # late: half a second, for workbooks alone

    book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
    xml = {sheet.title: archive.read(sheet._worksheet_path) for sheet in book.worksheets}
    full = [t for t, x in xml.items() if re.search(rb"<(?:\w+:)?(?:v|is)[ >]", x)] or list(xml)[:1]
    if worksheet is not None and worksheet not in xml:
        raise DataError(f"{path}: no worksheet {worksheet!r}{hint(worksheet, xml)}; it has {some(list(xml))}")
    if worksheet is None and len(full) != 1:
        raise DataError(f"{path}: several worksheets with data ({some(full)}); name one with --sheet")
    title = worksheet or full[0]
    merged = re.findall(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z0-9:]+)"', xml[title])
    if merged:
        raise DataError(f"{path}: merged cells {some([m.decode() for m in merged])}; unmerge them and fill every cell")
    cells, total = Cells(), 0
    sheet = book[title]
    sheet.reset_dimensions()  # the size stated in the file may be wrong or huge
    for number, row in enumerate(sheet.iter_rows(), start=1):
        total += len(row)
        check_size(path, number, total)
        texts = [_text(cell.value) for cell in row]
        cells.faults |= {
            (number, j): f"{cell.coordinate}: the formula gives {texts[j]}; correct it"
            for j, cell in enumerate(row)
            if cell.data_type == "e"
        }
        while texts and not texts[-1]:
            texts.pop()
        cells.records.append((number, texts))
    prefix = rb"(?:\w+:)?"
    formula = (
        rb'<%bc\s[^>]*?r="([A-Z]+)([0-9]+)"[^>]*>\s*<%bf\b[^>]*?(?:/>|>[^<]*</%bf>)\s*(?:<%bv\s*/>|<%bv></%bv>)?\s*</'
    )
    for letters, digits in re.findall(formula % ((prefix,) * 6), xml[title]):
        column = openpyxl.utils.column_index_from_string(letters.decode()) - 1
        where = f"{letters.decode()}{digits.decode()}"
        cells.faults[int(digits), column] = f"{where}: a formula without a stored value; open it in Excel and save it"
    rows = re.findall(rb"<(?:\w+:)?row\s[^>]*>", xml[title])
    numbers = [re.search(rb'\sr="([0-9]+)"', row) for row in rows if re.search(rb'\shidden="(?:1|true)"', row)]
    cells.hidden = [int(n[1]) for n in numbers if n]
    return cells


def _text(value: object) -> str:
    """A value of a spreadsheet as text, as in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    return str(value)
