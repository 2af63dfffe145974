"""What a trial gets of this machine or cluster, how many run at once, and whether there is room for them."""

import errno
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from deepdlt.atomic import write_atomic
from deepdlt.machine import cpu_count, gpus
from sweeps import tuning
from sweeps.errors import SweepRefused
from sweeps.store import check_locks, mirror_of

UNLIMITED = 1_000_000  # trials at a time


@dataclass(frozen=True)
class Resources:
    """What a trial gets and how many run at once."""

    cpus_per_trial: float
    gpus_per_trial: float
    max_concurrent: int
    grows: bool = False
    """On a cluster, where `max_concurrent` was asked for: it may be more than fit, for nodes that come."""


@dataclass(frozen=True)
class Room:
    """What one node has."""

    cpus: float
    gpus: float


def check_resources(
    cpus_per_trial: float, gpus_per_trial: float | None, max_concurrent: int | None, rooms: Sequence[Room] | None = None
) -> Resources:
    """Resources per trial against what this machine has; a quarter of a GPU each when there is one.

    Args:
        rooms: the nodes of a cluster, in the place of this machine. What none of them has may come: see `check_room`.

    Raises:
        SweepRefused: more than there is, or not positive.
    """
    seen = gpus() if rooms is None else None
    cpus, n_gpus = (float(cpu_count()), float(seen.count)) if seen else (math.inf, math.inf)
    where = f"this machine has {cpus:g} CPUs and {n_gpus:g} GPUs" if seen else "the cluster decides how many there are"
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
    has_gpu = seen.count if seen else any(room.gpus for room in rooms or ())
    share = gpus_per_trial if gpus_per_trial is not None else 0.25 if has_gpu else 0.0
    grows = rooms is not None and max_concurrent is not None
    resources = Resources(cpus_per_trial, share, max_concurrent or UNLIMITED, grows)
    return fit_to(resources, [Room(cpus, n_gpus)] if rooms is None else rooms)


def fit_to(resources: Resources, rooms: Sequence[Room]) -> Resources:
    """The same with no more trials at a time than fit, but one at least; where it `grows`, as it is."""
    if resources.grows:
        return resources
    return replace(resources, max_concurrent=max(1, min(fitting(resources, rooms), resources.max_concurrent)))


def check_room(resources: Resources, rooms: Sequence[Room]) -> None:
    """Refuse trials that have room on no node of a cluster, which would wait for ever, unless nodes are to come.

    Raises:
        SweepRefused: as said.
    """
    if resources.grows or not any(room.cpus for room in rooms) or fitting(resources, rooms):
        return
    needed = f"{resources.cpus_per_trial:g} CPU and {resources.gpus_per_trial:g} GPU"
    most = max(rooms, key=lambda room: (room.gpus, room.cpus))
    raise SweepRefused(
        f"a trial needs {needed}, and no node has as much (the largest: {most.cpus:g} CPU, {most.gpus:g} GPU); if nodes"
        " come when there is work for them, say with --max-concurrent for how many trials"
    )


def fitting(resources: Resources, rooms: Sequence[Room]) -> int:
    """How many trials have room; on one GPU 1/share of them, however many GPUs there are."""
    share, found = resources.gpus_per_trial, 0
    for room in rooms:
        of_cpus = room.cpus / resources.cpus_per_trial
        of_gpus = room.gpus / share if share >= 1 else room.gpus * int(1 / share) if share else of_cpus
        found += int(min(of_cpus, of_gpus))
    return found


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
