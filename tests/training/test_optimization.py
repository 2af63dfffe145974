"""Optimizers, schedules and averaged weights: PyTorch's own, put together as the configuration says."""

import copy

import pytest
import torch
from torch import nn

from deepdlt.config import TrainConfig
from deepdlt.models import build_model
from deepdlt.training.optimization import AveragedWeights, make_optimizer, make_schedule


def test_adamw_decays_matrices_and_spares_norms_and_biases():
    model = build_model(TrainConfig())
    before = copy.deepcopy(model.state_dict())
    optimizer = make_optimizer(TrainConfig(optimizer="adamw", lr=0.1, weight_decay=0.5), model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        factor = 0.95 if parameter.ndim > 1 else 1.0  # 1 - lr * weight_decay
        torch.testing.assert_close(parameter.detach(), factor * before[name])


def rates(schedule, steps_per_epoch=20, **settings):
    config = TrainConfig(epochs=5, lr=0.5, schedule=schedule, **settings)
    optimizer = make_optimizer(config, nn.Linear(1, 1))
    made, found = make_schedule(config, optimizer, steps_per_epoch), []
    for _ in range(5 * steps_per_epoch):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    return torch.tensor(found)


def test_cosine_is_pytorchs():
    optimizer = make_optimizer(TrainConfig(lr=0.5), nn.Linear(1, 1))
    theirs, expected = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100), []
    for _ in range(100):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    torch.testing.assert_close(rates("cosine"), torch.tensor(expected), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("schedule", ["cosine", "onecycle"])
def test_the_rate_rises_to_lr_in_the_warm_up_and_falls_to_almost_nothing(schedule):
    found = rates(schedule, warmup=0.2)
    assert int(found.argmax()) in (19, 20)
    assert float(found.max()) == pytest.approx(0.5, rel=1e-3)
    assert (found[:19].diff() > 0).all()
    assert (found[21:].diff() < 0).all()
    assert found[-1] < 1e-3


def test_one_cycle_leaves_the_momentum_of_sgd_as_it_was_set():
    config = TrainConfig(epochs=1, optimizer="sgd", momentum=0.5, schedule="onecycle")
    optimizer = make_optimizer(config, nn.Linear(1, 1))
    schedule = make_schedule(config, optimizer, 10)
    for _ in range(10):
        assert optimizer.param_groups[0]["momentum"] == 0.5
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("start", [5.0, -5000.0])
def test_plateau_lowers_the_rate_at_the_third_stale_epoch_also_of_negative_losses(start):
    optimizer = make_optimizer(TrainConfig(lr=1.0), nn.Linear(1, 1))
    schedule = make_schedule(TrainConfig(schedule="plateau"), optimizer, 10)
    rates = []
    for loss in (start, start - 1e-3, start, start, start):
        schedule.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 1.0, 1.0, pytest.approx(0.3)]


def test_the_average_follows_at_once_in_the_beginning_and_slowly_later():
    model = nn.Linear(1, 1)
    averaged = AveragedWeights(model, decay=0.99)
    expected = None
    for step in range(1, 200):
        with torch.no_grad():
            model.weight.fill_(step)
        averaged.update(model, step)
        decay = min(0.99, (1 + step) / (10 + step))
        expected = step if expected is None else decay * expected + (1 - decay) * step
    assert averaged.module.weight.item() == pytest.approx(expected, rel=1e-4)
