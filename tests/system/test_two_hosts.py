"""Sweeps on a cluster of two hosts, which are namespaces of this machine: what they share, and what happens to them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running_sweep import NET, RUN
from two_hosts import PORT, ROOT, Host, environment_of, two_hosts
from waiting import wait_for

from sweeps.store import COMPLETE, read_records, read_trial

WANTED = "DEEPDLT_TWO_HOSTS"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(WANTED not in os.environ, reason=f"makes network namespaces, takes 20 minutes; set {WANTED}=1"),
]
SMALL = ["--space", "smoke", "--search", "grid", *NET, "--name", "t"]
CODE = [ROOT / name for name in ("deepdlt", "search_spaces", "sweeps")]


class Sweep:
    """The command on a host, with its storage in a folder of this machine; what it says is kept in a file."""

    def __init__(self, host: Host, folder: Path, *words: object, address: str = "auto", **environment: str) -> None:
        self.storage, self.log = folder / "results", folder / "said.txt"
        self.storage.mkdir(exist_ok=True)
        command = [*RUN, *SMALL, "--storage", self.storage, "--address", address, *words]
        with self.log.open("w") as log:
            self.process = host.start(
                *command, cwd=folder, stdout=log, stderr=log, environment=environment_of(**environment)
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def sweep(self) -> Path:
        return self.storage / "t"

    def until(self, condition):
        return wait_for(condition, lambda: self.process.poll() is None)

    def end(self) -> int:
        return self.process.wait()

    def epochs(self) -> dict[str, list[int]]:
        """Trial -> the epochs in its event file."""
        trials = sorted(self.sweep.glob("s0*"))
        return {trial.name: sorted(read_trial(trial).scalars.get("val_loss", {})) for trial in trials}

    def statuses(self) -> list[str]:
        return [record.status for record in read_records(self.sweep).values()]


def test_what_is_wrong_with_a_cluster_is_said_before_anything_is_made(tmp_path, image_folder):
    with two_hosts() as (head, other):
        head.start_ray(cpus=1)
        where, data = f"{head.address}:{PORT}", ("--data", image_folder)
        for host, address, environment, message in (
            (head, where, {"RAY_AUTH_TOKEN": "00" * 32}, "has another token than RAY_AUTH_TOKEN here"),
            (head, where, {"RAY_AUTH_TOKEN": "", "HOME": "/nowhere"}, "there is no token here, and the cluster at"),
            (head, f"{other.address}:{PORT}", {}, "no Ray cluster answers at --address"),
            (other, where, {}, f"this host is no node of the Ray cluster at {where} (its nodes: '{head.address}')"),
            (other, "auto", {}, "no Ray cluster has a node on this host"),
        ):
            sweep = Sweep(host, tmp_path, *data, address=address, **environment)
            assert sweep.end() == 2, sweep.said
            assert sweep.said.startswith("error: ")
            assert message in sweep.said
            assert sweep.said.count("\n") == 1
            assert not list(sweep.storage.iterdir())
        plan = Sweep(head, tmp_path, *data, "--plan", "--max-concurrent", 3, "--trials", 2)
        assert plan.end() == 0, plan.said
        assert f"1 node, 1 CPU, 0 GPUs at {where}" in plan.said
        assert "3 at a time (room for 1 now; the others wait for nodes)" in plan.said
        assert "about " in plan.said.partition("time  ")[2].partition("\n")[0]


def test_storage_that_a_node_does_not_share_is_refused_by_its_name(tmp_path, image_folder):
    storage = tmp_path / "results"
    storage.mkdir()
    with two_hosts(storage) as (head, other):
        head.start_ray(cpus=1)
        other.start_ray(head)
        sweep = Sweep(head, tmp_path, "--data", image_folder)
        assert sweep.end() == 2, sweep.said
        assert f"--storage: {storage} is not the same folder on all nodes" in sweep.said
        assert "is not seen on 10.77.0.2 (host2). Mount a shared folder" in sweep.said
        assert not list(sweep.sweep.glob("s0*"))
        assert not (sweep.sweep / ".nodes").exists()


def test_a_cluster_without_a_cpu_waits_and_the_node_that_comes_gets_work_and_the_code(tmp_path, image_folder):
    """The second host has no source files of ours: what it runs came with the sweep."""
    with two_hosts(*CODE) as (head, other):
        head.start_ray(cpus=0)
        sweep = Sweep(head, tmp_path, "--data", image_folder, "--trials", 2, "--max-concurrent", 2)
        sweep.until(lambda: "waiting for nodes: a trial needs 1 CPU and 0 GPU; 1 node with 0" in sweep.said)
        assert not list(sweep.sweep.glob("s0*"))
        other.start_ray(head, cpus=2)
        assert sweep.end() == 0, sweep.said
        assert sweep.statuses() == [COMPLETE] * 2
        assert not (sweep.sweep / ".nodes").exists()


def test_a_lost_worker_and_a_lost_node_cost_no_trial_and_a_node_that_comes_back_gets_work(tmp_path, image_folder):
    with two_hosts() as (head, other):
        head.start_ray(cpus=1)
        other.start_ray(head)
        words = ("--data", image_folder, "--trials", 3, "--epochs", 12, "--scheduler", "none", "--max-concurrent", 2)
        sweep = Sweep(head, tmp_path, *words)
        sweep.until(lambda: len(sweep.epochs()) == 2 and min(map(len, sweep.epochs().values())) >= 2)
        other.kill("ray::ImplicitFunc")
        sweep.until(lambda: "retry 1 of 3 from epoch" in sweep.said)
        sweep.until(lambda: other.pids("ray::ImplicitFunc"))
        other.kill("raylet")
        sweep.until(lambda: sweep.said.count("retry 1 of 3") + sweep.said.count("retry 2 of 3") == 2)
        other.run(Path(sys.executable).parent / "ray", "stop", "--force")
        other.start_ray(head)
        sweep.until(lambda: other.pids("ray::ImplicitFunc"))
        assert sweep.end() == 0, sweep.said
        assert sweep.statuses() == [COMPLETE] * 3
        assert set(map(tuple, sweep.epochs().values())) == {tuple(range(1, 13))}


def test_a_node_that_joins_without_the_storage_is_named_and_gets_no_trial(tmp_path, image_folder):
    storage = tmp_path / "results"
    storage.mkdir()
    with two_hosts(storage) as (head, other):
        head.start_ray(cpus=1)
        words = ("--data", image_folder, "--trials", 3, "--epochs", 8, "--scheduler", "none", "--max-concurrent", 2)
        sweep = Sweep(head, tmp_path, *words)
        sweep.until(lambda: len(sweep.epochs()) == 1 and min(map(len, sweep.epochs().values())) >= 1)
        other.start_ray(head)
        assert sweep.end() == 0, sweep.said
        assert "note: node 10.77.0.2 (host2): it does not see the sweep's storage; no trial runs there" in sweep.said
        assert sweep.statuses() == [COMPLETE] * 3
        assert set(map(tuple, sweep.epochs().values())) == {tuple(range(1, 9))}
        assert other.run("ls", storage).stdout == ""


def test_a_job_uses_its_own_cluster_and_keeps_nothing_in_a_folder_that_goes(tmp_path, image_folder):
    with two_hosts() as (head, _):
        head.start_ray(None, 1, "--dashboard-host=127.0.0.1")
        ray = Path(sys.executable).parent / "ray"
        submit = [ray, "job", "submit", "--address", "http://127.0.0.1:8265", "--working-dir", ROOT, "--"]
        command = [sys.executable, "sweeps/run.py", *SMALL, "--data", image_folder, "--trials", 1]
        done = head.run(*submit, *command)
        assert "is in the folder that Ray unpacked for this job and will remove" in done.stdout + done.stderr
        done = head.run(*submit, *command, "--storage", tmp_path / "results")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"1 node, 1 CPU, 0 GPUs at {head.address}:{PORT}" in done.stdout + done.stderr
        assert [record.status for record in read_records(tmp_path / "results" / "t").values()] == [COMPLETE]


def test_a_sweep_on_this_machine_listens_on_loopback_alone(tmp_path, image_folder):
    """By `ss`, which lists the sockets of a namespace: in one of its own there are no others."""
    with two_hosts() as (host, _):
        command = [*RUN, *SMALL, "--data", image_folder, "--trials", "1", "--epochs", "30"]
        process = host.start(*command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_for(lambda: list(tmp_path.glob("ray_results/t/s0*/last.pt")), lambda: process.poll() is None)
        lines = host.run("ss", "-Hltn").stdout.splitlines()
        host.kill("run.py")
        process.communicate()
        places = {line.split()[3].rpartition(":")[0].strip("[]").removeprefix("::ffff:") for line in lines}
        assert len(lines) >= 8  # head, node, its agents and workers
        assert places == {"127.0.0.1"}
