"""Ray for one run: started quietly, watched while it works, stopped whatever happens. Import this before ray."""

import errno
import logging
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepdlt.machine import cpu_count
from deepdlt.terminal import say
from sweeps.errors import RayFailed, RayNotStarted, SweepRefused
from sweeps.execution.ray_needs import ROOT, prepare_ray, shared_elsewhere
from sweeps.execution.watchdog import HANG

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
from ray.exceptions import GetTimeoutError
from ray.tune import TuneError

from sweeps.tuning import session_folder, silence_errors

WORKER_ENV = {
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "600",  # a reused actor waits for its last trial to end (else Tune hangs)
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    **{name: os.environ[name] for name in (HANG,) if name in os.environ},
}
WATCHED = ("gcs_server", "raylet")
LOOK_EVERY_MS = 500  # whether the run is over
ANSWERS_WITHIN_S = (60.0, 240.0)
"""Until it is said that no worker has started, and until it is given up: those that die are started again for ever."""
NEEDS = {  # of the system, errno -> what to do; with these the same command fails again
    errno.EMFILE: "raise the limit of open files: ulimit -n 65536",
    errno.ENFILE: "raise the limit of open files: ulimit -n 65536",
    errno.EAGAIN: "raise the limit of processes: ulimit -u 4096",
    errno.ENOSPC: "free space in the folder of temporary files, or set RAY_TMPDIR to another one",
}


@contextmanager
def ray_session(address: str | None, verbose: bool, lost: Callable[[str], None]) -> Iterator[None]:
    """Ray on this machine, or the cluster at an address.

    Args:
        lost: called from a thread with the name of one of Ray's own processes when it has died. Ray itself would wait
            a minute and then abort this process without a word.

    Raises:
        SweepRefused: this machine lacks what Ray needs; it would fail again.
        RayNotStarted: twice in a row.
        RayFailed: Tune raised an error of its own within.
    """
    if not verbose:
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        silence_errors()
    options: dict[str, Any] = {"num_cpus": cpu_count(), "include_dashboard": False} if address is None else {}
    options |= {"log_to_driver": verbose, "logging_level": "INFO" if verbose else "CRITICAL"}
    needed = {}
    if address is None:
        needed, options = prepare_ray(), options | shared_elsewhere()
    _start(address=address or "local", runtime_env={"env_vars": WORKER_ENV, **needed}, **options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ray.init's own handler would hide the interruption
    over = threading.Event()
    if address is None:
        threading.Thread(target=_watch, args=(_own_processes(), lost, over), daemon=True).start()
    try:
        if address is None:
            _wait_for_worker()
        yield
    except TuneError as error:
        last = str(error).strip().rpartition("\n")[2]
        raise RayFailed(f"Ray Tune gave up ({last}; --verbose says where)") from error
    finally:
        over.set()
        ray.shutdown()


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
    """Let a process of Ray's answer, which the first trial then takes.

    Raises:
        RayNotStarted: none does. Ray itself says nothing of workers that die while they start.
    """
    answer = ray.remote(num_cpus=0)(lambda: None).remote()
    for limit in ANSWERS_WITHIN_S:
        try:
            ray.get(answer, timeout=limit)
            return
        except GetTimeoutError:
            why = f"the files worker-* in {session_folder()}/logs say why"
            say(f"no process of Ray's has started for {limit:.0f} s; {why}")
    raise RayNotStarted(f"no process of Ray's could start; {why}")


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
