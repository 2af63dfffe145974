"""What is due after the trials is begun while they run, and never stands in their way."""

import threading

import pytest

from deepdlt.config import config_dict, make_config
from sweeps.execution import beside_trials
from sweeps.execution.beside_trials import BesideTrials
from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell
from sweeps.store.trial_record import COMPLETE, write_record

LONG_S = 20.0


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(beside_trials, "LOOK_EVERY_S", 0.01)


def complete(sweep):
    cell = Cell("search", Configuration.of(config_dict(make_config("corrected"))), "angle", 0, 0, "d")
    write_record(sweep / cell.name(1), cell, COMPLETE, metrics={"best_val_psnr_db": 20.0})


def test_work_begins_with_the_first_complete_trial(tmp_path):
    begun = threading.Event()

    def work():
        begun.set()
        yield

    with BesideTrials(tmp_path, work()):
        assert not begun.wait(0.2)
        complete(tmp_path)
        assert begun.wait(LONG_S)


def test_without_a_complete_trial_nothing_is_done(tmp_path):
    done = []
    with BesideTrials(tmp_path, (done.append(k) for k in range(3))):
        pass
    assert done == []


def test_no_step_is_begun_once_the_trials_have_ended(tmp_path):
    complete(tmp_path)
    first, ended, steps = threading.Event(), threading.Event(), []

    def work():
        for step in range(3):
            steps.append(step)
            first.set()
            ended.wait(LONG_S)
            yield

    with BesideTrials(tmp_path, work()) as beside:
        assert first.wait(LONG_S)
        beside._over.set()
        ended.set()
    assert steps == [0]


def test_what_fails_is_left_for_later(tmp_path):
    complete(tmp_path)
    begun = threading.Event()

    def work():
        begun.set()
        raise OSError("disk full")
        yield

    with BesideTrials(tmp_path, work()):
        assert begun.wait(LONG_S)


def test_what_ends_at_once_does_not_wait_for_a_step(tmp_path, monkeypatch):
    monkeypatch.setattr(beside_trials, "AT_ONCE_S", 0.01)
    complete(tmp_path)
    begun, ended = threading.Event(), threading.Event()

    def work():
        begun.set()
        ended.wait(LONG_S)
        yield

    def interrupted(beside):
        with beside:
            assert begun.wait(LONG_S)
            raise KeyboardInterrupt

    beside = BesideTrials(tmp_path, work())
    with pytest.raises(KeyboardInterrupt):
        interrupted(beside)
    assert beside._thread.is_alive()
    ended.set()
    beside._thread.join(LONG_S)
    assert not beside._thread.is_alive()
