"""step_time(): medians by a clock of its own, of the functions that fit() calls; and it leaves no trace."""

import importlib
import threading

import numpy as np
import pytest
import torch

from deepdlt.config import TrainConfig
from deepdlt.dataset.stratified_split import Split, plain_split
from deepdlt.training.fit import fit, train_step, validate
from deepdlt.training.step_time import QUIET, StepTime, step_time

fitting, measuring = (importlib.import_module(f"deepdlt.training.{name}") for name in ("fit", "step_time"))
SMALL = TrainConfig(model="res_ae", width=8, batch_size=8)


@pytest.fixture(scope="module")
def split(patches):
    return plain_split(patches.images, patches.image_id, label="PP1")


class Clock:
    """Stands in for `time` in step_time: it moves only by what the work is said to take."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def takes(self, seconds, work):
        """`work`, done as ever, after which this clock has moved on by the next of `seconds`, and then by the last."""
        left = list(seconds)

        def timed(*arguments):
            done = work(*arguments)
            self.now += left.pop(0) if len(left) > 1 else left[0]
            return done

        return timed


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(measuring, "time", clock)
    return clock


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"activation": "elu", "kernel_size": 5},
        {"model": "cnn_vae", "latent_dim": 8},
        {"train_loss_mode": "running", "ema": 0.9},
    ],
)
def test_the_median_step_and_validation_are_those_that_the_clock_says(patches, split, clock, monkeypatch, settings):
    steps, validations = [9.0, 0.5, 7.0, 0.5], [9.0, 0.3]  # the first one warms up; 7 s is an outlier
    monkeypatch.setattr(measuring, "train_step", clock.takes(steps, train_step))
    monkeypatch.setattr(measuring, "validate", clock.takes(validations, validate))
    config = TrainConfig(batch_size=16, **settings)
    measured = step_time(config, patches.crops, split, budget_s=20.0)
    assert measured.step_s == pytest.approx(0.5)
    assert measured.crop_s == pytest.approx(0.3 / 16)
    assert measured.memory_mb == 0  # of a device that has memory of its own
    assert clock.now == pytest.approx(20.0, abs=9.0)  # the budget, but for the call that passes its end


def test_fit_trains_and_validates_by_the_functions_that_are_timed(patches, split, tmp_path, monkeypatch):
    """What the epoch of a real training takes: the same steps, as many as step_time() counts, and one validation."""
    calls = []
    for name, function in {"train_step": train_step, "validate": validate}.items():
        monkeypatch.setattr(fitting, name, lambda *a, name=name, do=function: calls.append(name) or do(*a))
    config = TrainConfig(model="res_ae", width=8, batch_size=16, epochs=1)
    list(fit(config, patches.crops, split, tmp_path))
    assert (measuring.train_step, measuring.validate) == (train_step, validate)
    assert calls.count("train_step") == -(-len(split.train) // 16)
    assert calls.count("validate") == 1


def test_an_epoch_is_its_steps_and_its_validation():
    measured = StepTime(step_s=0.5, crop_s=0.01)
    assert measured.epoch_s(TrainConfig(batch_size=32), n_train=320, n_val=100) == pytest.approx(10 * 0.5 + 1.0)
    assert measured.epoch_s(TrainConfig(batch_size=32), n_train=336, n_val=0) == pytest.approx(10.5 * 0.5)
    assert measured.epoch_s(TrainConfig(batch_size=32), n_train=20, n_val=0) == pytest.approx(0.5)


def test_random_numbers_and_crops_are_left_as_they_were(patches, split):
    torch.manual_seed(3)
    expected, crops = torch.rand(4), patches.crops.copy()
    torch.manual_seed(3)
    step_time(SMALL, patches.crops, split, budget_s=0.0, beside=1)
    assert torch.equal(torch.rand(4), expected)
    assert np.array_equal(patches.crops, crops)


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 1e30},
        {"schedule": "onecycle", "epochs": 1},
        {"schedule": "plateau"},
        {"optimizer": "sgd", "lr": 1e30, "warmup": 0.5},
    ],
)
def test_lr_and_its_schedule_do_not_matter(patches, split, settings):
    config = TrainConfig(model="res_ae", width=8, batch_size=8, **settings)
    assert step_time(config, patches.crops, split, budget_s=0.0).step_s > 0
    assert set(QUIET) == {"lr", "schedule", "warmup"}


def test_crops_that_may_only_be_read_are_not_written(patches, split):
    crops = patches.crops.copy()
    crops.flags.writeable = False
    assert step_time(SMALL, crops, split, budget_s=0.0).crop_s > 0


def test_fewer_crops_than_a_batch_are_enough(patches, split):
    tiny = Split(split.train[:5], split.val[:1], split.test)
    measured = step_time(SMALL, patches.crops, tiny, budget_s=0.0)
    assert measured.step_s > 0
    assert measured.crop_s > 0


def test_trainings_beside_the_measured_one_train_with_it_and_end_with_it(patches, split, monkeypatch):
    threads = set()

    def step(*arguments):
        threads.add(threading.get_ident())
        return train_step(*arguments)

    monkeypatch.setattr(measuring, "train_step", step)
    before = threading.active_count()
    step_time(SMALL, patches.crops, split, budget_s=0.3, beside=2)
    assert threading.active_count() == before
    assert len(threads) == 1 + 2
