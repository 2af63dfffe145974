"""Numbers as people write them: decimal commas, thousands separators, units. Read where there is one reading."""

import re
import unicodedata
from collections.abc import Sequence, Set
from dataclasses import dataclass

from deepdlt.errors import SHOWN, short, some
from deepdlt.headings import SPACES

WRITTEN = re.compile(
    r"(?P<sign>[+-]?)(?P<body>[1-9][0-9]{0,2}(?:[ '’][0-9]{3})+(?:[.,][0-9]+)?|[0-9][0-9.,]*|[.,][0-9]+)"
    r"(?P<power>[eE][+-]?[0-9]{1,4}|\s?[x×·*]\s?10(?:(?:\^|\*\*)?[+-][0-9]{1,3}|(?:\^|\*\*)[0-9]{1,3}|[⁺⁻]?[⁰¹²³⁴-⁹]{1,3}))?"
    r"(?P<gap>\s*)(?P<unit>\D.*)?"
)
POINT, COMMA = r"(?:0|[1-9][0-9]*)?\.[0-9]*", r"(?:0|[1-9][0-9]*)?,[0-9]+"
WHOLE, SPACED = r"0|[1-9][0-9]*", r"[1-9][0-9]{0,2}(?:[ '’][0-9]{3})+(?:[.,][0-9]+)?"
POINTS, COMMAS = r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+", r"[1-9][0-9]{0,2}(?:,[0-9]{3})+"
PLAIN = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
GERMAN, ENGLISH = POINTS + r",[0-9]+", COMMAS + r"\.[0-9]+"
BODY = re.compile("|".join((WHOLE, SPACED, POINT, COMMA, POINTS, COMMAS, GERMAN, ENGLISH)))

