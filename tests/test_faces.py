"""A face gives names when they are used, refuses others, and needs nothing that is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

import deepdlt
from sweeps import planning, store

ROOT = Path(__file__).parent.parent


def test_a_name_is_what_its_file_has():
    from sweeps.store import trial_record

    assert store.read_record is trial_record.read_record
    assert {"read_record", "TrialRecord"} <= set(dir(store))


def test_a_whole_file_is_offered_where_the_face_says_so():
    from sweeps.planning import plan

    assert planning.plan is plan
    assert "plan" in dir(planning)


def test_a_name_that_is_not_offered_is_missing():
    with pytest.raises(AttributeError, match=r"module 'deepdlt' has no attribute 'nothing'"):
        _ = deepdlt.nothing
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec("from sweeps.store import nothing")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["sweeps/run.py", "--help"], 0, "--list-spaces"),
        (["sweeps/run.py", "--list-spaces"], 0, "exp_grid"),
        (["sweeps/run.py", "--space", "smoke"], 2, "is not installed for"),
        (["-m", "deepdlt", "--help"], 0, "train"),
    ],
    ids=["help", "spaces", "a sweep", "the library"],
)
def test_before_anything_is_installed_there_is_help_and_a_refusal_in_words(words, code, said):
    """-S: Python without what is installed."""
    done = subprocess.run([sys.executable, "-S", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
