"""Changed code is noticed and named; comments are not code, and another machine is not changed code."""

import ast
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from sweeps.errors import SweepRefused
from sweeps.identity.code import (
    PACKAGES,
    _code_files,
    changed_files,
    code_files,
    differences,
    digest,
    environment,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def package(tmp_path):
    """A copy of the library that a test may edit."""
    return Path(shutil.copytree(ROOT / "deepdlt", tmp_path / "deepdlt", ignore=shutil.ignore_patterns("__pycache__")))


def files(package):
    _code_files.cache_clear()
    return _code_files(package)


def edited(package, module, old, new):
    """What is said to have changed after `old` became `new` in a module."""
    before = files(package)
    path = package / module
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    after = files(package)
    assert (digest(before) == digest(after)) == (before == after)
    return changed_files(before, after)


def test_networks_losses_metrics_data_and_their_splits_count():
    names = ("models/build", "models/vae", "metrics/losses", "metrics/similarity", "training/transforms")
    names += ("dataset/create_dataset", "dataset/group_dealing", "training/optimization", "training/fit")
    assert {f"deepdlt/{name}.py" for name in names} <= set(code_files())


def test_what_reads_draws_or_talks_does_not_count():
    assert {file.split("/")[1] for file in code_files()} == set(PACKAGES)


@pytest.mark.parametrize("package_name", PACKAGES)
def test_a_package_that_is_missing_is_refused_not_ignored(package, package_name):
    shutil.rmtree(package / package_name)
    with pytest.raises(SweepRefused, match=f"{package_name} has no source files; install deepdlt anew"):
        files(package)


def test_a_new_file_of_such_a_package_counts(package):
    before = files(package)
    (package / "training" / "sharpness.py").write_text("edge = 1\n", encoding="utf-8")
    after = files(package)
    assert changed_files(before, after) == ["deepdlt/training/sharpness.py: added"]
    assert changed_files(after, before) == ["deepdlt/training/sharpness.py: removed"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""', '"""Edited. '),
        ("\n\n\ndef ", "\n\n# why\n\n\n\n\ndef "),
        ("import torch\n", "import torch  # everything needs it\n"),
        (
            "import torch\n",
            "import (torch)\n".replace("(", "").replace(")", "") + '"""A string that does nothing."""\n',
        ),
    ],
    ids=["docstring", "comment and blank lines", "comment behind a line", "a string of its own"],
)
def test_comments_docstrings_and_layout_are_no_change(package, old, new):
    assert edited(package, "metrics/losses.py", old, new) == []


def test_layout_of_a_call_is_no_change(package):
    path = package / "training" / "fit.py"
    before = files(package)
    path.write_text(ast.unparse(ast.parse(path.read_text(encoding="utf-8"))), encoding="utf-8")
    assert changed_files(before, files(package)) == []


def test_a_reworded_message_or_another_reader_of_sheets_is_no_change(package):
    assert edited(package, "training/fit.py", "need at least one crop each", "must not be empty") == []
    assert edited(package, "tables/sheet.py", "def find_sheet(", "def find_a_sheet(") == []
    assert edited(package, "training/fit.py", "raise FloatingPointError(", "raise ValueError(") != []


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("training/evaluation.py", "NOISE_SEED = 0", "NOISE_SEED = 1"),
        ("training/evaluation.py", "model.eval()", "model.train()"),
        ("models/residual.py", "NORM_GROUPS = ", "NORM_GROUPS = 1 * "),
        ("dataset/create_dataset.py", "brightness: float = 0.2", "brightness: float = 0.25"),
        ("training/evaluation.py", "0.5 * logvar", "-0.5 * logvar"),
        ("training/evaluation.py", "127.5 if", "255.0 if"),
        ("training/fit.py", "run.epoch += 1", "run.epoch -= -1"),
        ("training/evaluation.py", ' == "all"', ' != "all"'),
    ],
)
def test_a_changed_number_name_or_operator_is_a_change(package, module, old, new):
    assert edited(package, module, old, new) == [f"deepdlt/{module}: changed"]


SHOW = (
    "import sys; from sweeps.identity.code import digest, code_files;"
    "print(digest(code_files()), *{'torch', 'ray'} & set(sys.modules))"
)


def installed(tmp_path):
    for name in ("deepdlt", "sweeps"):
        shutil.copytree(ROOT / name, tmp_path / "site" / name, ignore=shutil.ignore_patterns("__pycache__"))
    return {"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin"}


def test_installed_elsewhere_the_code_is_the_same_and_nothing_heavy_is_imported(tmp_path):
    """Without site-packages: the standard library is enough."""
    command = [sys.executable, "-S", "-c", SHOW]
    done = subprocess.run(command, env=installed(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [digest(code_files())]


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_every_version_of_python_says_the_same(tmp_path, minor):
    python = next(iter(sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))), None)
    python = python or shutil.which(f"python3.{minor}")
    if python is None:
        pytest.skip(f"Python 3.{minor} is not on this machine")
    command = [str(python), "-S", "-c", SHOW]
    done = subprocess.run(command, env=installed(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [digest(code_files())]


def test_the_files_are_read_once_per_process(monkeypatch):
    first = code_files()
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} is read again"))
    assert code_files() == first


def test_what_is_returned_can_be_changed_without_harm():
    code_files().clear()
    assert code_files()


def test_the_environment_says_what_the_numbers_depend_on():
    found = environment(2, "cpu", "float32")
    assert found["numpy"] == np.__version__
    assert found["torch"] == version("torch")
    assert (found["threads"], found["precision"]) == (2, "float32")
    assert found["device"].startswith("cpu (")


def test_every_difference_of_the_environment_is_told():
    before = environment(1, "cpu", "float32")
    assert differences(before, dict(before)) == []
    now = before | {"threads": 2, "torch": "9.9", "precision": "bfloat16", "device": "cuda (H100)"}
    assert differences(before, now) == [
        f"torch: {before['torch']} before, 9.9 now",
        "threads: 1 before, 2 now",
        f"device: {before['device']} before, cuda (H100) now",
        "precision: float32 before, bfloat16 now",
    ]


def test_what_an_older_record_did_not_note_is_no_difference():
    assert differences({"threads": 1}, environment(1, "cpu", "float32")) == []
    assert differences({}, environment(1, "cpu", "float32")) == []
