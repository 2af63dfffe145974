"""Secrets of the environment stay out of what a sweep writes and says, and nothing that lies there is unpickled."""

import os
import pickle
import subprocess

import pytest
from running_sweep import NET, RUN

SMALL = ["--space", "smoke", "--search", "grid", *NET, "--trials", "1", "--name", "t"]
CANARY = "c4n4ry" * 8


class Evil:
    """Unpickling it makes a folder."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


@pytest.mark.slow
def test_no_secret_is_written_or_said_and_no_pickle_is_read(tmp_path, image_folder):
    secrets = dict.fromkeys(("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_PASSWORD", "GITHUB_TOKEN"), CANARY)
    command = [*RUN, *SMALL, "--data", image_folder]

    def call(*words):
        return subprocess.run(
            [*map(str, words)], cwd=tmp_path, env={**os.environ, **secrets}, capture_output=True, text=True, check=False
        )

    done = call(*command, "--verbose")
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) >= 8
    assert [path for path in written if CANARY.encode() in path.read_bytes()] == []

    sweep = tmp_path / "ray_results" / "t"
    (trial,) = sweep.glob("s0*")
    for folder in (sweep, trial, sweep / ".ray", sweep / ".ray" / "search"):
        folder.mkdir(exist_ok=True)
        for name in ("tuner.pkl", "params.pkl", "searcher-state-1.pkl", "trainable.pkl", "error.pkl"):
            (folder / name).write_bytes(pickle.dumps(Evil(tmp_path / "taken")))
    done = call(*command, "--trials", "2")
    assert done.returncode == 0, done.stderr
    assert call(RUN[0], RUN[1].replace("run.py", "report.py"), sweep).returncode == 0
    assert not (tmp_path / "taken").exists()
