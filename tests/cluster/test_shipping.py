"""The code goes to the nodes as it is here; inside a job nothing that the job has set is set again."""

import json
from pathlib import Path

import pytest
from ray.runtime_env import RuntimeEnv

import deepdlt
import sweeps
from sweeps.cluster import shipping
from sweeps.cluster.address import OF_JOB
from sweeps.cluster.connect import Cluster
from sweeps.cluster.shipping import check_place, join_options, package_folders, runtime_env
from sweeps.errors import SweepRefused

ENV = {"A": "1", "B": "2"}


def test_the_three_packages_are_sent_from_where_they_run():
    made = runtime_env(ENV)
    folders = [Path(folder) for folder in made["py_modules"]]
    assert [folder.name for folder in folders] == ["deepdlt", "sweeps", "search_spaces"]
    assert folders[0] == Path(deepdlt.__file__).parent
    assert folders[1] == Path(sweeps.__path__[0])
    assert made["env_vars"] == ENV
    assert RuntimeEnv(**made)  # Ray's own check


@pytest.mark.parametrize(
    ("job", "sent", "env_vars"),
    [
        ({}, True, ENV),
        ({"working_dir": "gcs://_ray_pkg_1.zip"}, True, ENV),  # some other folder: the packages are installed
        ({"py_modules": ["gcs://_ray_pkg_1.zip"]}, False, ENV),
        ({"env_vars": {"A": "5"}}, True, {"B": "2"}),
    ],
)
def test_what_a_job_has_set_stays(monkeypatch, job, sent, env_vars):
    monkeypatch.setenv(OF_JOB, json.dumps({"runtime_env": job}))
    made = runtime_env(ENV)
    assert ("py_modules" in made, made["env_vars"]) == (sent, env_vars)


def test_code_that_came_with_the_job_is_not_sent_again(monkeypatch):
    place = Path("/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_1/sweeps")
    monkeypatch.setattr(shipping, "package_folders", lambda: [place])
    assert runtime_env(ENV) == {"env_vars": ENV}


def test_a_job_that_says_nothing_readable_is_as_none(monkeypatch):
    for text in ("", "{", "[]", '{"runtime_env": 3}'):
        monkeypatch.setenv(OF_JOB, text)
        assert "py_modules" in runtime_env(ENV)


def test_a_package_that_is_in_no_folder_is_refused(monkeypatch):
    monkeypatch.setattr(shipping, "find_spec", lambda name: None)
    with pytest.raises(SweepRefused, match="the source files of deepdlt are not in one folder"):
        package_folders()


def test_the_driver_joins_by_its_own_node():
    options = join_options(Cluster("10.0.0.1:6379", (), "10.0.0.2"), ENV)
    assert (options["address"], options["_node_ip_address"]) == ("10.0.0.1:6379", "10.0.0.2")
    assert "_node_ip_address" not in join_options(Cluster("10.0.0.1:6379", (), ""), ENV)


def test_a_folder_that_ray_removes_with_the_job_is_no_place_for_a_sweep(monkeypatch):
    place = Path("/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_1/ray_results")
    check_place(place)  # outside of a job it is a folder like any other
    monkeypatch.setenv(OF_JOB, "{}")
    with pytest.raises(SweepRefused, match="name a folder that all nodes see"):
        check_place(place)
    check_place(Path("/shared/ray_results"))
