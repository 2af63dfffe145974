"""The report as report.md, beside its folder of figures; knows nothing but blocks."""

import re
from collections.abc import Iterable

from sweeps.reporting.blocks import (
    Answers,
    Beside,
    Block,
    Code,
    Entry,
    Figure,
    Folded,
    Gallery,
    Heading,
    Items,
    Links,
    Report,
    Row,
    Table,
    Text,
    Verdict,
)


def as_markdown(report: Report) -> str:
    """Its text, all of it escaped."""
    parts = [f"# {escape(report.title)}", escape(report.subtitle), *map(_block, report.blocks)]
    return "\n\n".join(filter(None, parts)) + "\n"


def escape(text: str) -> str:
    """Text that Markdown and the HTML within it show as it is, on one line of a table."""
    safe = re.sub(r"([\\`*|\[\]~$]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {escape(block.text)}"
        case Text():
            return ("> " if block.look == "remark" else "") + escape(block.text)
        case Items():
            items = "\n".join(f"- {escape(item)}" for item in block.items)
            return f"**{escape(block.title)}**\n\n{items}" if block.title else items
        case Answers():
            texts = ((escape(a.question), escape(f"{a.headline}. {a.detail}")) for a in block.answers)
            return "\n".join(f"- **{question}** {text}" for question, text in texts)
        case Verdict():
            said = f"> **{escape(block.headline)}** {escape(block.detail)}"
            return said + (f"\n\n{_code(block.command)}" if block.command else "")
        case Code():
            return f"{escape(block.title)}\n\n{_code(block.text)}"
        case Links():
            files = [link for link in block.links if not link.target.startswith("#")]
            listed = " · ".join(f"[{escape(link.text)}](<{link.target}>)" for link in files)
            return f"{escape(block.title)}: {listed}" if listed else ""
        case Figure() | Gallery():
            return f"![{escape(block.caption)}](figures/{block.name}.png)"
        case Folded():
            return "\n\n".join([f"**{escape(block.title)}**", *map(_block, block.blocks)])
        case Table():
            return _table(block)
        case Beside():
            return "\n\n".join(map(_table, block.tables))


def _code(text: str) -> str:
    """Lines of code; indented, for text within cannot end that."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _table(table: Table) -> str:
    name = f"**{escape(table.name)}**" if table.name else ""
    above = " · ".join(filter(None, (name, escape(table.caption))))
    rule = "|" + "|".join("--:" if kind == "number" else "---" for kind in table.kinds) + "|"
    rows = [_line(_cells(row, table.kinds)) for row in (*table.rows, *table.foot)]
    return "\n".join([*([above, ""] if above else []), _line(map(escape, table.titles)), rule, *rows])


def _line(cells: Iterable[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def _cells(row: Row, kinds: list[str]) -> list[str]:
    """One for each column; the first text of a row that is marked is bold."""
    cells: list[str] = []
    marked = row.look == "first"
    for entry in row.entries:
        is_text = kinds[len(cells)] != "number"
        cells += [_cell(entry, bold=marked and is_text), *[""] * (entry.span - 1)]
        marked = marked and not is_text
    return cells


def _cell(entry: Entry, bold: bool) -> str:
    if entry.look == "code":  # which must hold neither of its own signs
        return f"`{' '.join(re.sub('[`|]', '', entry.text).split())}`"
    text = escape(entry.text)
    text = f"**{text}**" if text and (bold or entry.look == "bold") else text
    return text + (entry.between + escape(entry.more) if entry.more else "")
