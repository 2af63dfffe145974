"""What the machine has and lacks, on this system and on others."""

import builtins
import os
import sys

import pytest
import torch

from deepdlt import machine
from deepdlt.machine import (
    cpu_count,
    gpus,
    load_per_cpu,
    missing_module,
    package_version,
    processor,
    shared_memory,
    user,
    versions,
)


def test_cpus_are_those_that_the_process_may_use(monkeypatch):
    assert cpu_count() == len(os.sched_getaffinity(0))
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.process_cpu_count", lambda: 3, raising=False)
    assert cpu_count() == 3
    monkeypatch.delattr("os.process_cpu_count")
    assert cpu_count() == os.cpu_count()
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert cpu_count() == 1


def test_the_processor_is_named_where_the_system_names_it(tmp_path, monkeypatch):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: A: fast one\n\nprocessor\t: 1\nmodel name\t: A: fast one\n")
    assert processor(cpuinfo) == "A: fast one"
    cpuinfo.write_text("processor\t: 0\n")
    assert processor(cpuinfo) == processor(tmp_path / "none") == os.uname().machine
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setenv("PATH", str(tmp_path))  # no sysctl
    assert processor(tmp_path / "none") == os.uname().machine
    sysctl = tmp_path / "sysctl"
    sysctl.write_text("#!/bin/sh\necho Apple M9\n")
    sysctl.chmod(0o755)
    assert processor(tmp_path / "none") == "Apple M9"


def test_the_load_is_nothing_where_the_system_counts_none(monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (4.0, 0.0, 0.0))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert load_per_cpu() == 2.0
    monkeypatch.delattr("os.getloadavg")
    assert load_per_cpu() == 0.0


def test_shared_memory_has_a_size_where_there_is_any(tmp_path):
    found = shared_memory(tmp_path)
    assert 0 < found.free <= found.total
    assert shared_memory(tmp_path / "none") is None


def test_a_user_is_named_on_every_system(monkeypatch):
    assert user() == f"user id {os.getuid()}"
    monkeypatch.delattr("os.getuid")
    monkeypatch.setenv("USERNAME", "ann")
    assert user() == "user ann"


def test_pytorch_is_not_asked_for_gpus_where_there_is_no_driver(monkeypatch):
    def none(name, *rest, **more):
        assert name != "torch"
        return before(name, *rest, **more)

    before = builtins.__import__
    monkeypatch.setattr(machine, "_has_driver", lambda: False)
    monkeypatch.setattr(builtins, "__import__", none)
    assert gpus().count == 0
    assert "no NVIDIA driver" in gpus().why_none
    monkeypatch.setattr("sys.platform", "darwin")
    assert "MPS" in gpus().why_none


@pytest.mark.parametrize(
    ("found", "cuda", "hidden", "said"),
    [
        (2, "13.0", None, ""),
        (0, "13.0", None, "finds none; is the driver new enough?"),
        (0, None, None, "the build for CPUs alone"),
        (0, "13.0", "", "CUDA_VISIBLE_DEVICES='' hides them"),
    ],
)
def test_with_a_driver_pytorch_says_how_many_gpus_and_why_none(found, cuda, hidden, said, monkeypatch):
    monkeypatch.setattr(machine, "_has_driver", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(found))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Fast 9")
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert gpus().count == found
    assert gpus().name == ("Fast 9" if found else "")
    assert said in gpus().why_none
    assert bool(gpus().why_none) == (not found)


def test_the_versions_are_those_that_a_report_of_a_bug_needs():
    text = versions()
    for part in ("deepdlt ", f"Python {sys.version.split()[0]}", f"torch {torch.__version__.split('+')[0]}", "Ray 2."):
        assert part in text
    assert "CPU: " in text
    assert "GPU: " in text
    assert package_version("no-such-package") == "not installed"


def missing(name):
    return missing_module(ModuleNotFoundError(f"No module named {name!r}", name=name))


@pytest.mark.parametrize("name", ["fcntl", "resource", "pwd", "termios"])
def test_a_module_that_only_windows_lacks_names_wsl2(name):
    said = missing(name)
    assert f"this system has no {name}" in said
    assert "WSL2" in said
    assert "make setup" not in said


def test_a_module_that_python_was_built_without_is_no_package_to_install():
    assert "built without _sqlite3" in missing("_sqlite3")
    assert "install" not in missing("_sqlite3")


def test_a_package_is_installed_as_this_tool_requires_it(monkeypatch, tmp_path):
    assert missing("PIL").startswith(f"pillow is not installed for {sys.executable}. Run `make setup` in ")
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "deepdlt" / "machine.py"))  # no checkout: installed
    assert missing("PIL").endswith(f"{sys.executable} -m pip install 'pillow>=11'")
    assert "'ray[default,tune]" in missing("ray.tune")
    assert missing("seaborn").endswith("-m pip install seaborn")  # of a search space, not of ours
    assert missing("pytest").endswith("-m pip install pytest")  # of an extra
    assert "is not whole" in missing("deepdlt.training.none")
    assert missing_module(ModuleNotFoundError("odd")) == "odd"
