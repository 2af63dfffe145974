"""Ray for one run: started quietly, watched while it works, stopped whatever happens. Import this before ray."""

import errno
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepdlt.machine import cpu_count
from deepdlt.terminal import say
from sweeps.cluster import Cluster, join_options, watch_head
from sweeps.errors import RayNotStarted, SweepRefused
from sweeps.execution.ray_needs import ROOT, check_ray, prepare_ray, shared_elsewhere
from sweeps.execution.watchdog import HANG
from sweeps.store import environment

# Tune reads these when it is imported.
os.environ.update(
    RAY_AIR_NEW_OUTPUT="0",
    RAY_USAGE_STATS_ENABLED="0",
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",  # our event files are the log
    TUNE_DISABLE_SIGINT_HANDLER="1",  # sweeps.stopping has its own
    TUNE_DISABLE_STRICT_METRIC_CHECKING="1",  # a trial that fails before its first report ends without one
    TUNE_PRINT_ALL_TRIAL_ERRORS="0",
    TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S="0",
)
# Trials get their share of a busy machine. Ray's own niceness of 15 leaves them 3 % of a processor that others want.
os.environ.setdefault("RAY_worker_niceness", "0")

import ray

from sweeps.tuning import session_folder, silence_errors, started_workers, use_started_workers

