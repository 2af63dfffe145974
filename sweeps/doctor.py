"""Say whether this machine is ready: Python, PyTorch, GPU, Ray, disk, memory, and what to do about what is missing.

example:
  deepdlt doctor
"""

import argparse
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deepdlt import machine
from deepdlt.command_line import Parser
from deepdlt.errors import DONE, FAILED
from sweeps import store
from sweeps.errors import SweepRefused
from sweeps.execution import check_ray, sockets_folder
from sweeps.objects import place
from sweeps.request import check_storage, existing

PACKAGES = ("torch", "torchvision", "ray", "optuna", "tensorboard")
LEAST_DISK_GB, LEAST_SHARED_GB, LEAST_MEMORY_GB = 2.0, 0.5, 4.0
GB = 1e9


@dataclass(frozen=True)
class Check:
    """One line of the answer."""

    name: str
    found: str
    problem: str = ""
    """What to do; "" where all is well."""
    needed: bool = False
    """Whether sweeps cannot run because of it."""


def add_options(parser: Parser) -> None:
    """There are none but where sweeps are kept."""
    parser.add_argument("--storage", type=place, default=Path("ray_results"), metavar="PLACE",
        help="folder whose disk is looked at, or a URL that is tried (default %(default)s)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Print a line per check; 1 where sweeps cannot run here."""
    machine_s = [_locks(), _cpu(), _gpu(), _memory(), _shared(), _disk(args.storage), _ray()]
    checks = [_python(), *map(_package, PACKAGES), *machine_s]
    for check in checks:
        mark = "ok  " if not check.problem else "FAIL" if check.needed else "note"
        print(f"{mark}  {check.name:14} {check.found}")
        if check.problem:
            print(f"      {'':14} -> {check.problem}")
    failed = any(check.problem and check.needed for check in checks)
    print("sweeps cannot run here yet" if failed else "ready: try `deepdlt sweep --space smoke`")
    return FAILED if failed else DONE


def _python() -> Check:
    found = f"{platform.python_version()} ({sys.executable})"
    old = "" if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed"
    return Check("Python", found, old, needed=True)


def _package(name: str) -> Check:
    """Whether it is there; imports nothing."""
    lacking = machine.missing_module(ModuleNotFoundError(name=name)) if find_spec(name) is None else ""
    return Check(name, machine.package_version(name), lacking, needed=True)


def _locks() -> Check:
    there = find_spec("fcntl") is not None
    found = f"{platform.system()} {platform.release()}"
    return Check("system", found, "" if there else f"sweeps need {machine.SYSTEMS}; {machine.WSL2}", needed=True)


def _cpu() -> Check:
    busy = machine.load_per_cpu() > 1
    problem = "other programs keep it busy: trials take longer than planned" if busy else ""
    return Check("CPU", f"{machine.cpu_count()} x {machine.processor()}", problem)


def _gpu() -> Check:
    found = machine.gpus()
    if found.count:
        return Check("GPU", f"{found.count} x {found.name}: trials share it (--gpus-per-trial, default 0.25)")
    return Check("GPU", f"none used: {found.why_none}", "trials run on the CPU; see docs/install.md for a GPU")


def _memory() -> Check:
    """Of the machine, where the system says so."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GB
    except (AttributeError, ValueError, OSError):
        return Check("memory", "not known on this system")
    problem = "" if total >= LEAST_MEMORY_GB else "run one trial at a time: --max-concurrent 1"
    return Check("memory", f"{total:.0f} GB", problem)


def _shared() -> Check:
    """Ray falls back to the disk where it is small, which containers make it."""
    found = machine.shared_memory()
    if found is None:
        return Check("shared memory", "not known on this system")
    small = found.free / GB < LEAST_SHARED_GB
    problem = "Ray uses the disk instead, slower; in a container start it with --shm-size=2g" if small else ""
    return Check("shared memory", f"{found.free / GB:.1f} GB free of {found.total / GB:.1f} GB in /dev/shm", problem)


def _disk(storage: Path | str) -> Check:
    """Whether sweeps can be kept there, as a sweep itself tries it."""
    if isinstance(storage, str):
        return _object_store(storage)
    folder = storage.expanduser().resolve()
    there = existing(folder)
    try:
        check_storage(folder, 0.0)
    except SweepRefused as error:
        return Check("disk", f"{there} cannot be used", str(error), needed=True)
    free = shutil.disk_usage(there).free / GB
    problem = "" if free >= LEAST_DISK_GB else "free some, or choose another --storage: a sweep takes 0.1 to 2 GB"
    return Check("disk", f"{free:.0f} GB free at {there}", problem)


def _object_store(url: str) -> Check:
    try:
        store.reach(url)
    except SweepRefused as error:
        return Check("storage", f"{url} cannot be used", str(error), needed=True)
    return Check("storage", f"{url} can be listed, read and written")


def _ray() -> Check:
    """Where Ray's sockets go; imports nothing of it."""
    try:
        folder, note = sockets_folder()
        check_ray()
    except SweepRefused as error:
        return Check("Ray's folder", "none can be used", str(error), needed=True)
    return Check("Ray's folder", str(folder), note)
