"""What a trial costs: its disk, which configurations cost the same, and which of them are measured."""

import random

import numpy as np
import pytest
import torch

import sweeps.planning.cost
from deepdlt.config import TrainConfig, config_dict
from deepdlt.dataset.stratified_split import plain_split
from deepdlt.models import build_model
from deepdlt.training.step_time import StepTime
from sweeps.planning import cost as measuring
from sweeps.planning.cost import ESTIMATED, FINISHED, MEASURED, MOST_MEASURED, OF_FINISHED, measure, trial_mb
from sweeps.planning.cost_classes import cost_class, descriptions, least_work_first
from sweeps.request.resources import Resources
from sweeps.store.trial_records import COMPLETE, PRUNED

ONE = Resources(cpus_per_trial=1, gpus_per_trial=0, max_concurrent=1)


@pytest.fixture(scope="module")
def split(patches):
    return plain_split(patches.images, patches.image_id, label="PP1")


@pytest.fixture
def told_times(monkeypatch):
    """step_time() answers at once: a step takes as many seconds as the kernel is wide; the calls are kept."""
    calls = []

    def told(config, crops, split, device="cpu", budget_s=1.0, beside=0):
        calls.append((config, device, budget_s, beside, torch.get_num_threads()))
        return StepTime(step_s=float(config.kernel_size) * (1.5 if beside else 1.0), crop_s=0.0, memory_mb=100.0)

    monkeypatch.setattr(measuring, "step_time", told)
    return calls


def kernels(*sides):
    return [TrainConfig(kernel_size=side) for side in sides]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"kernel_size": 5},
        {"model": "cnn_vae", "latent_dim": 512},
        {"model": "res_ae", "latent_channels": 16},
        {"model": "res_ae", "latent_channels": 0},
        {"model": "res_vae", "latent_channels": 0, "width": 64, "blocks": 3},
    ],
)
def test_the_disk_that_is_planned_is_that_of_the_checkpoints(settings):
    config = TrainConfig(**settings)
    parameters = sum(p.numel() for p in build_model(config).parameters())
    assert trial_mb(config) - 4 == pytest.approx(7 * 4e-6 * parameters, rel=0.3)


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 1e-2, "seed": 5, "dropout": 0.4, "optimizer": "sgd", "weight_decay": 0.1, "schedule": "cosine"},
        {"width": 64, "blocks": 3, "latent_dim": 7},  # of other models
        {"epochs": 99, "early_stopping": 3},
    ],
)
def test_settings_that_change_no_work_are_of_one_class(settings):
    assert cost_class(TrainConfig(**settings)) == cost_class(TrainConfig())


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "res_ae"},
        {"kernel_size": 5},
        {"decoder_kernel_size": 3},
        {"activation": "elu"},
        {"batch_size": 64},
        {"ema": 0.9},
        {"ms_ssim_weight": 0.1},
        {"focal_frequency_weight": 0.1},
        {"spectrum_weight": 0.1},
        {"precision": "fp32"},
        {"augment_symmetry": "flips"},
        {"augment_brightness": 0.1},
        {"input_noise": 0.1},
    ],
)
def test_settings_that_change_the_work_are_of_another_class(settings):
    assert cost_class(TrainConfig(**settings)) != cost_class(TrainConfig())


def test_how_strong_a_loss_term_is_changes_no_work():
    weak, strong = (TrainConfig(ms_ssim_weight=weight, ema=ema) for weight, ema in ((0.1, 0.9), (0.5, 0.99)))
    assert cost_class(weak) == cost_class(strong)


def test_classes_are_told_apart_by_what_differs():
    classes = [cost_class(TrainConfig(kernel_size=k, ema=e)) for k in (3, 5) for e in (0.0, 0.9)]
    assert list(descriptions(classes).values()) == [
        "kernel_size 3, no ema",
        "kernel_size 3, ema",
        "kernel_size 5, no ema",
        "kernel_size 5, ema",
    ]
    assert list(descriptions(classes[:1]).values()) == ["all"]


def test_the_least_work_comes_first_and_the_most_last():
    grid = [
        TrainConfig(model=model, kernel_size=kernel, activation=activation, batch_size=batch, ema=ema)
        for model in ("cnn_vae", "cnn_ae")
        for kernel in (5, 3, 11)
        for activation in ("elu", "relu")
        for batch in (16, 128)
        for ema in (0.9, 0.0)
    ]
    order = least_work_first([cost_class(config) for config in grid])
    cheapest = TrainConfig(kernel_size=3, activation="relu", batch_size=128)
    dearest = TrainConfig(model="cnn_vae", kernel_size=11, activation="elu", batch_size=16, ema=0.9)
    assert (order[0], order[-1]) == (cost_class(cheapest), cost_class(dearest))
    assert len(order) == len(grid)


def test_each_class_is_measured_once_and_knows_its_share(patches, split, told_times):
    configs = [TrainConfig(kernel_size=k, lr=lr) for k, lr in ((5, 1e-3), (3, 1e-3), (3, 1e-4), (3, 1e-5))]
    costs = measure(configs, patches.crops, split, ONE)
    assert [(c.described, c.share, c.source) for c in costs] == [
        ("kernel_size 3", 0.75, MEASURED),
        ("kernel_size 5", 0.25, MEASURED),
    ]
    assert len(told_times) == 2
    steps = len(split.train) / 32
    for cost, side in zip(costs, (3, 5), strict=True):
        assert cost.epoch_s[0] < side * steps < cost.epoch_s[1]
    assert sum(budget for _, _, budget, _, _ in told_times) == pytest.approx(3.0)


