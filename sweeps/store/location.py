"""Where a sweep is: a folder that all nodes see, in which everything happens in place, or an object store.

This package alone knows. All other code has a `Path`, the sweep's folder: of an object store a mirror on this machine
(`sweeps.store.mirror`), filled when it is located and when it is locked, whose files are put into the store as they are
written. `address` and `shown` say where a path really is.

What holds in both:
- a trial is complete if and only if its trial.json verifies; it is written last, and where there is none: a record of
  the same trial that is there already, of a worker that was cut off and came back, is taken as it is;
- one process works on a sweep: a lock of the file system, or a hold with a heartbeat (`sweeps.objects.lease`);
- nothing is read that is half written: a file is renamed into its place, an object is put there in one request;
- what is read is what others have written just now: no listing of a client's cache, and on NFS a name that was looked
  up and not there is looked for until the file system's own cache of it must have ended (`ended_record`).

What differs: in an object store a trial works in a folder of its machine. Its checkpoints and event files get into the
store after an epoch, at most every 30 s, and before it ends; a node that dies takes the epochs since then with it.
"""

import atexit
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepdlt.command_line import short_path
from deepdlt.terminal import say
from sweeps import objects, stopping
from sweeps.errors import NotASweep, SweepRefused
from sweeps.store.mirror import CODE_FILE, REPORT, Mirror, TrialMirror, address, closed, mirror_of, opened, published

