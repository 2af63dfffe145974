"""Training as a generator: one dict of metrics and one checkpoint per epoch, with automatic resume.

All random numbers of epoch e come from seeds made of (config.seed, e). So a resumed training repeats the uninterrupted
one, and its data order does not depend on other uses of random numbers.
"""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from deepdlt.config import VAES, ConfigError, TrainConfig
from deepdlt.dataset import Split, batches
from deepdlt.models import BEST, Variational, forward, save_checkpoint, save_last, scale
from deepdlt.training.evaluation import evaluate, mean_floor
from deepdlt.training.objective import training_loss
from deepdlt.training.state import (
    Run,
    TrainingData,
    best_state,
    data_digest,
    epoch_seed,
    resumed_run,
    run_state,
    steps_per_epoch,
)
from deepdlt.training.transforms import Brightness, GaussianNoise, RandomDihedral

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
"""The keys that fit() always yields. A VAE adds `val_` + evaluation.VAE_TERMS. Inputs in [-1, 1] add `val_loss_floor`,
the lowest loss that outputs in [0, 1] can reach, and `val_loss_excess`, the loss above it."""


def fit(
    config: TrainConfig,
    crops: np.ndarray,
    split: Split,
    directory: Path,
    device: str = "cpu",
    on_step: Callable[[int, int, int], None] | None = None,
) -> Iterator[dict[str, float]]:
    """Train and validate; yield the metrics of each epoch.

    Writes to `directory`: `last.pt` after every epoch (the older one becomes `previous.pt`) and `best.pt` (lowest
    validation loss). If last.pt exists, fit() yields the metrics of its epoch again and continues after it;
    `config.epochs` may be larger than before.

    Args:
        crops: (n, 1, side, side) uint8; moved to the device once.
        split: indices into crops; `split.test` is not used.
        directory: folder for this training only; created if absent.
        on_step: called after every batch with the epoch, its number of finished batches, and its number of batches.

    Yields:
        epoch (1..epochs), finished (1 for the last), train_loss (see `config.train_loss_mode`), val_loss, val_psnr_db,
        val_ssim (means over images), their best values, lr, epoch_s, images_per_s (trained); see EPOCH_METRICS.

    Raises:
        FloatingPointError: the loss is not finite; the message has epoch and batch.
        ConfigError: the directory holds a training with another configuration, other crops or another split; or the
            training or validation set is empty.
    """
    if not len(split.train) or not len(split.val):
        found = f"{len(split.train)} and {len(split.val)}"
        raise ConfigError(f"training and validation need at least one crop each, got {found}")
    directory.mkdir(parents=True, exist_ok=True)
    images, train, val = (torch.as_tensor(a).to(device) for a in (crops, split.train, split.val))
    shown = train[torch.linspace(0, len(train) - 1, min(len(train), len(val))).long()]
    data = TrainingData(images, train, val, shown, data_digest(crops, split))
    run = resumed_run(config, directory, data)
    floor = mean_floor(config, data.crops, data.val) if config.input_range == "symmetric" else None
    if run.epoch:
        yield run.metrics | {"finished": float(_finished(run, config))}  # a crash may have lost it
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
            save_checkpoint(directory / BEST, config, best_state(run))
        save_last(directory, config, run_state(run) | {"data": data.digest})
        yield run.metrics


def augmentation(config: TrainConfig) -> Callable[[Tensor], Tensor] | None:
    """The augmentation of a training batch (n, 1, h, w) in [0, 1], or None; draws from torch's global generator."""
    steps: list[nn.Module] = []
    if config.augment_symmetry != "none":
        steps.append(RandomDihedral(turns=config.augment_symmetry == "dihedral"))
    if config.augment_brightness:
        steps.append(Brightness(config.augment_brightness))
    return nn.Sequential(*steps) if steps else None


def _finished(run: Run, config: TrainConfig) -> bool:
    stale = run.epoch - run.best.get("best_epoch", run.epoch)
    return run.epoch >= config.epochs or bool(config.early_stopping and stale >= config.early_stopping)


def _train_epoch(
    run: Run, config: TrainConfig, data: TrainingData, on_step: Callable[[int, int, int], None] | None
) -> float:
    """One pass over the training crops; returns the mean over images of their loss in training mode."""
    run.model.train()
    torch.manual_seed(epoch_seed(config, run.epoch))  # dropout, augmentation and the VAE's noise
    order = torch.Generator().manual_seed(epoch_seed(config, run.epoch))
    done, seen = (run.epoch - 1) * steps_per_epoch(config, data), []
    for step, x in enumerate(batches(data.crops, data.train, config.batch_size, order, augmentation(config)), done + 1):
        loss = train_step(run, config, x, step, steps_per_epoch(config, data))
        seen.append(loss * len(x))
        if on_step:
            on_step(run.epoch, step - done, steps_per_epoch(config, data))
    sums = torch.stack(seen).cpu()  # the only synchronisation with the device per epoch
    if not torch.isfinite(sums).all():
        batch = int((~torch.isfinite(sums)).nonzero()[0]) + 1
        raise FloatingPointError(
            f"non-finite loss at epoch {run.epoch}, batch {batch}; try a smaller lr than {config.lr:g}"
        )
    return float(sums.sum() / len(data.train))


def train_step(run: Run, config: TrainConfig, x: Tensor, step: int, steps_per_epoch: int) -> Tensor:
    """One step on a batch (n, 1, side, side) in [0, 1]; returns its 0-d loss before the step, detached.

    Args:
        run: the training; its model is in training mode.
        step: number of the step since the start of the training: 1, 2, ...
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
    """`train_loss` and the `val_` metrics after an epoch.

    Args:
        running_loss: mean loss of the epoch; it is `train_loss` if `config.train_loss_mode` is `running`.
        floor: `mean_floor` of the validation crops, for inputs in [-1, 1].
    """
    model, train_loss = run.evaluated, running_loss
    if isinstance(model, Variational):
        model.decoder_variance = None  # fitted again below, to training crops
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
