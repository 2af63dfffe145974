"""Training as a generator: one dict of metrics per epoch, a checkpoint after each, resume without being asked.

Everything random in epoch e is drawn from seeds made of (config.seed, e), so a resumed training repeats the
uninterrupted one, and its data order does not depend on anything else that uses random numbers.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepdlt import losses, metrics
from deepdlt.checkpoint import DamagedCheckpoint, load_checkpoint, save_checkpoint
from deepdlt.config import ConfigError, TrainConfig, config_dict
from deepdlt.dataset_loader import batches
from deepdlt.models import build_model
from deepdlt.stratified_split import Split
from deepdlt.transforms import Brightness, GaussianNoise, RandomDihedral

EPOCH_METRICS = (
    "epoch",
    "train_loss",
    *(f"{part}_{name}" for part in ("val", "best_val") for name in ("loss", "psnr_db", "ssim")),
    "best_epoch",
    "epoch_s",
    "images_per_s",
)
"""The keys of what fit() yields."""


@dataclass
class _Run:
    """A training between two epochs."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)
    """The metrics of the epoch with the lowest val_loss so far."""
    metrics: dict[str, float] = field(default_factory=dict)


def fit(
    config: TrainConfig, crops: np.ndarray, split: Split, directory: Path, device: str = "cpu"
) -> Iterator[dict[str, float]]:
    """Train and validate; yield the metrics of each epoch.

    Writes `last.pt` after every epoch and `best.pt` (lowest validation loss) into `directory`. When last.pt is there
    already, the metrics of its epoch are yielded once more and training continues behind it.

    Args:
        crops: (n, 1, 64, 64) uint8; moved to the device once.
        split: indices into crops; `split.test` is not touched.
        directory: of this training alone; created if absent.

    Yields:
        epoch (1..epochs), train_loss (mean over the epoch, dropout active), val_loss, val_psnr_db, val_ssim (means
        over images), best_epoch, best_val_loss, best_val_psnr_db, best_val_ssim, epoch_s, images_per_s.

    Raises:
        FloatingPointError: the loss is not finite; the message has epoch and batch.
        ConfigError: the directory holds a training of another configuration.
    """
    directory.mkdir(parents=True, exist_ok=True)
    images, train, val = (torch.as_tensor(a).to(device) for a in (crops, split.train, split.val))
    run = _start(config, directory, torch.device(device))
    if run.epoch:
        yield run.metrics  # again: whoever was told may not have written it down
    for epoch in range(run.epoch + 1, config.epochs + 1):
        started = time.perf_counter()
        train_loss = _train_epoch(run, config, images, train, epoch)
        seconds = time.perf_counter() - started
        values = {name: float(v.mean()) for name, v in evaluate(run.model, config, images, val).items()}
        if not np.isfinite(values["loss"]):
            raise FloatingPointError(f"non-finite validation loss after epoch {epoch}")
        run.epoch = epoch
        improved = values["loss"] < run.best.get("best_val_loss", np.inf)
        if improved:
            run.best = {"best_epoch": epoch, **{f"best_val_{name}": value for name, value in values.items()}}
        run.metrics = {
            "epoch": epoch,
            "train_loss": train_loss,
            **{f"val_{name}": value for name, value in values.items()},
            **run.best,
            "epoch_s": time.perf_counter() - started,
            "images_per_s": len(train) / seconds,
        }
        if improved:
            _save(directory / "best.pt", config, run)
        _save(directory / "last.pt", config, run)
        yield run.metrics


@torch.inference_mode()
def evaluate(model: nn.Module, config: TrainConfig, crops: Tensor, indices: Tensor) -> dict[str, Tensor]:
    """Loss, PSNR and SSIM of every image, in eval mode, in the definition that `config.metrics` names.

    Args:
        crops: (n, 1, 64, 64) uint8 on the model's device.
        indices: (m,) of the crops to evaluate.

    Returns:
        `loss`, `psnr_db`, `ssim`: (m,) float32 on the CPU, in the order of `indices`.
    """
    model.eval()
    parts = []
    for x in batches(crops, indices, config.batch_size):
        target = _scale(x, config)
        output = _forward(model, config, target)
        x_recon = _reconstruction(output)
        if config.metrics == "report":
            quality = metrics.report_psnr_db(x_recon, target), metrics.report_ssim(x_recon, target)
        else:
            unit = _unscale(x_recon, config)
            quality = metrics.psnr_db(unit, x), metrics.ssim(unit, x)
        parts.append(torch.stack([_loss(output, target, config), *quality]))
    table = torch.cat(parts, dim=1).cpu()
    return dict(zip(("loss", "psnr_db", "ssim"), table, strict=True))


