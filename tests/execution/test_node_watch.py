"""The nodes of a cluster as a run sees them. Ray here is real, with one node; several are in tests/system."""

import pickle
from types import SimpleNamespace

import pytest
import ray
from ray import tune

from sweeps import stopping
from sweeps.cluster import NodeReport
from sweeps.errors import SweepRefused
from sweeps.execution import node_watch
from sweeps.execution.node_watch import ClusterNodes, NodeWatch, waiting_for, was_unfit
from sweeps.request.resources import Resources, Room

pytestmark = pytest.mark.usefixtures("shared_ray", "nothing_asks_for_the_end")
ONE = Resources(1, 0, 1)


@pytest.fixture
def nodes(tmp_path):
    return ClusterNodes(tmp_path, ONE, other_code=False)


@pytest.fixture
def node():
    return ray.nodes()[0]["NodeID"]


def answers(monkeypatch, **report):
    """What each node says from now on."""
    monkeypatch.setattr(
        node_watch, "visit", lambda expected, names: {node: NodeReport(node, **report) for node in names}
    )


def test_on_fit_nodes_trials_may_run_anywhere(nodes, capsys):
    nodes.check()
    assert nodes.unfit == {}
    assert nodes.rooms() == [Room(ray.cluster_resources()["CPU"], 0.0)]
    assert nodes.placement({"cpu": 1, "gpu": 0}) == {"cpu": 1, "gpu": 0}
    assert nodes.expected.folder.is_dir()
    assert capsys.readouterr().err == ""
    before = nodes.expected.nonce
    nodes.check()
    assert nodes.expected.nonce == before


def test_storage_that_is_not_shared_is_refused_with_the_node(nodes, monkeypatch):
    answers(monkeypatch, sees_storage=False)
    with pytest.raises(SweepRefused, match=r"is not the same folder on all nodes: .* 127\.0\.0\.1 \("):
        nodes.check()


def test_without_a_fit_node_the_sweep_is_refused_with_the_reasons(nodes, monkeypatch):
    answers(monkeypatch, different=("it has torch 2.0, the driver 2.14",))
    with pytest.raises(SweepRefused) as refusal:
        nodes.check()
    assert "--allow-code-change takes nodes of other versions" in str(refusal.value)
    assert "127.0.0.1 (" in str(refusal.value)
    assert "it has torch 2.0, the driver 2.14" in str(refusal.value)


def test_other_versions_that_are_allowed_are_noted(tmp_path, monkeypatch, capsys):
    nodes = ClusterNodes(tmp_path, ONE, other_code=True)
    answers(monkeypatch, different=("it has torch 2.0, the driver 2.14",))
    nodes.check()
    assert nodes.unfit == {}
    assert "it has torch 2.0, the driver 2.14 (allowed by --allow-code-change)" in capsys.readouterr().err


def test_trials_are_kept_off_unfit_nodes_by_ray_itself(nodes, node):
    nodes.unfit = {node: "no"}
    asked = nodes.placement({"cpu": 1, "gpu": 0.25})
    assert asked.bundles == [{"CPU": 1, "GPU": 0.25}]
    assert nodes.rooms() == []
    for unfit, there in (({node: "no"}, False), ({"b" * 56: "no"}, True)):
        nodes.unfit = unfit
        group = nodes.placement({"cpu": 0.5, "gpu": 0}).to_placement_group()
        assert group.wait(60 if there else 3) == there
        ray.util.remove_placement_group(group)


def test_a_node_that_joins_and_is_unfit_ends_the_phase_which_begins_again(nodes, monkeypatch, capsys, node):
    nodes.check()
    assert not nodes.look_again()
    monkeypatch.setattr(node_watch, "_names", lambda: {node: "10.0.0.1 (old)", "b" * 56: "10.0.0.2 (late)"})
    answers(monkeypatch, lacking=("it is full",))
    NodeWatch(nodes).on_trial_recover(1, [], SimpleNamespace(error_file=None))
    assert nodes.unfit == {"b" * 56: "it is full"}
    assert "note: node 10.0.0.2 (late): it is full; no trial runs there" in capsys.readouterr().err
    assert stopping.reason() == stopping.BEGIN_AGAIN
    assert stopping.takes_up_again()
    assert (stopping.reason(), stopping.takes_up_again()) == (None, False)


def test_a_trial_that_ended_as_unfit_has_all_nodes_looked_at(nodes, monkeypatch, tmp_path, node):
    nodes.check()
    answers(monkeypatch, lacking=("its share was unmounted",))
    (tmp_path / "error.txt").write_text("...\nsweeps.cluster.nodes.Unfit: node host2: it does not see the storage\n")
    trial = SimpleNamespace(error_file=str(tmp_path / "error.txt"))
    assert was_unfit(trial)
    assert not was_unfit(SimpleNamespace(error_file=str(tmp_path / "none.txt")))
    NodeWatch(nodes).on_trial_error(1, [], trial)
    assert list(nodes.unfit) == [node]


def test_waiting_is_said_and_said_again_later(nodes, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(node_watch.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(NodeWatch, "_look", lambda self: None)
    nodes.resources = Resources(4, 0.25, 8, grows=True)
    watch, waits, runs = NodeWatch(nodes), SimpleNamespace(status="PENDING"), SimpleNamespace(status="RUNNING")
    said = []
    for at, trials in (
        (30, [waits]),
        (61, [waits]),
        (90, [waits]),
        (662, [waits]),
        (700, [runs, waits]),
        (759, [waits]),
    ):
        now[0] = float(at)
        watch.on_step_end(1, trials)
        if err := capsys.readouterr().err:
            said.append(at)
            assert err.startswith("waiting for nodes: a trial needs 4 CPU and 0.25 GPU; 1 node with ")
    assert said == [61, 662]


def test_what_is_missing_is_said_in_numbers():
    assert waiting_for(ONE, []).startswith("a trial needs 1 CPU and 0 GPU; 0 nodes with 0 CPU and 0 GPU")


def test_tune_can_pickle_it(nodes):
    assert isinstance(pickle.loads(pickle.dumps(NodeWatch(nodes))), tune.Callback)  # noqa: S301
