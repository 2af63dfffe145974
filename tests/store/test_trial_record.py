"""Cells and commit records: identity, names, completeness."""

import json

import pytest

from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell, trial_cell, trial_config, trial_name
from sweeps.store.sealed import write_sealed
from sweeps.store.trial_record import COMPLETE, TrialRecord, read_record, read_records, write_record

CONFIG = Configuration.of(lr=1e-3, epochs=2)
CELL = Cell("search", CONFIG, "angle", 0, 0, "data1")


@pytest.mark.parametrize(
    "other",
    [
        Cell("search", CONFIG | {"lr": 1e-4}, "angle", 0, 0, "data1"),
        Cell("search", CONFIG, "angle", 0, 0, "data2"),
        Cell("search", CONFIG, "NP", 0, 0, "data1"),
        Cell("cv", CONFIG, "angle", 1, 5, "data1"),
        Cell("cv", CONFIG, "angle", 1, 4, "data1"),
    ],
)
def test_whatever_changes_the_result_changes_the_identity(other):
    assert other.identity != CELL.identity


def test_identity_does_not_depend_on_the_order_of_the_fields():
    assert Cell("search", Configuration.of(epochs=2, lr=1e-3), "angle", 0, 0, "data1").identity == CELL.identity


def test_names_say_what_a_trial_is():
    assert CELL.name(7) == f"s0007-{CELL.identity[:6]}"
    cell = Cell("cv", Configuration(), "PP1", 3, 5, "d")
    assert cell.name() == f"cv-PP1-f3-{cell.identity[:6]}"


def test_a_record_comes_back_with_its_cell(tmp_path):
    write_record(tmp_path / "t", CELL, COMPLETE, metrics={"val_loss": 0.1})
    record = read_record(tmp_path / "t")
    assert record.metrics == {"val_loss": 0.1}
    assert (record.identity, record.cell) == (CELL.identity, CELL)
    assert list(read_records(tmp_path)) == [CELL.identity]


def test_every_truncation_of_a_record_means_not_complete(tmp_path):
    write_record(tmp_path, CELL, COMPLETE, metrics={"val_loss": 0.1})
    path = tmp_path / "trial.json"
    raw = path.read_bytes()
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        assert read_record(tmp_path) is None


def test_a_changed_number_means_not_complete(tmp_path):
    write_record(tmp_path, CELL, COMPLETE, metrics={"val_loss": 0.125})
    path = tmp_path / "trial.json"
    path.write_text(path.read_text().replace("0.125", "0.025"))
    assert read_record(tmp_path) is None


def test_what_tune_is_handed_leads_back_to_the_cell():
    config = json.loads(json.dumps(trial_config(CELL, "s0007-abc")))
    assert (trial_cell(config), trial_name(config)) == (CELL, "s0007-abc")
    assert trial_cell(config).identity == CELL.identity


def test_a_record_says_everything_again_that_it_was_told(tmp_path):
    schedule = [{"epoch": 1, "lr": 1e-3, "dropout": 0.2}, {"epoch": 4, "lr": 5e-4, "from": "s0002"}]
    content = {"parameters": 7, "test_by_image": {"3": {"psnr_db": 20.5}}, "schedule": schedule, "n_train": 24}
    written = write_record(tmp_path, CELL, COMPLETE, metrics={"epoch": 5}, test={"loss": 0.1}, **content)
    assert read_record(tmp_path) == written
    assert TrialRecord.from_json(json.loads(json.dumps(written.to_json()))) == written


def test_the_last_settings_of_a_schedule_are_those_it_ended_with():
    schedule = ({"epoch": 1, "lr": 1e-3, "dropout": 0.2}, {"epoch": 4, "lr": 5e-4})
    record = TrialRecord(name="s", status=COMPLETE, cell=CELL, identity="", schedule=schedule)
    assert record.last_settings == {"lr": 5e-4, "dropout": 0.2}
    assert record.ended_with == {"lr": 5e-4, "epochs": 2, "dropout": 0.2}
    assert TrialRecord(name="s", status=COMPLETE, cell=CELL, identity="").last_settings == {}


@pytest.mark.parametrize("lost", ["kind", "config", "label", "status", "identity"])
def test_a_record_that_lacks_what_every_trial_has_is_none(tmp_path, lost):
    content = write_record(tmp_path, CELL, COMPLETE).to_json()
    del content[lost]
    write_sealed(tmp_path / "trial.json", content)
    assert read_record(tmp_path) is None


def test_a_label_with_odd_characters_makes_one_folder_name():
    assert Cell("cv", Configuration(), "E/t [a.u.]", 1, 3, "d").name().startswith("cv-E-t-a-u-f1-")
