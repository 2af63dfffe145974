"""Ray's private names that a cluster is asked by: each is where it was, and answers as it did."""

import platform

import pytest
import ray
from ray._private import services

from sweeps.cluster import ray_core
from sweeps.cluster.tokens import read_token


@pytest.fixture
def address(shared_ray):
    return ray.get_runtime_context().gcs_address


def test_the_head_answers_with_nodes_and_versions(address):
    nodes, versions = ray_core.ask(address, 10.0)
    (node,) = ray.nodes()
    assert [each.node_id for each in nodes] == [node["NodeID"]]
    assert nodes[0].address == node["NodeManagerAddress"]
    assert nodes[0].host == node["NodeManagerHostname"]
    assert nodes[0].resources["CPU"] == node["Resources"]["CPU"]
    assert versions == ray_core.own_versions() == (ray.__version__, platform.python_version())


def test_who_has_no_token_or_another_is_told_apart(address):
    assert ray_core.kind_of(address, 10.0) == ray_core.ASKS_FOR_TOKEN
    assert ray_core.kind_of(address, 10.0, "0" * 64) == ray_core.ASKS_FOR_TOKEN
    assert ray_core.kind_of(address, 10.0, read_token()) == ray_core.OPEN
    assert ray_core.kind_of("127.0.0.1:1", 1.0) == ray_core.NO_HEAD


def test_this_node_is_known_by_its_id(address):
    assert ray.get(ray.remote(num_cpus=0)(ray_core.this_node).remote()) == ray.nodes()[0]["NodeID"]


def test_the_address_is_found_where_ray_finds_it(address, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert ray_core.find_address() == address


def test_127_0_0_1_stays_what_it_is(monkeypatch):
    monkeypatch.setattr(services.ray_constants, "ENABLE_RAY_CLUSTER", True)
    monkeypatch.setattr(services.ray._private.worker, "_global_node", None)
    monkeypatch.setattr(services, "node_ip_address_from_perspective", lambda _: "192.0.2.2")
    assert services.canonicalize_bootstrap_address("127.0.0.1:6379") == "192.0.2.2:6379"
    ray_core.keep_loopback()
    assert services.canonicalize_bootstrap_address("127.0.0.1:6379") == "127.0.0.1:6379"
