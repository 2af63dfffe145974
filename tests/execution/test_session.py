"""Ray as sweeps start it, and what is said where it does not start."""

import errno
import importlib
import os
import threading

import pytest
import ray

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
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(session.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(session.time, "sleep", lambda _: None)
    monkeypatch.setattr(session, "started_workers", lambda: 0)
    monkeypatch.setattr(session, "session_folder", lambda: "/tmp/ray/session_x")
    with pytest.raises(RayNotStarted, match=r"the files worker-[*] in /tmp/ray/session_x/logs say why"):
        session._wait_for_worker()
    assert "no process of Ray's has started for 60 s" in capsys.readouterr().err


@pytest.mark.usefixtures("shared_ray")
def test_the_logs_that_are_named_are_there():
    session._wait_for_worker()
    assert os.path.isdir(f"{session.session_folder()}/logs")  # noqa: PTH112


@pytest.fixture
def stand_in(monkeypatch):
    """Events of a Ray that starts when `stand_in.may_start` is set, and raises `stand_in.error`."""

    class StandIn(list):
        error = None
        may_start = threading.Event()

    log = StandIn()

    def start(**options):
        log.may_start.wait(20)
        log.append("starts")
        log.options, log.environment = options, dict(os.environ)
        if log.error:
            raise log.error

    monkeypatch.setattr(session, "_start", start)
    monkeypatch.setattr(session, "_own_processes", dict)
    monkeypatch.setattr(session, "_wait_for_worker", lambda: log.append("worker"))
    monkeypatch.setattr(session, "prepare_ray", dict)
    monkeypatch.setattr(session.ray, "shutdown", lambda: log.append("ends"))
    monkeypatch.setattr(session.ray, "is_initialized", lambda: False)
    return log


def test_ray_that_another_program_has_started_is_used_and_left_alone(stand_in, monkeypatch):
    monkeypatch.setattr(session.ray, "is_initialized", lambda: True)
    with session.RaySession(None, True, print) as ray_session:
        ray_session.wait()
    assert stand_in == []


def test_ray_starts_and_ends_beside_other_work(stand_in):
    with session.RaySession(None, True, print, preload=True) as ray_session:
        ray_session.begin()
        ray_session.afterwards(lambda: stand_in.append("afterwards"))
        assert stand_in == []  # it has not started, and nothing waits for it
        stand_in.may_start.set()
        ray_session.wait()
        ray_session.wait()
        assert stand_in == ["starts", "worker"]  # between two phases no worker may be left
        ray_session.end()
        ray_session.close()
        assert stand_in[2:] == ["ends", "afterwards"]
    assert stand_in[4:] == []


def test_what_workers_need_is_inherited_and_does_not_stay_here(stand_in):
    stand_in.may_start.set()
    before = dict(os.environ)
    with session.RaySession(None, True, print, preload=True) as ray_session:
        ray_session.wait()
    assert stand_in.environment["RAY_preload_python_modules"] == session.PRELOADED
    assert stand_in.environment["TUNE_FUNCTION_THREAD_TIMEOUT_S"] == "600"
    assert dict(os.environ) == before


def test_what_is_preloaded_can_be_imported():
    for name in session.PRELOADED.split(","):
        importlib.import_module(name)


def test_the_error_of_a_start_is_raised_where_it_is_waited_for(stand_in):
    stand_in.error = SweepRefused("no room")
    stand_in.may_start.set()
    with session.RaySession(None, True, print) as ray_session:
        ray_session.begin()
        with pytest.raises(SweepRefused, match="no room"):
            ray_session.wait()
    assert stand_in == ["starts", "ends"]  # what was begun, half of it perhaps, is ended


def test_a_session_that_was_never_needed_starts_nothing(stand_in):
    called = []
    with session.RaySession(None, True, print) as ray_session:
        ray_session.afterwards(lambda: called.append(1))
    assert (stand_in, called) == ([], [1])
