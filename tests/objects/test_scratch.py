"""Folders of this machine that are removed even when who made them was killed."""

import os
import subprocess
import sys
import tempfile

import pytest

from sweeps.objects import Scratch

KILLED = """
import os, signal
from sweeps.objects import Scratch
folder = Scratch("test").path
(folder / "file").write_text("left")
print(folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_only_its_user_can_look_into_it():
    scratch = Scratch("test")
    assert scratch.path.stat().st_mode & 0o777 == 0o700
    scratch.remove()
    assert not scratch.path.exists()


def test_that_of_a_killed_process_goes_and_that_of_a_living_one_stays(temporary):
    mine = Scratch("test")
    killed = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False).stdout.strip()
    assert os.path.exists(os.path.join(killed, "file"))  # noqa: PTH110, PTH118
    other = Scratch("test")
    assert sorted(temporary.iterdir()) == sorted([mine.path, other.path])
    mine.remove()
    other.remove()


def test_a_link_that_somebody_has_put_there_is_not_followed(temporary):
    kept = temporary / "kept"
    kept.mkdir()
    (kept / "file").touch()
    planted = temporary / "deepdlt-test-planted"
    planted.mkdir()
    (planted / ".owner").symlink_to(kept / "file")
    Scratch("test").remove()
    assert (kept / "file").exists()
    assert planted.exists()
