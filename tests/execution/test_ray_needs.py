"""What Ray needs: found, replaced or refused before Ray is started, with Ray's own rules as the oracle."""

import inspect
import os
import re
import resource
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import ray
from calling import command
from ray._private.runtime_env.context import RuntimeEnvContext
from ray._private.utils import validate_socket_filepath
from ray.core.generated.common_pb2 import Language

from sweeps.errors import SweepRefused
from sweeps.execution import ray_needs
from sweeps.execution.ray_needs import breaking, check_ray, prepare_ray, shared_elsewhere, sockets_folder

TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """What `prepare_ray` sets is of the test alone."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in ("RAY_TMPDIR", "TMPDIR", *TOKENS):
        os.environ.pop(name, None)


@pytest.fixture
def short():
    """A folder with a short name, which pytest's own have not."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
def test_a_folder_that_suits_ray_is_taken(short, name):
    os.environ[name] = str(short)
    assert sockets_folder() == (short, "")
    assert check_ray() == []
    assert not list(short.iterdir())


@pytest.mark.parametrize("letters", ["x", "ü"])
def test_a_folder_is_too_long_where_ray_finds_its_socket_too_long(short, letters):
    taken = 0
    for n in range(1, 60, 3):
        folder = short / (letters * n)
        folder.mkdir()
        os.environ["TMPDIR"] = str(folder)
        found, note = sockets_folder()
        try:
            validate_socket_filepath(f"{folder}/ray/session_2026-01-01_00-00-00_000000_{2**22}/sockets/plasma_store")
        except OSError:
            assert found == Path("/tmp")
            assert note.startswith(f"TMPDIR={folder} ")
            assert note.endswith("; Ray's sockets and logs go to /tmp")
        else:
            taken += 1
            assert (found, note) == (folder, "")
    assert 0 < taken < 20


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("/nowhere/at/all", "is no folder"),
        ("tmp", "is no absolute path"),
        ("", "is no absolute path"),
        ("/proc", "cannot hold them ("),
        ("/tmp/o'brien", "has a ' in it"),
    ],
)
@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
def test_what_cannot_be_used_is_replaced_by_the_systems_folder_and_said(name, value, why):
    os.environ[name] = value
    found, note = sockets_folder()
    assert found == Path("/tmp")
    assert f"{name}={value} {why}" in note
    prepare_ray()
    assert os.environ["RAY_TMPDIR"] == "/tmp"  # which Ray asks first
    assert sockets_folder() == (Path("/tmp"), "")


def test_the_folder_that_ray_made_there_may_be_somebody_elses(short, monkeypatch):
    """A file stands in its place here: root may write everywhere."""
    (short / "ray").write_text("")
    (short / "other").mkdir()
    monkeypatch.setattr(ray_needs, "SYSTEM", (str(short), str(short / "other")))
    found, note = sockets_folder()
    assert found == short / "other"
    assert f"{short} cannot hold them" in note


def test_the_last_resort_is_a_folder_of_this_user(short, monkeypatch):
    (short / "ray").write_text("")
    monkeypatch.setattr(ray_needs, "SYSTEM", (str(short),))
    found, _ = sockets_folder()
    assert found == short / f"deepdlt-{os.getuid()}"
    assert found.stat().st_mode & 0o777 == 0o700


def test_a_full_folder_is_left_alone(short, monkeypatch):
    usage, os.environ["TMPDIR"] = shutil.disk_usage, str(short)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(place)._replace(free=short not in Path(place).parents
                        and Path(place) != short and 10**9))  # fmt: skip
    found, note = sockets_folder()
    assert found == Path("/tmp")
    assert f"TMPDIR={short} is full" in note


def test_where_there_is_none_the_remedy_is_one(short, monkeypatch, tmp_path, image_folder, capsys):
    monkeypatch.setattr(ray_needs, "SYSTEM", ("/proc", "/nowhere"))
    monkeypatch.chdir(tmp_path)
    os.environ["TMPDIR"] = "/proc/self"
    plan = ["--space", "smoke", "--plan", "--data", str(image_folder), "--storage", str(tmp_path)]
    assert command("sweep")(plan) == 2
    said = capsys.readouterr().err
    assert "TMPDIR=/proc/self cannot hold them" in said
    assert "set RAY_TMPDIR to a short folder that exists and can be written" in said
    os.environ["RAY_TMPDIR"] = str(short)
    assert check_ray() == []


