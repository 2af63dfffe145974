"""Sweeps on several nodes with an object store: undisturbed, and with nodes, head and driver that are lost on the way.

What must come out of each is what the same sweep brings on this machine alone, in a folder.
"""

import csv
import io
import json
import os
import signal
import time
from pathlib import Path

import pytest
from local_cluster import Gate, LocalCluster, local_cluster, until_trials
from moto_server import S3
from running_sweep import NET, RunningSweep, left_running

from sweeps import store
from sweeps.store import mirror

pytestmark = pytest.mark.slow
LONG = pytest.mark.skipif(
    not os.environ.get("DEEPDLT_CLUSTER_FAULTS"), reason="takes 15 minutes; set DEEPDLT_CLUSTER_FAULTS=1"
)
SWEEP = ["--space", "smoke", *NET, "--search", "grid", "--scheduler", "none", "--trials", "2", "--epochs", "3"]
SWEEP += ["--cv", "--labels", "PP1", "--folds", "2", "--max-concurrent", "2", "--name", "s"]
TRIALS = 4  # two of the search, two folds
WALL_CLOCK = ("seconds", "epoch_s")
OTHER_HOST = "another start of another system"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, image_folder):
    """Results and tables of the same sweep on this machine alone, in a folder."""
    folder = tmp_path_factory.mktemp("undisturbed")
    code, _, err = RunningSweep([*SWEEP, "--data", str(image_folder), "--storage", str(folder)], folder).end()
    assert code == 0, err
    return results(folder / "s"), tables({path.name: path.read_text() for path in folder.glob("s/report/*.csv")})


def results(sweep: Path) -> dict:
    """Identity -> name and numbers that must not depend on where a trial ran, nor on what happened to it."""
    records = store.read_records(sweep)
    assert [record.status for record in records.values()] == [store.COMPLETE] * TRIALS
    return {
        identity: (r.name, dict(r.test), r.metrics["val_loss"], r.metrics["epoch"]) for identity, r in records.items()
    }


def tables(texts: dict[str, str]) -> dict:
    """The report's tables without the columns of wall-clock times."""
    found = {}
    for name, text in texts.items():
        rows = list(csv.reader(io.StringIO(text)))
        kept = [i for i, title in enumerate(rows[0]) if title not in WALL_CLOCK]
        found[name] = [[row[i] for i in kept] for row in rows]
    return found


class Bucket:
    """A bucket of the server with a gate before it; what is left in it of the sweep."""

    def __init__(self, server: S3, name: str, gate: Gate) -> None:
        self.server, self.gate, self.name = server, gate, server.bucket(name)

    @property
    def url(self) -> str:
        return f"s3://{self.name}/sweeps"

    def start(self, cluster: LocalCluster, cwd: Path, images: Path, *more: str) -> RunningSweep:
        """The command, at a cluster."""
        words = [*SWEEP, "--data", str(images), "--storage", self.url, "--address", cluster.address, *more]
        return RunningSweep(words, cwd, **self.gate.environment)

    def begun(self) -> set[str]:
        """Names of the trials that have put something into the store."""
        return {
            key.split("/")[2] for key in self.server.keys(self.name) if key.count("/") > 2 and "-" in key.split("/")[2]
        }

    def records(self) -> dict[str, str]:
        """Key of each record -> when it was written."""
        client = self.server.client()
        keys = [key for key in self.server.keys(self.name) if key.endswith("/trial.json")]
        return {key: str(client.head_object(Bucket=self.name, Key=key)["LastModified"]) for key in keys}

    def outcome(self) -> tuple[dict, dict]:
        """As `undisturbed`."""
        client, texts = self.server.client(), {}
        for key in self.server.keys(self.name):
            if "/report/" in key and key.endswith(".csv"):
                texts[key.rpartition("/")[2]] = client.get_object(Bucket=self.name, Key=key)["Body"].read().decode()
        try:
            return results(store.fetch(f"{self.url}/s")), tables(texts)
        finally:
            mirror._open.clear()

    def written_once(self) -> bool:
        """Whether the store was asked to take each trial's record a single time."""
        return len(self.gate.records) == len(set(self.gate.records)) == TRIALS


@pytest.fixture
def bucket(s3, request, monkeypatch):
    """With a gate that is open; nodes that are started later find the store behind it."""
    gate = Gate(s3)
    gate.open()
    monkeypatch.setenv("AWS_ENDPOINT_URL", gate.environment["AWS_ENDPOINT_URL"])
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].rstrip("-")
    yield Bucket(s3, name, gate)
    gate.close()


@LONG
def test_two_nodes_and_an_object_store_bring_what_one_machine_and_a_folder_do(
    bucket, tmp_path, image_folder, undisturbed
):
    bucket.gate.open_for = 0
    with local_cluster() as cluster:
        nodes = cluster.add(), cluster.add()
        sweep = bucket.start(cluster, tmp_path, image_folder, "--json")
        until_trials(cluster, *nodes, still_possible=lambda: sweep.process.poll() is None)
        sweep.wait_for(lambda: len(bucket.begun()) == 2)
        bucket.gate.open()
        code, out, err = sweep.end()
    assert code == 0, err
    assert json.loads(out)["sweep"] == f"{bucket.url}/s"
    assert bucket.outcome() == undisturbed
    assert bucket.written_once()


