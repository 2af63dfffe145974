"""Files and folders that exist complete or not at all, even after a crash while writing."""

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOT_SYNCED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM, errno.EACCES}
"""What file systems answer to an fsync that they do not know: of folders CIFS, VirtualBox, WSL, 9p and some FUSE."""


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file. A crash leaves the old or the new content, never a part (tmp, fsync, rename, fsync)."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # hosts that share a folder share pids
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            sync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def sync(descriptor: int) -> None:
    """Let what was written or renamed outlive a power cut, where that can be asked for.

    Raises:
        OSError: the disk is full or faulty.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_SYNCED:
            raise


def remove_unfinished(directory: Path) -> None:
    """Remove unfinished files that killed processes left; only while no other process writes there."""
    for temporary in directory.glob(".*.tmp"):
        if temporary.is_file():
            temporary.unlink()


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no folders
        return
    try:
        directory = os.open(folder, os.O_RDONLY)
    except PermissionError:  # one may write there, and not list it
        return
    try:
        sync(directory)
    finally:
        os.close(directory)


@contextmanager
def made_beside(root: Path) -> Iterator[Path]:
    """Yield a temporary folder in `root`. Rename finished parts out of it: the rest is removed at the end."""
    root.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".making-", dir=root))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
