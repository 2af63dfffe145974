"""The frame of a run on Ray, with a stand-in for Ray: what comes out of it, and in which order it is cleaned up."""

import errno
from argparse import Namespace
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
from calling import parse
from ray.tune import TuneError
from ray.tune.search import Searcher

from deepdlt.config import config_dict, make_config
from deepdlt.dataset.stratified_split import Split
from sweeps import stopping
from sweeps.errors import RayFailed
from sweeps.execution import sweep_run as ray_runs
from sweeps.execution.sweep_run import SweepRun, run_sweep
from sweeps.request.request import make_request
from sweeps.request.resources import Resources
from sweeps.space.configuration import Configuration
from sweeps.store.cell import trial_cell, trial_name
from sweeps.store.trial_record import FAILED, write_record
from sweeps.tuning.optuna_search import DistinctOptunaSearch

pytestmark = pytest.mark.usefixtures("nothing_asks_for_the_end")

OPTIONS = Namespace(address=None, verbose=False, quiet=True, retry_failed=False)
FULL = OSError(errno.ENOSPC, "No space left on device")


class Session:
    """Stands in for RaySession."""

    cluster = None

    def __init__(self, log):
        self.log, self.calls = log, []

    def wait(self):
        self.log.append("ray starts")

    def afterwards(self, call):
        self.calls.append(call)

    def close(self):
        self.log.append("ray ends")
        for call in self.calls:
            call()


@pytest.fixture
def data():
    images = {name: np.array([0]) for name in ("angle", "PP1")}
    patches = SimpleNamespace(fingerprint="d", images=images, image_id=np.array([0]), crops=np.zeros((1, 1, 64, 64)))
    one = np.array([0])
    return SimpleNamespace(patches=patches, splits={("angle", 0): Split(one, one, one)})


@pytest.fixture
def happened(monkeypatch):
    """What happened, in order. `fit` of the stand-in for Tune's Tuner does what `happened.fit` is set to."""

    class Happened(list):
        fit = staticmethod(lambda: None)

    log = Happened()

    monkeypatch.setattr(ray_runs.ray, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(ray_runs.ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}])
    monkeypatch.setattr(ray_runs, "search_label", lambda _: "angle")
    monkeypatch.setattr(ray_runs.tune, "with_parameters", lambda trainable, **_: trainable)
    monkeypatch.setattr(ray_runs.tune, "with_resources", lambda trainable, _: trainable)
    monkeypatch.setattr(ray_runs.tune, "Tuner", lambda *_, **__: SimpleNamespace(fit=lambda: log.fit()))
    monkeypatch.setattr(ray_runs, "forget_generations", lambda _: log.append("generations are forgotten"))
    return log


def asked(*options):
    return make_request(parse(["--space", "smoke", *options]))


def fails(error, storage=None):
    def fit():
        if storage is not None:
            stopping.storage_failed(storage)
        raise error

    return fit


@pytest.mark.parametrize("error", [TuneError("Traceback ... No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_comes_out_whatever_tune_makes_of_it(happened, data, tmp_path, monkeypatch, error):
    happened.fit = fails(error, storage=FULL)
    monkeypatch.setattr(ray_runs, "close_study", lambda _: pytest.fail("behind a torn line"))
    with pytest.raises(OSError, match="No space left"):
        run_sweep(asked(), Resources(1, 0, 1), data, tmp_path, OPTIONS, Session(happened))


def test_a_full_disk_that_let_tune_end_comes_out_too(happened, data, tmp_path):
    happened.fit = lambda: stopping.storage_failed(FULL)
    with pytest.raises(OSError, match="No space left"):
        run_sweep(asked(), Resources(1, 0, 1), data, tmp_path, OPTIONS, Session(happened))


def test_another_error_of_tune_stays_what_it_is_and_the_study_is_closed(happened, data, tmp_path, monkeypatch):
    closed = []
    happened.fit = fails(TuneError("x"))
    monkeypatch.setattr(ray_runs, "close_study", closed.append)
    with pytest.raises(RayFailed, match=r"Ray Tune gave up \(x; --verbose says where"):
        run_sweep(asked(), Resources(1, 0, 1), data, tmp_path, OPTIONS, Session(happened))
    assert closed == [tmp_path]


@pytest.mark.parametrize("fit", [lambda: None, fails(KeyboardInterrupt())])
def test_what_members_of_a_population_may_still_need_goes_when_ray_has_ended(happened, data, tmp_path, fit):
    happened.fit = fit
    session = Session(happened)
    with suppress(KeyboardInterrupt):
        run_sweep(asked(), Resources(1, 0, 1), data, tmp_path, OPTIONS, session)
    session.close()
    assert happened[:3] == ["ray starts", "ray ends", "generations are forgotten"]
    assert not (tmp_path / ".ray").exists()


def test_the_searcher_of_the_default_search_is_the_guarded_one(happened, data, tmp_path, monkeypatch):
    searchers = []
    monkeypatch.setattr(SweepRun, "_run", lambda self, phase, searcher, *_: searchers.append(searcher))
    run_sweep(asked(), Resources(1, 0, 1), data, tmp_path, OPTIONS, Session(happened))
    assert [type(searcher) for searcher in searchers] == [DistinctOptunaSearch]


def test_ray_is_not_started_for_an_empty_list(happened, data, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_runs.plan, "searched_settings", lambda _: [])
    run_sweep(asked("--search", "random"), Resources(1, 0, 1), data, tmp_path, OPTIONS, Session(happened))
    assert "ray starts" not in happened


@pytest.mark.parametrize("at_a_time", [0, 5])
def test_a_race_is_run_again_while_it_gives_cells_back_and_not_when_nothing_can_run(
    happened, data, tmp_path, monkeypatch, at_a_time
):
    calls = []

    def run(self, phase, searcher, total, missing):
        calls.append(missing)
        for _ in range(at_a_time):  # of processes that die before they begin, none
            trial = searcher.suggest("t")
            if trial != Searcher.FINISHED:
                write_record(tmp_path / trial_name(trial), trial_cell(trial), FAILED, error="diverged")

    configs = [Configuration.of(config_dict(make_config("corrected", lr=lr))) for lr in (1e-3, 5e-4)]
    monkeypatch.setattr(SweepRun, "_run", run)
    monkeypatch.setattr(SweepRun, "run_search", lambda self: None)
    monkeypatch.setattr(ray_runs, "update_sweep", lambda *_, **__: None)
    monkeypatch.setattr(ray_runs, "chosen_configurations", lambda *_: configs)
    request = asked("--cv", "--cv-top", "2", "--race", "--labels", "PP1", "--folds", "4")
    run_sweep(request, Resources(1, 0, 1), data, tmp_path, OPTIONS, Session(happened))
    assert calls == ([8] if not at_a_time else [8, 3])
