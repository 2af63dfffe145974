"""What a trial gets of this machine or cluster, how many run at once, and whether there is room for them."""

import errno
import math
import shutil
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from deepdlt.atomic import write_atomic
from deepdlt.machine import cpu_count, gpus
from sweeps import tuning
from sweeps.errors import SweepRefused
from sweeps.store import check_locks, mirror_of

CLUSTER_CONCURRENCY = 1000  # trials at a time, before the cluster's size is known


@dataclass(frozen=True)
class Resources:
    """What a trial gets and how many run at once."""

    cpus_per_trial: float
    gpus_per_trial: float
    max_concurrent: int


def check_resources(
    cpus_per_trial: float, gpus_per_trial: float | None, max_concurrent: int | None, address: str | None = None
) -> Resources:
    """Resources per trial against what this machine has; a quarter of a GPU each when there is one.

    With an address the cluster's resources count; they are known when Ray has connected (`fit_to`).

    Raises:
        SweepRefused: more than there is, or not positive.
    """
    here = address is None
    seen = gpus() if here else None
    cpus, n_gpus = (float(cpu_count()), float(seen.count)) if seen else (math.inf, math.inf)
    where = f"this machine has {cpus:g} CPUs and {n_gpus:g} GPUs" if here else "the cluster decides how many there are"
    problems = []
    if not 0 < cpus_per_trial <= cpus:
        problems.append(f"--cpus-per-trial must be in (0, {cpus:g}], {where}; got {cpus_per_trial:g}")
    if gpus_per_trial is not None and not 0 <= gpus_per_trial <= n_gpus:
        if seen and seen.why_none:
            problems.append(f"--gpus-per-trial {gpus_per_trial:g}: no GPU can be used: {seen.why_none}; leave it out")
        else:
            problems.append(f"--gpus-per-trial must be in [0, {n_gpus:g}], {where}; got {gpus_per_trial:g}")
    elif gpus_per_trial is not None and gpus_per_trial > 1 and gpus_per_trial % 1:  # which Ray refuses later
        problems.append(f"--gpus-per-trial must be a share of one GPU or a whole number, got {gpus_per_trial:g}")
    if max_concurrent is not None and max_concurrent < 1:
        problems.append(f"--max-concurrent must be >= 1, got {max_concurrent}")
    if problems:
        raise SweepRefused("\n".join(problems))
    share = gpus_per_trial if gpus_per_trial is not None else 0.25 if seen and seen.count else 0.0
    resources = Resources(cpus_per_trial, share, max_concurrent or CLUSTER_CONCURRENCY)
    return fit_to(resources, cpus, n_gpus) if here else resources


RAYS_OWN = ("auto", "local")
"""Addresses for which Ray looks itself."""


def check_address(address: str | None) -> None:
    """Ask a host:port for a connection first: Ray itself goes on trying for minutes.

    Raises:
        SweepRefused: it is none, or nothing answers there.
    """
    if address is None or address in RAYS_OWN:
        return
    if address.startswith("ray://"):
        raise SweepRefused(f"--address {address}: Ray Client runs Tune elsewhere; give the head's own host:port (6379)")
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 2**16):
        raise SweepRefused(f"--address must be host:port of a Ray cluster's head, or auto, got {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise SweepRefused(f"no Ray cluster answers at --address {address} ({error}); is its head running?") from error


def fit_to(resources: Resources, cpus: float, gpus: float) -> Resources:
    """The same with no more trials at a time than fit; on one GPU 1/share of them, however many GPUs there are."""
    share = resources.gpus_per_trial
    fitting = cpus / resources.cpus_per_trial
    if share:
        fitting = min(fitting, gpus / share if share >= 1 else gpus * int(1 / share))
    return replace(resources, max_concurrent=max(1, int(min(fitting, resources.max_concurrent))))


def check_storage(sweep: Path, needed_mb: float = 0.0, scheduler: str = "none") -> None:
    """Refuse a place where a sweep cannot be kept, before anything is started: its own ways of writing are tried.

    Args:
        needed_mb: by the trials that are still to run.
        scheduler: populations copy weights from trial to trial, which needs a folder.

    Raises:
        SweepRefused: not a folder, not writable, without locks, or less free than is needed.
    """
    if mirror_of(sweep) is not None:
        if scheduler in tuning.schedulers.POPULATIONS:
            raise SweepRefused(
                f"--scheduler {scheduler} needs a folder as --storage: its trials take weights from each other's"
                " folders; choose another --scheduler or a shared folder"
            )
        return  # `sweeps.store.reach` has tried it
    there = existing(sweep)
    if not there.is_dir():
        raise SweepRefused(f"--storage: {there} is a file; name a folder")
    free = shutil.disk_usage(there).free / 1e6
    if needed_mb > free:
        raise SweepRefused(f"--storage: about {needed_mb:.0f} MB are needed at {there}, {free:.0f} MB are free")
    try:
        with TemporaryDirectory(prefix=".tried-", dir=there) as folder:
            for content in (b"old", b"new"):
                write_atomic(Path(folder) / "file", content)
        check_locks(there)
    except OSError as error:
        remedy = "free some space, or choose" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose"
        raise SweepRefused(
            f"--storage: {there} cannot be written ({error.strerror}); {remedy} another folder"
        ) from error


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())