TRIAL_ENV = {  # of the driver's environment nothing else goes to the nodes of a cluster: it may hold secrets
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "600",  # a reused actor waits for its last trial to end (else Tune hangs)
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    **{name: os.environ[name] for name in (HANG,) if name in os.environ},
    **environment(),
}
WORKER_ENV = {**TRIAL_ENV, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
PRELOADED = "torch._dynamo,sweeps.execution.trainable"
"""What a trial needs; an optimizer imports torch._dynamo."""
WATCHED = ("gcs_server", "raylet")
LOOK_EVERY_MS = 500  # whether the run is over
ANSWERS_WITHIN_S = (60.0, 300.0)
"""Until it is said that no worker has started, and until it is given up: those that die are started again for ever."""
NEEDS = {  # of the system, errno -> what to do; with these the same command fails again
    errno.EMFILE: "raise the limit of open files: ulimit -n 65536",
    errno.ENFILE: "raise the limit of open files: ulimit -n 65536",
    errno.EAGAIN: "raise the limit of processes: ulimit -u 4096",
    errno.ENOSPC: "free space in the folder of temporary files, or set RAY_TMPDIR to another one",
}


class RaySession:
    """Ray on this machine, or a cluster, for one run: it starts and ends beside other work.

    A thread starts it, lives as long as it does, and ends it: the kernel ends Ray's processes together with the thread
    that started them. As a context manager it is ended whatever happens.

    Args:
        lost: called from a thread with the name of one of Ray's own processes when it has died. Ray itself would wait
            a minute and then abort this process without a word.
        preload: workers load what a trial needs while they wait for one.
    """

    def __init__(
        self, cluster: Cluster | None, verbose: bool, lost: Callable[[str], None], *, preload: bool = False
    ) -> None:
        self.cluster, self._verbose, self._lost, self._preload = cluster, verbose, lost, preload
        self._thread: threading.Thread | None = None
        self._ready, self._over = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._is_own = self._has_workers = False
        self._afterwards: list[Callable[[], object]] = []
        self._notes: list[str] | None = None

    def __enter__(self) -> "RaySession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def notes(self) -> list[str]:
        """What is worth saying of the cluster, or of what Ray takes here; looked for once, before Ray changes it.

        Raises:
            SweepRefused: see `check_ray`.
        """
        if self._notes is None:
            self._notes = check_ray() if self.cluster is None else list(self.cluster.notes)
        return self._notes

    def begin(self) -> None:
        """Start Ray without waiting for it; once."""
        if self._thread is None:
            if not self._verbose:
                logging.getLogger("ray").setLevel(logging.CRITICAL)
                logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
                silence_errors()
            self._thread = threading.Thread(target=self._live, name="ray", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until trials can be run.

        Raises:
            SweepRefused: this machine lacks what Ray needs; it would fail again.
            RayNotStarted: twice in a row.
        """
        self.begin()
        self._ready.wait()
        if self._error is not None:
            raise self._error
        if self.cluster is None and self._is_own and not self._has_workers:
            _wait_for_worker()  # once: between two phases none may be left
            self._has_workers = True

    def afterwards(self, call: Callable[[], object]) -> None:
        """Call this when Ray has ended; at once when it was never started."""
        self._afterwards.append(call)

    def end(self) -> None:
        """Ask Ray to end, without waiting."""
        self._over.set()

    def close(self) -> None:
        """End Ray and wait for its end."""
        self.end()
        if self._thread is not None:
            self._thread.join()
        while self._afterwards:
            self._afterwards.pop(0)()

    def _live(self) -> None:
        try:
            if not ray.is_initialized():  # else the program that calls this has started it, and ends it
                self._is_own = True
                self._start()
        except BaseException as error:
            self._error = error
        self._ready.set()
        self._over.wait()
        if self._is_own:
            ray.shutdown()

    def _start(self) -> None:
        verbose = self._verbose
        options: dict[str, Any] = {"log_to_driver": verbose, "logging_level": "INFO" if verbose else "CRITICAL"}
        if self.cluster is not None:
            _start(**join_options(self.cluster, TRIAL_ENV), **options)
            head = self.cluster.address, self._lost, self._over
            threading.Thread(target=watch_head, args=head, daemon=True).start()
            return
        needed = prepare_ray()
        use_started_workers()
        options |= {"num_cpus": cpu_count(), "include_dashboard": False, **shared_elsewhere()}
        preloaded = {"RAY_preload_python_modules": PRELOADED} if self._preload else {}
        with _environment(WORKER_ENV | preloaded):  # inherited: a runtime environment would start workers a second time
            _start(address="local", runtime_env=needed, **options)
        threading.Thread(target=_watch, args=(_own_processes(), self._lost, self._over), daemon=True).start()


@contextmanager
def ray_session(cluster: Cluster | None, verbose: bool, lost: Callable[[str], None]) -> Iterator[None]:
    """A `RaySession` that is ready; for its arguments and errors see there."""
    with RaySession(cluster, verbose, lost) as session:
        session.wait()
        yield


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start(**options: Any) -> None:
    """ray.init, tried twice: on a busy machine its processes can be too late for each other."""
    for last in (False, True):
        try:
            ray.init(**options)
            return
        except Exception as error:  # Ray raises bare Exceptions here
            ray.shutdown()
            reason = str(error).partition("\n")[0]
            if remedy := _remedy(error):
                raise SweepRefused(f"Ray cannot start here ({reason}); {remedy}") from error
            if last:
                raise RayNotStarted(
                    f"Ray did not start ({reason}); is the machine very busy, or out of memory?"
                ) from error


def _remedy(error: Exception) -> str:
    """What to do about a failure that would come again; "" where the machine may have been busy."""
    if isinstance(error, OSError) and error.errno in NEEDS:
        return NEEDS[error.errno]
    if isinstance(error, ConnectionError):  # an address at which nothing answers
        return "start a cluster with `ray start --head`, or leave out --address"
    if isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError)):
        return f"make {error.filename or 'it'} a folder that can be written, or set RAY_TMPDIR to one"
    return ""


def _wait_for_worker() -> None:
    """Until processes of Ray's have started, which the first trials then take.

    Raises:
        RayNotStarted: none does. Ray itself says nothing of workers that die while they start.
    """
    began, limits = time.monotonic(), list(ANSWERS_WITHIN_S)
    while not started_workers():
        if time.monotonic() - began > limits[0]:
            limit, why = limits.pop(0), f"the files worker-* in {session_folder()}/logs say why"
            say(f"no process of Ray's has started for {limit:.0f} s; {why}")
            if not limits:
                raise RayNotStarted(f"no process of Ray's could start; {why}")
        time.sleep(0.05)


def _watch(processes: dict[int, str], lost: Callable[[str], None], over: threading.Event) -> None:
    """Wait for the end of any of these; at once where the system can tell (Ray ends this process soon after)."""
    ends, names = select.poll(), {}
    for pid, name in processes.items():
        try:
            descriptor = os.pidfd_open(pid)
        except (OSError, AttributeError):
            continue
        names[descriptor] = name
        ends.register(descriptor, select.POLLIN)
    while names and not over.is_set():
        for descriptor, _ in ends.poll(LOOK_EVERY_MS):
            if not over.is_set():
                lost(names[descriptor])
                return
    for descriptor in names:
        os.close(descriptor)


def _own_processes() -> dict[int, str]:
    """Children of this process that Ray cannot work without; empty where there is no /proc."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has just ended
            continue
        if name in WATCHED and rest.split()[1] == str(os.getpid()):
            found[int(stat.parent.name)] = name
    return found
