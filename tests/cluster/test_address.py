"""Which Ray a sweep uses, and the environment that is set for it."""

import pytest

from sweeps.cluster.address import CLUSTERS, OF_JOB, cluster_address, prepare_environment


@pytest.mark.parametrize(
    ("asked", "environment", "address"),
    [
        (None, {}, None),
        ("local", {"RAY_ADDRESS": "10.0.0.1:6379"}, None),
        ("auto", {}, "auto"),
        ("10.0.0.2:6379", {"RAY_ADDRESS": "10.0.0.1:6379"}, "10.0.0.2:6379"),
        (None, {"RAY_ADDRESS": "10.0.0.1:6379"}, "10.0.0.1:6379"),
        (None, {"RAY_ADDRESS": "http://127.0.0.1:8265"}, None),  # for `ray job submit`
        (None, {"RAY_ADDRESS": "local"}, None),
        (None, {OF_JOB: "{}"}, "auto"),
        (None, {OF_JOB: "{}", "RAY_ADDRESS": "10.0.0.1:6379"}, "10.0.0.1:6379"),
        ("local", {OF_JOB: "{}"}, None),
        ("", {}, ""),  # refused later, with its value
    ],
)
def test_the_option_counts_then_the_environment_then_the_job(asked, environment, address):
    assert cluster_address(asked, environment) == address


@pytest.mark.parametrize("mode", [None, "disabled", "token"])
def test_a_ray_of_this_machine_is_on_loopback_and_asks_for_a_token_whatever_was_set(mode):
    environment = {"RAY_AUTH_MODE": mode} if mode else {}
    prepare_environment(None, environment)
    assert environment == {CLUSTERS: "0", "RAY_AUTH_MODE": "token"}


def test_at_a_cluster_a_token_that_is_there_is_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    environment = {CLUSTERS: "0"}
    prepare_environment("auto", environment)
    assert environment == {}
    for found in ({"RAY_AUTH_TOKEN": "abc"}, {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}):
        (tmp_path / "token").write_text("abc")
        prepare_environment("auto", environment := dict(found))
        assert environment == {**found, "RAY_AUTH_MODE": "token"}
    prepare_environment("auto", environment := {"RAY_AUTH_TOKEN": "abc", "RAY_AUTH_MODE": "disabled"})
    assert environment["RAY_AUTH_MODE"] == "disabled"
