"""Training as a generator: one dict of metrics per epoch, a checkpoint after each, resume without being asked.

Everything random in epoch e is drawn from seeds made of (config.seed, e), so a resumed training repeats the
uninterrupted one, and its data order does not depend on anything else that uses random numbers.

`python -m deepdlt.training --help` trains one configuration from the command line.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepdlt.checkpoint import BEST, load_last, save_checkpoint, save_last
from deepdlt.config import PROTOCOLS, ConfigError, TrainConfig, config_dict
from deepdlt.config_rules import VAES
from deepdlt.dataset_loader import batches
from deepdlt.evaluation import evaluate, mean_floor
from deepdlt.inference import forward, scale
from deepdlt.models import build_model
from deepdlt.models.vae import Variational
from deepdlt.objective import training_loss
from deepdlt.optimization import AveragedWeights, Schedule, make_optimizer, make_schedule
from deepdlt.stratified_split import Split
from deepdlt.transforms import Brightness, GaussianNoise, RandomDihedral

EPOCH_METRICS = (
    "epoch",
    "finished",
    "train_loss",
    *(f"{part}_{name}" for part in ("val", "best_val") for name in ("loss", "psnr_db", "ssim")),
    "best_epoch",
    "lr",
    "epoch_s",
    "images_per_s",
)
"""The keys of what fit() always yields. A VAE adds `val_` + deepdlt.evaluation.VAE_TERMS; inputs in [-1, 1] add
`val_loss_floor`, the lowest loss that outputs in [0, 1] can reach, and `val_loss_excess` above it."""
EXTENDABLE = ("constant", "plateau")  # schedules that do not depend on the number of epochs


@dataclass
class Run:
    """A training between two epochs."""

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
        """The schedule, if it is one of epochs and not of steps."""
        return self.schedule if isinstance(self.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau) else None

    @property
    def evaluated(self) -> nn.Module:
        """The weights that are validated and tested."""
        return self.averaged.module if self.averaged else self.model


@dataclass(frozen=True)
class TrainingData:
    """Everything on the device, for the whole training."""

    crops: Tensor
    train: Tensor
    val: Tensor
    train_shown: Tensor
    """As many of the training crops as are validated, evenly spread: where the train loss is taken in eval mode."""
    digest: str
    """Of crops and split: a training never goes on with others."""


def fit(
    config: TrainConfig,
    crops: np.ndarray,
    split: Split,
    directory: Path,
    device: str = "cpu",
    on_step: Callable[[int, int, int], None] | None = None,
) -> Iterator[dict[str, float]]:
    """Train and validate; yield the metrics of each epoch.

    Writes `last.pt` after every epoch (the one before stays as `previous.pt`) and `best.pt` (lowest validation loss)
    into `directory`. When last.pt is there already, the metrics of its epoch are yielded once more and training
    continues behind it; `config.epochs` may have grown.

    Args:
        crops: (n, 1, 64, 64) uint8; moved to the device once.
        split: indices into crops; `split.test` is not touched.
        directory: of this training alone; created if absent.
        on_step: called after every batch with epoch, batches done in it, batches in all.

    Yields:
        epoch (1..epochs), finished (1 for the last), train_loss (see `config.train_loss_mode`), val_loss, val_psnr_db,
        val_ssim (means over images), best_epoch, best_val_loss, best_val_psnr_db, best_val_ssim, lr, epoch_s,
        images_per_s (trained); see EPOCH_METRICS for more.

    Raises:
        FloatingPointError: the loss is not finite; the message has epoch and batch.
        ConfigError: the directory holds a training of another configuration, on other crops or another split; or
            there are no crops to train or to validate on.
    """
    if not len(split.train) or not len(split.val):
        raise ConfigError(f"{len(split.train)} crops to train on and {len(split.val)} to validate: both must be some")
    directory.mkdir(parents=True, exist_ok=True)
    images, train, val = (torch.as_tensor(a).to(device) for a in (crops, split.train, split.val))
    shown = train[torch.linspace(0, len(train) - 1, min(len(train), len(val))).long()]
    data = TrainingData(images, train, val, shown, _digest(crops, split))
    run = _resumed_run(config, directory, data)
    floor = mean_floor(config, data.crops, data.val) if config.input_range == "symmetric" else None
    if run.epoch:
        yield run.metrics | {"finished": float(_finished(run, config))}  # whoever was told may not have written it
    while not _finished(run, config):
        started = time.perf_counter()
        run.epoch += 1
        running_loss = _train_epoch(run, config, data, on_step)
        seconds = time.perf_counter() - started
        values = validate(run, config, data, running_loss, floor)
        improved = values["val_loss"] < run.best.get("best_val_loss", math.inf)
        if improved:
            kept = ("val_loss", "val_psnr_db", "val_ssim")
            run.best = {"best_epoch": run.epoch, **{f"best_{name}": values[name] for name in kept}}
        if run.plateau:
            run.plateau.step(values["val_loss"])
        times = {"epoch_s": time.perf_counter() - started, "images_per_s": len(train) / seconds}
        lr = float(run.optimizer.param_groups[0]["lr"])
        run.metrics = {"epoch": run.epoch, **values, **run.best, "lr": lr, **times}
        run.metrics["finished"] = float(_finished(run, config))
        if improved:
            save_checkpoint(directory / BEST, config, _best_state(run))
        save_last(directory, config, _state(run) | {"data": data.digest})
        yield run.metrics


def is_extendable(config: TrainConfig) -> bool:
    """Whether a finished training can go on to more epochs: its learning rate must not have known their number."""
    return config.schedule in EXTENDABLE and not config.warmup


def augmentation(config: TrainConfig) -> Callable[[Tensor], Tensor] | None:
    """What happens to a training batch (n, 1, h, w) in [0, 1], or None; draws from torch's global generator."""
    steps: list[nn.Module] = []
    if config.augment_symmetry != "none":
        steps.append(RandomDihedral(turns=config.augment_symmetry == "dihedral"))
    if config.augment_brightness:
        steps.append(Brightness(config.augment_brightness))
    return nn.Sequential(*steps) if steps else None


