"""The real command line under fire: interrupted, killed, hung, out of time; trials count exactly once."""

import csv
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from running_sweep import NET, RUN, RunningSweep, kill, left_running
from waiting import HANG_GUARD_S

from sweeps.execution.ray_needs import prepare_ray
from sweeps.store.event_files import read_trial
from sweeps.store.trial_record import COMPLETE, FAILED, read_records

pytestmark = pytest.mark.slow
SMALL = ["--space", "exp_grid", *NET, "--set", "kernel_size=3", "--scheduler", "none"]
SMALL += ["--search", "grid", "--name", "t"]
LONG = [*SMALL, "--trials", "2", "--epochs", "40", "--max-concurrent", "1"]
WALL_CLOCK = ("seconds", "epoch_s", "git_commit")


def sweep_in(cwd):
    return cwd / "ray_results" / "t"


def finished(arguments, cwd, **environment):
    return RunningSweep(arguments, cwd, **environment).end()


def epochs_of(sweep):
    """Epochs that the trials have on disk."""
    return sum(len(read_trial(path.parent).scalars.get("val_loss", {})) for path in sweep.glob("*/events.out*"))


def epochs_by_trial(sweep):
    """Of each complete trial, the epochs that its event files have."""
    records = read_records(sweep).values()
    return [sorted(read_trial(sweep / record.name).scalars["val_loss"]) for record in records]


def ledger(sweep):
    """All that the records say, without wall-clock times."""
    found = {}
    for identity, record in read_records(sweep).items():
        metrics = {name: v for name, v in record.metrics.items() if name not in ("epoch_s", "images_per_s")}
        found[identity] = {**{k: v for k, v in record.to_json().items() if k not in WALL_CLOCK}, "metrics": metrics}
    return found


def tables(sweep):
    """The report's tables as bytes, without the columns of wall-clock times."""
    texts = {}
    for path in sorted((sweep / "report").glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        kept = [i for i, name in enumerate(rows[0]) if name not in ("seconds", "epoch_s")]
        texts[path.name] = [[row[i] for i in kept] for row in rows]
    return texts


def test_ctrl_c_once_finishes_the_epoch_and_the_same_command_goes_on(tmp_path, image_folder):
    arguments = [*SMALL, "--trials", "2", "--epochs", "12", "--max-concurrent", "1", "--data", str(image_folder)]
    running = RunningSweep(arguments, tmp_path)
    running.wait_for(lambda: epochs_of(sweep_in(tmp_path)) >= 2)
    started = running.descendants()
    running.send(signal.SIGINT)
    code, out, err = running.end()
    assert code == 130
    assert "finishing the running epochs" in err
    assert "interrupted after epoch" in err
    assert "Completed trials are saved. Resume with:" in err
    assert "Traceback" not in err
    assert (sweep_in(tmp_path) / "report" / "report.html").is_file()
    assert not left_running(started)
    assert not read_records(sweep_in(tmp_path))
    done = epochs_of(sweep_in(tmp_path))
    code, out, err = finished([*arguments, "--plan", "--json"], tmp_path)
    assert json.loads(out)["to_run"] == [2, 0]
    assert epochs_of(sweep_in(tmp_path)) == done
    assert finished(arguments, tmp_path)[0] == 0
    assert all(epochs == list(range(1, 13)) for epochs in epochs_by_trial(sweep_in(tmp_path)))


def test_ctrl_c_twice_stops_at_once(tmp_path, image_folder):
    running = RunningSweep([*LONG, "--data", str(image_folder)], tmp_path)
    running.wait_for(lambda: epochs_of(sweep_in(tmp_path)) >= 1)
    running.send(signal.SIGINT)
    time.sleep(0.2)
    started = running.descendants()
    running.send(signal.SIGINT)
    code, _, err = running.end()
    assert code == 130
    assert "Completed trials are saved. Resume with:" in err
    assert not left_running(started)


def test_a_time_budget_ends_with_a_report_and_the_command_that_goes_on(tmp_path, image_folder):
    """One that is used up before a trial can begin, on any machine; epochs that run are finished as after Ctrl-C."""
    code, out, err = finished([*LONG, "--data", str(image_folder), "--time-budget", "1s"], tmp_path)
    assert code == 130
    assert "time budget is used up; trials left: 2" in err
    assert "Completed trials are saved. Resume with:" in err
    assert "report: " in out
    assert (sweep_in(tmp_path) / "report" / "report.html").is_file()


@pytest.mark.parametrize("lines", [1, 14])  # gone before the plan, and among the trials
def test_a_reader_that_leaves_does_not_end_the_run(tmp_path, image_folder, lines):
    arguments = ["--space", "smoke", *NET, "--name", "t", "--data", str(image_folder)]
    shell = f"{shlex.join([*RUN, *arguments])} 2>&1 | head -{lines}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True, timeout=HANG_GUARD_S)
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) == lines
    assert {r.status for r in read_records(sweep_in(tmp_path)).values()} == {COMPLETE}
    assert (sweep_in(tmp_path) / "report" / "report.html").is_file()


