"""Nodes are checked by a task on each: storage, versions, code. Ray here is real, with one node."""

from dataclasses import replace

import pytest
import ray

from sweeps.cluster import nodes
from sweeps.cluster.nodes import (
    NODES,
    NodeReport,
    Unfit,
    expected_of,
    forget_nodes,
    inspect,
    refuse_unshared,
    require_fit,
    visit,
)
from sweeps.errors import SweepRefused


@pytest.fixture
def node(shared_ray):
    return ray.nodes()[0]["NodeID"]


@pytest.fixture
def expected(tmp_path):
    return expected_of(tmp_path, 0.0, False)


def test_a_fit_node_reads_and_answers(node, expected, tmp_path):
    report = visit(expected, {node: "here"})[node]
    assert report.problem(other_code=False) == ""
    assert {path.name for path in (tmp_path / NODES).iterdir()} == {
        f"driver-{expected.nonce}",
        f"{node}-{expected.nonce}",
    }
    for word in ("Python 3.", "torch 2.", "ray 2.", "deepdlt-sweeps ", "GB free"):
        assert word in report.about
    forget_nodes(tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_run_has_another_number(tmp_path):
    first, second = expected_of(tmp_path, 0.0, False), expected_of(tmp_path, 0.0, False)
    assert first.nonce != second.nonce
    assert len(list((tmp_path / NODES).iterdir())) == 1  # what a killed run left is gone


def test_a_node_that_does_not_see_the_number_is_refused_by_name(node, expected, tmp_path, monkeypatch):
    """As a folder of the same name on that node's own disk."""
    monkeypatch.setattr(nodes, "SEEN_WITHIN_S", 0.0)
    elsewhere = replace(expected, folder=tmp_path / "own disk")
    reports = visit(elsewhere, {node: "10.0.0.2 (worker)"})
    assert not reports[node].sees_storage
    with pytest.raises(SweepRefused) as refusal:
        refuse_unshared(reports, {node: "10.0.0.2 (worker)"}, tmp_path / "sweep")
    assert f"--storage: {tmp_path} is not the same folder on all nodes" in str(refusal.value)
    assert "not seen on 10.0.0.2 (worker)" in str(refusal.value)


def test_a_node_whose_answer_does_not_arrive_does_not_share_the_storage(node, expected, monkeypatch):
    """It reads what the driver wrote, perhaps a copy, and what it writes goes elsewhere."""
    monkeypatch.setattr(nodes, "SEEN_WITHIN_S", 0.0)
    read = nodes._read
    monkeypatch.setattr(nodes, "_read", lambda expected, name: "" if name.startswith(node) else read(expected, name))
    assert not visit(expected, {node: "here"})[node].sees_storage


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"versions": {"torch": "1.0", "numpy": "0"}}, "it has torch "),
        ({"code": "0" * 12}, "its code is another (deepdlt-sweeps "),
    ],
)
def test_what_decides_numbers_must_be_the_same_unless_that_is_allowed(node, expected, change, said):
    report = visit(replace(expected, **change), {node: "here"})[node]
    assert said in report.problem(other_code=False)
    assert report.problem(other_code=True) == ""


def test_builds_for_cpu_and_gpu_are_one_version(expected, monkeypatch):
    versions = {"torch": "2.14.1+cpu", "numpy": "2.3.0", "deepdlt-sweeps": "0.1.0"}
    monkeypatch.setattr(nodes, "package_version", versions.get)
    same = replace(expected, versions=versions | {"torch": "2.14.1+cu130"})
    assert inspect(same, "n1").problem(other_code=False) == ""
    assert inspect(replace(same, gpus=0.25), "n1").problem(other_code=True) == "its PyTorch is for CPUs alone"


def test_a_full_disk_is_unfit(expected, monkeypatch):
    monkeypatch.setattr(nodes, "LEAST_MB", 1e15)
    assert "MB are free in the storage" in inspect(expected, "n1").problem(other_code=True)


def test_a_node_on_which_the_check_fails_is_unfit_with_the_reason(node, expected):
    broken = replace(expected, versions={})  # a KeyError there
    assert "the check failed there (" in visit(broken, {node: "here"})[node].problem(other_code=True)


def test_a_node_that_is_gone_or_silent_is_unfit(shared_ray, expected, monkeypatch):
    monkeypatch.setattr(nodes, "ANSWERS_WITHIN_S", (1.0, 5.0))
    gone = "a" * 56
    assert visit(expected, {gone: "10.0.0.9 (gone)"})[gone].problem(other_code=True)


def test_in_a_trial_a_node_is_looked_at_once(shared_ray, expected, tmp_path):
    def twice(changed):
        found = []
        for _ in range(2):
            try:
                require_fit(changed)
                found.append("")
            except Unfit as error:
                found.append(str(error))
        return found, len(list(changed.folder.iterdir()))

    task = ray.remote(num_cpus=0)(twice)
    assert ray.get(task.remote(expected)) == (["", ""], 2)
    other = replace(expected, nonce="other", code="0" * 12)
    (tmp_path / NODES / "driver-other").write_text("other")
    (first, second), _ = ray.get(task.remote(other))
    assert first == second
    assert ": its code is another" in first
    require_fit(None)  # on one machine


def test_problems_are_one_line():
    report = NodeReport("n", sees_storage=False, different=("it has torch 1, the driver 2",), lacking=("it is full",))
    assert report.problem(False) == "it does not see the sweep's storage, it is full and it has torch 1, the driver 2"


def test_in_an_object_store_the_number_goes_through_the_store(monkeypatch, tmp_path):
    """The driver's folder is a mirror that no other node has."""
    there = {}

    class Bucket:
        def __init__(self, url):
            assert url == "s3://bucket/sweep/.nodes"

        def write(self, key, data):
            there[key] = data

        def read(self, key):
            return there.get(key)

        def listed(self):
            return dict.fromkeys(there)

        def delete(self, key):
            del there[key]

    monkeypatch.setattr(nodes, "Objects", Bucket)
    monkeypatch.setattr(nodes, "mirror_of", lambda path: object())
    monkeypatch.setattr(nodes, "address", lambda path: f"s3://bucket/sweep/{path.name}")
    monkeypatch.setattr(nodes, "SEEN_WITHIN_S", 0.0)
    expected = expected_of(tmp_path, 0.0, False)
    elsewhere = replace(expected, folder=tmp_path / "not on this node")
    assert inspect(elsewhere, "n1").problem(other_code=False) == ""
    assert set(there) == {f"driver-{expected.nonce}", f"n1-{expected.nonce}"}
    there.clear()
    assert not inspect(elsewhere, "n1").sees_storage
    there["left"] = b""
    forget_nodes(tmp_path)
    assert not there
