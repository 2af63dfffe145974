"""Commit records: identity, completeness, locks, what a sweep may not change."""

import json
import multiprocessing
import os
import signal

import pytest

from sweeps.errors import AlreadyRunning, SweepRefused
from sweeps.store.lock import sweep_lock
from sweeps.store.sweep_file import check_sweep, differences, open_sweep
from sweeps.store.trial_records import COMPLETE, Cell, read_record, read_records, write_record

CELL = Cell("search", {"lr": 1e-3, "epochs": 2}, "angle", 0, 0, "data1")


@pytest.mark.parametrize(
    "other",
    [
        Cell("search", {"lr": 1e-4, "epochs": 2}, "angle", 0, 0, "data1"),
        Cell("search", {"lr": 1e-3, "epochs": 2}, "angle", 0, 0, "data2"),
        Cell("search", {"lr": 1e-3, "epochs": 2}, "NP", 0, 0, "data1"),
        Cell("cv", {"lr": 1e-3, "epochs": 2}, "angle", 1, 5, "data1"),
        Cell("cv", {"lr": 1e-3, "epochs": 2}, "angle", 1, 4, "data1"),
    ],
)
def test_whatever_changes_the_result_changes_the_identity(other):
    assert other.identity != CELL.identity


def test_identity_does_not_depend_on_the_order_of_the_fields():
    assert Cell("search", {"epochs": 2, "lr": 1e-3}, "angle", 0, 0, "data1").identity == CELL.identity


def test_names_say_what_a_trial_is():
    assert CELL.name(7) == f"s0007-{CELL.identity[:6]}"
    cell = Cell("cv", {}, "PP1", 3, 5, "d")
    assert cell.name() == f"cv-PP1-f3-{cell.identity[:6]}"


def test_a_record_comes_back_with_its_cell(tmp_path):
    write_record(tmp_path / "t", CELL, COMPLETE, metrics={"val_loss": 0.1})
    record = read_record(tmp_path / "t")
    assert record["metrics"] == {"val_loss": 0.1}
    assert (record["identity"], record["config"]) == (CELL.identity, CELL.config)
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


def test_a_sweep_may_grow_but_not_change_its_data(tmp_path):
    open_sweep(tmp_path / "s", {"data": "a", "trials": 2}, fixed=("data",))
    open_sweep(tmp_path / "s", {"data": "a", "trials": 9}, fixed=("data",))
    assert json.loads((tmp_path / "s" / "sweep.json").read_text())["trials"] == 9
    with pytest.raises(SweepRefused, match="data: 'a' there, 'b' asked"):
        check_sweep(tmp_path / "s", {"data": "b", "trials": 9}, fixed=("data",))


def test_what_was_cross_validated_stays_known_when_only_the_search_is_extended(tmp_path):
    first = {"data": "a", "cv": True, "labels": ["NP"], "folds": 3, "classes": {"NP": {}}, "created": "then"}
    open_sweep(tmp_path, first, fixed=("data",))
    open_sweep(
        tmp_path, {"data": "a", "cv": False, "labels": [], "folds": 5, "classes": {}, "created": "now"}, ("data",)
    )
    assert json.loads((tmp_path / "sweep.json").read_text()) == first


def test_a_damaged_sweep_json_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(SweepRefused, match="delete it"):
        check_sweep(tmp_path, {"data": "a"}, ("data",))


def test_a_label_with_odd_characters_makes_one_folder_name():
    assert Cell("cv", {}, "E/t [a.u.]", 1, 3, "d").name().startswith("cv-E-t-a-u-f1-")


def hold(sweep, ready):
    with sweep_lock(sweep):
        ready.set()
        signal.pause()


def test_a_second_run_is_refused_until_the_first_is_gone_even_if_killed(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(60)
    with pytest.raises(AlreadyRunning, match="running already"), sweep_lock(tmp_path):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with sweep_lock(tmp_path):
        pass


CONSTANT = {"space": "s", "settings": {"model": "cnn_ae", "dropout": 0.0}, "axes": {"lr": [1e-3, 1e-4]}}
SWEPT = {"space": "s", "settings": {"model": "cnn_ae"}, "axes": {"lr": [1e-3, 1e-4], "dropout": [0.0, 0.2]}}
RANGE = SWEPT | {"axes": SWEPT["axes"] | {"dropout": {"low": 0.0, "high": 0.5}}}
UNDER_CONDITION = SWEPT | {"conditions": {"dropout": {"model": ["cnn_ae"]}}}


@pytest.mark.parametrize("wider", [SWEPT, RANGE, UNDER_CONDITION])
def test_a_constant_may_become_an_axis_that_has_its_value_and_an_axis_a_constant(tmp_path, wider):
    fixed = ("space", "settings")
    for asked in (CONSTANT, wider, CONSTANT):
        open_sweep(tmp_path, asked, fixed)
        assert json.loads((tmp_path / "sweep.json").read_text())["settings"] == asked["settings"]


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        (CONSTANT, CONSTANT | {"settings": {"model": "cnn_ae", "dropout": 0.1}}),
        (CONSTANT, CONSTANT | {"settings": {"model": "cnn_ae"}}),  # its default need not be 0
        (CONSTANT, SWEPT | {"axes": {"dropout": [0.1, 0.2]}}),
        (CONSTANT, RANGE | {"axes": {"dropout": {"low": 0.1, "high": 0.2}}}),
        (CONSTANT, SWEPT | {"settings": {"model": "cnn_vae"}}),
        (SWEPT, SWEPT | {"settings": {"model": "cnn_ae", "batch_size": 8}}),
        ({"space": "s"}, CONSTANT),  # damaged by hand
    ],
)
def test_other_constants_are_other_sweeps(tmp_path, before, asked):
    (tmp_path / "sweep.json").write_text(json.dumps(before))
    with pytest.raises(SweepRefused, match="settings: "):
        check_sweep(tmp_path, asked, ("space", "settings"))


def test_only_the_settings_may_be_edited():
    assert differences(CONSTANT, SWEPT | {"space": "other"}, ("space", "settings")) == ["space"]