_BASES = "m|g|s|A|K|mol|Hz|N|Pa|J|W|V|F|Ω|Ohm|ohm|S|T|Wb|H|lm|lx|Bq|Gy|eV|bar|cd|rad|C|[Tt]orr|Wh|at"
_PREFIXED = f"(?:da|[yzafpnuµμmcdhkMGTP])?(?:{_BASES})|[nuµμmcd][lL]"
_ALONE = (
    r"%|‰|°C|°F|°|deg|degrees?|Grad|min|h|d|px|ppm|ppb|dpi|rpm|psi|inch|in|Å|dBm?|a\.?u\.?|[kK]? ?[xX×]|"
    r"(?i:pulses?|shots?|schuss|schüsse|counts?|cts|passes|pixels?|microns?|secs?|seconds?|minutes?|hours?|hrs?|watts?|volts?)|"
    r"(?:wt|at|vol|mol|Gew|Vol|At)\.?[ -]?%"
)
_ATOM = rf"(?:{_ALONE}|{_PREFIXED})(?:\^?\(?[-−]?[2-4]\)?|\^?\(?[-−]1\)?|⁻?[¹²³⁴])?"
UNIT = re.compile(rf"\[?{_ATOM}(?:\s?[/·*×]\s?{_ATOM}|\s{_ATOM})*\]?")
SYNONYMS = {
    **dict.fromkeys(("°", "degree", "degrees", "Grad"), "deg"),
    **dict.fromkeys(("pulse", "Pulse", "Pulses"), "pulses"),
    **dict.fromkeys(("Ohm", "ohm"), "Ω"),
    **dict.fromkeys(("pixel", "pixels"), "px"),
    "shot": "shots",
    "count": "counts",
}
CLEAR = {
    "W",
    "V",
    "J",
    "K",
    "m",
    "s",
    "h",
    "%",
    "‰",
    "°",
    "x",
    "X",
    "×",
}  # one letter right behind the digits: no code such as 316L


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: plain texts ('' where blank), their unit, what to say of it; or the `problem`, no texts."""

    texts: list[str]
    unit: str = ""
    note: str = ""
    problem: str = ""


@dataclass(frozen=True)
class _Cell:
    """A written number: `row` of the table, `text` as typed, `sign`, `body` and `power` of the number, and its unit."""

    row: int
    text: str
    sign: str
    body: str
    power: str
    gap: bool
    unit: str

    def plain(self, decimal: str) -> str:
        """The number with a point, if `decimal` is its decimal mark."""
        body = re.sub(r"[ '’]", "", self.body).replace("," if decimal == "." else ".", "").replace(decimal, ".")
        return self.sign + body + self.power


def read_numbers(
    values: Sequence[str], rows: Sequence[int], *, decimal_comma: bool, stored: Set[int] = frozenset(), unit: str = ""
) -> Numbers | None:
    """Read a column of numbers; None if a cell is none, or if nothing but plain numbers need be known.

    Args:
        rows: row number of each cell.
        decimal_comma: a comma may be taken for a decimal one, because another character separates the columns.
        stored: indices of cells that a spreadsheet holds as numbers: their points are decimal.
        unit: of the heading.
    """
    if _plain(values):  # quick: most columns
        return Numbers(list(values))
    cells: list[_Cell] = []
    for i, value in enumerate(values):
        if value:
            cell = _cell(value, rows[i])
            if cell is None:
                return None
            cells.append(cell)
    if not cells or not _sure(cells):
        return None
    problem = _unit_problem(cells, unit)
    if problem:
        return Numbers([], problem=problem)
    indices = [i for i, value in enumerate(values) if value]
    typed = [cell for i, cell in zip(indices, cells, strict=True) if i not in stored]
    decimal, problem, thousands = _decimal_mark(cells, typed, decimal_comma)
    if problem:
        return Numbers([], problem=problem)
    texts = [""] * len(values)
    for i, cell in zip(indices, cells, strict=True):
        texts[i] = cell.plain(decimal)
    changed = next((k for k, cell in enumerate(cells) if texts[indices[k]] != cell.text), None)
    note = thousands
    if changed is not None:
        how = f"without their unit {cells[0].unit}" if cells[0].unit else "in plain form"
        cell = cells[changed]
        note = f"numbers are read {how}: row {cell.row} {short(cell.text)} is {float(texts[indices[changed]]):g}"
    return Numbers(texts, cells[0].unit, note)


def common_unit(values: Sequence[str]) -> str:
    """The unit that every filled cell has behind its number, or ''."""
    cells = []
    for value in filter(None, values):
        cell = _cell(value, 0)
        if cell is None or not cell.unit:
            return ""
        cells.append(cell)
    return cells[0].unit if cells and _sure(cells) and len({same_unit(c.unit) for c in cells}) == 1 else ""


def is_number_like(value: str) -> bool:
    """Whether a cell is a number in some way of writing, with a unit or without."""
    cell = _cell(value, 0)
    return cell is not None and _sure([cell])


def same_unit(unit: str) -> str:
    """A unit as it is compared: µm is um, cm² is cm2, ° is deg."""
    plain = re.sub(r"[\s\[\]^()]", "", unicodedata.normalize("NFKC", unit)).replace("−", "-").replace("·", "*")
    return SYNONYMS.get(plain, re.sub(r"(?<![A-Za-z])u(?=[A-Za-z])", "μ", plain))


def as_shown(value: float) -> float:
    """A number to 12 significant digits, fewer than a computation gets wrong: 0.30000000000000004 is 0.3."""
    return value if value.is_integer() else float(f"{value:.12g}")


def _plain(values: Sequence[str]) -> bool:
    """Whether all cells are numbers as Python writes them, and not all of their points may divide thousands."""
    filled = [value for value in values if value]
    points = [value for value in filled if "." in value]
    if not filled or not all(map(PLAIN.fullmatch, filled)):
        return False
    return not points or not all(re.fullmatch(f"[+-]?{POINTS}", value) for value in points)


def _cell(value: str, row: int) -> _Cell | None:
    if value[:1] not in "+-.,0123456789":
        return None
    text = value if value.isascii() else value.translate(SPACES)
    match = WRITTEN.fullmatch(text)
    if match is None or not BODY.fullmatch(match["body"]) or (match["unit"] and not UNIT.fullmatch(match["unit"])):
        return None
    power = unicodedata.normalize("NFKC", match["power"] or "").replace("−", "-")
    if power[:1] not in ("e", "E", ""):
        power = "e" + power.split("10", 1)[1].lstrip("^*")
    cell = _Cell(row, value, match["sign"], match["body"], power, bool(match["gap"]), (match["unit"] or "").strip("[]"))
    whole = re.fullmatch(r"[0-9]+", cell.body) and not power
    finite = len(value) < 400 and float(re.sub(r"[^0-9]", "", cell.body) + power) < float("inf")
    return cell if finite and not (whole and int(cell.body) > 2**53) else None


def _sure(cells: list[_Cell]) -> bool:
    """Whether what stands behind the numbers is a unit: 5V or 2.5A is, the steels 304L and 316L are not."""
    letters = {re.sub(r"[^\w%‰°]|\d", "", cell.unit) for cell in cells if not cell.gap and cell.unit}
    short_ones = {unit for unit in letters if len(unit) == 1}
    one_unit = len({same_unit(cell.unit) for cell in cells}) == 1
    decimals = one_unit and any(re.search(r"[.,]", cell.body) for cell in cells)
    return not short_ones or (one_unit and (short_ones <= CLEAR or decimals))


def _unit_problem(cells: list[_Cell], unit: str) -> str:
    first: dict[str, _Cell] = {}
    for cell in cells:
        first.setdefault(same_unit(cell.unit), cell)
    if len(first) > 1:
        examples = ", ".join(f"row {c.row} {short(c.text)}" for c in list(first.values())[:SHOWN])
        return f"mixes units ({examples}); write all its values in one unit, with the unit in the heading only"
    (found,) = first
    if found and unit and found != same_unit(unit):
        cell = first[found]
        return f"has the unit {unit} in its heading and {cell.unit} in row {cell.row} {short(cell.text)}; correct one"
    return ""


def _decimal_mark(cells: list[_Cell], typed: list[_Cell], decimal_comma: bool) -> tuple[str, str, str]:
    """(decimal mark, problem, note) of a column.

    Args:
        typed: the cells whose points are not known to be decimal ones.
    """
    commas = [c for c in cells if "," in c.body]
    points = [c for c in cells if "." in c.body]
    german = [c for c in cells if re.fullmatch(GERMAN, c.body)]
    english = [c for c in cells if re.fullmatch(ENGLISH, c.body)]
    if german and not english and decimal_comma and all(re.fullmatch(f"{POINTS}|{GERMAN}", c.body) for c in points):
        return ",", "", ""
    if english and not german and all(re.fullmatch(f"{COMMAS}|{ENGLISH}", c.body) for c in commas):
        return ".", "", ""
    both = german + english
    if both or (commas and points):
        if commas and not both:
            for mark, name, pattern, marked in ((",", "comma", COMMAS, commas), (".", "point", POINTS, points)):
                if all(re.fullmatch(pattern, c.body) for c in marked):
                    return "", _two_readings(marked, mark, name), ""
        wrong = both or commas
        last = [c.plain("." if c.body.rfind(".") > c.body.rfind(",") else ",") for c in wrong]
        example = f"write {last[0]}" if both else "decimals need a point"
        return "", f"expected a number, got {_listed(wrong)}; {example}", ""
    if commas:
        return _commas(cells, commas, decimal_comma)
    return _points(cells, [c for c in typed if "." in c.body], decimal_comma)


def _commas(cells: list[_Cell], commas: list[_Cell], decimal_comma: bool) -> tuple[str, str, str]:
    if all(re.fullmatch(COMMAS, c.body) and not c.power for c in commas):
        return "", _two_readings(commas, ",", "comma"), ""
    if any(c.body.count(",") > 1 for c in commas):
        return "", f"expected a number, got {_listed(commas)}; write numbers without thousands separators", ""
    certain = decimal_comma or all(c.unit or c.power for c in cells)
    return (",", "", "") if certain else ("", f"expected a number, got {_listed(commas)}; decimals need a point", "")


def _points(cells: list[_Cell], points: list[_Cell], decimal_comma: bool) -> tuple[str, str, str]:
    """Three digits behind every point may be thousands, if there are whole numbers too, or several points."""
    groups = [c for c in points if re.fullmatch(POINTS, c.body) and not c.power]
    several = [c for c in groups if c.body.count(".") > 1]
    whole = [c for c in cells if re.fullmatch(WHOLE, c.body) and not c.power and c.body != "0"]
    if several or (groups and len(groups) == len(points) == sum("." in c.body for c in cells) and whole):
        return "", _two_readings(several or groups, ".", "point", whole), ""
    if groups and len(groups) == len(points) and decimal_comma:
        c = groups[0]
        other = c.body.replace(".", "")
        return ".", "", f"row {c.row} {short(c.text)} is read as {float(c.plain('.'))}, not as {other}"
    return ".", "", ""


def _two_readings(cells: list[_Cell], mark: str, name: str, whole: Sequence[_Cell] = ()) -> str:
    """What to say of 1.000 or 1,000, with the two things that it may be."""
    cell = cells[0]
    thousands = cell.sign + cell.body.replace(mark, "")
    rows = some(sorted({c.row for c in cells}))
    if cell.body.count(mark) > 1:
        got = f"expected a number, got row {cell.row} {short(cell.text)}"
        return f"{got}; write {thousands}, without {name}s between thousands (row(s) {rows})"
    decimal = cell.body.replace(mark, ".").rstrip("0")
    decimal = cell.sign + (f"{decimal}0" if decimal.endswith(".") or len(decimal) == len(cell.body) else decimal)
    beside = f" beside {short(whole[0].text)} in row {whole[0].row}" if whole else ""
    return (
        f"is ambiguous: row {cell.row} {short(cell.text)}{beside} is {thousands} if the {name} separates thousands, or"
        f" {decimal} if it is a decimal {name}; write {thousands} or {decimal} (row(s) {rows})"
    )


def _listed(cells: list[_Cell]) -> str:
    more = f" and {len(cells) - SHOWN} more" if len(cells) > SHOWN else ""
    return ", ".join(f"row {c.row} {short(c.text)}" for c in cells[:SHOWN]) + more
