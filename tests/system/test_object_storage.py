"""A whole sweep in an object store: undisturbed, killed and resumed, and with a store that fails now and then."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from moto_server import S3, FaultyS3, error_answer, lead_to, s3_server
from running_sweep import NET, RunningSweep, kill, left_running

from sweeps import store
from sweeps.store import mirror

SWEEP = ["--space", "smoke", *NET, "--trials", "3", "--epochs", "3", "--scheduler", "none", "--name", "s", "--json"]
MOST_PUTS, MOST_GETS = 12, 6
"""Per trial of three epochs, listings not counted."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The same sweep in a folder: what all others must equal."""
    folder = tmp_path_factory.mktemp("undisturbed")
    code, _, err = RunningSweep([*SWEEP, "--storage", str(folder)], folder).end()
    assert code == 0, err
    return results(folder / "s")


def results(sweep: Path) -> dict:
    """Identity -> numbers that must not depend on where a sweep is, nor on what happened to it."""
    records = store.read_records(sweep)
    assert all(record.is_complete for record in records.values())
    return {identity: (dict(r.test), r.metrics["val_loss"], r.metrics["epoch"]) for identity, r in records.items()}


def results_at(url: str) -> dict:
    found = results(store.fetch(url))
    mirror._open.clear()
    return found


def in_bucket(s3: S3, bucket: str, cwd: Path, *more: str) -> RunningSweep:
    return RunningSweep([*SWEEP, *more, "--storage", f"s3://{bucket}/sweeps"], cwd, **s3.environment)


@pytest.mark.slow
def test_a_sweep_on_s3_equals_that_in_a_folder_with_few_requests_and_its_report_beside_it(s3, tmp_path, undisturbed):
    bucket = s3.bucket("whole-sweep")
    proxy = FaultyS3(s3, lambda head, number: None)
    sweep = in_bucket(proxy, bucket, tmp_path)
    code, out, err = sweep.end()
    assert code == 0, err
    assert json.loads(out)["sweep"] == f"s3://{bucket}/sweeps/s"
    assert results_at(f"s3://{bucket}/sweeps/s") == undisturbed
    keys = s3.keys(bucket)
    assert {"sweeps/s/sweep.json", "sweeps/s/report/report.html", "sweeps/s/baselines.json"} <= keys
    for record in store.read_records(store.fetch(f"s3://{bucket}/sweeps/s")).values():
        trial = f"/{bucket}/sweeps/s/{record.name}/"
        assert len(proxy.asked(f"PUT {trial}")) <= MOST_PUTS
        assert len(proxy.asked(f"GET {trial}", f"HEAD {trial}")) <= MOST_GETS
    assert not list(tmp_path.glob("s3:*"))
    proxy.close()
    mirror._open.clear()


@pytest.mark.slow
def test_a_driver_and_its_trials_are_killed_and_the_same_command_goes_on(s3, tmp_path, undisturbed):
    bucket = s3.bucket("killed-sweep")
    sweep = in_bucket(s3, bucket, tmp_path)
    sweep.wait_for(lambda: any(key.endswith("trial.json") for key in s3.keys(bucket)))
    others = sweep.descendants()
    sweep.send(signal.SIGKILL)
    kill(others)
    sweep.end()
    assert left_running(others) == []
    before = {key for key in s3.keys(bucket) if key.endswith("trial.json")}
    written = {key: s3.client().head_object(Bucket=bucket, Key=key)["LastModified"] for key in before}
    code, _, err = in_bucket(s3, bucket, tmp_path).end()  # the dead one was of this machine: no waiting
    assert code == 0, err
    assert results_at(f"s3://{bucket}/sweeps/s") == undisturbed
    now = {key: s3.client().head_object(Bucket=bucket, Key=key)["LastModified"] for key in before}
    assert now == written  # no complete trial was run twice