@torch.inference_mode()
def reconstruct(model: nn.Module, config: TrainConfig, crops: Tensor) -> Tensor:
    """The network's output for uint8 crops (n, 1, 64, 64): same shape, float32 in [0, 1]."""
    model.eval()
    return _reconstruction(_forward(model, config, _scale(crops.float().div(255), config))).clamp(0, 1)


def resolve_precision(config: TrainConfig, device: torch.device) -> torch.dtype:
    """float32, or bfloat16 where the configuration allows it and the processor has it (avx512_bf16, amx, Ampere)."""
    if config.precision == "fp32":
        return torch.float32
    if config.precision == "bf16":
        return torch.bfloat16
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def _start(config: TrainConfig, directory: Path, device: torch.device) -> _Run:
    """A fresh run, or the one that last.pt holds."""
    torch.manual_seed(_seed(config, 0))
    model = build_model(config).to(device).to(memory_format=torch.channels_last)
    run = _Run(model, _make_optimizer(config, model))
    last = directory / "last.pt"
    if not last.exists():
        return run
    try:
        state = load_checkpoint(last)
    except DamagedCheckpoint as error:
        warnings.warn(f"{error}; this training starts again", RuntimeWarning, stacklevel=3)
        return run
    if state["config"] != config_dict(config):
        raise ConfigError(f"{directory} holds a training of another configuration; choose another directory")
    model.load_state_dict(state["model_state_dict"])
    run.optimizer.load_state_dict(state["optimizer_state_dict"])
    run.epoch, run.best, run.metrics = state["epoch"], state["best"], state["metrics"]
    return run


def _save(path: Path, config: TrainConfig, run: _Run) -> None:
    state: dict[str, Any] = {
        "epoch": run.epoch,
        "model_state_dict": run.model.state_dict(),
        "optimizer_state_dict": run.optimizer.state_dict(),
        "loss": run.metrics["val_loss"],
        "best": run.best,
        "metrics": run.metrics,
    }
    save_checkpoint(path, config, state)


def _train_epoch(run: _Run, config: TrainConfig, crops: Tensor, indices: Tensor, epoch: int) -> float:
    """One pass over the training crops; the mean loss over images."""
    run.model.train()
    torch.manual_seed(_seed(config, epoch))  # dropout, augmentation and the VAE's noise
    order = torch.Generator().manual_seed(_seed(config, epoch))
    seen = []
    for x in batches(crops, indices, config.batch_size, order, augmentation(config)):
        target = _scale(x, config)
        noisy = _scale(GaussianNoise(config.input_noise)(x), config) if config.input_noise else target
        run.optimizer.zero_grad(set_to_none=True)
        loss = _loss(_forward(run.model, config, noisy), target, config).mean()
        loss.backward()
        run.optimizer.step()
        seen.append(loss.detach() * len(x))
    sums = torch.stack(seen).cpu()  # the only time per epoch that the device is waited for
    if not torch.isfinite(sums).all():
        batch = int((~torch.isfinite(sums)).nonzero()[0]) + 1
        raise FloatingPointError(
            f"non-finite loss at epoch {epoch}, batch {batch}; try a smaller lr than {config.lr:g}"
        )
    return float(sums.sum() / len(indices))


def augmentation(config: TrainConfig) -> Callable[[Tensor], Tensor] | None:
    """What happens to a training batch (n, 1, h, w) in [0, 1], or None; draws from torch's global generator."""
    steps: list[nn.Module] = []
    if config.augment_symmetry != "none":
        steps.append(RandomDihedral(turns=config.augment_symmetry == "dihedral"))
    if config.augment_brightness:
        steps.append(Brightness(config.augment_brightness))
    return nn.Sequential(*steps) if steps else None


def _make_optimizer(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum, fused=True)
    return torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)


def _forward(model: nn.Module, config: TrainConfig, x: Tensor) -> Any:
    dtype = resolve_precision(config, x.device)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
        return model(x)


def _reconstruction(output: Any) -> Tensor:
    return (output[0] if isinstance(output, tuple) else output).float()


def _loss(output: Any, target: Tensor, config: TrainConfig) -> Tensor:
    """(batch,) loss of each image; its mean is what the optimizer sees."""
    x_recon = _reconstruction(output)
    if config.model != "cnn_vae":
        return losses.mse(x_recon, target)
    per_image = losses.vae_loss(x_recon, target, output[1].float(), output[2].float(), config.beta)
    return per_image * len(target) if config.vae_reduction == "batch_sum" else per_image


def _scale(x: Tensor, config: TrainConfig) -> Tensor:
    """Images in [0, 1] -> the network's input and target range."""
    return x * 2 - 1 if config.input_range == "symmetric" else x


def _unscale(x: Tensor, config: TrainConfig) -> Tensor:
    return (x + 1) / 2 if config.input_range == "symmetric" else x


def _seed(config: TrainConfig, epoch: int) -> int:
    return int(np.random.SeedSequence([config.seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
