"""A sweep in a process of its own, for tests that interrupt, kill and resume it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from waiting import HANG_GUARD_S, wait_for

RUN = [sys.executable, str(Path(__file__).resolve().parent.parent / "sweeps" / "run.py")]


NET = ["--set", "model=res_ae", "--set", "width=8", "--set", "latent_channels=64"]
"""A network that trains in a sixth of the CNN's time, for tests in which the network is not the point."""


class RunningSweep:
    """`sweeps/run.py` with these arguments, in a folder; its processes are known by their descent from it."""

    def __init__(self, arguments: list[str], cwd: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [*RUN, *arguments],
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        )

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        """The condition's first true value; fails when the sweep ends before."""
        return wait_for(condition, lambda: self.process.poll() is None)

    def end(self) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=HANG_GUARD_S)
        return self.process.returncode, out, err

    def send(self, number: int) -> None:
        """A signal to the driver alone."""
        self.process.send_signal(number)

    def workers(self) -> list[psutil.Process]:
        """Processes that hold a trial."""
        return self.named("ray::ImplicitFunc")

    def named(self, name: str) -> list[psutil.Process]:
        """Descendants whose command line has this word."""
        return [process for process in self.descendants() if name in _command(process)]

    def descendants(self) -> list[psutil.Process]:
        """All that this sweep has started and that runs; remember them before the driver is killed."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


def left_running(processes: Collection[psutil.Process]) -> list[str]:
    """Command lines of those that do not end; Ray's helpers look for it for a minute."""
    _, alive = psutil.wait_procs(processes, timeout=HANG_GUARD_S)
    return [_command(process) for process in alive if process.is_running() and _command(process)]


def kill(processes: Collection[psutil.Process]) -> None:
    """SIGKILL to each that is still there."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""
