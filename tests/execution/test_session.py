"""Ray as sweeps start it, and what is said where it does not start."""

import errno
import os

import pytest
import ray
from ray.exceptions import GetTimeoutError

from sweeps.errors import RayNotStarted, SweepRefused
from sweeps.execution import session


@pytest.mark.usefixtures("shared_ray")
def test_trials_get_their_share_of_a_busy_machine():
    """Ray's own niceness of 15 leaves them 3 % of a processor that another program wants."""
    niceness = ray.remote(num_cpus=0)(lambda: os.nice(0))
    assert ray.get(niceness.remote()) == os.nice(0)


@pytest.fixture
def starts(monkeypatch):
    """How often Ray was started; each start fails with what is put into `starts.error`."""

    class Starts(list):
        error = None

    tried = Starts()

    def init(**_):
        tried.append(1)
        raise tried.error

    monkeypatch.setattr(session.ray, "init", init)
    monkeypatch.setattr(session.ray, "shutdown", lambda: None)
    return tried


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "raise the limit of open files: ulimit -n 65536"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "raise the limit of processes: ulimit -u"),
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/ray"), "free space in the folder of temporary files"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/ray"), "make /x/ray a folder that can be written"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"), "make /x a folder that can be written"),
        (ConnectionError("Could not find any running Ray instance."), "start a cluster with `ray start --head`"),
    ],
)
def test_what_would_fail_again_is_refused_with_its_remedy_at_once(starts, error, remedy):
    starts.error = error
    with pytest.raises(SweepRefused, match="Ray cannot start here") as refusal:
        session._start()
    assert remedy in str(refusal.value)
    assert str(error) in str(refusal.value)
    assert len(starts) == 1


@pytest.mark.parametrize("error", [Exception("The current node timed out"), RuntimeError("GCS"), TimeoutError("late")])
def test_a_busy_machine_is_tried_twice(starts, error):
    starts.error = error
    with pytest.raises(RayNotStarted, match="is the machine very busy, or out of memory"):
        session._start()
    assert len(starts) == 2


def test_workers_that_never_start_end_the_silence(monkeypatch, capsys):
    def late(*_, timeout):
        raise GetTimeoutError(f"nothing within {timeout} s")

    class Remote:
        def __init__(self, **_):
            pass

        def __call__(self, _):
            return self

        def remote(self):
            return None

    monkeypatch.setattr(session.ray, "remote", Remote)
    monkeypatch.setattr(session.ray, "get", late)
    monkeypatch.setattr(session, "session_folder", lambda: "/tmp/ray/session_x")
    with pytest.raises(RayNotStarted, match=r"the files worker-[*] in /tmp/ray/session_x/logs say why"):
        session._wait_for_worker()
    assert "no process of Ray's has started for 60 s" in capsys.readouterr().err


@pytest.mark.usefixtures("shared_ray")
def test_the_logs_that_are_named_are_there():
    session._wait_for_worker()
    assert os.path.isdir(f"{session.session_folder()}/logs")  # noqa: PTH112
