"""The nodes of a cluster during a run: checked before the first trial, watched for more that join or are needed."""

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune

from deepdlt.errors import many, some_words
from deepdlt.terminal import say
from sweeps import stopping
from sweeps.cluster import Expected, NodeReport, Unfit, expected_of, refuse_unshared, visit
from sweeps.errors import SweepRefused
from sweeps.request import Resources, Room

LOOK_EVERY_S = 5.0  # for nodes that have joined
WAITING_S, SAY_AGAIN_S = 60.0, 600.0
"""How long no trial may run until that is said, and how often it is said."""
NODE_ID = "ray.io/node-id"  # a label that Ray gives each node


class ClusterNodes:
    """Which nodes of the cluster trials may run on.

    Args:
        other_code: nodes with other versions are used, and noted.
    """

    def __init__(self, sweep: Path, resources: Resources, *, other_code: bool) -> None:
        self.sweep, self.resources, self.other_code = sweep, resources, other_code
        self.expected: Expected | None = None
        """What trials look for; None before `check`."""
        self.unfit: dict[str, str] = {}
        """Node id -> why no trial may run there."""
        self._known: set[str] = set()
        self._one_look = threading.Lock()

    def check(self) -> None:
        """Before the first trial: look at every node; once.

        Raises:
            SweepRefused: one does not see the sweep's storage, or none is fit; with their names.
        """
        if self.expected is not None:
            return
        self.expected = expected_of(self.sweep, self.resources.gpus_per_trial, self.other_code)
        names = _names()
        reports = self._look(names)
        refuse_unshared(reports, names, self.sweep)
        if names and len(self.unfit) == len(names):
            lines = [f"  {names[node]}: {problem}" for node, problem in self.unfit.items()]
            allow = "; --allow-code-change takes nodes of other versions" if _differ(reports) else ""
            raise SweepRefused("no node of the cluster can run trials of this sweep" + allow + "\n" + "\n".join(lines))
        self._say(reports, names)

    def look_again(self, *, at_all: bool = False) -> bool:
        """Look at nodes that have joined, or at all of them; whether one of them has turned out unfit."""
        with self._one_look:
            names = _names()
            new = {node: name for node, name in names.items() if at_all or node not in self._known}
            before = set(self.unfit)
            reports = self._look(new) if new else {}
            found = {node: report for node, report in reports.items() if node not in before}
            self._say(found, names)
            return bool(set(self.unfit) - before)

    def rooms(self) -> list[Room]:
        """Of the fit nodes that are there now."""
        there = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in self.unfit]
        return [Room(each.get("CPU", 0.0), each.get("GPU", 0.0)) for each in there]

    def placement(self, amounts: Mapping[str, float]) -> Any:
        """What a trial asks Ray for: these amounts (`cpu`, `gpu`), on any node but the unfit ones."""
        if not self.unfit:
            return dict(amounts)
        bundle = {name.upper(): amount for name, amount in amounts.items() if amount}
        elsewhere = {NODE_ID: f"!in({','.join(sorted(self.unfit))})"}
        return tune.PlacementGroupFactory([bundle], bundle_label_selector=[elsewhere])

    def _look(self, names: Mapping[str, str]) -> dict[str, NodeReport]:
        assert self.expected is not None
        reports = visit(self.expected, names)
        self._known |= set(names)
        for node, report in reports.items():
            if problem := report.problem(self.other_code):
                self.unfit[node] = problem
        return reports

    def _say(self, reports: Mapping[str, NodeReport], names: Mapping[str, str]) -> None:
        for node, report in reports.items():
            if node in self.unfit:
                say(f"note: node {names[node]}: {self.unfit[node]}; no trial runs there")
            elif report.different:
                say(f"note: node {names[node]}: {some_words(report.different)} (allowed by --allow-code-change)")


class NodeWatch(tune.Callback):
    """Tune's callback that sees to the nodes: unfit ones that join end the phase, which then begins again without them.

    Tune pickles callbacks into a state that nobody reads: of this one nothing.
    """

    def __init__(self, nodes: ClusterNodes) -> None:
        self._nodes = nodes
        self._looked = self._busy = self._said = time.monotonic()
        self._looking: threading.Thread | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune hook, several times a second."""
        now = time.monotonic()
        if any(trial.status == "RUNNING" for trial in trials):
            self._busy = self._said = now
        elif now - self._said > (WAITING_S if self._said == self._busy else SAY_AGAIN_S):
            self._said = now
            say(f"waiting for nodes: {waiting_for(self._nodes.resources, self._nodes.rooms())}")
        if now - self._looked > LOOK_EVERY_S and not (self._looking and self._looking.is_alive()):
            self._looked = now
            self._looking = threading.Thread(target=self._look, daemon=True)
            self._looking.start()

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune hook: a trial's process has died, of which an unfit node may be the reason."""
        self._look(at_all=was_unfit(trial))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune hook: it has died once too often."""
        self._look(at_all=was_unfit(trial))

    def _look(self, *, at_all: bool = False) -> None:
        if self._nodes.look_again(at_all=at_all):
            stopping.begin_again()


def waiting_for(resources: Resources, rooms: Sequence[Room]) -> str:
    """`a trial needs 1 CPU and 0.25 GPU; 2 nodes with 8 CPU and 0 GPU, ...`."""
    there = f"{sum(room.cpus for room in rooms):g} CPU and {sum(room.gpus for room in rooms):g} GPU"
    needed = f"{resources.cpus_per_trial:g} CPU and {resources.gpus_per_trial:g} GPU"
    return f"a trial needs {needed}; {many(len(rooms), 'node')} with {there}, used by others or too small"


def was_unfit(trial: Any) -> bool:
    """Whether a trial's last process ended with `Unfit`, by the text that Tune keeps of it."""
    try:
        return f"{Unfit.__module__}.{Unfit.__name__}" in Path(trial.error_file).read_text(encoding="utf-8")
    except (OSError, TypeError, UnicodeDecodeError):
        return False


def _names() -> dict[str, str]:
    """Node id -> address and host, of the nodes that are alive."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    return {node["NodeID"]: f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})" for node in alive}


def _differ(reports: Mapping[str, NodeReport]) -> bool:
    return any(report.different for report in reports.values())