def test_a_killed_worker_is_retried_where_it_was(tmp_path, image_folder):
    arguments = [*SMALL, "--trials", "2", "--epochs", "6", "--max-concurrent", "1", "--data", str(image_folder)]
    running = RunningSweep(arguments, tmp_path)
    running.wait_for(lambda: epochs_of(sweep_in(tmp_path)) >= 3)
    kill(running.wait_for(running.workers))
    code, _, err = running.end()
    assert code == 0, err
    assert "retry 1 of 3 from epoch" in err
    killed = ledger(sweep_in(tmp_path))
    assert len(killed) == 2
    (tmp_path / "other").mkdir()
    assert finished(arguments, tmp_path / "other")[0] == 0
    assert killed == ledger(sweep_in(tmp_path / "other"))


def test_a_worker_that_always_dies_fails_its_trial_and_the_others_go_on(tmp_path, image_folder):
    arguments = [*SMALL, "--trials", "2", "--epochs", "6", "--max-concurrent", "1", "--data", str(image_folder)]
    running = RunningSweep(arguments, tmp_path)
    sweep = sweep_in(tmp_path)
    first = running.wait_for(lambda: list(sweep.glob("s0001-*")))[0]
    while not (first / "trial.json").exists():
        kill(running.workers() if not list(sweep.glob("s0002-*")) else [])
        time.sleep(0.1)
        assert running.process.poll() is None
    code, _, err = running.end()
    assert code == 1
    assert err.count("retry") == 3
    records = {r.name[:5]: r for r in read_records(sweep).values()}
    assert (records["s0001"].status, records["s0002"].status) == (FAILED, COMPLETE)
    assert "its process died" in records["s0001"].error
    again = finished(arguments, tmp_path)
    assert again[0] == 1  # a failed trial stays failed
    assert len(list(sweep.glob("s0*"))) == 2
    code, _, err = finished([*arguments, "--retry-failed"], tmp_path)
    assert code == 0, err
    assert {r.status for r in read_records(sweep).values()} == {COMPLETE}
    assert len(list(sweep.glob("s0*"))) == 2


def test_a_trial_that_hangs_is_ended_and_says_where(tmp_path, image_folder):
    arguments = ["--space", "smoke", "--trials", "1", "--name", "t", "--data", str(image_folder)]
    code, _, err = finished(arguments, tmp_path, DEEPDLT_HANG_S="0.02")  # no step of a network is that fast
    assert code == 1
    assert "it hung and was stopped (stack trace: " in err
    assert err.count("retry") == 3
    [hang] = sweep_in(tmp_path).glob("*/hang.txt")
    assert "Timeout" in hang.read_text()
    assert "most recent call first" in hang.read_text()


@pytest.mark.parametrize("process", ["gcs_server", "raylet/raylet"])
def test_when_ray_itself_dies_the_run_ends_with_the_command_that_resumes(tmp_path, image_folder, process):
    running = RunningSweep([*LONG, "--data", str(image_folder)], tmp_path)
    running.wait_for(lambda: epochs_of(sweep_in(tmp_path)) >= 1)
    started = running.descendants()
    kill(running.named(process)[:1])
    code, _, err = running.end()
    assert code == 130
    assert "died" in err
    assert "Completed trials are saved. Resume with:" in err
    assert not left_running(started)


def test_what_ray_left_of_a_killed_run_is_never_read(tmp_path, image_folder):
    arguments = ["--space", "smoke", *NET, "--trials", "2", "--name", "t", "--data", str(image_folder)]
    assert finished([*arguments, "--trials", "1", "--time-budget", "1h"], tmp_path)[0] == 0  # it suffices: no early end
    for name in ("experiment_state-2026.json", "tuner.pkl", "searcher-state.pkl"):
        torn = sweep_in(tmp_path) / ".ray" / "search" / name
        torn.parent.mkdir(parents=True, exist_ok=True)
        torn.write_bytes(b'{"trial_data": [["{\\"stub')
    (sweep_in(tmp_path) / "optuna.journal").write_bytes(b'{"op_code": 0, "worker_')
    before = ledger(sweep_in(tmp_path))
    code, _, err = finished(arguments, tmp_path)
    assert code == 0, err
    after = ledger(sweep_in(tmp_path))
    assert len(after) == 2
    assert before.items() <= after.items()