def new_run(config: TrainConfig, data: TrainingData) -> Run:
    """A training before its first epoch, on the device of the crops; seeds torch's global generator."""
    torch.manual_seed(_seed(config, 0))
    model = build_model(config).to(data.crops.device).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(config, model)
    schedule = make_schedule(config, optimizer, _steps(config, data))
    return Run(model, optimizer, schedule, AveragedWeights(model, config.ema) if config.ema else None)


def _resumed_run(config: TrainConfig, directory: Path, data: TrainingData) -> Run:
    """A new run, or the one that the newest checkpoint holds."""
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
        run.averaged.n_averaged.fill_(1)  # an average is there; update() has its own count of steps
    if run.schedule is not None:
        run.schedule.load_state_dict(state["schedule_state_dict"])
    run.epoch, run.best, run.metrics = state["epoch"], state["best"], state["metrics"]
    return run


def _check_same(config: TrainConfig, state: dict[str, Any], directory: Path) -> None:
    """Refuse to go on with another configuration, or with fewer epochs than are done.

    A field that the version of the checkpoint did not know has its default, one of the protocol what is asked.
    """
    asked = config_dict(config)
    saved = {**config_dict(TrainConfig()), **{name: asked[name] for name in PROTOCOLS["report"]}, **state["config"]}
    different = [name for name, value in asked.items() if saved[name] != value]
    if different == ["epochs"] and is_extendable(config) and config.epochs >= state["epoch"]:
        return
    if different:
        listed = "; ".join(f"`{name}` is {saved[name]!r} there, {asked[name]!r} asked" for name in different)
        done = f", {state['epoch']} epochs are done" if "epochs" in different else ""
        raise ConfigError(
            f"{directory} holds a training of another configuration ({listed}{done}); choose another directory"
        )


def _state(run: Run) -> dict[str, Any]:
    """All that the next epoch depends on; its random numbers are seeded by its number."""
    state = _best_state(run) | {"optimizer_state_dict": run.optimizer.state_dict()}
    if run.averaged:
        state["raw_state_dict"] = run.model.state_dict()
    if run.schedule is not None:
        state["schedule_state_dict"] = run.schedule.state_dict()
    return state


def _best_state(run: Run) -> dict[str, Any]:
    """The weights that were validated, and how they did."""
    return {
        "epoch": run.epoch,
        "model_state_dict": run.evaluated.state_dict(),
        "loss": run.metrics["val_loss"],
        "best": run.best,
        "metrics": run.metrics,
    } | ({"decoder_variance": run.evaluated.decoder_variance} if isinstance(run.evaluated, Variational) else {})


