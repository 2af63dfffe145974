"""Download of the 208 published SEM images and their label table, with a check of every byte.

The images (https://github.com/GVourvachakis/DeepDLT, folder images/) have no licence of their own. So they are
downloaded from their author's repository, and this project contains only their names, sizes and SHA-256 sums
(dlip_manifest.csv).
"""

import csv
import glob
import hashlib
import http.client
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

from deepdlt.errors import DataError

BASE_URL = "https://raw.githubusercontent.com/GVourvachakis/DeepDLT/main/images/"
MANIFEST = Path(__file__).with_name("dlip_manifest.csv")
SCHEMES = ("https://", "http://", "file://")
WORKERS, TRIES, TIMEOUT_S, CHUNK = 4, 4, 30.0, 1 << 17
NOT_TRIED = "not attempted"
HOPELESS = 8  # failures without a success: the address or the network fails, not a file
Progress = Callable[[int, int], None]


class ManifestError(DataError):
    """The manifest or the address is not usable; nothing was written."""


class Entry(NamedTuple):
    """A file to download: `path` relative to the images folder with `/`, `size` in bytes, `sha256` in hex."""

    path: str
    size: int
    sha256: str


@dataclass
class Outcome:
    """Paths that were `fetched` or already complete (`kept`), and path -> reason for those that `failed`."""

    fetched: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def read_manifest(path: Path = MANIFEST) -> list[Entry]:
    """The files to download.

    Raises:
        ManifestError: the manifest is unreadable or empty, or a row has an invalid or repeated path or an invalid sum.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [Entry(row["path"], int(row["size"]), row["sha256"]) for row in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{path}: not a manifest with path, size, sha256 ({error})") from error
    check_manifest(rows)
    return rows


def check_manifest(entries: Sequence[Entry]) -> None:
    """Refuse entries that would be written outside the folder or cannot be verified.

    Raises:
        ManifestError: the first such entry.
    """
    if not entries:
        raise ManifestError("the manifest lists no file")
    seen = set()
    for entry in entries:
        parts = entry.path.split("/")
        inside = not PurePosixPath(entry.path).is_absolute() and not {"", ".", ".."} & set(parts)
        if not inside or re.search(r'[\\:*?"<>|\x00-\x1f]', entry.path):
            raise ManifestError(f"manifest: {entry.path!r} must be a plain path inside the images folder")
        if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256) or entry.size < 0:
            raise ManifestError(f"manifest: {entry.path!r} needs a size in bytes and a SHA-256 of 64 hex digits")
        if entry.path.casefold() in seen:
            raise ManifestError(f"manifest: {entry.path!r} is listed twice")
        seen.add(entry.path.casefold())


def download(
    base_url: str,
    folder: Path,
    manifest: Sequence[Entry],
    progress: Progress | None = None,
    pause_s: float = 1.0,
) -> Outcome:
    """Bring `folder` to what the manifest says, file by file; nothing else in it is touched.

    Args:
        base_url: https, http or file address of the images folder.
        folder: receives the files; made if absent.
        manifest: what `read_manifest` returns.
        progress: called with (files done, files in all).
        pause_s: wait before the second try of a file; doubled for each further one.

    Raises:
        ManifestError: an entry or the address is refused; nothing was written.
        OSError: `folder` cannot be made.
    """
    check_manifest(manifest)
    if not base_url.startswith(SCHEMES):
        raise ManifestError(f"the address must begin with {', '.join(SCHEMES)}, got {base_url!r}")
    folder.mkdir(parents=True, exist_ok=True)
    outcome, stop = Outcome(), threading.Event()
    pool = ThreadPoolExecutor(WORKERS)
    try:
        jobs = {pool.submit(_bring, base_url, folder, entry, pause_s, stop): entry.path for entry in manifest}
        for done, job in enumerate(as_completed(jobs), start=1):
            _note(outcome, jobs[job], job.result())
            if len(outcome.failed) >= HOPELESS and not (outcome.fetched or outcome.kept):
                stop.set()
            if progress:
                progress(done, len(manifest))
    finally:
        stop.set()  # after an interrupt, transfers stop at their next chunk and remove their part
        pool.shutdown(cancel_futures=True)
    return outcome


def _note(outcome: Outcome, path: str, result: str) -> None:
    if result in ("fetched", "kept"):
        getattr(outcome, result).append(path)
    else:
        outcome.failed[path] = result


def _bring(base_url: str, folder: Path, entry: Entry, pause_s: float, stop: threading.Event) -> str:
    """`kept`, `fetched`, or the reason of a failure."""
    target = folder / entry.path
    problem = NOT_TRIED
    try:
        if _is_whole(target, entry):
            return "kept"
        target.parent.mkdir(parents=True, exist_ok=True)
        for left_over in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
            left_over.unlink(missing_ok=True)  # of a killed process
    except OSError as error:
        return f"cannot be written ({error.strerror})"
    url = f"{base_url.rstrip('/')}/{quote(entry.path)}"
    for attempt in range(TRIES):
        if stop.is_set() or (attempt and stop.wait(pause_s * 2 ** (attempt - 1))):
            return problem
        try:
            return _fetch(url, target, entry, stop)
        except urllib.error.HTTPError as error:
            problem = f"HTTP {error.code} {error.reason}"
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                return problem
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, FileNotFoundError | PermissionError):
                return f"{reason.strerror}: {reason.filename or url}"
            problem = str(reason) or type(error).__name__
    return problem


def _fetch(url: str, target: Path, entry: Entry, stop: threading.Event) -> str:
    """`fetched`, or the reason of a failure. Transfers to a part file, verifies it, then renames it."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    digest, size = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, part.open("wb") as file:
            while chunk := response.read(CHUNK):
                size += len(chunk)
                if size > entry.size or stop.is_set():
                    break
                digest.update(chunk)
                file.write(chunk)
        if stop.is_set() and size < entry.size:
            raise ConnectionAbortedError("interrupted")
        if size < entry.size and not url.startswith("file://"):
            raise ConnectionError(f"ended after {size:,} of {entry.size:,} bytes")
        if size != entry.size or digest.hexdigest() != entry.sha256:
            return "content does not match the SHA-256 of the manifest; not kept"
        part.replace(target)  # without fsync: the next run verifies every file
    finally:
        part.unlink(missing_ok=True)
    return "fetched"


def _is_whole(target: Path, entry: Entry) -> bool:
    if not target.is_file() or target.stat().st_size != entry.size:
        return False
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
