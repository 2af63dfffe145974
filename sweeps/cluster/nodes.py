"""Whether the nodes of a cluster are fit: each sees the sweep's storage, and computes with the same code and packages.

The driver writes a number that nobody can guess. A task on each node must read it and leave its own answer, which the
driver must see. A node that joins later does the same in its first trial. What is read there is compared as text.
"""

import platform
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from deepdlt.errors import some_words
from deepdlt.machine import DISTRIBUTION, package_version
from deepdlt.terminal import say
from sweeps.cluster import ray_core
from sweeps.errors import SweepRefused
from sweeps.identity import code_files, digest
from sweeps.objects import Objects, StoreError
from sweeps.store import address, mirror_of

NODES = ".nodes"
"""Folder in the sweep's, while it runs."""
DRIVER = "driver"
ARITHMETIC = ("torch", "numpy")  # other versions compute other numbers
SEEN_WITHIN_S = 4.0  # a file that another host has written; its name was never looked up before, so no cache hides it
ANSWERS_WITHIN_S = (25.0, 180.0)
"""Until it is said that nodes have not answered, and until they are unfit; a busy one starts a worker slowly."""
LEAST_MB = 50.0  # free in the storage
_checked: dict[str, str] = {}
"""Nonce -> problem of this process's node."""


class Unfit(RuntimeError):
    """This node cannot run trials of the sweep; Tune runs the trial again, elsewhere."""


@dataclass(frozen=True)
class Expected:
    """What a node must have, pickled to it."""

    folder: Path
    """`.nodes` of the sweep, or of its mirror on the driver."""
    nonce: str
    code: str
    """Digest."""
    versions: Mapping[str, str]
    gpus: float = 0.0
    """That a trial takes."""
    other_code: bool = False
    """Nodes with other code or packages are noted, not left out."""
    url: str = ""
    """The folder's, where the sweep is in an object store."""


@dataclass(frozen=True)
class NodeReport:
    """A node's answer."""

    node_id: str
    host: str = ""
    sees_storage: bool = True
    different: tuple[str, ...] = ()
    """Lines: what differs from the driver's."""
    lacking: tuple[str, ...] = ()
    """Lines: what it cannot do without, whatever is allowed."""
    about: str = ""
    """Its versions and free disk."""

    def problem(self, other_code: bool) -> str:
        """Why no trial may run there, in words; "" where they may."""
        found = [] if self.sees_storage else ["it does not see the sweep's storage"]
        return some_words([*found, *self.lacking, *(() if other_code else self.different)] or [""])


def expected_of(sweep: Path, gpus: float, other_code: bool) -> Expected:
    """Write the number, and say what nodes must have: what the driver has."""
    folder, nonce = sweep / NODES, secrets.token_hex(16)
    forget_nodes(sweep)  # of a run that was killed
    folder.mkdir(parents=True)
    url = "" if mirror_of(sweep) is None else address(folder)
    expected = Expected(folder, nonce, digest(code_files()), _versions(), gpus, other_code, url)
    _leave(expected, DRIVER)
    return expected


def forget_nodes(sweep: Path) -> None:
    """Remove what nodes have written."""
    shutil.rmtree(sweep / NODES, ignore_errors=True)
    if mirror_of(sweep) is not None:
        with suppress(StoreError):  # a few bytes may stay
            left = Objects(address(sweep / NODES))
            for key in left.listed():
                left.delete(key)


def visit(expected: Expected, nodes: Mapping[str, str]) -> dict[str, NodeReport]:
    """Ask nodes, all at once, and look for the answers that they have left.

    Args:
        nodes: node id -> name, for those that are alive.

    Returns:
        Node id -> report; also of nodes that could not answer.
    """
    task = ray.remote(num_cpus=0, max_retries=0)(inspect)
    asked = {
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(expected, node): node
        for node in nodes
    }
    soon, whole = ANSWERS_WITHIN_S
    done, late = ray.wait(list(asked), num_returns=len(asked), timeout=soon)
    if late:
        say(f"waiting for the answer of {some_words(sorted(nodes[asked[each]] for each in late))}")
        done, late = ray.wait(list(asked), num_returns=len(asked), timeout=whole - soon)
    found = {asked[each]: _answer(expected, asked[each], each) for each in done}
    silent = f"it has not answered for {whole:.0f} s"
    return found | {asked[each]: NodeReport(asked[each], lacking=(silent,)) for each in late}


