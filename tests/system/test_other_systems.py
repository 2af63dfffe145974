"""macOS and Windows as far as Linux can play them: what `os`, the standard library and /proc lack there is taken away.

A `sitecustomize.py` on PYTHONPATH does that to every process of a command, Ray's workers included.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from running_sweep import NET, RUN
from waiting import HANG_GUARD_S

from deepdlt.machine import SYSTEMS

ROOT = Path(RUN[1]).parent.parent
DEEPDLT = [sys.executable, "-m", "deepdlt"]
HEAVY = {"ray", "torch", "pandas", "numpy", "optuna"}
NO_CALLS = """
import os, select, sys
for name in {names}:
    for module in (os, select):
        if hasattr(module, name):
            delattr(module, name)
sys.modules.update(dict.fromkeys({modules}))
"""
NO_PROC = """
import builtins, io
def hide(call):
    def hidden(path=".", *rest, **more):
        if isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith("/proc"):
            frame = sys._getframe(1)
            while frame and "pathlib" in frame.f_code.co_filename:
                frame = frame.f_back
            if frame and frame.f_code.co_filename.startswith({ours}):  # Ray for Linux needs its own looks
                raise FileNotFoundError(2, "No such file or directory", path)
        return call(path, *rest, **more)
    return hidden
builtins.open = io.open = hide(io.open)
os.scandir, os.listdir, os.stat = hide(os.scandir), hide(os.listdir), hide(os.stat)
"""
MAC = ("sched_getaffinity", "pidfd_open", "posix_fadvise")
WINDOWS = (*MAC, "getuid", "getloadavg", "O_DIRECTORY", "sysconf", "poll")
WINDOWS_MODULES = ("fcntl", "grp", "pwd", "resource", "termios")


@pytest.fixture
def call(tmp_path):
    """Run a command in an empty folder on a system without these calls, modules and, for our own code, /proc."""

    def run(command, names, modules=()):
        ours = tuple(str(ROOT / package) for package in ("deepdlt", "sweeps"))
        lacking = NO_CALLS.format(names=names, modules=modules) + NO_PROC.format(ours=ours)
        (tmp_path / "site").mkdir(exist_ok=True)
        (tmp_path / "site" / "sitecustomize.py").write_text(lacking)
        (tmp_path / "here").mkdir(exist_ok=True)
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)])}
        return subprocess.run(
            command,
            cwd=tmp_path / "here",
            env=env,
            capture_output=True,
            text=True,
            timeout=HANG_GUARD_S,
            check=False,
        )

    return run


def test_what_is_taken_away_is_gone(call):
    code = "import os; hasattr(os, 'sched_getaffinity') or print('gone'); import fcntl"
    done = call([sys.executable, "-c", code], WINDOWS, WINDOWS_MODULES)
    assert done.stdout == "gone\n"
    assert "ModuleNotFoundError: import of fcntl halted" in done.stderr


@pytest.mark.slow
def test_a_sweep_runs_where_there_is_no_affinity_and_no_proc(call, image_folder, tmp_path):
    options = ["--space", "smoke", *NET, "--trials", "1", "--data", str(image_folder), "--name", "t"]
    done = call([*RUN, *options], MAC)
    assert done.returncode == 0, done.stderr
    assert "report: " in done.stdout
    record = json.loads(next((tmp_path / "here" / "ray_results" / "t").glob("*/trial.json")).read_text())
    assert record["status"] == "complete"
    assert record["environment"]["device"] == f"cpu ({os.uname().machine})"  # its name stands in /proc alone


@pytest.mark.parametrize("options", [["--space", "smoke"], ["--space", "exp_grid", "--plan"]])
def test_a_sweep_without_locks_is_refused_at_once_and_names_wsl2(options, call, tmp_path):
    done = call([sys.executable, "-X", "importtime", *RUN[1:], *options], WINDOWS, WINDOWS_MODULES)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert done.returncode == 2
    assert len(lines) == 1
    assert lines[0].startswith(f"error: Sweeps need {SYSTEMS}: ")
    assert "wsl --install" in lines[0]
    assert "make setup" not in done.stderr
    assert not imported & HEAVY
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.slow
def test_the_library_works_where_sweeps_do_not(call, image_folder, tmp_path):
    """Images are checked, and a network is trained and resumed."""
    done = call([*DEEPDLT, "check", "--data", str(image_folder)], WINDOWS, WINDOWS_MODULES)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("images      12\n")
    out = ["--data", str(image_folder), *NET, "--out", "run"]
    for epochs in ("1", "2"):
        done = call([*DEEPDLT, "train", *out, "--epochs", epochs], WINDOWS, WINDOWS_MODULES)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "here" / "run" / "best.pt").stat().st_size > 0


def test_a_system_says_what_it_is(call):
    done = call([*DEEPDLT, "--version"], WINDOWS, WINDOWS_MODULES)
    assert done.returncode == 0, done.stderr
    assert f"CPU: {os.cpu_count()} x {os.uname().machine}; GPU: " in done.stdout


def test_a_missing_image_is_told_where_users_have_no_number(call, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "table.csv").write_text("name,angle\n" + "a" * 300 + ".png,1\n")
    done = call([*DEEPDLT, "check", "--data", "."], WINDOWS, WINDOWS_MODULES)
    assert done.returncode == 2
    assert "cannot be used (File name too long, user " in done.stderr