def test_of_many_classes_the_extremes_and_some_between_are_measured(patches, split, told_times):
    costs = measure(kernels(*range(15, 0, -2)), patches.crops, split, ONE)
    assert [c.described for c in costs] == [f"kernel_size {side}" for side in range(1, 16, 2)]
    assert sum(c.source == MEASURED for c in costs) == MOST_MEASURED == len(told_times)
    assert (costs[0].source, costs[-1].source) == (MEASURED, MEASURED)
    between = [c for c in costs if c.source == ESTIMATED]
    assert len(between) == 2
    for cost in between:  # the time told is linear in the side, so the interpolation must hit it
        side = int(cost.described.split()[1])
        assert cost.epoch_s[0] < side * len(split.train) / 32 < cost.epoch_s[1]
        assert cost.epoch_s[1] / cost.epoch_s[0] > costs[0].epoch_s[1] / costs[0].epoch_s[0]  # less sure


def test_trials_at_the_same_time_are_measured_at_the_same_time(patches, split, told_times, monkeypatch):
    monkeypatch.setattr(sweeps.planning.cost.os, "sched_getaffinity", lambda _: set(range(8)))
    alone = measure(kernels(3), patches.crops, split, ONE)[0]
    four = measure(kernels(3), patches.crops, split, Resources(2, 0, 8))[0]
    assert [(beside, threads) for _, _, _, beside, threads in told_times] == [(0, 1), (0, 2), (3, 2)]
    assert four.epoch_s[1] == pytest.approx(1.5 * alone.epoch_s[1], rel=0.01)
    assert alone.epoch_s[0] < four.epoch_s[0] < 1.5 * alone.epoch_s[0]


def test_trials_that_share_a_gpu_are_at_worst_as_slow_as_there_are_of_them(patches, split, told_times):
    whole, shared = (measure(kernels(3), patches.crops, split, Resources(1, g, 4))[0] for g in (1, 0.25))
    assert [device for _, device, _, _, _ in told_times] == ["cuda", "cuda"]
    assert shared.epoch_s[0] == whole.epoch_s[0]
    assert shared.epoch_s[1] == pytest.approx(4 * whole.epoch_s[1], rel=0.01)
    assert shared.memory_mb == 100.0


def test_what_does_not_fit_into_the_gpu_is_left_out(patches, split, monkeypatch):
    def full(config, *_):
        if config.kernel_size > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return StepTime(1.0, 0.0, 10.0)

    monkeypatch.setattr(measuring, "step_time", full)
    gpu = Resources(1, 1, 1)
    assert [c.source for c in measure(kernels(3, 5), patches.crops, split, gpu)] == [MEASURED, ESTIMATED]
    assert measure(kernels(5), patches.crops, split, gpu) == []


def record(kernel_size, epoch_s, **changes):
    config = config_dict(TrainConfig(kernel_size=kernel_size, lr=1e-5))
    return {"status": COMPLETE, "device": "cpu", "threads": 1, "config": config, "epoch_s": epoch_s} | changes


def test_finished_trials_are_believed_instead(patches, split, told_times):
    records = [
        record(5, 20.0),
        record(5, 40.0),
        record(5, 1e6, status=PRUNED),
        record(5, 1e6, device="cuda"),
        record(5, 1e6, threads=2),
        record(5, None),
        record(5, 1e6, config={"kernel_size": 5, "forgotten": 1}),
    ]
    costs = measure(kernels(3, 5), patches.crops, split, ONE, records=records)
    assert [(c.source, c.trials) for c in costs] == [(MEASURED, 0), (FINISHED, 2)]
    assert costs[1].epoch_s == pytest.approx((OF_FINISHED[0] * 30, OF_FINISHED[1] * 30))
    assert [config.kernel_size for config, *_ in told_times] == [3]
    assert measure(kernels(5), patches.crops, split, ONE, records=records)[0].described == "all"
    assert len(told_times) == 1  # nothing more to measure


def test_measuring_leaves_random_numbers_and_threads_alone(patches, split):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    threads = torch.get_num_threads()
    config = TrainConfig(model="res_ae", width=8, batch_size=8)
    cost = measure([config], patches.crops, split, Resources(1, 0, 2), budget_s=0.0)[0]
    assert 0 < cost.epoch_s[0] < cost.epoch_s[1]
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == states[1:]  # noqa: NPY002
    assert torch.get_num_threads() == threads


def test_a_larger_network_costs_more_epochs_and_more_trials(patches, split):
    configs = [TrainConfig(model="res_ae", width=width, batch_size=8) for width in (8, 64)]
    small, large = measure(configs, patches.crops, split, ONE, budget_s=0.3)
    assert (small.described, large.described) == ("width 8", "width 64")
    assert large.epoch_s[0] > small.epoch_s[0]
    assert large.epoch_s[1] > 2 * small.epoch_s[1]
