"""The measured parts of a page: each stands between `<!-- NAME -->` and `<!-- end -->`."""

from pathlib import Path

END = "<!-- end -->"


def replace_part(page: Path, name: str, text: str) -> None:
    """Write `text` between the marks of the part `name`; the rest of the page stays as it is."""
    start = f"<!-- {name} -->\n"
    before, found, rest = page.read_text(encoding="utf-8").partition(start)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise SystemExit(f"{page} must contain the lines <!-- {name} --> and {END}")
    page.write_text(f"{before}{start}{text.strip()}\n{END}{after}", encoding="utf-8")