@pytest.mark.slow
def test_a_store_that_refuses_one_request_in_twenty_changes_nothing(s3, tmp_path, undisturbed):
    bucket = s3.bucket("one-in-twenty")
    draw = random.Random(7)
    answers = [error_answer(500, "InternalError"), error_answer(503, "SlowDown")]
    proxy = FaultyS3(s3, lambda head, number: draw.choice(answers) if draw.random() < 0.05 else None)
    code, _, err = in_bucket(proxy, bucket, tmp_path).end()
    assert code == 0, err
    assert results_at(f"s3://{bucket}/sweeps/s") == undisturbed
    proxy.close()


@pytest.mark.slow
def test_a_store_that_is_gone_for_20_s_and_slow_after_that_changes_nothing(s3, tmp_path, undisturbed):
    bucket = s3.bucket("gone-for-a-while")
    gone, refused = threading.Event(), []

    def fault(head, number):
        if gone.is_set():
            refused.append(number)
            return FaultyS3.HANG_UP
        if refused:
            time.sleep(0.3)
        return None

    proxy = FaultyS3(s3, fault)
    sweep = in_bucket(proxy, bucket, tmp_path)
    sweep.wait_for(lambda: any("/s0001" in key for key in s3.keys(bucket)))
    gone.set()
    threading.Timer(20, gone.clear).start()
    code, _, err = sweep.end()
    assert code == 0, err
    assert refused
    assert results_at(f"s3://{bucket}/sweeps/s") == undisturbed
    proxy.close()


@pytest.mark.slow
def test_a_second_driver_is_told_that_the_sweep_runs_and_changes_nothing(s3, tmp_path, undisturbed):
    bucket = s3.bucket("two-drivers")
    first = in_bucket(s3, bucket, tmp_path)
    first.wait_for(lambda: any("/.hold/0" in key for key in s3.keys(bucket)))
    code, _, err = in_bucket(s3, bucket, tmp_path).end()
    assert code == 75
    assert "is running already (process" in err
    assert "Traceback" not in err
    code, _, err = first.end()
    assert code == 0, err
    assert results_at(f"s3://{bucket}/sweeps/s") == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("storage", "environment", "says"),
    [
        ("s3://not-there-at-all/x", {}, "no such bucket"),
        ("s3://some-bucket/x", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "does not answer"),
        (
            "s3://some-bucket/x",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nowhere"},
            "no credent",
        ),
        ("ftp://host/x", {}, "cannot be kept at ftp://"),
        ("s3:bucket/x", {}, "two slashes"),
    ],
)
def test_storage_that_cannot_be_used_is_refused_with_one_message(s3, tmp_path, storage, environment, says):
    sweep = RunningSweep([*SWEEP, "--storage", storage], tmp_path, **{**s3.environment, **environment})
    code, out, err = sweep.end()
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err
    assert err.count("error:") == 1
    assert [path.name for path in tmp_path.iterdir() if path.name != "data"] == []


@pytest.mark.slow
def test_tensorboard_follows_a_sweep_on_s3_while_it_grows(tmp_path, monkeypatch):
    """boto3 is asked, not s3fs, whose cache of listings would hide all that is written later."""
    with s3_server() as server:
        lead_to(server, monkeypatch)
        bucket = server.bucket("followed")
        code = f"""
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
board = EventMultiplexer()
for word in iter(input, "end"):
    board.AddRunsFromDirectory("s3://{bucket}/sweeps").Reload()
    print({{run: [event.step for event in board.Scalars(run, "val_loss")] for run in board.Runs()}}, flush=True)
"""
        board = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with store.trial_folder(f"s3://{bucket}/sweeps/s", "s0001-abc") as directory, store.TrialLog(directory) as log:
            seen = []
            for epoch in range(1, 4):
                log.scalars({"val_loss": 1 / epoch}, epoch)
                log.flush()
                store.after_epoch(directory, may_end=True)
                board.stdin.write("look\n")
                board.stdin.flush()
                seen.append(json.loads(board.stdout.readline().replace("'", '"')))
        board.communicate("end\n")
    assert seen == [{"s/s0001-abc": list(range(1, epoch + 1))} for epoch in range(1, 4)]
