"""File names in a label table -> image files in the folder; which are missing, listed twice or not listed."""

import os
from pathlib import Path

from deepdlt.errors import DataError, fold, hint, row_list
from deepdlt.images.image_file import FORMATS, locate
from deepdlt.images.sheet import Sheet

NAME_HEADINGS = ("names", "name", "file", "filename", "image", "path")


def find_files(folder: Path, table: Sheet) -> tuple[str, list[str], list[str]]:
    """(heading of the file-name column, path of each row or '', problems)."""
    candidates = [h for h in table.headings if fold(h).replace("_", "") in NAME_HEADINGS]
    if not candidates:
        near = next((f" (rename {h!r})" for h in table.headings if hint(h, (*NAME_HEADINGS, "images", "files"))), "")
        known = ", ".join(f"`{h}`" for h in ("Names", *NAME_HEADINGS[1:]))
        shown = ", ".join(map(repr, table.headings[:30]))
        raise DataError(f"{table.path}: no column of file names{near}; call it one of {known}; columns: {shown}")
    root = folder.resolve()
    found = {h: [_resolve(root, h, text.strip()) for text in table.texts(h)] for h in candidates}
    good = {h: sum(not problem for _, problem in rows) for h, rows in found.items()}
    matching = [h for h in candidates if good[h]] or candidates
    if len(matching) > 1:
        several = " and ".join(map(repr, matching))
        raise DataError(f"{table.path}: {several} may each be the column of file names; rename all but one")
    heading = matching[0]
    listed = {str(Path(name)) for name, problem in found[heading] if not problem}
    on_disk = disk_images(folder) if good[heading] < len(table.rows) else []
    faults = {i for i, name in table.faults if name == heading}
    problems = [f"{table.path.name} {text}" for (_, name), text in sorted(table.faults.items()) if name == heading]
    missing = 0
    for i, (name, problem) in enumerate(found[heading]):
        if not problem or i in faults:
            continue
        if problem.startswith("no such image"):
            missing += 1
            problem += (_spelling(name, on_disk, listed) if missing <= 20 else "") + "; add it or delete the row"
        problems.append(f"{table.path.name} row {table.row_numbers[i]}: {problem}")
    return heading, [name if not problem else "" for name, problem in found[heading]], problems


def named_twice(folder: Path, table: Sheet, files: list[str]) -> list[str]:
    """Problems: rows that name the same file."""
    rows: dict[Path, list[int]] = {}
    for i, file in enumerate(files):
        if file:
            rows.setdefault((folder / file).resolve(), []).append(i)
    problems = []
    for path, members in rows.items():
        if len(members) > 1:
            differ = [h for j, h in enumerate(table.headings) if len({table.rows[i][j] for i in members}) > 1]
            other = f" with different {', '.join(map(repr, differ))}" if differ else ""
            numbers = row_list([table.row_numbers[i] for i in members])
            problems.append(f"{table.path.name} {numbers}: {path.name!r} is listed twice{other}; keep one row")
    return problems


def unlisted(folder: Path, files: list[str]) -> list[str]:
    """A note on images of the folder that the label table does not list."""
    others = sorted(set(disk_images(folder)) - {str(Path(file)) for file in files})
    note = f"{len(others)} image(s) of the folder are not in the label table and are not used"
    return [f"{note}: {others[0]!r}, …"] if others else []


def _resolve(root: Path, heading: str, text: str) -> tuple[str, str]:
    """(path, problem). In a column `Names` the last four characters may stand for `.png`, as in the DLIP table."""
    if not text:
        return "", "no file name; add it or delete the row"
    problem = locate(root, text)
    if heading == "Names" and problem and ("no such image" in problem or "must end in" in problem):
        text = f"{text[:-4]}.png"
        problem = locate(root, text)
    return text, problem


def _spelling(name: str, on_disk: list[str], listed: set[str]) -> str:
    """A hint at the file that a missing name probably means: a similar one is of no other row."""
    name = name.replace("\\", "/")
    for known in on_disk:
        if fold(known) == fold(name):
            return f" (there is {known!r}: capitals, spaces, Unicode form or slashes differ)"
    return hint(name, [known for known in on_disk if known not in listed][:500])


def disk_images(folder: Path) -> list[str]:
    """Image files in the folder and its subfolders; links to folders are not followed."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")]
        below = Path(place).relative_to(folder)
        found += [str(below / n) for n in names if Path(n).suffix.lower() in FORMATS and not n.startswith(".")]
    return sorted(found)
