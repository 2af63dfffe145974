"""Trials that go on under their names: with another scheduler, and after a change of the code."""

import numpy as np
import pytest
import torch
from ray import tune

from deepdlt.config import TrainConfig, config_dict
from deepdlt.dataset.stratified_split import plain_split
from deepdlt.models.checkpoint import load_checkpoint, save_checkpoint
from sweeps.execution import trainable
from sweeps.execution.begun_trials import begin
from sweeps.execution.trainable import Job, train_cell
from sweeps.execution.trial_names import TrialNames
from sweeps.identity import code as code_identity
from sweeps.identity.description import Provenance
from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell, trial_name
from sweeps.store.event_files import read_trial
from sweeps.store.mirror import CODE_FILE
from sweeps.store.trial_record import COMPLETE, read_record
from sweeps.tuning import population_members as population

CONFIG = TrainConfig(epochs=2, lr=1e-3, batch_size=16, kernel_size=3)
OTHER = TrainConfig(epochs=2, lr=8e-4, batch_size=16, kernel_size=5)
CELL = Cell("search", Configuration.of(config_dict(CONFIG)), "PP1", 0, 0, "d")
AXES = ["lr", "kernel_size"]
NOW = code_identity.digest(code_identity.code_files())


@pytest.fixture(scope="module")
def split(patches):
    return plain_split(patches.images, patches.image_id, label="PP1")


@pytest.fixture
def run(tmp_path, patches, split, monkeypatch):
    """Train what `TrialNames` hands out as Tune's worker does; returns the epochs that were reported."""
    reported = []
    monkeypatch.setattr(tune, "get_checkpoint", lambda: None)
    monkeypatch.setattr(tune, "report", lambda metrics, checkpoint=None: reported.append(metrics["epoch"]))
    job = Job(str(tmp_path), {("PP1", 0): split}, patches.image_id, 1, 0, False, Provenance(NOW, {}, None))

    def train(config):
        reported.clear()
        train_cell(config, patches.crops, job)
        return list(reported)

    return train


def interrupted_member(sweep, config, patches, split, code=NOW, **note):
    """A directory as a population leaves it: weights with the settings that it had reached, after one epoch."""
    directory = sweep / CELL.name(1)
    next(trainable.fit(config, patches.crops, split, directory))
    (directory / CODE_FILE).write_text(code)
    population.note(directory, 1, {"lr": CONFIG.lr})
    if note:
        population.note(directory, 2, note)
    return directory


def weights(directory):
    return load_checkpoint(directory / "last.pt")["model_state_dict"]


def test_a_member_that_a_population_changed_starts_again_with_another_scheduler(tmp_path, patches, split, run):
    directory = interrupted_member(tmp_path, OTHER, patches, split, lr=8e-4, **{"from": "s0002-abc"})
    config = TrialNames(tmp_path).trial(CELL)
    assert trial_name(config) == directory.name
    assert run(config) == [1, 2]
    record = read_record(directory)
    assert (record.status, record.error, record.schedule) == (COMPLETE, "", ())
    assert load_checkpoint(directory / "best.pt")["config"] == CELL.config
    assert sorted(read_trial(directory).scalars["val_loss"]) == [1, 2]


def test_weights_of_another_configuration_give_way_though_no_history_tells(tmp_path, patches, split, run):
    directory = interrupted_member(tmp_path, OTHER, patches, split)
    (directory / population.SCHEDULE).unlink()
    assert run(TrialNames(tmp_path).trial(CELL)) == [1, 2]
    assert read_record(directory).status == COMPLETE


def test_a_transplant_that_a_crash_cut_short_is_another_training_too(tmp_path, patches, split, run):
    directory = interrupted_member(tmp_path, CONFIG, patches, split)
    (directory / ".transplant").mkdir()
    save_checkpoint(directory / ".transplant" / "last.pt", OTHER, load_checkpoint(directory / "last.pt"))
    assert run(TrialNames(tmp_path).trial(CELL)) == [1, 2]
    assert read_record(directory).status == COMPLETE


def test_a_member_that_nobody_changed_goes_on_with_another_scheduler(tmp_path, patches, split, run, monkeypatch):
    directory = interrupted_member(tmp_path, CONFIG, patches, split)
    seen = []
    fit = trainable.fit
    monkeypatch.setattr(
        trainable, "fit", lambda *args, **options: seen.append(weights(directory)) or fit(*args, **options)
    )
    before = weights(directory)
    run(TrialNames(tmp_path).trial(CELL))
    assert all(torch.equal(value, seen[0][name]) for name, value in before.items())
    assert read_record(directory).status == COMPLETE
    assert not read_record(directory).schedule
    assert not (directory / population.SCHEDULE).exists()


@pytest.mark.parametrize("code", [NOW, "other"])
def test_a_member_begun_by_other_code_starts_again_with_its_own_settings(tmp_path, patches, split, run, code):
    directory = interrupted_member(tmp_path, OTHER, patches, split, code, lr=8e-4, kernel_size=5, **{"from": "s2"})
    config = TrialNames(tmp_path, AXES, CONFIG.epochs).trial(CELL)
    is_new = code != NOW
    assert population.train_config(config) == (CONFIG if is_new else OTHER)
    run(config)
    schedule = read_record(directory).schedule
    assert schedule[0] == {"epoch": 1, "lr": CONFIG.lr}
    assert len(schedule) == (1 if is_new else 2)
    assert load_checkpoint(directory / "last.pt")["config"] == config_dict(CONFIG if is_new else OTHER)


def test_a_member_told_to_take_over_keeps_its_weights_until_it_has(tmp_path, patches, split, run, monkeypatch):
    directory = interrupted_member(tmp_path, CONFIG, patches, split)
    own = TrialNames(tmp_path, AXES, CONFIG.epochs).trial(CELL)
    donor = population.inherit(own, {**own, "lr": 8e-4}, {"lr": 9e-4})
    monkeypatch.setattr(tune, "get_checkpoint", lambda: "a mark")
    begin(donor, directory, NOW)
    assert (directory / "last.pt").exists()
    assert np.isclose(population.train_config(donor).lr, 9e-4)
