"""Names that are no path as they stand -> the one image that fits: endings, numbers, folders, columns to be joined."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path, PurePosixPath

from deepdlt.errors import fold, hint, some
from deepdlt.formats import FORMATS
from deepdlt.headings import SPACES, visible

FOLDER_HEADINGS = ("folder", "folders", "directory", "dir", "path", "series", "subfolder", "subdirectory", "ordner")
MOST_COLUMNS = 30  # in which the folder of a file is looked for
MOST_COMPARED = 500  # files that a missing name is compared with


@dataclass(frozen=True)
class Match:
    """What a name may mean: `files` that fit, and why they were not found by it."""

    files: list[str] = field(default_factory=list)
    why: str = ""


class Disk:
    """The images of a folder, by what people write instead of their path."""

    def __init__(self, files: Iterable[str]) -> None:
        self.files = sorted(files)
        self._set = set(self.files)
        self._keys: dict[tuple[str, str], list[str]] = defaultdict(list)
        for file in self.files:
            path = PurePosixPath(file)
            self._add("spaces", file.translate(SPACES), file)
            self._add("stem", str(path.with_suffix("")), file)
            self._add("name", path.name, file)
            self._add("name stem", path.stem, file)
            if re.fullmatch("[0-9]+", path.stem):
                self._add("number" if path.parent == PurePosixPath() else "name number", str(int(path.stem)), file)

    def match(self, text: str, *, folders: bool = True) -> Match:
        """The files that a name fits, by the first way in which any does.

        Args:
            folders: whether the name may lack its folder.
        """
        number = re.fullmatch(r"([0-9]{1,15})(?:\.0*)?", text)
        ways = [("spaces", text.translate(SPACES), "spaces"), ("stem", text, "ending")]
        ways += [("number", str(int(number[1])), "ending")] if number else []
        if folders and "/" not in text:
            ways += [("name", text, "folder"), ("name stem", text, "folder and ending")]
            ways += [("name number", str(int(number[1])), "folder and ending")] if number else []
        for kind, key, why in ways:
            if (kind, key) in self._keys:
                return Match(self._keys[kind, key], why)
        return Match()

    def path(self, text: str) -> str:
        """The image of this path, with or without its ending; '' if there is none, or more than one."""
        if text in self._set:
            return text
        files = self._keys.get(("stem", text), [])
        return files[0] if len(files) == 1 else ""

    def hint(self, name: str, taken: set[str]) -> str:
        """What a missing name probably means; of no file that another row names."""
        name = name.replace("\\", "/")
        for known in self.files:
            if fold(visible(known)) == fold(name):
                if visible(known) != known:
                    return f" (there is {known!a}, with an invisible character: rename the file)"
                return f" (there is {known!r}: capitals, spaces, Unicode form or slashes differ)"
        path = PurePosixPath(name)
        near = self._keys.get(("name", path.name), []) or self._keys.get(("stem", str(path.with_suffix(""))), [])
        free = [file for file in near if file not in taken]
        if free:
            return f" (there is {free[0]!r})" if len(free) == 1 else f" (there are {some(free, 3)})"
        left = [known for known in self.files if known not in taken][:MOST_COMPARED]
        return hint(name, left) or hint(name, [str(PurePosixPath(known).with_suffix("")) for known in left])

    def inside(self, text: str, taken: set[str]) -> str:
        """A hint at the file that a path outside the folder probably means."""
        name = text.replace("\\", "/").rpartition("/")[2]
        free = [file for file in self._keys.get(("name", name), []) if file not in taken]
        return f" (there is {free[0]!r})" if len(free) == 1 else ""

    def _add(self, kind: str, key: str, file: str) -> None:
        self._keys[kind, key].append(file)


def disk_images(folder: Path) -> list[str]:
    """Image files in the folder and its subfolders; links to folders are not followed."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")]
        below = Path(place).relative_to(folder)
        found += [str(below / n) for n in names if Path(n).suffix.lower() in FORMATS and not n.startswith(".")]
    return sorted(found)


def join_columns(disk: Disk, names: Sequence[str], columns: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """(headings of the columns that hold the folders of the names, path of each row); ([], []) if not certain.

    Certain is one column, or two, with which every row names an image. Of a column that is called folder, some rows
    may be wrong: they keep the path that they give.
    """
    parts = {h: [_folder(text) for text in texts] for h, texts in list(columns.items())[:MOST_COLUMNS]}
    for several in (1, 2):
        found: dict[tuple[str, ...], tuple[str, ...]] = {}
        for headings in permutations(parts, several):
            paths = _every(disk, [parts[h] for h in headings], names)
            if paths:
                found.setdefault(tuple(paths), headings)
        if len(found) == 1:
            return next(([*headings], [*paths]) for paths, headings in found.items())
        if found:
            return [], []
    for heading in parts:
        if fold(heading) in FOLDER_HEADINGS:
            paths = [f"{folder}/{name}" if folder else name for folder, name in zip(parts[heading], names, strict=True)]
            known = [disk.path(path) for path in paths]
            if 2 * sum(map(bool, known)) > len(paths):
                return [heading], [real or path for real, path in zip(known, paths, strict=True)]
    return [], []


def has_folder_column(disk: Disk, columns: dict[str, list[str]]) -> bool:
    """Whether a column says in which of the folders each file is, so that no other folder may be guessed."""
    there = {str(parent) for file in disk.files for parent in PurePosixPath(file).parents}
    return any(
        fold(heading) in FOLDER_HEADINGS and any(_folder(text) in there - {"."} for text in texts)
        for heading, texts in columns.items()
    )


def _every(disk: Disk, folders: list[list[str]], names: Sequence[str]) -> list[str]:
    paths = []
    for i, name in enumerate(names):
        path = disk.path("/".join(filter(None, [*(column[i] for column in folders), name]))) if name else ""
        if not path or not any(column[i] for column in folders):
            return []
        paths.append(path)
    return paths


def _folder(text: str) -> str:
    return text.strip().replace("\\", "/").removeprefix("./").strip("/")