@LONG
def test_nodes_that_join_die_vanish_together_and_come_back_cost_no_trial(bucket, tmp_path, image_folder, undisturbed):
    bucket.gate.open_for = 0
    with local_cluster() as cluster:
        first = cluster.add()
        sweep = bucket.start(cluster, tmp_path, image_folder)
        lives = lambda: sweep.process.poll() is None  # noqa: E731
        until_trials(cluster, first, still_possible=lives)
        second = cluster.add()  # joins in the middle, and gets work
        until_trials(cluster, second, still_possible=lives)
        sweep.wait_for(lambda: len(bucket.begun()) == 2)
        lost = cluster.trials(second)
        cluster.kill_raylet(second)
        third = cluster.add()
        until_trials(cluster, third, still_possible=lives)
        lost += [*cluster.trials(first), *cluster.trials(third)]
        cluster.lose(first, third)  # all that could work
        fourth, fifth = cluster.add(), cluster.add()
        until_trials(cluster, fourth, fifth, still_possible=lives)
        bucket.gate.open()
        code, _, err = sweep.end()
    assert code == 0, err
    assert err.count("retry 1 of 3") >= 2
    assert left_running(lost) == []
    assert bucket.outcome() == undisturbed


@LONG
def test_a_node_that_is_cut_off_for_5_and_for_30_s_costs_no_trial(bucket, tmp_path, image_folder, undisturbed):
    bucket.gate.open_for = 0
    with local_cluster() as cluster:
        nodes = cluster.add(), cluster.add()
        sweep = bucket.start(cluster, tmp_path, image_folder)
        until_trials(cluster, *nodes, still_possible=lambda: sweep.process.poll() is None)
        sweep.wait_for(lambda: len(bucket.begun()) == 2)
        with cluster.cut_off(nodes[0]):
            time.sleep(5)
        with cluster.cut_off(nodes[1]):
            time.sleep(30)
        bucket.gate.open()
        code, _, err = sweep.end()
    assert code == 0, err
    assert bucket.outcome() == undisturbed
    assert set(bucket.gate.records) == {f"/{bucket.name}/{key}" for key in bucket.records()}


@LONG
def test_when_the_head_is_lost_the_same_command_goes_on_with_another_cluster(
    bucket, tmp_path, image_folder, undisturbed
):
    bucket.gate.open_for = 1
    with local_cluster() as cluster:
        nodes = cluster.add(), cluster.add()
        sweep = bucket.start(cluster, tmp_path, image_folder)
        sweep.wait_for(bucket.records)
        sweep.wait_for(lambda: len(bucket.begun()) == 2)
        lost = [process for node in nodes for process in cluster.processes(node)]
        cluster.lose_head()
        code, _, err = sweep.end()
        assert code == 130, err
        assert "died" in err
        assert "Completed trials are saved. Resume with:" in err
        assert "Traceback" not in err
    assert left_running(lost) == []
    before = bucket.records()
    assert len(before) == 1
    bucket.gate.open()
    with local_cluster() as cluster:
        cluster.add(), cluster.add()
        code, _, err = bucket.start(cluster, tmp_path, image_folder).end()
    assert code == 0, err
    assert before.items() <= bucket.records().items()
    assert bucket.outcome() == undisturbed
    assert bucket.written_once()


@LONG
def test_a_driver_that_is_lost_is_followed_by_one_on_another_node_once_its_hold_has_ended(
    s3, tmp_path, image_folder, undisturbed, monkeypatch
):
    """The dead one's hold is rewritten as one of another host, of whose processes nothing is known here."""
    later = []
    gate = Gate(s3, open_for=1, fault=lambda head: gate.with_later_clock(head) if later else None)
    monkeypatch.setenv("AWS_ENDPOINT_URL", gate.environment["AWS_ENDPOINT_URL"])
    bucket = Bucket(s3, "driver-is-lost", gate)
    with local_cluster() as cluster:
        nodes = cluster.add(), cluster.add()
        sweep = bucket.start(cluster, tmp_path, image_folder)
        sweep.wait_for(bucket.records)
        sweep.wait_for(lambda: len(bucket.begun()) == 2)
        lost = [process for node in nodes for process in cluster.trials(node)]
        sweep.send(signal.SIGKILL)
        sweep.end()
        assert left_running(lost) == []
        before = bucket.records()
        assert len(before) == 1
        of_another_host(bucket)
        code, _, err = bucket.start(cluster, tmp_path, image_folder).end()
        assert code == 75
        assert "if that process is dead, its hold ends in" in err
        later.append(True)  # two minutes, by the store's clock
        gate.open()
        code, _, err = bucket.start(cluster, tmp_path, image_folder).end()
    assert code == 0, err
    assert before.items() <= bucket.records().items()
    assert bucket.outcome() == undisturbed
    assert bucket.written_once()
    gate.close()


def of_another_host(bucket: Bucket) -> None:
    """Rewrite the hold of a sweep as one of a host whose processes cannot be seen from here."""
    client = bucket.server.client()
    (key,) = [key for key in bucket.server.keys(bucket.name) if key.rpartition("/")[2].isdecimal()]
    holder = json.loads(client.get_object(Bucket=bucket.name, Key=key)["Body"].read())
    changed = json.dumps({**holder, "where": OTHER_HOST, "host": "elsewhere"}).encode()
    client.put_object(Bucket=bucket.name, Key=key, Body=changed)
