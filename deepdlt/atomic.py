"""Files and folders that are there whole or not at all, whatever happens while they are written."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file so that a crash leaves the old or the new content, never a part (tmp, fsync, rename, fsync)."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # hosts that share a folder share pids
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):  # Windows opens no folders
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def remove_unfinished(directory: Path) -> None:
    """Remove what killed processes left of `write_atomic` in a folder; only while nobody else writes there."""
    for temporary in directory.glob(".*.tmp"):
        if temporary.is_file():
            temporary.unlink()


@contextmanager
def made_beside(root: Path) -> Iterator[Path]:
    """Yield a working folder in `root` that is gone afterwards; what is whole was renamed out of it."""
    root.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".making-", dir=root))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