def _finished(run: Run, config: TrainConfig) -> bool:
    stale = run.epoch - run.best.get("best_epoch", run.epoch)
    return run.epoch >= config.epochs or bool(config.early_stopping and stale >= config.early_stopping)


def _train_epoch(
    run: Run, config: TrainConfig, data: TrainingData, on_step: Callable[[int, int, int], None] | None
) -> float:
    """One pass over the training crops; the mean loss over images while they were trained on."""
    run.model.train()
    torch.manual_seed(_seed(config, run.epoch))  # dropout, augmentation and the VAE's noise
    order = torch.Generator().manual_seed(_seed(config, run.epoch))
    done, seen = (run.epoch - 1) * _steps(config, data), []
    for step, x in enumerate(batches(data.crops, data.train, config.batch_size, order, augmentation(config)), done + 1):
        loss = train_step(run, config, x, step, _steps(config, data))
        seen.append(loss * len(x))
        if on_step:
            on_step(run.epoch, step - done, _steps(config, data))
    sums = torch.stack(seen).cpu()  # the only time per epoch that the device is waited for
    if not torch.isfinite(sums).all():
        batch = int((~torch.isfinite(sums)).nonzero()[0]) + 1
        raise FloatingPointError(
            f"non-finite loss at epoch {run.epoch}, batch {batch}; try a smaller lr than {config.lr:g}"
        )
    return float(sums.sum() / len(data.train))


def train_step(run: Run, config: TrainConfig, x: Tensor, step: int, steps_per_epoch: int) -> Tensor:
    """One step on a batch (n, 1, 64, 64) in [0, 1]; the 0-d loss it was made for, detached.

    Args:
        run: its model in training mode.
        step: 1, 2, ... since the training began.
    """
    target = scale(x, config)
    noisy = scale(GaussianNoise(config.input_noise)(x), config) if config.input_noise else target
    kl_factor = min(1.0, step / (config.kl_warmup * steps_per_epoch)) if config.kl_warmup else 1.0
    run.optimizer.zero_grad(set_to_none=True)
    loss = training_loss(forward(run.model, config, noisy), target, config, kl_factor)
    loss.backward()
    run.optimizer.step()
    if run.schedule and not run.plateau:
        run.schedule.step()
    if run.averaged:
        run.averaged.update(run.model, step)
    return loss.detach()


def validate(
    run: Run, config: TrainConfig, data: TrainingData, running_loss: float, floor: float | None = None
) -> dict[str, float]:
    """train_loss and the val_ metrics after an epoch.

    Args:
        running_loss: of the epoch, which is the train_loss of `config.train_loss_mode` running.
        floor: what deepdlt.evaluation.mean_floor says, for inputs in [-1, 1].
    """
    model, train_loss = run.evaluated, running_loss
    if isinstance(model, Variational):
        model.decoder_variance = None  # fitted anew, to the training crops of this epoch's evaluation
    if config.train_loss_mode == "eval" or config.model in VAES:
        honest = evaluate(model, config, data.crops, data.train_shown, "loss")
        train_loss = float(honest["loss"].mean()) if config.train_loss_mode == "eval" else running_loss
        if isinstance(model, Variational):
            model.decoder_variance = float(honest["decoder_variance"])
    found = evaluate(model, config, data.crops, data.val)
    values = {f"val_{name}": float(v.mean()) for name, v in found.items()}
    for name, value in (("training", train_loss), ("validation", values["val_loss"])):
        if not math.isfinite(value):
            raise FloatingPointError(f"non-finite {name} loss after epoch {run.epoch}")
    excess = {} if floor is None else {"val_loss_floor": floor, "val_loss_excess": values["val_loss"] - floor}
    return {"train_loss": train_loss, **values, **excess}


def _steps(config: TrainConfig, data: TrainingData) -> int:
    """Batches per epoch: a single last crop joins the batch before."""
    full, rest = divmod(len(data.train), config.batch_size)
    return max(1, full + (rest > 1))


def _digest(crops: np.ndarray, split: Split) -> str:
    """Of the split and of 512 crops, evenly spread: milliseconds, and no two data sets agree in so many."""
    digest = hashlib.sha256(repr(crops.shape).encode())
    for part in (crops[:: max(1, len(crops) // 512)], split.train, split.val, split.test):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _seed(config: TrainConfig, epoch: int) -> int:
    return int(np.random.SeedSequence([config.seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


if __name__ == "__main__":
    import sys

    from deepdlt.training_command import main

    sys.exit(main())
