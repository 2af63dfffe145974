"""What a trial gets, how many fit, and where they may write."""

import errno
import os
import re

import pytest
from calling import command

from sweeps.errors import SweepRefused
from sweeps.request.resources import Resources, Room, check_resources, check_room, check_storage, fit_to


@pytest.mark.parametrize(
    ("cpus", "gpus", "per_cpu", "per_gpu", "expected"),
    [
        (2, 0, 1, 0, 2),
        (8, 0, 2, 0, 4),
        (2, 0, 0.5, 0, 4),
        (16, 1, 1, 0.25, 4),
        (16, 2, 1, 0.3, 6),  # a trial never spans two GPUs: 3 on each
        (3, 4, 1, 0.25, 3),
        (64, 4, 1, 2, 2),
    ],
)
def test_as_many_trials_at_a_time_as_fit(cpus, gpus, per_cpu, per_gpu, expected):
    resources = Resources(per_cpu, per_gpu, max_concurrent=100)
    assert fit_to(resources, [Room(cpus, gpus)]).max_concurrent == expected


def test_fewer_at_a_time_are_respected():
    assert fit_to(Resources(1, 0, max_concurrent=2), [Room(16, 0)]).max_concurrent == 2


def test_a_cluster_is_not_measured_by_this_machine():
    resources = check_resources(512, 4, None, [Room(1024, 8)])
    assert (resources.cpus_per_trial, resources.gpus_per_trial, resources.max_concurrent) == (512, 4, 2)
    with pytest.raises(SweepRefused, match="--cpus-per-trial must be in"):
        check_resources(-1, None, None, [Room(1024, 8)])


def test_trials_fit_node_by_node():
    """3 CPUs on each of two nodes are room for one trial of 2 CPUs each, not for three in all."""
    assert check_resources(2, 0, None, [Room(3, 0), Room(3, 0)]).max_concurrent == 2


def test_a_gpu_of_a_cluster_is_shared_as_one_here():
    assert check_resources(1, None, None, [Room(4, 0), Room(8, 2)]).gpus_per_trial == 0.25
    assert check_resources(1, None, None, [Room(4, 0)]).gpus_per_trial == 0


def test_more_at_a_time_than_a_cluster_has_room_for_is_demand():
    asked = check_resources(1, 0, 16, [Room(2, 0)])
    assert (asked.max_concurrent, asked.grows) == (16, True)
    assert fit_to(asked, [Room(1, 0)]).max_concurrent == 16
    assert check_resources(1, 0, None, [Room(2, 0)]).max_concurrent == 2
    assert check_resources(1, 0, None, [Room(0, 0)]).max_concurrent == 1  # a head alone, so far


@pytest.mark.parametrize(
    ("resources", "rooms"),
    [
        (Resources(4, 0, 1), []),
        (Resources(4, 0, 1), [Room(0, 0)]),  # nodes may come
        (Resources(4, 0, 1), [Room(2, 0), Room(4, 0)]),
        (Resources(4, 0, 8, grows=True), [Room(2, 0)]),
        (Resources(1, 0.25, 1), [Room(2, 0), Room(4, 1)]),
    ],
)
def test_trials_that_may_have_room_are_not_refused(resources, rooms):
    check_room(resources, rooms)


@pytest.mark.parametrize(
    ("resources", "rooms", "said"),
    [
        (
            Resources(4, 0, 1),
            [Room(2, 0), Room(3, 0)],
            "needs 4 CPU and 0 GPU, and no node has as much (the largest",
        ),
        (Resources(1, 1, 1), [Room(64, 0)], "needs 1 CPU and 1 GPU, and no node has as much (the largest: 64 CPU, 0"),
    ],
)
def test_trials_that_would_wait_for_ever_are_refused_with_the_way_to_wait(resources, rooms, said):
    with pytest.raises(SweepRefused) as refusal:
        check_room(resources, rooms)
    assert said in str(refusal.value)
    assert "say with --max-concurrent for how many trials" in str(refusal.value)


def test_shares_are_of_one_gpu():
    assert check_resources(1, 0.5, None, [Room(2, 2)]).gpus_per_trial == 0.5
    with pytest.raises(SweepRefused, match=r"a share of one GPU or a whole number, got 1\.5"):
        check_resources(1, 1.5, None, [Room(2, 2)])


def test_a_place_that_cannot_hold_the_sweep_is_refused(tmp_path):
    check_storage(tmp_path / "new" / "sweep", 80.0)
    with pytest.raises(SweepRefused, match="about 1000000000000 MB are needed"):
        check_storage(tmp_path, 1e12)
    (tmp_path / "file").write_text("")
    with pytest.raises(SweepRefused, match="is a file"):
        check_storage(tmp_path / "file" / "sweep", 80.0)


def fails(number):
    def call(*_, **__):
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize(
    ("call", "number", "said"),
    [
        ("fcntl.flock", errno.ENOLCK, "cannot be locked (No locks available)"),
        ("fcntl.flock", errno.EOPNOTSUPP, "cannot be locked (Operation not supported)"),
        ("os.mkdir", errno.EROFS, "cannot be written (Read-only file system); choose another folder"),
        ("os.mkdir", errno.EACCES, "cannot be written (Permission denied); choose another folder"),
        ("os.fsync", errno.ENOSPC, "cannot be written (No space left on device); free some space, or choose"),
        ("os.fsync", errno.EDQUOT, "cannot be written (Disk quota exceeded); free some space, or choose"),
        ("pathlib.Path.replace", errno.EEXIST, "cannot be written (File exists); choose"),  # as some shares answer
    ],
)
def test_a_share_that_cannot_do_what_sweeps_need_is_refused_with_its_answer(tmp_path, monkeypatch, call, number, said):
    monkeypatch.setattr(call, fails(number))
    with pytest.raises(SweepRefused, match=re.escape(said)) as refusal:
        check_storage(tmp_path / "new" / "sweep", 1.0)
    monkeypatch.undo()
    assert str(tmp_path) in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_what_shares_lack_and_sweeps_do_not_need_is_no_problem(tmp_path, monkeypatch):
    for call in ("os.symlink", "os.link", "os.chmod"):
        monkeypatch.setattr(call, fails(errno.EPERM))
    check_storage(tmp_path / "new" / "sweep", 1.0)
    assert not list(tmp_path.iterdir())


def test_the_plan_and_the_doctor_refuse_it_too(tmp_path, image_folder, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fcntl.flock", fails(errno.ENOLCK))
    storage = tmp_path / "share"
    storage.mkdir()
    plan = ["--space", "smoke", "--plan", "--data", str(image_folder), "--storage", str(storage)]
    assert command("sweep")(plan) == 2
    said = f"--storage: files in {storage} cannot be locked (No locks available)"
    assert f"error: {said}" in capsys.readouterr().err
    assert command("doctor")(["--storage", str(storage)]) == 1
    assert said in capsys.readouterr().out
    assert not list(storage.iterdir())
