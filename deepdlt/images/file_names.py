"""File names in a label table -> image files in the folder; which are missing, listed twice or not listed."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from deepdlt.errors import has_control, hint, row_list, short, some
from deepdlt.images.image_file import locate
from deepdlt.images.name_match import Disk, disk_images, has_folder_column, join_columns
from deepdlt.tables import NAME_HEADINGS, Sheet, is_name_heading, is_number_like

MOST_HINTS = 20  # missing files for which a similar name is looked for
NO_NAME = "no file name; add it or delete the row"
LACKING = {
    "ending": "lack their ending",
    "folder": "lack their folder",
    "folder and ending": "lack their folder and ending",
    "spaces": "have another kind of space",
}

Found = tuple[str, str]
"""(the path, or what is typed, and its problem or "")."""


def find_files(folder: Path, table: Sheet) -> tuple[str, list[str], list[str]]:
    """(heading of the file-name column or '', path of each row or '', problems, those of the table itself first).

    A name that is no path but fits one image only, for want of its ending or folder, is completed; a note in the notes
    of the table says how.
    """
    names = [h for h in table.headings if is_name_heading(h)]
    if not names:
        return "", [""] * len(table.rows), [*table.problems, _no_names(folder, table)]
    root = folder.resolve()
    found = {h: [_resolve(root, h, text.strip()) for text in table.texts(h)] for h in names}
    exact = {h: sum(not problem for _, problem in rows) for h, rows in found.items()}
    disk = Disk(disk_images(folder) if max(exact.values()) < len(table.rows) else [])
    if not any(exact.values()) and (misplaced := _misplaced(table, disk)):
        return "", [""] * len(table.rows), [*table.problems, misplaced]
    named = [h for h in names if exact[h]]
    named = named or [h for h in names if any(disk.match(text).files for text, _ in found[h])] or names
    if len(named) > 1:
        several = f"{' and '.join(map(repr, named))} may each be the column of file names; rename all but one"
        return "", [""] * len(table.rows), [*table.problems, f"{table.path}: {several}"]
    heading = named[0]
    rows, notes = found[heading], list[str]()
    if disk.files and any(problem.startswith("no such image") for _, problem in rows):
        rows, notes = _joined(root, disk, table, heading, rows)
    if disk.files and not notes:
        rows, notes = _completed(root, disk, table, heading, rows)
    table.notes.extend(notes)
    if rows[0][1] == NO_NAME and not any(map(is_number_like, table.rows[0])):
        rows = [("", f"{NO_NAME} (if it has the units, write them into the headings, as in `power [W]`)"), *rows[1:]]
    faults = {i: f"{table.path.name} {text}" for (i, name), text in table.faults.items() if name == heading}
    problems = [
        faults.get(i, f"{table.path.name} row {table.row_numbers[i]}: {problem}")
        for i, (_, problem) in enumerate(rows)
        if problem or i in faults
    ]
    return heading, [name if not problem else "" for name, problem in rows], [*table.problems, *problems]


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
            other = f" with different {some(differ)}" if differ else ""
            numbers = row_list([table.row_numbers[i] for i in members])
            problems.append(f"{table.path.name} {numbers}: {path.name!r} is listed twice{other}; keep one row")
    return problems


def unlisted(folder: Path, files: list[str]) -> list[str]:
    """A note on images of the folder that the label table does not list."""
    others = sorted(set(disk_images(folder)) - {str(Path(file)) for file in files})
    note = f"{len(others)} image(s) of the folder are not in the label table and are not used"
    return [f"{note}: {others[0]!r}, …"] if others else []


def _misplaced(table: Sheet, disk: Disk) -> str:
    """The problem of a table whose row of headings names images, or ''."""
    images = [h for h in table.headings if disk.path(h)]
    if 2 * len(images) > len(table.headings) and len(images) > 1:
        turn = "turn the table, so that each image has a row (Excel: Paste Special > Transpose)"
        return f"{table.path}: the images {some(images, 3)} stand side by side in the row of headings; {turn}"
    above = "write the headings into a row of their own above it, such as `file`"
    return f"{table.path}: the first row names the image {images[0]!r}; {above}" if images else ""


def _no_names(folder: Path, table: Sheet) -> str:
    disk = Disk(disk_images(folder))
    if misplaced := _misplaced(table, disk):
        return misplaced
    naming = [h for h in table.headings if all(disk.path(text.strip()) for text in table.texts(h))]
    likely = naming or [h for h in table.headings if hint(h, (*NAME_HEADINGS, "images", "files"))]
    near = f" (rename {likely[0]!r})" if likely else ""
    known = ", ".join(f"`{h}`" for h in ("Names", *NAME_HEADINGS[1:]))
    shown = ", ".join(map(repr, table.headings[:30]))
    return f"{table.path}: no column of file names{near}; call it one of {known}; columns: {shown}"


def _resolve(root: Path, heading: str, text: str) -> Found:
    """(path, problem). In a column `Names` any ending of three letters may stand for `.png`, as in the DLIP table."""
    if not text:
        return "", NO_NAME
    if has_control(text):
        return text, f"{short(text, 80)} has a control character; retype the cell"
    problem = locate(root, text)
    if problem and re.fullmatch('".+"', text):  # as Windows copies a path
        return _resolve(root, heading, text[1:-1])
    if problem and "\\" in text and not locate(root, text.replace("\\", "/")):  # a path of Windows
        return _resolve(root, heading, text.replace("\\", "/"))
    if heading == "Names" and text[-4:-3] == "." and ("no such image" in problem or "must end in" in problem):
        other = f"{text[:-4]}.png"
        if not locate(root, other):
            return other, ""
        problem = f"no such image: {short(text, 80)}, nor with the ending .png"
    return text if problem else str(PurePosixPath(text)), problem


def _joined(root: Path, disk: Disk, table: Sheet, heading: str, rows: Sequence[Found]) -> tuple[list[Found], list[str]]:
    """Rows whose folder stands in other columns; no note where that is not so."""
    columns = {h: table.texts(h) for h in table.headings if h != heading}
    folders, paths = join_columns(disk, [text for text, _ in rows], columns)
    if not folders:
        return list(rows), []
    what = " and ".join(map(repr, (*folders, heading)))
    joined = []
    for (text, problem), path in zip(rows, paths, strict=True):
        of_path = locate(root, path) if text else problem
        of_path += f", of the columns {what}; correct the row or delete it" if of_path.startswith("no such") else ""
        joined.append((path, of_path))
    note = f"{table.path.name}: paths are made of the columns {what}: row {table.row_numbers[0]} is {paths[0]!r}"
    return joined, [note]


def _completed(
    root: Path, disk: Disk, table: Sheet, heading: str, rows: Sequence[Found]
) -> tuple[list[Found], list[str]]:
    """Rows whose name fits one image only; what else may be meant is added to the problems of the others."""
    taken = {str(Path(text)) for text, problem in rows if not problem}
    elsewhere = has_folder_column(disk, {h: table.texts(h) for h in table.headings if h != heading})
    completed: list[Found] = []
    ways: dict[str, list[str]] = {}
    missing = 0
    for number, (text, problem) in zip(table.row_numbers, rows, strict=True):
        absent = problem.startswith("no such image")
        if "is outside the image folder" in problem:
            problem += disk.inside(text, taken)
        if not (absent or "must end in" in problem or problem.endswith("is a folder, not an image")):
            completed.append((text, problem))
            continue
        match = disk.match(text, folders=not elsewhere)
        files = [file for file in match.files if file not in taken]
        if len(files) == 1 and not locate(root, files[0]):
            ways.setdefault(match.why, []).append(f"row {number} {short(text, 80)} is {files[0]!r}")
            completed.append((files[0], ""))
            continue
        if files:
            remedy = "write the path from the folder" if "folder" in match.why else "write the whole name"
            problem = f"no such image: {short(text, 80)}; it may be {some(files, 4)}: {remedy}, in one column"
        elif absent:
            missing += 1
            problem += (disk.hint(text, taken) if missing <= MOST_HINTS else "") + "; add it or delete the row"
        completed.append((text, problem))
    return completed, [
        f"{table.path.name}: {len(found)} file name(s) {LACKING[why]}: {found[0]}{', …' if len(found) > 1 else ''}"
        for why, found in ways.items()
    ]