def inspect(expected: Expected, node_id: str) -> NodeReport:
    """Look at the node that this runs on, and leave its answer in the storage."""
    seen = _sees(expected, DRIVER) and _leave(expected, node_id)
    free = f", {_free(expected) / 1e9:.1f} GB free" if seen else ""
    own = {"Python": platform.python_version(), "ray": ray.__version__, **_versions()}
    about = ", ".join(f"{name} {version}" for name, version in own.items()) + free
    different, lacking = tuple(_different(expected)), tuple(_lacking(expected, seen))
    return NodeReport(node_id, socket.gethostname(), seen, different, lacking, about)


def require_fit(expected: Expected | None) -> None:
    """In a trial: look at the node once per process.

    Raises:
        Unfit: it cannot run trials; nothing of this trial was written.
    """
    if expected is None:
        return
    if expected.nonce not in _checked:
        report = inspect(expected, ray_core.this_node())
        _checked[expected.nonce] = report.problem(expected.other_code)
    if problem := _checked[expected.nonce]:
        raise Unfit(f"node {socket.gethostname()}: {problem}")


def refuse_unshared(reports: Mapping[str, NodeReport], names: Mapping[str, str], sweep: Path) -> None:
    """Refuse a storage that is not the same on all nodes.

    Raises:
        SweepRefused: with the names of the nodes that do not see it.
    """
    blind = sorted(names[node] for node, report in reports.items() if not report.sees_storage)
    if blind:
        raise SweepRefused(
            f"--storage: {sweep.parent} is not the same folder on all nodes: what was written there is not seen on"
            f" {some_words(blind)}. Mount a shared folder at that path on every node, or use an object store"
        )


def _answer(expected: Expected, node: str, task: "ray.ObjectRef") -> NodeReport:
    try:
        report: NodeReport = ray.get(task)
    except RayError as error:  # no such package there, or the code did not arrive
        cause = error.cause if hasattr(error, "cause") else error
        return NodeReport(node, lacking=(f"the check failed there ({str(cause).strip().splitlines()[-1][:200]})",))
    if report.sees_storage and not _sees(expected, node):
        return replace(report, sees_storage=False)
    return report


def _versions() -> dict[str, str]:
    """`2.14.1+cpu` and `2.14.1+cu130` compute with the same code."""
    return {name: package_version(name) for name in (*ARITHMETIC, DISTRIBUTION)}


def _different(expected: Expected) -> Iterator[str]:
    here = _versions()
    for name in ARITHMETIC:
        theirs, ours = here[name].partition("+")[0], expected.versions[name].partition("+")[0]
        if theirs != ours:
            yield f"it has {name} {theirs}, the driver {ours}"
    if digest(code_files()) != expected.code:
        yield f"its code is another ({DISTRIBUTION} {here[DISTRIBUTION]})"


def _lacking(expected: Expected, seen: bool) -> Iterator[str]:
    if expected.gpus and package_version("torch").endswith("+cpu"):
        yield "its PyTorch is for CPUs alone"
    if seen and (free := _free(expected) / 1e6) < LEAST_MB:
        yield f"only {free:.0f} MB are free {'on its disk' if expected.url else 'in the storage'}"


def _free(expected: Expected) -> int:
    """Bytes where trials write: in the storage, or on this machine where that is an object store."""
    return shutil.disk_usage(tempfile.gettempdir() if expected.url else expected.folder).free


def _leave(expected: Expected, who: str) -> bool:
    """Write the number in somebody's name; whether that can be done."""
    name = f"{who}-{expected.nonce}"
    try:
        if expected.url:
            Objects(expected.url).write(name, expected.nonce.encode())
        else:
            (expected.folder / name).write_text(expected.nonce, encoding="utf-8")
    except OSError:
        if who == DRIVER:
            raise
        return False
    return True


def _sees(expected: Expected, who: str) -> bool:
    """Whether the number that somebody has written is seen here, within `SEEN_WITHIN_S`."""
    deadline = time.monotonic() + SEEN_WITHIN_S
    while True:
        if _read(expected, f"{who}-{expected.nonce}") == expected.nonce:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)


def _read(expected: Expected, name: str) -> str:
    """A file's text; "" where it cannot be read."""
    try:
        if expected.url:
            return (Objects(expected.url).read(name) or b"").decode()
        return (expected.folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
