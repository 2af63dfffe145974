"""step_time(): it agrees with what fit() takes, and leaves no trace."""

import os
import statistics
import threading

import numpy as np
import pytest
import torch

from deepdlt.config import TrainConfig
from deepdlt.dataset.stratified_split import Split, plain_split
from deepdlt.training.fit import fit
from deepdlt.training.step_time import QUIET, StepTime, step_time

SMALL = TrainConfig(model="res_ae", width=8, batch_size=8)


@pytest.fixture(scope="module")
def split(patches):
    return plain_split(patches.images, patches.image_id, label="PP1")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"activation": "elu", "kernel_size": 5},
        {"model": "cnn_vae", "latent_dim": 8},
        {"train_loss_mode": "running", "ema": 0.9},
    ],
)
def test_the_measured_epoch_agrees_with_that_of_a_real_training(patches, split, tmp_path, settings):
    config = TrainConfig(epochs=5, batch_size=16, **settings)
    halves = [step_time(config, patches.crops, split, budget_s=0.5)]
    real = [metrics["epoch_s"] for metrics in fit(config, patches.crops, split, tmp_path)]
    halves.append(step_time(config, patches.crops, split, budget_s=0.5))  # before and after: others use the machine too
    measured = statistics.mean(half.epoch_s(config, len(split.train), len(split.val)) for half in halves)
    assert 1 / 1.6 < measured / statistics.median(real[1:]) < 1.6


def test_a_network_with_more_work_takes_longer(patches, split):
    few, many = (
        step_time(TrainConfig(model="res_ae", width=width, batch_size=8), patches.crops, split, budget_s=0.2)
        for width in (8, 64)
    )
    assert many.step_s > 2 * few.step_s
    assert many.crop_s > few.crop_s
    assert few.memory_mb == 0  # of a device that has memory of its own


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


def test_trainings_beside_the_measured_one_end_with_it_and_slow_it(patches, split):
    before, more_than_fit = threading.active_count(), 2 * len(os.sched_getaffinity(0))
    alone = step_time(SMALL, patches.crops, split, budget_s=0.3)
    crowded = step_time(SMALL, patches.crops, split, budget_s=0.3, beside=more_than_fit)
    assert threading.active_count() == before
    assert crowded.step_s > alone.step_s
