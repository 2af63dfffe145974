"""A cluster is looked at before it is joined: each thing that is wrong has its own message. Ray here is real."""

import http.server
import os
import socket
import threading

import psutil
import pytest
import ray

from sweeps.cluster import connect, ray_core
from sweeps.cluster.connect import look_at, watch_head
from sweeps.cluster.tokens import read_token
from sweeps.errors import SweepRefused


@pytest.fixture
def address(shared_ray):
    return ray.get_runtime_context().gcs_address


@pytest.fixture
def refused(address):
    """The message with which the cluster of this test run is refused."""

    def call(where=address):
        with pytest.raises(SweepRefused) as refusal:
            look_at(where)
        assert read_token() not in str(refusal.value) or not read_token()
        return str(refusal.value)

    return call


def test_a_cluster_shows_its_nodes(address):
    found = look_at(address)
    assert (found.address, found.own_address, len(found.nodes)) == (address, "127.0.0.1", 1)
    assert (found.cpus, found.gpus) == (ray.cluster_resources()["CPU"], 0)
    assert found.notes == ()  # nobody gets in without a token
    assert found.text == f"1 node, {found.cpus:g} CPU{'s' * (found.cpus != 1)}, 0 GPUs at {address}"


def test_auto_is_the_cluster_of_this_host(address, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert look_at("auto").address == address


def test_a_wrong_token_is_said(refused, address, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    said = refused()
    assert said.startswith(f"the Ray cluster at {address} has another token than RAY_AUTH_TOKEN here; copy the")
    assert "`ray get-auth-token` on its head" in said


def test_a_missing_token_is_said(refused, address, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    assert f"there is no token here, and the cluster at {address} asks for one" in refused()
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert f"the Ray cluster at {address} asks for a token, and there is none here" in refused()


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (("2.59.1", "3.11.7"), "runs Ray 2.59.1, this command Ray 2.60.0"),
        (("2.60.0", "3.11.8"), "runs Python 3.11.8, this command Python 3.11.7"),
    ],
)
def test_other_versions_are_said(refused, monkeypatch, there, said):
    """Ray's own comparison is of these two, down to the patch."""
    monkeypatch.setattr(ray_core, "own_versions", lambda: ("2.60.0", "3.11.7"))
    nodes, _ = ray_core.ask(ray.get_runtime_context().gcs_address, 5.0)
    monkeypatch.setattr(ray_core, "ask", lambda *_: (nodes, there))
    assert said in refused()


def test_a_patch_of_python_may_differ_where_ray_was_told_so(address, monkeypatch):
    ours = ray_core.own_versions()
    major, minor, _ = ours[1].split(".")
    monkeypatch.setattr(ray_core, "own_versions", lambda: (ours[0], f"{major}.{minor}.99"))
    monkeypatch.setenv("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL", "minor")
    assert look_at(address).nodes


def test_a_host_without_a_node_is_said(refused, address, monkeypatch):
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {})
    said = refused()
    assert said.startswith(f"this host is no node of the Ray cluster at {address} (its nodes: '127.0.0.1')")
    assert f"`ray start --address={address}`" in said
    assert "`ray job submit`" in said


def test_a_cluster_that_lets_everybody_in_is_noted(address, monkeypatch):
    monkeypatch.setattr(ray_core, "kind_of", lambda *_: ray_core.OPEN)
    (note,) = look_at(address).notes
    assert "asks nobody for a token: whoever reaches it can run programs on it" in note


def test_another_service_is_no_cluster(refused):
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        where = f"127.0.0.1:{server.server_port}"
        assert refused(where).startswith(f"what answers at --address {where} is no head of a Ray cluster")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at --address 127.0.0.1:1 ("),
        ("no.such.host.invalid:6379", "no Ray cluster answers at --address no.such.host.invalid:6379 ("),
        (f"{'a' * 70}.example:6379", "no Ray cluster answers"),
        ("ray://10.0.0.1:10001", "Ray Client runs Tune elsewhere; give the head's own host:port (6379)"),
        ("10.0.0.1", "--address must be host:port of a Ray cluster's head, auto or local, got '10.0.0.1'"),
        ("10.0.0.1:http", "got '10.0.0.1:http'"),
        ("10.0.0.1:99999", "got '10.0.0.1:99999'"),
        ("", "got ''"),
    ],
)
def test_an_address_at_which_there_is_nothing_is_refused(where, said):
    with pytest.raises(SweepRefused) as refusal:
        look_at(where)
    assert said in str(refusal.value)


def test_without_a_cluster_on_this_host_auto_is_refused(monkeypatch):
    def none(*_):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray_core.services, "get_ray_address_from_environment", none)
    with pytest.raises(SweepRefused, match="no Ray cluster has a node on this host; start one"):
        look_at("auto")


def test_a_head_that_stays_away_is_said_and_one_that_comes_back_is_not(monkeypatch):
    """Refused connections are answers of a host without a head."""
    monkeypatch.setattr(connect, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(connect, "LOST_AFTER_S", 0.05)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = []
        watch_head(address, said.append, threading.Event())
        assert said == [f"head at {address}"]
        taken.listen()
        over = threading.Event()
        threading.Timer(0.3, over.set).start()
        watch_head(address, said.append, over)
        assert len(said) == 1


def test_the_tests_own_ray_listens_on_loopback_alone(shared_ray):
    ray.get(ray.remote(num_cpus=0)(lambda: None).remote())
    mine = psutil.Process(os.getpid()).children(recursive=True)
    ports = [c.laddr for p in mine for c in connections(p) if c.status == psutil.CONN_LISTEN]
    assert len(ports) >= 5  # head, node and its agents
    assert {place.ip.removeprefix("::ffff:") for place in ports} == {"127.0.0.1"}  # the prefix: IPv4 by an IPv6 socket


def connections(process):
    try:
        return process.net_connections("inet")
    except psutil.NoSuchProcess:
        return []
