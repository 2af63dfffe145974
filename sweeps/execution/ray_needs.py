"""What Ray needs of this machine, looked for before it is started: without it Ray waits, or tries for ever.

A folder for its sockets, a token that its processes know one another by, and a Python that a shell can start.
"""

import os
import secrets
import shlex
import shutil
import socket
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sweeps.cluster import find_token, token_problem
from sweeps.errors import SweepRefused

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parent.parent.parent
ASKED = ("RAY_TMPDIR", *(["TMPDIR"] if sys.platform.startswith("linux") else []))
"""Where Ray looks for a folder, before it takes the system's."""
SYSTEM = ("/tmp", "/var/tmp")
SOCKET = "ray/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store"
"""The longest of its sockets; systems take 107 bytes in all, macOS 103."""
SHARED = Path("/dev/shm")
LEAST_FILES, FILES = 128, 4096
LEAST_MB = 50  # of logs
BREAKS = "'\"\\"
"""What Ray's own command lines cannot hold; of spaces and other characters `worker_python` takes care."""


def check_ray() -> list[str]:
    """Whether Ray can be started here; notes on what it takes instead of what the environment names.

    Raises:
        SweepRefused: no folder for its sockets, a path that its command lines cannot hold, or too few open files.
    """
    _check_paths()
    _check_files()
    folder, note = sockets_folder()
    notes = [note] if note else []
    if shared_elsewhere():
        notes.append(f"{SHARED} cannot be written; Ray shares the crops in {folder}, which is slower")
    return notes


def prepare_ray() -> dict[str, Any]:
    """Set this process's environment, which Ray's processes inherit; returns what its runtime environment needs.

    Raises:
        SweepRefused: see `check_ray`.
    """
    _check_paths()
    _check_files(raised=True)
    folder, note = sockets_folder()
    if note:
        os.environ["RAY_TMPDIR"] = str(folder)
    if not find_token() or token_problem():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # else Ray writes one to the home folder
    python = shlex.quote(sys.executable)
    return {"py_executable": python} if python != sys.executable else {}  # Ray itself does not quote it


def shared_elsewhere() -> dict[str, Any]:
    """Options of ray.init where the shared memory cannot be written; Ray would wait, and say that it is late."""
    if not SHARED.is_dir() or os.access(SHARED, os.W_OK | os.X_OK):
        return {}
    return {"_plasma_directory": str(sockets_folder()[0])}


def sockets_folder() -> tuple[Path, str]:
    """The folder in which Ray makes its own, and a note where it is not the one that the environment names.

    Raises:
        SweepRefused: none can be used.
    """
    name = next((name for name in ASKED if name in os.environ), "")
    asked = os.environ.get(name, SYSTEM[0])
    problem = _problem(asked)
    if not problem:
        return Path(asked), ""
    what = f"{name}={asked}" if name else asked
    for folder in (*SYSTEM, *_own()):
        if folder != asked and not _problem(folder):
            return Path(folder), f"{what} {problem}; Ray's sockets and logs go to {folder}"
    remedy = "set RAY_TMPDIR to a short folder that exists and can be written"
    raise SweepRefused(f"Ray finds no folder for its sockets: {what} {problem}; {remedy}")


def _own() -> list[str]:
    """Folders of this user alone: `/tmp/ray` may be somebody else's."""
    return [f"{folder}/deepdlt-{os.getuid()}" for folder in SYSTEM] if hasattr(os, "getuid") else []


def _problem(folder: str) -> str:
    """Why Ray cannot have its sockets there, behind the folder's name; "" where it can: one of that length is made."""
    path = Path(folder)
    if not path.is_absolute():
        return "is no absolute path"
    if breaking(path):
        return f"has a {breaking(path)} in it"
    try:
        if folder in _own():
            path.mkdir(mode=0o700, exist_ok=True)
            if path.stat().st_uid != os.getuid():
                return "is somebody else's"
        if not path.is_dir():
            return "is no folder"
        root = path / "ray" if (path / "ray").exists() else path
        if not hasattr(socket, "AF_UNIX"):  # Windows
            return ""
        with tempfile.TemporaryDirectory(dir=root) as place, socket.socket(socket.AF_UNIX) as made:
            name = "s" * (len(os.fsencode(path / SOCKET)) - len(os.fsencode(place)) - 1)
            made.bind(f"{place}/{name}")
        if shutil.disk_usage(root).free < LEAST_MB * 1e6:
            return "is full"
    except OSError as error:
        return f"cannot hold them ({error.strerror or error})"
    return ""


def breaking(path: Path) -> str:
    """The first character of a path that Ray's command lines cannot hold."""
    return next((char for char in str(path) if char in BREAKS or ord(char) < ord(" ")), "")


def _check_paths() -> None:
    found = find_spec("ray")
    places = [Path(sys.executable), *([Path(found.origin)] if found and found.origin else [])]
    for place in places:
        if char := breaking(place):
            link = f"{SYSTEM[0]}/deepdlt-env"
            raise SweepRefused(
                f"Ray cannot start its processes from {place}: its path has a {char}. A link without one does:\n"
                f"  ln -s {shlex.quote(sys.prefix)} {link}\n"
                f"then type `{link}/bin/python -m deepdlt sweep` in the place of the command's first words"
            )
    if os.pathsep in str(ROOT):
        raise SweepRefused(f"Python finds no modules in {ROOT}: there is a {os.pathsep} in the path; rename the folder")


def _check_files(*, raised: bool = False) -> None:
    """Whether enough files may be open at once; `raised` lets this process and its children have as many as it may."""
    if resource is None:
        return
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < LEAST_FILES:
        problem = f"Ray needs {LEAST_FILES} open files at least, and the limit is {most}"
        raise SweepRefused(f"{problem}; raise it, as an administrator, with: ulimit -Hn {FILES}")
    if raised and now != resource.RLIM_INFINITY and now < FILES:
        enough = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, most))
