"""Folders of this machine for as long as a process lives, removed after it if it was killed."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

OWNER = ".owner"


class Scratch:
    """A new folder that only this user can read. `remove` it, or the next one of its kind does so.

    Args:
        kind: part of its name.
    """

    def __init__(self, kind: str) -> None:
        self._prefix = f"deepdlt-{kind}-"
        self._remove_abandoned()
        self.path = Path(tempfile.mkdtemp(prefix=self._prefix)).resolve()
        self._owner: Any = (self.path / OWNER).open("w")
        fcntl.flock(self._owner, fcntl.LOCK_EX)

    def remove(self) -> None:
        """With all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._owner.close()

    def _remove_abandoned(self) -> None:
        """Those whose process has ended: nobody locks the file in them."""
        for folder in Path(tempfile.gettempdir()).glob(f"{self._prefix}*"):
            try:
                descriptor = os.open(folder / OWNER, os.O_WRONLY | os.O_NOFOLLOW)
            except OSError:  # somebody else's, or being made
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            except OSError:  # it is in use
                continue
            finally:
                os.close(descriptor)
