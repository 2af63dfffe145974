"""Files and folders that exist complete or not at all, even after a crash while writing."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file. A crash leaves the old or the new content, never a part (tmp, fsync, rename, fsync)."""
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
    """Remove unfinished files that killed processes left; only while no other process writes there."""
    for temporary in directory.glob(".*.tmp"):
        if temporary.is_file():
            temporary.unlink()


@contextmanager
def made_beside(root: Path) -> Iterator[Path]:
    """Yield a temporary folder in `root`. Rename finished parts out of it: the rest is removed at the end."""
    root.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".making-", dir=root))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
