"""The bytes of a csv file -> the text of its cells: encoding, comment lines, and which character separates columns."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from deepdlt.errors import DataError
from deepdlt.tables.excel import OLE, Cells, check_size
from deepdlt.tables.heading_row import JUDGED, SEARCHED, name_columns

SEPARATORS = (",", ";", "\t", "|")
COMMENT = re.compile(r'\s*"?\s*(?:#|//|%|;)\s*')
SEP_LINE = re.compile(r'"?sep=(.)"?[\s,;]*', re.IGNORECASE)


def read_csv(path: Path, raw: bytes) -> Cells:
    """Read a csv file; rows are numbered as in the file, comment lines are blank rows.

    Raises:
        DataError: not UTF-8 text, too large, or quotes that do not match.
    """
    text = _decoded(path, raw)
    cells, total = Cells(), 0
    text, said = _without_sep_line(text, cells)
    text = _without_comments(text, cells)
    cells.separator = separator = _separator(text, said)
    if separator != ",":
        by = "TAB" if separator == "\t" else repr(separator)
        why = ", as row 1 says" if separator == said else ""
        cells.notes.append(f"{path.name}: columns separated by {by}{why}")
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


def _decoded(path: Path, raw: bytes) -> str:
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
    return text


def _without_sep_line(text: str, cells: Cells) -> tuple[str, str]:
    """(text with the line `sep=;` blanked, the separator that it says or "")."""
    line = _lines(text)[0]
    match = SEP_LINE.fullmatch(line.rstrip("\r\n"))
    if match is None:
        return text, ""
    cells.comments[1] = line.strip()
    return _blank(line) + text[len(line) :], match[1]


def _without_comments(text: str, cells: Cells) -> str:
    """The text with the comment lines at its top blanked; a heading that stands behind a comment sign is kept."""
    lines = _lines(text)
    first = next((i for i, line in enumerate(lines) if line.strip() and not _is_comment(line)), len(lines))
    for i, line in enumerate(lines[:first]):
        if line.strip():
            cells.comments[i + 1] = line.strip()
            lines[i] = _blank(line)
    comments = [i for i in range(first) if i + 1 in cells.comments and not SEP_LINE.fullmatch(cells.comments[i + 1])]
    if comments and first < len(lines) and not _heads(lines[first]):
        bare = COMMENT.sub("", cells.comments[comments[-1] + 1], count=1)
        below = lines[first]
        if any(name_columns(_fields(bare, s)) and _width(bare, s) == _width(below, s) for s in SEPARATORS):
            lines[comments[-1]] = bare + (_blank(lines[comments[-1]]) or "\n")
            del cells.comments[comments[-1] + 1]
    return "".join(lines) + text[sum(map(len, _lines(text))) :]


def _lines(text: str) -> list[str]:
    """The first lines with their ends, as the csv reader divides them: `str.splitlines` knows more line ends."""
    return [match[0] for match in islice(re.finditer(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text), SEARCHED)] or [""]


def _blank(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _is_comment(line: str) -> bool:
    """Whether a line is a comment, not a row of headings that begins with such a character or a blank cell."""
    match = COMMENT.match(line)
    if match is None:
        return False
    own_cell = re.match(r'"?(?:#|//|%)"?\s*[,;\t|]|;\S', line.lstrip())
    return not (own_cell and _heads(line))


def _heads(line: str) -> bool:
    return any(name_columns(_fields(line, separator)) for separator in SEPARATORS)


def _width(line: str, separator: str) -> int:
    return len(_fields(line, separator))


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])
    except csv.Error:
        return []


def _separator(text: str, said: str) -> str:
    """The character that divides all rows alike, judged by the headings and by the rows."""
    head = re.search(r"[^\r\n]+", text)
    plain = re.sub(r'"[^"]*"', "", head[0] if head else "")

    def merits(separator: str) -> tuple[bool, bool, float, int]:
        rows = list(islice(_filled_rows(text, separator), JUDGED))
        widths = Counter(len(row) for row in rows)
        usual = max(widths, key=lambda width: (widths[width], width), default=0)
        headed = usual > 1 and any(len(row) >= usual and name_columns(row) for row in rows[:SEARCHED])
        alike = round(widths[usual] / len(rows), 1) if usual > 1 else 0.0
        return headed, separator == said, alike, plain.count(separator)

    known = (said, *SEPARATORS) if said and said not in '"\r\n' else SEPARATORS
    return max(dict.fromkeys(known), key=merits)


def _filled_rows(text: str, separator: str) -> Iterator[list[str]]:
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            if any(cell.strip() for cell in row):
                yield row
    except csv.Error:  # a field that is too long, as of a quote that is not closed
        return