OF_THE_STORE = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Environment variables that lead to the store and hold no secret."""
SMALL = (".json", CODE_FILE)
"""Ends of the names of what is needed to plan."""


def reach(storage: Path | str) -> Path | str:
    """The same, absolute; of an object store once all that a sweep will do there has been done.

    Args:
        storage: what `sweeps.objects.place` has checked.

    Raises:
        SweepRefused: the object store cannot be used; the message says why and what to do.
    """
    if isinstance(storage, Path):
        return storage.expanduser().resolve()
    with _refusing():
        store = objects.Objects(storage)
        store.patience_s = objects.FIRST_PATIENCE_S
        _try_out(store, f".hold/tried-{secrets.token_hex(8)}")
    return storage


def locate(storage: Path | str, name: str) -> Path:
    """The folder of a sweep, of an object store a mirror of what is needed to plan; it need not exist.

    Raises:
        SweepRefused: the object store cannot be used.
    """
    if isinstance(storage, Path):
        return storage.expanduser().resolve() / name
    mirror = _mirror(f"{storage}/{name}", name)
    with _refusing():
        mirror.pull(wanted=lambda key: key.endswith(SMALL))
    return mirror.folder


def fetch(sweep: Path | str) -> Path:
    """The folder of a sweep that is there, of an object store a copy of all but its weights.

    Raises:
        SweepRefused: the object store cannot be used.
        NotASweep: nothing is there; the message names the sweeps beside it.
    """
    if isinstance(sweep, Path):
        return sweep
    mirror = _mirror(sweep, sweep.rpartition("/")[2])
    with _refusing():
        mirror.pull()
        if any(path.is_file() for path in mirror.folder.rglob("*")):
            return mirror.folder
        above = sweep.rpartition("/")[0]
        beside = objects.Objects(above).folders() if not above.endswith("/") else []
    names = f"there are: {', '.join(beside)}" if beside else "give the URL of a sweep, s3://BUCKET/FOLDER/SWEEP"
    raise NotASweep(f"no sweep at {sweep}; {names}")


def shown(path: Path) -> str:
    """The same for a person, relative to here where that is shorter."""
    return str(short_path(path)) if mirror_of(path) is None else address(path)


def compared_at(sweep: Path) -> str:
    """Where TensorBoard finds this sweep and those beside it."""
    mirror = mirror_of(sweep)
    return str(short_path(sweep.parent)) if mirror is None else mirror.objects.url.rpartition("/")[0]


def refresh(sweep: Path) -> None:
    """Bring what trials have written elsewhere; nothing to do for a folder."""
    if (mirror := mirror_of(sweep)) is not None:
        mirror.pull()


def publish_report(sweep: Path) -> str:
    """Put the report beside its sweep into the store, or here where the store may only be read; where it is, shown."""
    mirror, folder = mirror_of(sweep), sweep / REPORT
    if mirror is None:
        return str(folder)
    try:
        mirror.publish_folder(folder)
    except objects.StoreError as error:
        if error.fault is not objects.Fault.DENIED:
            raise
        here = Path.cwd() / f"{sweep.name}-report"
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(folder, here)
        say(f"note: the report cannot be written to {address(folder)}, which may only be read: it is here")
        return str(here)
    return address(folder)


def publish_page(page: Path) -> str:
    """Put one page of a sweep into the store, or here where the store may only be read; where it is, shown."""
    try:
        published(page)
    except objects.StoreError as error:
        if error.fault is not objects.Fault.DENIED:
            raise
        here = Path.cwd() / page.name
        shutil.copyfile(page, here)
        say(f"note: {address(page)} may not be written: the page is here")
        return str(here)
    return address(page)


def bring(path: Path) -> None:
    """Bring one file of a sweep, weights too; nothing to do for a folder, nor where the store has none."""
    if (mirror := mirror_of(path)) is not None:
        mirror.bring(path)


@contextmanager
def trial_folder(sweep: str, name: str) -> Iterator[Path]:
    """The folder in which a trial works: its own in the sweep's folder, or one of this machine for the time being.

    Of an object store all that it has of the trial is there at the beginning, and what has changed is put there at the
    end, also of a trial that Tune has stopped.

    Args:
        sweep: its `address`.
    """
    if not objects.is_url(sweep):
        yield Path(sweep) / name
        return
    scratch = objects.Scratch("trial")
    mirror = TrialMirror(objects.Objects(f"{sweep}/{name}"), scratch.path / name)
    opened(mirror)
    try:
        mirror.pull()
        yield mirror.folder
        mirror.publish_trial()
    except SystemExit:  # Tune's way to stop a trial
        mirror.publish_trial()
        raise
    finally:
        closed(mirror)
        scratch.remove()


def after_epoch(directory: Path, may_end: bool) -> None:
    """Put what a trial has written where it outlives its machine; nothing to do for a folder.

    Args:
        may_end: whether the trial may be stopped now, so that its event file must be whole.
    """
    mirror = mirror_of(directory)
    if isinstance(mirror, TrialMirror) and (mirror.is_due or may_end):
        mirror.publish_trial(weights=mirror.is_due)


@contextmanager
def held(mirror: Mirror) -> Iterator[None]:
    """Hold the sweep for this process and bring what was written before.

    Raises:
        AlreadyRunning: another process holds it.
        StoreError: the store fails.
    """

    def lost(error: objects.LeaseLost) -> None:
        mirror.objects.patience_s = objects.FIRST_PATIENCE_S  # nothing that the end of the run asks for is waited for
        stopping.storage_failed(error)

    lease = objects.Lease(mirror.objects, lost)
    lease.take()
    mirror.objects.patience_s, mirror.check = objects.PATIENCE_S, lease.check
    try:
        mirror.pull()
        yield
    finally:
        lease.release()


def environment() -> dict[str, str]:
    """Environment variables that trials on other nodes need to find the store; keys must be on the nodes themselves."""
    return {name: os.environ[name] for name in OF_THE_STORE if name in os.environ}


def _try_out(store: Any, key: str) -> None:
    created = store.create(key, b"first")
    again = store.create(key, b"second")
    found, listed = store.read(key), store.listed(".hold")
    store.delete(key)
    if not created or again or found != b"first":
        raise SweepRefused(
            f"--storage: {store.url} creates an object though there is one: two runs of a sweep could mix there; choose"
            " a store that knows If-None-Match (as Amazon's, Google's, Azure's, Cloudflare's), or a folder"
        )
    if key not in listed:
        raise SweepRefused(f"--storage: {store.url} does not list what was just written; choose another store")


def _mirror(url: str, name: str) -> Mirror:
    with _refusing():
        store = objects.Objects(url)
        store.patience_s = objects.FIRST_PATIENCE_S
    scratch = objects.Scratch("sweep")
    atexit.register(scratch.remove)
    return opened(Mirror(store, scratch.path / name))


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except objects.StoreError as error:
        text = re.sub(r"/\.hold/tried-\w+", "", str(error))  # where it was tried says nothing to anybody
        raise SweepRefused(f"--storage: {text}") from error