def test_a_frozen_driver_goes_on_when_it_is_thawed(tmp_path, image_folder):
    arguments = [*SMALL, "--trials", "1", "--epochs", "8", "--data", str(image_folder)]
    running = RunningSweep(arguments, tmp_path)
    running.wait_for(lambda: epochs_of(sweep_in(tmp_path)) >= 1)
    running.send(signal.SIGSTOP)
    time.sleep(10)
    running.send(signal.SIGCONT)
    code, _, err = running.end()
    assert code == 0, err


def test_when_a_node_is_lost_its_trials_go_on_elsewhere(tmp_path, image_folder):
    from ray.cluster_utils import Cluster

    prepare_ray()  # the token of this process, which the cluster and the sweep inherit
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        arguments = [*SMALL, "--trials", "3", "--epochs", "10", "--address", cluster.address]
        running = RunningSweep([*arguments, "--data", str(image_folder)], tmp_path)
        running.wait_for(lambda: len(list(sweep_in(tmp_path).glob("s0*"))) == 2 and epochs_of(sweep_in(tmp_path)) >= 4)
        cluster.remove_node(node, allow_graceful=False)
        code, _, err = running.end()
    finally:
        cluster.shutdown()
    assert code == 0, err
    assert "retry 1 of 3" in err
    records = read_records(sweep_in(tmp_path)).values()
    assert [r.status for r in records] == [COMPLETE] * 3
    for record in records:
        assert sorted(read_trial(sweep_in(tmp_path) / record.name).scalars["val_loss"]) == list(range(1, 11))


KILLS = int(os.environ.get("DEEPDLT_KILLS", "4"))


@pytest.mark.timeout(7200)
def test_kill_9_at_random_moments_loses_nothing_and_repeats_nothing(tmp_path, image_folder):
    """4 trials, killed until so many kills have hit and then run to the end; DEEPDLT_KILLS=50 takes half an hour."""
    arguments = ["--space", "exp_grid", *NET, "--set", "kernel_size=3", "--set", "activation=relu", "--search", "grid"]
    arguments += ["--scheduler", "none", "--trials", "2", "--epochs", "3", "--cv", "--labels", "PP1", "--folds", "2"]
    arguments += ["--name", "t", "--data", str(image_folder)]
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    quiet.mkdir()
    before = time.monotonic()
    code, _, err = finished(arguments, quiet)
    assert code == 0, err
    whole = time.monotonic() - before
    shared = set(Path("/dev/shm").iterdir())
    draw, hits, seen, started = random.Random(20261122), 0, {}, []
    shutil.copytree(quiet / "data", killed / "data")
    while hits < KILLS:
        running = RunningSweep(arguments, killed)
        time.sleep(draw.uniform(0.2 * whole, 0.8 * whole) if hits % 3 else draw.uniform(0, whole))
        workers, started = running.workers(), started + running.descendants()
        if running.process.poll() is None:
            running.send(signal.SIGKILL)
            hits += 1
        running.end()
        assert not left_running(workers)  # no trial is trained on, and written twice
        now = {
            i: Path(sweep_in(killed) / r.name / "trial.json").stat().st_mtime_ns
            for i, r in read_records(sweep_in(killed)).items()
        }
        assert seen.items() <= now.items()  # complete trials stay, and are not written again
        seen = now
        if len(seen) == 4:  # all done: begin anew, with what was killed so far behind us
            finished(arguments, killed)
            assert ledger(sweep_in(killed)) == ledger(sweep_in(quiet))
            assert tables(sweep_in(killed)) == tables(sweep_in(quiet))
            shutil.rmtree(killed / "ray_results")
            seen = {}
    code, _, err = finished(arguments, killed)
    assert code == 0, err
    assert ledger(sweep_in(killed)) == ledger(sweep_in(quiet))
    assert tables(sweep_in(killed)) == tables(sweep_in(quiet))
    assert not left_running(started)  # Ray's helpers look for it for a while
    assert set(Path("/dev/shm").iterdir()) <= shared
