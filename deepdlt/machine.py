"""What this machine has: processors, GPUs, shared memory; and what it lacks, with the remedy.

Linux answers every question. Where another system lacks a call of `os`, a module or a file, there is a fallback.
Nothing here imports PyTorch but `gpus`, and that only where a driver is seen.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

DISTRIBUTION = "deepdlt-sweeps"
SYSTEMS = "Linux, macOS, or Windows through WSL2"
WSL2 = "on Windows install WSL2 (`wsl --install`) and run the same command there"
POSIX = {"_posixsubprocess", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
"""Modules of the standard library that Windows does not have."""
NAMED_OTHERWISE = {"PIL": "pillow", "sklearn": "scikit-learn", "skimage": "scikit-image"}
"""Module -> the package that has it, where the names differ."""
OURS = ("deepdlt", "search_spaces", "sweeps")


@dataclass(frozen=True)
class Gpus:
    """GPUs that PyTorch can use here."""

    count: int
    why_none: str
    """One sentence without a full stop; "" where there are some."""
    name: str = ""
    """Of the first one."""


@dataclass(frozen=True)
class SharedMemory:
    """Of /dev/shm, in bytes; Ray keeps what trials share there."""

    total: int
    free: int


def cpu_count() -> int:
    """CPUs that this process may use; all of them where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return getattr(os, "process_cpu_count", os.cpu_count)() or 1


def load_per_cpu() -> float:
    """How many processes want each processor, the mean of a minute; 0 where the system does not say."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):
        return 0.0


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as the system states it; elsewhere its architecture. Part of every trial's record."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        return next(found, platform.machine())
    except OSError:
        return (_mac_processor() if sys.platform == "darwin" else "") or platform.machine()


def gpus() -> Gpus:
    """How many GPUs PyTorch can use, or why it can use none.

    PyTorch, seconds to import, is asked only where there is a driver.
    """
    if sys.platform == "darwin":
        return Gpus(0, "macOS has no CUDA, and Apple's own GPUs (MPS) are not used")
    if not _has_driver():
        return Gpus(0, "no NVIDIA driver is seen here (neither /dev/nvidia0 nor, in WSL2, /dev/dxg)")
    try:
        import torch  # late: seconds, and most machines without a GPU need none
    except ModuleNotFoundError:
        return Gpus(0, "PyTorch is not installed")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if count:
        return Gpus(count, "", torch.cuda.get_device_name())
    if hidden is not None:
        return Gpus(0, f"CUDA_VISIBLE_DEVICES={hidden!r} hides them")
    if torch.version.cuda is None:
        return Gpus(0, f"PyTorch {torch.__version__} is the build for CPUs alone; install the one with CUDA")
    return Gpus(0, f"PyTorch {torch.__version__} (CUDA {torch.version.cuda}) finds none; is the driver new enough?")


def shared_memory(place: Path = Path("/dev/shm")) -> SharedMemory | None:
    """Size of the shared memory; None where the system has no such folder (macOS)."""
    try:
        found = shutil.disk_usage(place)
    except OSError:
        return None
    return SharedMemory(found.total, found.free)


def user() -> str:
    """`user id 1000`; where the system counts no users, the name."""
    return f"user id {os.getuid()}" if hasattr(os, "getuid") else f"user {os.environ.get('USERNAME', 'unknown')}"


def without_home() -> None:
    """Name a home in which nothing can be made where the system knows none, as of ids that containers make up.

    Libraries ask for one when they are imported, and do without where it cannot be written.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = os.devnull


def package_version(package: str) -> str:
    """Version of an installed package, found without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def versions() -> str:
    """What `deepdlt --version` prints: four lines with the tool, Python and system, PyTorch and Ray, CPU or GPU."""
    found = gpus()
    named = f"{found.count} x {found.name}" if found.count else f"none: {found.why_none}"
    return "\n".join(
        [
            f"deepdlt {package_version(DISTRIBUTION)}",
            f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
            f"torch {package_version('torch')}, Ray {package_version('ray')}, Optuna {package_version('optuna')}",
            f"CPU: {cpu_count()} x {processor()}; GPU: {named}",
        ]
    )


def missing_module(error: ModuleNotFoundError) -> str:
    """One line that says which module is missing and what to do: of the system, of our requirements, or another."""
    name = error.name or ""
    top = name.partition(".")[0]
    if not top:
        return str(error)
    if top in POSIX:
        return f"this system has no {name}. Sweeps need {SYSTEMS}; {WSL2}"
    if top in sys.stdlib_module_names:
        return f"this Python ({sys.executable}) was built without {name} of the standard library; use another Python"
    if top in OURS:
        return f"{name} is missing: the installation is not whole. Install {DISTRIBUTION} again"
    package = NAMED_OTHERWISE.get(top, top)
    lacking = f"{package} is not installed for {sys.executable}"
    checkout = Path(__file__).resolve().parent.parent
    needed = _requirement(package)
    if (checkout / "Makefile").exists() and (needed or package_version(DISTRIBUTION) == "not installed"):
        return f"{lacking}. Run `make setup` in {checkout}; use the Python in its .venv"
    return f"{lacking}. Install it with: {sys.executable} -m pip install {needed or package}"


def _has_driver() -> bool:
    """Whether a driver of NVIDIA's has left its mark: files on Linux, in WSL2 and on a Jetson, its tool on Windows."""
    if sys.platform == "win32":
        return shutil.which("nvidia-smi") is not None
    return any(Path("/dev").glob("nvidia[0-9]*")) or any(Path("/dev", name).exists() for name in ("dxg", "nvhost-gpu"))


def _mac_processor() -> str:
    try:
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _requirement(package: str) -> str:
    """`'pillow>=11'`, quoted for a shell, of what this tool requires; "" of what it does not."""
    try:
        listed = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return ""
    names = (re.match(r"[\w.-]+", line) for line in listed)
    found = {n[0].lower(): line for n, line in zip(names, listed, strict=True) if n and "extra ==" not in line}
    return f"'{found[package.lower()].partition(';')[0].strip()}'" if package.lower() in found else ""
