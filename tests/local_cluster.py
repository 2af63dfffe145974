"""A Ray cluster of several nodes on this machine: a raylet each, on loopback, with nothing but the disk in common.

Where namespaces are permitted `two_hosts` is closer to real hosts; this works everywhere.
"""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import psutil
import pytest
from moto_server import S3, FaultyS3, Head, error_answer
from running_sweep import kill
from waiting import wait_for

from sweeps.execution.ray_needs import prepare_ray

RECORD, PROBE = re.compile(rb"PUT \S+/trial\.json "), re.compile(rb"HEAD \S+/\.hold/now-")
WRITTEN = re.compile(rb"Last-Modified: ([^\r]+)", re.IGNORECASE)
LATER_S = 150


class LocalCluster:
    """Head and nodes; the head has no CPU if not told otherwise, so that trials are where they can be lost."""

    def __init__(self, cpus: int = 0) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
        self.address = self._cluster.address

    @property
    def head(self) -> Any:
        return self._cluster.head_node

    def add(self) -> Any:
        """One more node, with one CPU."""
        return self._cluster.add_node(num_cpus=1)

    def lose(self, *nodes: Any) -> None:
        """All that runs on these ends at once, as when hosts lose their power."""
        for each in [process for node in nodes for process in self.processes(node)]:
            each.suspend()  # so that none outlives another
        for node in nodes:
            kill(self.processes(node))
            self._cluster.remove_node(node, allow_graceful=False)

    def kill_raylet(self, node: Any) -> None:
        """SIGKILL to this one process."""
        self.raylet(node).kill()

    def raylet(self, node: Any) -> psutil.Process:
        """Of a node."""
        return psutil.Process(node.all_processes["raylet"][0].process.pid)

    def processes(self, node: Any) -> list[psutil.Process]:
        """The raylet and all that it has started."""
        try:
            raylet = self.raylet(node)
            return [raylet, *raylet.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def trials(self, node: Any) -> list[psutil.Process]:
        """Processes of a node that hold a trial."""
        return [process for process in self.processes(node) if holds_trial(process)]

    @contextmanager
    def cut_off(self, node: Any) -> Iterator[None]:
        """A node that neither hears nor says anything meanwhile: its processes stand still."""
        stopped = self.processes(node)
        for process in stopped:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in stopped:
                if process.is_running():
                    process.send_signal(signal.SIGCONT)

    def lose_head(self) -> None:
        """The head's processes end at once: its raylet, and what keeps the cluster's books."""
        self._cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)

    def close(self) -> None:
        """End what is left of it."""
        self._cluster.shutdown()


def holds_trial(process: psutil.Process) -> bool:
    """Whether it is a worker of Ray's with Tune's trainable."""
    try:
        return "ray::ImplicitFunc" in " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return False


@contextmanager
def local_cluster(cpus: int = 0) -> Iterator[LocalCluster]:
    """A cluster until the end; it asks for a token, which this process and those that it starts have."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        prepare_ray()  # the token of this process, which Ray remembers once it has used one
        cluster = LocalCluster(cpus)
        try:
            yield cluster
        finally:
            cluster.close()
            signal.signal(signal.SIGTERM, before)  # a node in this process has its own


class Gate(FaultyS3):
    """A store that takes no record of a trial while it is shut, so that trials are there to be lost.

    Args:
        open_for: so many records are taken before it shuts by itself.
        fault: of the other requests, see `FaultyS3`.
    """

    def __init__(
        self, server: S3, open_for: int = 0, fault: Callable[[Head], bytes | None] = lambda head: None
    ) -> None:
        self.open_for, self._others = open_for, fault
        self.records: list[str] = []  # keys of the records that were passed on
        super().__init__(server, self._look)

    def open(self) -> None:
        """Take all records from now on."""
        self.open_for = 1 << 30

    def with_later_clock(self, head: Head) -> bytes | None:
        """What the store says of an object that was written to read its clock, as if minutes had gone by."""
        if not PROBE.match(head):
            return None
        answer = self._pass_on(head, b"")
        return WRITTEN.sub(lambda found: b"Last-Modified: " + _later(found[1]), answer)

    def _look(self, head: Head, number: int) -> bytes | None:
        if not RECORD.match(head):
            return self._others(head)
        key = head.split()[1].decode()
        if key not in self.records and len(set(self.records)) >= self.open_for:
            return error_answer(503, "SlowDown")
        self.records.append(key)
        return None


def until_trials(cluster: LocalCluster, *nodes: Any, still_possible: Callable[[], Any] = lambda: True) -> None:
    """Wait until each of these nodes has a trial."""
    wait_for(lambda: all(cluster.trials(node) for node in nodes), still_possible)


def _later(date: bytes) -> bytes:
    moment = parsedate_to_datetime(date.decode()) + timedelta(seconds=LATER_S)
    return format_datetime(moment, usegmt=True).encode()
