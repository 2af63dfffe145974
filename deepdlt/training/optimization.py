"""Optimizer, learning-rate schedule and averaged weights for a TrainConfig, from PyTorch."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler, swa_utils

from deepdlt.config import TrainConfig

PLATEAU_FACTOR, PLATEAU_PATIENCE = 0.3, 2  # the third epoch without a lower loss reduces the rate
ONECYCLE_RISE = 0.3  # share of the steps; PyTorch's own default
Schedule = lr_scheduler.LRScheduler | lr_scheduler.ReduceLROnPlateau


def make_optimizer(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Adam with an L2 penalty, AdamW without decay of norms and biases, or SGD with momentum; fused kernels."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum, fused=True)
    if config.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def make_schedule(config: TrainConfig, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> Schedule | None:
    """The schedule, or None for a constant rate. Step it after each batch; ReduceLROnPlateau after each epoch."""
    if config.schedule == "plateau":
        # An absolute threshold: PyTorch's relative one is wrong for negative losses, such as an ELBO's.
        options: dict[str, Any] = {"threshold_mode": "abs", "threshold": 0.0}
        return lr_scheduler.ReduceLROnPlateau(optimizer, factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE, **options)
    steps = config.epochs * steps_per_epoch
    if config.schedule == "onecycle":
        rise = config.warmup or ONECYCLE_RISE
        cycled = config.optimizer != "sgd"  # Adam's beta1 falls to 0.85 and rises again; SGD keeps its momentum
        return lr_scheduler.OneCycleLR(
            optimizer, config.lr, total_steps=steps + 1, pct_start=rise, cycle_momentum=cycled
        )
    if config.schedule == "constant" and not config.warmup:
        return None
    rising = round(config.warmup * steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        if config.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

    return lr_scheduler.LambdaLR(optimizer, factor)


class AveragedWeights(swa_utils.AveragedModel):
    """Exponential moving average of weights and batch-norm statistics, with a shorter memory in the first steps.

    The decay at step n is min(decay, (1 + n) / (10 + n)), so that the first steps do not dominate a short training.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self.decay = decay

    def update(self, model: nn.Module, step: int) -> None:
        """Add the weights after step 1, 2, ..."""
        self.multi_avg_fn = swa_utils.get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))
        self.update_parameters(model)
