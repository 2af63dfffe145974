"""The state of a training between two epochs: created, read from a checkpoint, written to it."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepdlt.config import PROTOCOLS, ConfigError, TrainConfig, config_dict
from deepdlt.dataset import Split
from deepdlt.models import Variational, build_model, load_last
from deepdlt.training.optimization import AveragedWeights, Schedule, make_optimizer, make_schedule

EXTENDABLE = ("constant", "plateau")  # schedules that do not depend on the number of epochs


@dataclass
class Run:
    """The state of a training between two epochs."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule | None
    averaged: AveragedWeights | None
    epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)
    """The metrics of the epoch with the lowest val_loss so far."""
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def plateau(self) -> torch.optim.lr_scheduler.ReduceLROnPlateau | None:
        """The schedule, if it is stepped per epoch and not per batch; else None."""
        return self.schedule if isinstance(self.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau) else None

    @property
    def evaluated(self) -> nn.Module:
        """The weights that are validated and tested."""
        return self.averaged.module if self.averaged else self.model


@dataclass(frozen=True)
class TrainingData:
    """The data of a training, on the device."""

    crops: Tensor
    train: Tensor
    val: Tensor
    train_shown: Tensor
    """Training crops for the train loss in eval mode: evenly spread, as many as there are validation crops."""
    digest: str
    """Hash of crops and split: a training never resumes with others."""


def is_extendable(config: TrainConfig) -> bool:
    """True if a finished training can continue to more epochs: its learning rates do not depend on their number."""
    return config.schedule in EXTENDABLE and not config.warmup


def new_run(config: TrainConfig, data: TrainingData) -> Run:
    """The state before the first epoch, on the device of the crops; seeds torch's global generator."""
    torch.manual_seed(epoch_seed(config, 0))
    model = build_model(config).to(data.crops.device).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(config, model)
    schedule = make_schedule(config, optimizer, steps_per_epoch(config, data))
    return Run(model, optimizer, schedule, AveragedWeights(model, config.ema) if config.ema else None)


def resumed_run(config: TrainConfig, directory: Path, data: TrainingData) -> Run:
    """The state in the newest checkpoint, or a new one."""
    run = new_run(config, data)
    state = load_last(directory)
    if state is None:
        return run
    _check_same(config, state, directory)
    if state.get("data", data.digest) != data.digest:
        raise ConfigError(f"{directory} holds a training on other crops or another split; choose another directory")
    run.model.load_state_dict(state["raw_state_dict" if run.averaged else "model_state_dict"])
    run.optimizer.load_state_dict(state["optimizer_state_dict"])
    if run.averaged:
        run.averaged.module.load_state_dict(state["model_state_dict"])
        run.averaged.n_averaged.fill_(1)  # marks the average as started; update() counts the steps
    if run.schedule is not None:
        run.schedule.load_state_dict(state["schedule_state_dict"])
    run.epoch, run.best, run.metrics = state["epoch"], state["best"], state["metrics"]
    return run


def _check_same(config: TrainConfig, state: dict[str, Any], directory: Path) -> None:
    """Refuse to resume with another configuration, or with fewer epochs than are trained.

    A field that an older checkpoint lacks counts as its default; a field of the protocol, as the requested value.
    """
    asked = config_dict(config)
    saved = {**config_dict(TrainConfig()), **{name: asked[name] for name in PROTOCOLS["report"]}, **state["config"]}
    different = [name for name, value in asked.items() if saved[name] != value]
    if different == ["epochs"] and is_extendable(config) and config.epochs >= state["epoch"]:
        return
    if different:
        listed = "; ".join(f"`{name}` is {saved[name]!r} there, {asked[name]!r} here" for name in different)
        done = f", {state['epoch']} epochs are trained" if "epochs" in different else ""
        raise ConfigError(
            f"{directory} holds a training of another configuration ({listed}{done}); choose another directory"
        )


def run_state(run: Run) -> dict[str, Any]:
    """Everything that the next epoch depends on, except its random numbers, which are seeded by its number."""
    state = best_state(run) | {"optimizer_state_dict": run.optimizer.state_dict()}
    if run.averaged:
        state["raw_state_dict"] = run.model.state_dict()
    if run.schedule is not None:
        state["schedule_state_dict"] = run.schedule.state_dict()
    return state


def best_state(run: Run) -> dict[str, Any]:
    """The validated weights and their metrics."""
    return {
        "epoch": run.epoch,
        "model_state_dict": run.evaluated.state_dict(),
        "loss": run.metrics["val_loss"],
        "best": run.best,
        "metrics": run.metrics,
    } | ({"decoder_variance": run.evaluated.decoder_variance} if isinstance(run.evaluated, Variational) else {})


def steps_per_epoch(config: TrainConfig, data: TrainingData) -> int:
    """Number of batches per epoch: a single last crop joins the batch before."""
    full, rest = divmod(len(data.train), config.batch_size)
    return max(1, full + (rest > 1))


def data_digest(crops: np.ndarray, split: Split) -> str:
    """sha256 of the split and of 512 evenly spread crops: fast, and enough to tell data sets apart."""
    digest = hashlib.sha256(repr(crops.shape).encode())
    for part in (crops[:: max(1, len(crops) // 512)], split.train, split.val, split.test):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def epoch_seed(config: TrainConfig, epoch: int) -> int:
    """The random seed of an epoch; epoch 0 is that of the initial weights."""
    return int(np.random.SeedSequence([config.seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
