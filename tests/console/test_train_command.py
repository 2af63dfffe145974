"""The command that trains a trial again: it names the trial's data, split and settings, and gives its numbers."""

import json
import shlex

import pytest
from calling import command
from written_sweeps import write_sweep_json, write_trial

from sweeps.console.train_command import train_command
from sweeps.run import main as sweep
from sweeps.store import read_records, read_sweep

DATA = "--data 'my images' --sheet June --group-by sample --pixel-pitch exclude"


@pytest.fixture
def trained(tmp_path):
    """A sweep.json and the records of a search trial and a fold run."""

    def write(command, **fold):
        write_sweep_json(tmp_path, command=command, seed=7)
        write_trial(tmp_path, lr=2e-3, epochs=3, seed=7, weight_decay=1.2345678e-6, **fold)
        return train_command(read_sweep(tmp_path), next(iter(read_records(tmp_path).values())))

    return write


def test_a_search_trial_is_trained_again_on_its_own_images_and_split(trained):
    found = trained(f"deepdlt sweep --space exp_grid {DATA} --cv --name x")
    assert found.startswith(f"deepdlt train {DATA} ")
    assert "--split-seed 7 --epochs 3" in found
    assert {"lr=0.002", "seed=7", "weight_decay=1.2345678e-06"} <= set(shlex.split(found))
    assert "--space" not in found
    assert "--cv" not in found


@pytest.mark.parametrize(
    ("command", "start"),
    [
        (".venv/bin/python sweeps/run.py --space exp_grid --data=x", ".venv/bin/python -m deepdlt train --data=x "),
        ("python -m deepdlt sweep --space exp_grid", "python -m deepdlt train "),
        (".venv/bin/deepdlt sweep --space exp_grid", ".venv/bin/deepdlt train "),
    ],
)
def test_it_is_called_as_the_sweep_was(trained, command, start):
    assert trained(command).startswith(start)


def test_a_fold_run_is_trained_again_on_its_fold(trained):
    found = trained("deepdlt sweep --space exp_grid --data x", cv=("PP1", 3), n_folds=4)
    assert "--labels PP1 --fold 3 --folds 4" in found


def test_a_sweep_that_does_not_say_how_it_was_started_has_none(trained):
    assert trained("") == ""


def test_the_winner_trained_again_has_the_numbers_of_its_trial(image_folder, tmp_path, monkeypatch, capsys):
    """One whole sweep of one trial, on images grouped by a column; then the command that it prints."""
    monkeypatch.chdir(tmp_path)
    small = ["--set", "model=res_ae", "--set", "width=8", "--set", "blocks=1", "--set", "precision=fp32"]
    data = ["--data", str(image_folder), "--group-by", "NP"]
    words = ["--space", "smoke", *data, *small, "--trials", "1", "--epochs", "1", "--name", "s", "-q"]
    monkeypatch.setattr("sys.argv", ["deepdlt", "sweep", *words])
    assert sweep(words) == 0
    printed = capsys.readouterr().out
    again = next(line for line in printed.splitlines() if line.startswith("train the best again: "))
    words = shlex.split(again.partition(": ")[2])
    start = words.index("train") + 1
    assert command("train")([*words[start:], "--threads", "1", "--out", "again"]) == 0
    record = next(iter(read_records(tmp_path / "ray_results" / "s").values()))
    result = json.loads((tmp_path / "again" / "result.json").read_text())
    assert result["test"]["standard"]["psnr_db"] == pytest.approx(record.test["psnr_db"], abs=1e-4)
