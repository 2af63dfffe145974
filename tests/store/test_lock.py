"""Races for a sweep: one holds it, however the one before ended, and the others are told who."""

import errno
import os
import re
import signal
import socket
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from faulty_system import LightProcess, fork, status

from sweeps.errors import AlreadyRunning, SweepRefused
from sweeps.store.lock import check_locks, sweep_lock


@pytest.fixture(scope="module")
def light():
    process = LightProcess()
    yield process
    process.close()


MESSAGE = re.compile(r"running already \(process (\d+) on (\S+) since (\S+)\); wait for it or choose another --name")


def contend(sweep, start, answers, orders):
    """Try for the lock once all are there; say what came of it; hold it until told otherwise."""
    os.read(start, 1)
    try:
        with sweep_lock(sweep):
            os.write(answers, f"held {os.getpid()}\n".encode())
            os.read(orders, 1)
    except AlreadyRunning as refusal:
        os.write(answers, f"refused {refusal}\n".encode())


def race(sweep, runners, kill):
    """Let processes race for a sweep, then kill or release who holds it; what they said, and how each ended."""
    (start, started), (heard, answers), (orders, order) = (os.pipe() for _ in range(3))

    def work():
        os.close(started)  # else a reader of the other end would never see the end
        os.close(order)
        contend(sweep, start, answers, orders)

    children = [fork(work) for _ in range(runners)]
    for end in (start, started, answers, orders):
        os.close(end)
    with open(heard, encoding="utf-8") as lines:  # noqa: PTH123
        said = [lines.readline().strip() for _ in range(runners)]
    for line in said:
        if kill and line.startswith("held"):
            os.kill(int(line.split()[1]), signal.SIGKILL)
    os.close(order)
    return said, [status(child) for child in children]


def test_of_racing_runs_exactly_one_holds_the_sweep_and_the_others_name_it(tmp_path, light):
    """20 races, each begun the moment the holder of the one before was killed or had ended."""
    rng, began = np.random.default_rng(40), datetime.now(UTC).replace(microsecond=0)
    for number in range(20):
        kill = bool(rng.random() < 0.5)
        said, ended = light(race, tmp_path / "sweep", 2 + number % 2, kill)
        holders = [int(line.split()[1]) for line in said if line.startswith("held")]
        assert len(holders) == 1, f"race {number}: {said}"
        for line in said:
            if line.startswith("refused"):
                pid, host, since = MESSAGE.search(line).groups()
                assert (int(pid), host) == (holders[0], socket.gethostname()), f"race {number}: {line}"
                assert began <= datetime.fromisoformat(since) <= datetime.now(UTC)
        assert sorted(ended) == [-signal.SIGKILL] * kill + [0] * (len(said) - kill), f"race {number}"
    with sweep_lock(tmp_path / "sweep"):
        pass


def a_dead_process():
    child = fork(lambda: None)
    status(child)
    return child


def test_the_name_of_a_dead_holder_is_not_told_for_that_of_the_new_one(tmp_path, light, monkeypatch):
    """Who has just taken over the lock has it before its name is written."""
    dead = light(a_dead_process)
    lock = tmp_path / ".lock"
    sleeps = []

    def write_name(seconds):
        sleeps.append(seconds)
        if len(sleeps) == 3:
            lock.write_text(f"process {os.getpid()} on {socket.gethostname()} since now\n", encoding="utf-8")

    with sweep_lock(tmp_path):
        lock.write_text(f"process {dead} on {socket.gethostname()} since then\n", encoding="utf-8")
        monkeypatch.setattr(time, "sleep", write_name)
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()} on .* since now"), sweep_lock(tmp_path):
            pass
        lock.write_text("", encoding="utf-8")
        with pytest.raises(AlreadyRunning, match="another process"), sweep_lock(tmp_path):
            pass
        lock.write_text(f"process {dead} on elsewhere since then\n", encoding="utf-8")  # not ours to judge
        with pytest.raises(AlreadyRunning, match="on elsewhere"), sweep_lock(tmp_path):
            pass


def test_a_file_system_without_locks_is_not_taken_for_another_run(tmp_path, monkeypatch):
    def no_locks(file, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    said = f"--storage: files in {tmp_path} cannot be locked (No locks available)"
    with pytest.raises(SweepRefused, match=re.escape(said)), sweep_lock(tmp_path):
        pass
    with pytest.raises(SweepRefused, match=re.escape(said)):
        check_locks(tmp_path)


def test_a_folder_with_locks_is_left_as_it_was(tmp_path):
    with sweep_lock(tmp_path / "sweep"):
        before = sorted(tmp_path.rglob("*"))
        check_locks(tmp_path / "sweep")  # another run holds the sweep, and that is another question
        assert sorted(tmp_path.rglob("*")) == before