def test_shared_memory_that_cannot_be_written_is_done_without(short, monkeypatch):
    assert shared_elsewhere() == {}
    os.environ["TMPDIR"] = str(short)
    monkeypatch.setattr(os, "access", lambda place, how: place != ray_needs.SHARED)
    assert shared_elsewhere() == {"_plasma_directory": str(short)}
    assert check_ray() == [f"/dev/shm cannot be written; Ray shares the crops in {short}, which is slower"]
    assert all(repr(name).replace("'", '"') in inspect.getsource(ray.init) for name in shared_elsewhere())
    monkeypatch.setattr(ray_needs, "SHARED", Path("/nowhere"))
    assert shared_elsewhere() == {}  # as on macOS


@pytest.mark.parametrize(
    ("limits", "becomes"),
    [((40, 65536), (4096, 65536)), ((256, 1024), (1024, 1024)), ((256, -1), (4096, -1)), ((8192, 8192), None)],
)
def test_open_files_are_as_many_as_the_system_allows(monkeypatch, limits, becomes):
    made = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: made.append(pair))
    check_ray()
    assert made == []
    prepare_ray()
    assert made == ([becomes] if becomes else [])


def test_too_few_open_files_are_refused_with_the_limit(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (40, 40))
    with pytest.raises(SweepRefused, match="at least, and the limit is 40; raise it"):
        check_ray()


@pytest.mark.parametrize("folder", ["My Projects", "a&b", "$HOME", "Müller (1)", "a;b"])
def test_a_python_in_such_a_folder_is_what_rays_shell_starts(folder, monkeypatch):
    python, typed = f"/home/{folder}/.venv/bin/python", []
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setattr(os, "execvp", lambda shell, args: typed.append(args[-1]))
    context = RuntimeEnvContext(py_executable=prepare_ray()["py_executable"])
    context.exec_worker(["worker.py", "--x=1 2"], Language.PYTHON)
    assert shlex.split(typed[0]) == ["exec", python, "worker.py", "--x=1 2"]


def test_a_plain_python_is_left_to_ray(monkeypatch):
    """An environment that is made for a run, as uv's, may have another one."""
    monkeypatch.setattr(sys, "executable", "/home/x/.venv/bin/python")
    assert prepare_ray() == {}


@pytest.mark.parametrize("folder", ["o'brien", 'a"b', "a\\b", "a\nb"])
def test_a_python_that_ray_cannot_start_is_refused_with_a_link_that_it_can(folder, monkeypatch):
    python, prefix = f"/home/{folder}/.venv/bin/python", f"/home/{folder}/.venv"
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setattr(sys, "prefix", prefix)
    for refused in (check_ray, prepare_ray):
        with pytest.raises(SweepRefused, match=re.escape(f"from {python}: its path has")) as refusal:
            refused()
    _, _, rest = str(refusal.value).partition("\n")
    made = re.search(r"ln -s .*?(?=\nthen)", rest, re.DOTALL)
    _, _, target, link = shlex.split(made[0])
    assert target == prefix
    assert not breaking(Path(link))
    assert f"{link}/bin/python -m deepdlt sweep" in rest


def test_a_checkout_that_python_cannot_search_is_refused(monkeypatch):
    monkeypatch.setattr(ray_needs, "ROOT", Path(f"/home/a{os.pathsep}b"))
    with pytest.raises(SweepRefused, match="rename the folder"):
        check_ray()


def test_without_a_home_the_token_is_of_the_run_alone(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    prepare_ray()
    first = os.environ["RAY_AUTH_TOKEN"]
    assert len(bytes.fromhex(first)) == 32
    prepare_ray()  # of this process's next run: what Ray remembers
    assert os.environ["RAY_AUTH_TOKEN"] == first


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_no_token_is_written_to_a_home(tmp_path, monkeypatch, content):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / ".ray").mkdir()
    if content is not None:
        (tmp_path / ".ray" / "auth_token").write_text(content)
    before = sorted(tmp_path.rglob("*"))
    prepare_ray()
    assert os.environ["RAY_AUTH_TOKEN"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_token_that_is_there_is_the_one(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("abc")
    (tmp_path / ".ray" / "auth_token").chmod(0o600)
    prepare_ray()
    assert not {*TOKENS} & set(os.environ)
    (tmp_path / ".ray" / "auth_token").rename(tmp_path / "elsewhere")
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(tmp_path / "elsewhere")
    prepare_ray()
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_a_token_that_others_can_read_is_not_the_one(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("abc")
    (tmp_path / ".ray" / "auth_token").chmod(0o644)
    prepare_ray()
    assert os.environ["RAY_AUTH_TOKEN"] != "abc"
