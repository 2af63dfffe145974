"""`deepdlt folds` takes the labels that the checker takes, and no others."""

import numpy as np
import pytest
from PIL import Image

from deepdlt.__main__ import main

N = 12


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(N):
        Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8)).save(tmp_path / "images" / f"{i:02d}.png")
    return tmp_path / "images"


def write(folder, head, *columns):
    rows = [",".join([f"{i:02d}.png", *(column[i % len(column)] for column in columns)]) for i in range(N)]
    (folder / "labels.csv").write_text("\n".join([f"file,{head}", *rows]), encoding="utf-8")


def folds(folder, labels):
    return main(["folds", "--data", str(folder), "--labels", labels, "--folds", "2"])


@pytest.mark.parametrize(
    ("cells", "message"),
    [(['"1,2"', "0.8", "2.5"], "expected a number, got row 2 '1,2'"), (["", "1", "2"], "no value in row(s) 2, 5, 8")],
)
def test_a_faulty_label_is_refused_with_its_rows(folder, capsys, cells, message):
    write(folder, "power", cells)
    assert folds(folder, "power") == 2
    assert message in capsys.readouterr().err
    assert not (folder.parent / "data").exists()


def test_two_labels_at_once_and_a_heading_with_a_plus(folder, capsys):
    write(folder, "steel+zinc,power", ["yes", "no"], ["1", "1", "2", "2"])
    assert folds(folder, "steel+zinc") == 0
    assert folds(folder, "power") == 0
    assert folds(folder, "power+zinc") == 2
    assert "unknown label 'zinc'" in capsys.readouterr().err
