"""Before this process joins a cluster: whether it answers, lets this process in, and runs what runs here.

Ray itself tries for minutes, or ends the process without a word, where one of these is not so.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import psutil  # Ray brings it along

from deepdlt.errors import many, some
from sweeps.cluster import ray_core, tokens
from sweeps.cluster.address import AUTO, in_job
from sweeps.errors import SweepRefused

ANSWERS_WITHIN_S = 2.0
LOOK_EVERY_S, LOST_AFTER_S = 5.0, 50.0
"""How often the head is asked, and how long it may be away; Ray itself ends this process after 60 s, silently."""
LEVEL = "RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL"
SHOW_TOKEN = (
    "copy the cluster's token (`ray get-auth-token` on its head) and"
    f" export {tokens.MODE}={tokens.ON} {tokens.TOKEN}=<it> here"
)


@dataclass(frozen=True)
class Node:
    """What a node of a cluster has."""

    address: str
    host: str
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Cluster:
    """A cluster as it was when the command began."""

    address: str
    """host:port of its head."""
    nodes: tuple[Node, ...]
    own_address: str
    """Of the node on this host."""
    notes: tuple[str, ...] = ()

    @property
    def cpus(self) -> float:
        """Of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """Of all nodes."""
        return sum(node.gpus for node in self.nodes)

    @property
    def text(self) -> str:
        """`2 nodes, 8 CPUs, 2 GPUs at 10.0.0.1:6379`."""
        parts = [many(len(self.nodes), "node"), _count(self.cpus, "CPU"), _count(self.gpus, "GPU")]
        return f"{', '.join(parts)} at {self.address}"


def look_at(address: str) -> Cluster:
    """Look at the cluster, within seconds and without joining it.

    Raises:
        SweepRefused: nothing answers, or no head of a cluster; the token is wrong or missing; other versions of Ray or
            Python run there; this host is none of its nodes.
    """
    address = _resolved(address)
    _check_port(address)
    is_open = _check_token(address)
    nodes, versions = ray_core.ask(address, ANSWERS_WITHIN_S)
    _check_versions(address, versions)
    own = _own_node(address, [node.address for node in nodes])
    if own and ip_address(own).is_loopback:  # a cluster that only this host reaches
        ray_core.keep_loopback()
    notes = [problem for problem in (tokens.token_problem(),) if problem]
    if is_open:
        notes.append(
            f"the cluster at {address} asks nobody for a token: whoever reaches it can run programs on it"
            f" (docs/security.md); start its nodes with {tokens.MODE}={tokens.ON}"
        )
    found = [Node(n.address, n.host, n.resources.get("CPU", 0.0), n.resources.get("GPU", 0.0)) for n in nodes]
    return Cluster(address, tuple(sorted(found, key=lambda n: n.address)), own, tuple(notes))


def watch_head(address: str, lost: Callable[[str], None], over: threading.Event) -> None:
    """Ask the head for a connection until the run is over; call `lost` once it has not answered for long."""
    host, _, port = address.rpartition(":")
    answered = time.monotonic()
    while not over.wait(LOOK_EVERY_S):
        try:
            socket.create_connection((host, int(port)), timeout=LOOK_EVERY_S).close()
            answered = time.monotonic()
        except OSError:
            if time.monotonic() - answered > LOST_AFTER_S and not over.is_set():
                lost(f"head at {address}")
                return


def _count(n: float, what: str) -> str:
    return f"{n:g} {what}{'' if n == 1 else 's'}"


def _resolved(address: str) -> str:
    """Host and port of what was asked for."""
    if address == AUTO:
        try:
            return ray_core.find_address()
        except ConnectionError as error:
            problem = "--address auto: no Ray cluster has a node on this host"
            raise SweepRefused(f"{problem}; start one (`ray start`), or give the head's host:port") from error
    if address.startswith("ray://"):
        raise SweepRefused(f"--address {address}: Ray Client runs Tune elsewhere; give the head's own host:port (6379)")
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 2**16):
        raise SweepRefused(f"--address must be host:port of a Ray cluster's head, auto or local, got {address!r}")
    return address


def _check_port(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN_S).close()
    except (OSError, UnicodeError) as error:  # a name with an empty or too long part is a UnicodeError
        raise SweepRefused(f"no Ray cluster answers at --address {address} ({error}); is its head running?") from error


def _check_token(address: str) -> bool:
    """Whether the cluster lets everybody in; one that does not let this process in is refused."""
    kind, mine = ray_core.kind_of(address, ANSWERS_WITHIN_S), tokens.read_token()
    if kind == ray_core.NO_HEAD:
        problem = f"what answers at --address {address} is no head of a Ray cluster"
        raise SweepRefused(f"{problem}; heads listen on port 6379, if not told otherwise (8265 is the dashboard's)")
    on = os.environ.get(tokens.MODE) == tokens.ON
    if on and not mine:  # Ray would abort this process
        problem = f"{tokens.MODE} is {tokens.ON}" if kind == ray_core.OPEN else f"the cluster at {address} asks for one"
        raise SweepRefused(f"there is no token here, and {problem}; {SHOW_TOKEN}")
    if kind == ray_core.OPEN:
        return True
    if not on:
        raise SweepRefused(f"the Ray cluster at {address} asks for a token, and there is none here; {SHOW_TOKEN}")
    if ray_core.kind_of(address, ANSWERS_WITHIN_S, mine) != ray_core.OPEN:
        problem = f"the Ray cluster at {address} has another token than {tokens.find_token()} here"
        raise SweepRefused(f"{problem}; {SHOW_TOKEN}")
    return False


def _check_versions(address: str, there: tuple[str, str]) -> None:
    """Ray refuses these too, after it has started to join."""
    here, digits = ray_core.own_versions(), 2 if os.environ.get(LEVEL) == "minor" else 3
    for name, theirs, ours in zip(("Ray", "Python"), there, here, strict=True):
        cut = digits if name == "Python" else None
        if theirs and theirs.split(".")[:cut] != ours.split(".")[:cut]:
            raise SweepRefused(
                f"the cluster at {address} runs {name} {theirs}, this command {name} {ours}: run it with that version"
            )


def _own_node(address: str, nodes: Sequence[str]) -> str:
    """Address of the node on this host: a process elsewhere cannot take part, and Ray would abort it."""
    own = {each.address for of in psutil.net_if_addrs().values() for each in of}
    found = next((node for node in nodes if node in own), None)
    if found is None and not in_job():
        raise SweepRefused(
            f"this host is no node of the Ray cluster at {address} (its nodes: {some(sorted(nodes))}): run the command"
            f" on one of them, make this host one (`ray start --address={address}`), or use `ray job submit`"
        )
    return found or ""
