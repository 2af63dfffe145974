"""Commit records: identity, completeness, locks, what a sweep may not change."""

import json
import multiprocessing
import os
import signal

import pytest

from sweeps.records import (
    COMPLETE,
    AlreadyRunning,
    Cell,
    SweepRefused,
    cell_of,
    check_sweep,
    open_sweep,
    read_record,
    read_records,
    sweep_lock,
    write_record,
)

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
    assert cell_of(record) == CELL
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
