"""A sweep in a process of its own, for tests that interrupt, kill and resume it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

RUN = [sys.executable, str(Path(__file__).resolve().parent.parent / "sweeps" / "run.py")]


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

    def wait_for(self, condition: Callable[[], Any], seconds: float = 120) -> Any:
        """The condition's first true value; fails when the sweep ends or time is up before."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "this did not happen in time"
            assert self.process.poll() is None, self.process.communicate()[1]
            time.sleep(0.05)
        return found

    def end(self, seconds: float = 120) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err

    def send(self, number: int) -> None:
        """A signal to the driver alone."""
        self.process.send_signal(number)

    def workers(self) -> list[int]:
        """Processes that hold a trial."""
        return [pid for pid, line in self._descendants().items() if "ray::ImplicitFunc" in line]

    def named(self, name: str) -> list[int]:
        """Descendants whose command line has this word."""
        return [pid for pid, line in self._descendants().items() if name in line]

    def mark(self) -> re.Pattern[str]:
        """What the command lines of Ray's processes of this sweep contain, also when the driver is gone."""
        return re.compile(rf"session_[-_0-9]+_{self.process.pid}\b")

    def _descendants(self) -> dict[int, str]:
        listed = subprocess.run(["ps", "-ewwo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()]
        parent = {int(row[0]): int(row[1]) for row in rows}
        found = {}
        for pid, _, *args in rows:
            above = int(pid)
            while above in parent and above != self.process.pid:
                above = parent[above]
            if above == self.process.pid and int(pid) != self.process.pid:
                found[int(pid)] = args[0] if args else ""
        return found


def left_running(mark: re.Pattern[str], seconds: float = 15) -> list[str]:
    """Command lines with the mark that are still there after some time."""
    deadline = time.monotonic() + seconds
    while True:
        listed = subprocess.run(["ps", "-ewwo", "stat=,args="], capture_output=True, text=True, check=True).stdout
        found = [line for line in listed.splitlines() if mark.search(line) and not line.startswith("Z")]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def kill(pids: list[int]) -> None:
    """SIGKILL to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
