"""Hosts on this machine: namespaces of their own for network, processes, names and mounts; nothing is shared but files.

Ray's folder is hidden from the other hosts, and so is every folder that is named; a host that is closed is one that
loses its power. Needs root, as containers have it.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from waiting import HANG_GUARD_S, wait_for

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TOKEN = "5e" * 32
PORT = 6399
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"]
OWN = (
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_ADDRESS",
    "RAY_TMPDIR",
    "TMPDIR",  # Ray's folder would be in it, the same for both hosts
    "PYTHONPATH",
)


class Host:
    """A host with an address; processes that are started on it die with it.

    Args:
        hidden: folders that are empty there, and of this host alone.
    """

    def __init__(self, number: int, *hidden: Path) -> None:
        self.name, self.address = f"host{number}", f"10.77.0.{number}"
        folders = " ".join(map(str, ("/tmp/ray", *hidden)))
        script = (
            f"mkdir -p {folders}; for folder in {folders}; do mount -t tmpfs tmpfs $folder || exit; done;"
            f" hostname {self.name}; ip link set lo up; echo ready; exec >/dev/null; while sleep 1; do :; done"
        )  # the first process of a host must take leave of orphans: Ray waits for those that it ends
        self.process = subprocess.Popen(
            [*UNSHARE, "--uts", "--kill-child", "sh", "-c", script], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self.pid = int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text())

    def start(self, *command: str | Path, **options: object) -> subprocess.Popen[str]:
        """Start a command there; for `environment` see `environment_of`."""
        environment = options.pop("environment", None) or environment_of()
        enter = ["nsenter", "--target", str(self.pid), "--net", "--mount", "--uts", "--pid"]
        folder = f"--wd={options.pop('cwd', ROOT)}"
        return subprocess.Popen(
            [*enter, folder, *map(str, command)], env=environment, text=True, start_new_session=True, **options
        )  # type: ignore[call-overload]

    def run(self, *command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        """Run it to its end; both outputs are kept: in files, as what it leaves running would keep pipes open."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            code = self.start(*command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **options).wait(HANG_GUARD_S)
            said = [(file.seek(0), file.read())[1] for file in (out, err)]
        return subprocess.CompletedProcess(command, code, *said)

    def start_ray(self, head: "Host | None" = None, cpus: int = 1, *options: str, **environment: str) -> None:
        """Start a node: the head, or one of another's cluster; until it is there."""
        where = ["--head", f"--port={PORT}"] if head is None else [f"--address={head.address}:{PORT}"]
        limits = [f"--num-cpus={cpus}", "--object-store-memory=80000000", "--disable-usage-stats"]
        dashboard = ["--include-dashboard=false"] if head is None and not options else []
        name = f"--node-ip-address={self.address}"
        done = self.run(
            BIN / "ray", "start", *where, name, *limits, *dashboard, *options, environment=environment_of(**environment)
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def kill(self, name: str) -> None:
        """SIGKILL to the processes of this name there."""
        for pid in self.pids(name):
            os.kill(pid, signal.SIGKILL)

    def pids(self, name: str) -> list[int]:
        """Processes of this host, as this machine numbers them."""
        space, found = Path(f"/proc/{self.pid}/ns/pid").readlink(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                named = (folder / "comm").read_text() + (folder / "cmdline").read_text().replace("\0", " ")
                if name in named and (folder / "cmdline").read_bytes() and (folder / "ns" / "pid").readlink() == space:
                    found.append(int(folder.name))
            except OSError:  # it has just ended
                continue
        return found

    def close(self) -> None:
        """Switch it off."""
        self.process.kill()
        self.process.communicate()
        wait_for(lambda: not Path(f"/proc/{self.pid}/ns/net").exists())


def environment_of(**more: str) -> dict[str, str]:
    """This process's environment without its own Ray, with the cluster's token."""
    plain = {name: value for name, value in os.environ.items() if name not in OWN and not name.startswith("RAY_JOB")}
    return {**plain, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "PYTHONDONTWRITEBYTECODE": "1", **more}


def missing() -> str:
    """Why there can be no hosts here; "" where there can."""
    for name in ("unshare", "nsenter", "ip"):
        if shutil.which(name) is None:
            return f"{name} is not installed"
    tried = subprocess.run(
        [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False
    )
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else ""


@contextmanager
def two_hosts(*hidden: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts with a cable between them; skips the test where there can be none.

    Args:
        hidden: folders that the second does not see as the first does.
    """
    if reason := missing():
        pytest.skip(reason)
    with ExitStack() as stack:
        hosts = Host(1), Host(2, *hidden)
        for host in hosts:
            stack.callback(host.close)
        connect(*hosts)
        yield hosts


def connect(first: Host, second: Host) -> None:
    """Lay a cable: one end is called eth0 on each."""
    ends = f"eth0 netns {first.pid} type veth peer name eth0 netns {second.pid}"
    subprocess.run(["ip", "link", "add", *ends.split()], check=True)
    for host in (first, second):
        for change in (f"addr add {host.address}/24 dev eth0", "link set eth0 up"):
            assert host.run("ip", *change.split()).returncode == 0
    for host in (first, second):  # the kernel looks once a second
        wait_for(lambda host=host: " UP " in host.run("ip", "-br", "link", "show", "eth0").stdout)
