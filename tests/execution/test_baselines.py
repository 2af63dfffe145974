"""Baselines of a sweep's splits: computed once, kept on disk, renewed when anything that they depend on changes."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray import tune

from deepdlt.analysis.baselines import baseline_table
from deepdlt.config import config_dict
from deepdlt.dataset.stratified_split import Split
from sweeps.execution import baselines as sweep_baselines
from sweeps.execution.baselines import compute_baselines, latent_sizes
from sweeps.identity.data import SweepData
from sweeps.request.request import Request
from sweeps.space.configuration import Configuration
from sweeps.space.tune_space import TuneSpace
from sweeps.store.baselines_file import BASELINES, read_baselines
from sweeps.store.cell import Cell
from sweeps.store.trial_record import TrialRecord, write_record


def request(**changes: Any) -> Request:
    given: dict[str, Any] = {
        "tune_space": TuneSpace({"model": "cnn_vae", "latent_dim": tune.choice([8, 32])}),
        "cv": True,
        "cv_only": False,
        "labels": ("angle",),
        "folds": 2,
    }
    searched = {"search": "optuna", "scheduler": "none", "trials": 1, "epochs": 1}
    given |= {"space": "s", "question": "q", "protocol": "corrected", "seed": 0, **searched}
    return Request(**{**given, **changes})


@pytest.fixture
def data() -> SweepData:
    crops = np.random.default_rng(0).integers(0, 256, (60, 1, 16, 16), np.uint8)
    parts = {("angle", fold): np.roll(np.arange(60), 20 * fold) for fold in range(3)}
    splits = {place: Split(order[:40], order[40:50], order[50:]) for place, order in parts.items()}
    return SweepData(SimpleNamespace(crops=crops, fingerprint="f"), splits, "d", True, {})  # type: ignore[arg-type]


def searched(**settings: Any) -> Cell:
    config = Configuration.of(config_dict(request().config(Configuration.of(settings))))
    return Cell("search", config, "angle", 0, 0, "f")


@pytest.fixture
def sweep(tmp_path):
    cell = searched(latent_dim=8)
    write_record(tmp_path / cell.name(1), cell, "complete", metrics={"best_val_psnr_db": 20.0})
    return tmp_path


@pytest.fixture
def computed(monkeypatch):
    """The calls of baseline_table."""
    calls = []
    monkeypatch.setattr(
        sweep_baselines,
        "baseline_table",
        lambda crops, train, *rest, **options: calls.append(options) or baseline_table(crops, train, *rest, **options),
    )
    return calls


def test_every_split_is_computed_with_all_its_training_crops(sweep, data, computed):
    compute_baselines(request(), data, sweep, quiet=True)
    found = read_baselines(sweep)
    assert [split.split for split in found.splits] == [("angle", 0, 0), ("angle", 1, 2), ("angle", 2, 2)]
    assert computed == [{"fit_crops": 40}] * 3
    split = data.splits["angle", 1]
    table = baseline_table(data.patches.crops, split.train, split.test, [8, 32, 128])
    assert found.of(("angle", 1, 2)).rows == tuple(table)
    assert (found.pixels, found.latent_sizes) == (256, (8, 32))


def test_nothing_is_computed_twice(sweep, data, computed):
    compute_baselines(request(), data, sweep, quiet=True)
    before = (sweep / BASELINES).stat().st_mtime_ns
    compute_baselines(request(), data, sweep, quiet=True)
    assert len(computed) == 3
    assert (sweep / BASELINES).stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["damage", "sizes", "data", "split"])
def test_what_they_depend_on_renews_them(sweep, data, computed, change):
    compute_baselines(request(), data, sweep, quiet=True)
    asked, expected = request(), 6
    if change == "damage":
        (sweep / BASELINES).write_bytes((sweep / BASELINES).read_bytes()[:-50])
    elif change == "sizes":
        asked = request(tune_space=TuneSpace({"model": "cnn_vae", "latent_dim": tune.choice([8, 33])}))
    elif change == "data":
        data = replace(data, patches=SimpleNamespace(crops=data.patches.crops, fingerprint="g"))
    else:
        split = data.splits["angle", 2]
        data.splits["angle", 2] = replace(split, test=split.test[:-1])
        expected = 4
    compute_baselines(asked, data, sweep, quiet=True)
    assert len(computed) == expected
    assert len(read_baselines(sweep).splits) == 3


def test_an_interruption_keeps_the_splits_that_are_done(sweep, data, monkeypatch, computed):
    whole = sweep_baselines.write_baselines
    monkeypatch.setattr(sweep_baselines, "write_baselines", lambda *given: whole(*given) or stop())
    with pytest.raises(KeyboardInterrupt):
        compute_baselines(request(), data, sweep, quiet=True)
    monkeypatch.setattr(sweep_baselines, "write_baselines", whole)
    compute_baselines(request(), data, sweep, quiet=True)
    assert len(computed) == 3


def stop():
    raise KeyboardInterrupt


def test_a_later_search_keeps_the_baselines_of_the_folds(sweep, data):
    compute_baselines(request(), data, sweep, quiet=True)
    alone = replace(data, splits={("angle", 0): data.splits["angle", 0]})
    compute_baselines(request(cv=False, labels=()), alone, sweep, quiet=True)
    assert len(read_baselines(sweep).splits) == 3


def test_a_grid_of_folds_alone_needs_no_split_of_a_search(sweep, data):
    compute_baselines(request(cv_only=True), data, sweep, quiet=True)
    assert [split.fold for split in read_baselines(sweep).splits] == [1, 2]


def test_without_a_complete_trial_there_is_nothing_to_compare_with(tmp_path, data):
    compute_baselines(request(), data, tmp_path)
    assert not (tmp_path / BASELINES).exists()


def test_progress_is_shown_unless_quiet(sweep, data, capsys):
    compute_baselines(request(), data, sweep)
    assert capsys.readouterr().err.splitlines() == [f"computing baselines: {k}/3 splits" for k in (1, 3)]


def test_numbers_that_are_not_finite_are_null(sweep, data):
    data.patches.crops[:] = 0
    compute_baselines(request(), data, sweep, quiet=True)
    assert read_baselines(sweep).splits[0].rows[0]["psnr_db"] is None


@pytest.mark.parametrize(
    ("domains", "sizes"),
    [
        ({"model": "cnn_ae", "lr": tune.choice([1e-3, 1e-4])}, [8192]),
        ({"model": tune.choice(["cnn_ae", "cnn_vae"]), "latent_dim": tune.choice([32, 64])}, [32, 64, 8192]),
        ({"model": "res_ae", "latent_channels": tune.choice([0, 4, 128])}, [128, 256, 8192]),
        ({"model": "cnn_vae", "latent_dim": tune.randint(16, 64)}, [16, 40, 63]),
        ({"model": tune.choice(["cnn_ae", "cnn_vae"]), "loss": "l1"}, [8192]),
    ],
)
def test_the_sizes_are_those_of_all_configurations(domains, sizes):
    cell = searched(latent_dim=40)
    best = TrialRecord(name="s0001", status="complete", cell=cell, identity=cell.identity)
    of_range = best if domains["model"] == "cnn_vae" else None
    assert latent_sizes(request(tune_space=TuneSpace(domains)), of_range) == sizes
