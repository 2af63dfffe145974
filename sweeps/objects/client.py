"""Objects of one store below a URL, through fsspec: each whole or not there, read as others left them just now.

What this file works around, all of it seen with s3fs: a client's cache of listings hides what others write, for ever;
an error in the middle of `open(..., "wb")` leaves half an object; `open("xb")` of nothing overwrites; and an exclusive
create whose answer is lost is sent again and refused by what it has written itself.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from deepdlt.errors import STORAGE_FAILED, CommandError
from sweeps.objects.address import check_package
from sweeps.objects.faults import Fault, explained, fault_of

AT_A_TIME = 32
"""Requests in flight: 600 objects at 20 ms a request are 19 rounds, 0.4 s."""
PATIENCE_S = 120.0
"""How long a request is repeated while the store is away, or asks to slow down."""
FIRST_PATIENCE_S = 4.0
"""The same before anything has begun: a command that cannot work is refused in seconds."""
LONGEST_PAUSE_S = 5.0
CONNECT_S, ANSWER_S = 3, 20
OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "max_concurrency": 1,  # per object: more ask for its size first, a request for nothing
        "config_kwargs": {
            "connect_timeout": CONNECT_S,
            "read_timeout": ANSWER_S,
            "retries": {"total_max_attempts": 1, "mode": "standard"},
        },
    },
}
"""Scheme -> what its file system is made with, beside no cache of listings. Repeating is done here."""
Answer = TypeVar("Answer")
_pauses = random.Random()  # of its own: a training counts on the global one


class StoreError(CommandError, OSError):
    """The store does not do what it is asked for; the message says what, where and what to do."""

    exit_code = STORAGE_FAILED
    fault: Fault | None = None


@dataclass(frozen=True)
class Listed:
    """One object of a listing."""

    size: int
    """In bytes."""
    tag: str
    """Differs when the content does, as far as the store tells."""


class Objects:
    """The objects below a URL by their keys, `s0001-3fa2c1/trial.json`. For threads and for several processes.

    Args:
        url: of a known scheme, without a slash at its end.
        filesystem: of fsspec, instead of the scheme's own; for tests.

    Raises:
        SweepRefused: the scheme's package is not installed.
        StoreError: (all methods) the store refuses, or is away for longer than `patience_s`.
    """

    def __init__(self, url: str, filesystem: Any = None) -> None:
        self.url, self.patience_s = url, PATIENCE_S
        self._scheme = url.partition(":")[0]
        if filesystem is None:
            check_package(url)
            filesystem = fsspec.filesystem(self._scheme, use_listings_cache=False, **OPTIONS.get(self._scheme, {}))
            if self._scheme == "s3":
                filesystem.retries = 1
        self.fs = filesystem
        self._root = str(filesystem._strip_protocol(url))

    def path(self, key: str) -> str:
        """The URL of a key."""
        return f"{self.url}/{key}" if key else self.url

    def read(self, key: str) -> bytes | None:
        """The whole object; None where there is none."""
        try:
            return bytes(self._ask(key, lambda: self.fs.cat_file(self._full(key))))
        except FileNotFoundError:
            return None

    def read_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """The same for many, `AT_A_TIME` requests at a time, in order."""
        keys = list(keys)
        with ThreadPoolExecutor(min(AT_A_TIME, len(keys)) or 1) as pool:
            yield from zip(keys, pool.map(self.read, keys), strict=True)

    def write(self, key: str, data: bytes) -> None:
        """Put the whole object in the place of what is there, or nothing of it."""
        self._put(key, lambda: self.fs.pipe_file(self._full(key), data))

    def create(self, key: str, data: bytes) -> bool:
        """Put an object where there is none; of several that try, one does.

        Args:
            data: no two callers may have the same: an answer that was lost is known by it.

        Returns:
            Whether it is there now, with these data.
        """
        try:
            self._put(key, lambda: self.fs.pipe_file(self._full(key), data, mode="create"))
        except FileExistsError:
            return self.read(key) == data
        return True

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        try:
            self._ask(key, lambda: self.fs.rm_file(self._full(key)))
        except FileNotFoundError:
            return

    def listed(self, below: str = "") -> dict[str, Listed]:
        """Every object, or every one whose key begins with `below/`; by key, in their order."""
        where = self._full(below)
        parent, _, name = where.rpartition("/")
        flat = parent and self._scheme in ("s3", "gs", "gcs")  # asks no more when nothing is there
        ask = (lambda: self.fs.find(parent, prefix=f"{name}/", detail=True)) if flat else None
        try:
            found = self._ask(below, ask or (lambda: self.fs.find(where, detail=True)))
        except FileNotFoundError:
            found = {}
        start = f"{self._root}/"
        keys = {name.lstrip("/").removeprefix(start.lstrip("/")): info for name, info in found.items()}
        return {key: _listed(keys[key]) for key in sorted(keys) if key and not key.endswith("/")}

    def folders(self) -> list[str]:
        """Names of the first parts of all keys."""
        try:
            found = self._ask("", lambda: self.fs.ls(self._root, detail=True))
        except FileNotFoundError:
            return []
        return sorted(Path(info["name"]).name for info in found if info["type"] == "directory")

    def written_at(self, key: str) -> float | None:
        """When an object was written by the store's own clock, in seconds since 1970; None where there is none."""
        try:
            found: datetime = self._ask(key, lambda: self.fs.modified(self._full(key)))
        except FileNotFoundError:
            return None
        return found.timestamp()

    def _full(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    def _put(self, key: str, request: Callable[[], Any]) -> None:
        """Send what writes: where that is not found, there is no bucket, or no store at the endpoint."""
        try:
            self._ask(key, request)
        except FileNotFoundError as error:
            raise _failed(error, Fault.BUCKET, self.path(key)) from error

    def _ask(self, key: str, request: Callable[[], Answer]) -> Answer:
        """Send a request, again and again while the fault may pass."""
        until, pause = time.monotonic() + self.patience_s, 0.1
        while True:
            try:
                return request()
            except Exception as error:  # clients raise what they like, and much of it is no OSError
                fault = fault_of(error)
                if fault is Fault.THERE:
                    raise FileExistsError(self.path(key)) from error
                if fault is Fault.ABSENT:
                    raise FileNotFoundError(self.path(key)) from error
                if fault is not Fault.PASSING or time.monotonic() + pause > until:
                    raise _failed(error, fault, self.path(key)) from error
            time.sleep(pause * (0.5 + _pauses.random()))  # many that were refused together do not come back together
            pause = min(2 * pause, LONGEST_PAUSE_S)


def _failed(error: Exception, fault: Fault, url: str) -> StoreError:
    failed = StoreError(explained(error, fault, url))
    failed.fault = fault
    return failed


def _listed(info: dict[str, Any]) -> Listed:
    tags = (info.get(name) for name in ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "created"))
    return Listed(int(info["size"]), str(next((tag for tag in tags if tag), "")))
