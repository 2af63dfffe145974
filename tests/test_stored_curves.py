"""Stored learning curves: recorded as fit() trains, replayed without losing or inventing an epoch."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ray.tune.schedulers import FIFOScheduler

from deepdlt.config import TrainConfig
from deepdlt.dataset import Split
from deepdlt.training.fit import fit
from sweeps.tuning.pruning import Asha

sys.path.append(str(Path(__file__).with_name("benchmarks")))
from record_curves import EPOCHS, ask, curve, moments
from replay import AT, Candidate, Grid, Noise, Replay, halving

pytestmark = pytest.mark.usefixtures("nothing_asks_for_the_end")


@pytest.fixture(scope="module")
def grid():
    """Curves of `smoke`'s four configurations that rise and never cross; the last configuration is the best."""
    asked = ask("smoke", 42)
    settings = tuple(asked.tune_space.grid())
    values = np.array([[10 + k + at for at in AT] for k in range(len(settings))])
    return Grid(asked, settings, values, -values)


def replayed(candidate, grid, folder, seed=0):
    return Replay(candidate, grid, grid, seed, folder).run()


def test_a_recorded_curve_is_that_of_fit(tmp_path):
    crops = np.random.default_rng(0).integers(0, 256, (80, 1, 64, 64), dtype=np.uint8)
    split = Split(np.arange(64), np.arange(64, 80), np.arange(0))
    config = TrainConfig(model="res_ae", width=8, batch_size=8, epochs=EPOCHS, dropout=0.2, seed=3)
    recorded = dict(zip(moments(EPOCHS), curve(config, crops, split), strict=True))
    trained = [metrics["best_val_psnr_db"] for metrics in fit(config, crops, split, tmp_path)]
    assert [recorded[float(epoch)][0] for epoch in range(1, EPOCHS + 1)] == pytest.approx(trained, abs=1e-5)


@pytest.mark.parametrize("search", ["grid", "tpe", "gp", "warm"])
def test_without_a_scheduler_every_trial_is_trained_to_its_end(grid, tmp_path, search):
    found = replayed(Candidate("", FIFOScheduler, search), grid, tmp_path)
    assert (found.epochs, found.same, found.lost_db) == (EPOCHS * len(grid.settings), True, 0.0)


def test_shares_of_an_epoch_count_as_shares(grid, tmp_path):
    class StopsAtOnce(FIFOScheduler):
        def on_trial_result(self, tune_controller, trial, result):
            return "CONTINUE" if trial.number == 3 else "STOP"

    found = replayed(Candidate("", StopsAtOnce, first=0.25), grid, tmp_path)
    assert found.epochs == 3 * 0.25 + EPOCHS


def test_the_sweeps_own_asha_stops_the_worse(grid, tmp_path):
    warm = replayed(Candidate("", lambda: Asha(EPOCHS), "warm"), grid, tmp_path)  # the best come first
    assert warm.same
    assert warm.epochs < EPOCHS * len(grid.settings)


def test_halving_trains_the_best_share_of_each_rung(grid):
    found = halving(grid, (1.0, 3.0), 4)
    assert (found.epochs, found.same) == (4 * 1 + 1 * 2, True)


def test_noise_is_what_two_seeds_differ_in(grid):
    rows = [{k: (s, list(v + shift), list(v)) for k, (s, v) in enumerate(zip(grid.settings, grid.values, strict=True))}
            for shift in (0.0, 5.0)]  # fmt: skip
    same_for_all = Noise.between(*rows)
    assert np.allclose(same_for_all.onto(grid, np.random.default_rng(0)).values, grid.values)
    rows[1][0] = (grid.settings[0], list(grid.values[0] + 9.0), list(grid.values[0]))
    other = Noise.between(*rows).onto(grid, np.random.default_rng(0), near=1)
    assert abs(other.values[0] - grid.values[0]) == pytest.approx(4 / 2**0.5)
    assert np.allclose(other.values[1:], grid.values[1:])
    assert replace(grid, values=other.values).winner in (0, 3)
