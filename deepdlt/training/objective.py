"""The training objective: functions of deepdlt.metrics.losses, selected and weighted by TrainConfig.

Training minimises `training_loss`. Validation uses `image_loss`, the same without KL warm-up and free bits, so that
epochs can be compared with each other.
"""

import math
from typing import Any

import torch
from torch import Tensor

from deepdlt.config import VAES, TrainConfig
from deepdlt.metrics import losses
from deepdlt.models import reconstruction, unscale

SQUARED_ERROR_VARIANCE = 0.5  # a plain sum of squared errors is a Gaussian likelihood of this variance
EXTRA_TERMS = (
    ("ms_ssim_weight", losses.ms_ssim_loss),
    ("focal_frequency_weight", losses.focal_frequency),
    ("spectrum_weight", losses.log_spectrum),
)


def training_loss(output: Any, target: Tensor, config: TrainConfig, kl_factor: float = 1.0) -> Tensor:
    """The 0-d loss for backward(): the mean over the batch or, as in the study's VAE, the sum.

    Args:
        output: the model's output for a batch.
        target: (batch, 1, h, w) in the network's range.
        kl_factor: factor of the KL warm-up, in [0, 1].
    """
    if config.model not in VAES:
        return image_loss(output, target, config).mean()
    sse, divergences = _vae_parts(output, target)
    variance = likelihood_variance(sse.detach(), target[0].numel(), config)
    kl = losses.free_bits_kl(divergences, config.free_bits) if config.free_bits else divergences.sum(1).mean()
    loss = negative_log_likelihood(sse, target[0].numel(), variance, config).mean() + kl_factor * config.beta * kl
    return loss * len(target) if config.vae_reduction == "batch_sum" else loss


def image_loss(output: Any, target: Tensor, config: TrainConfig) -> Tensor:
    """(batch,) loss of each image. An `optimal` variance is the best one for this batch."""
    if config.model in VAES:
        sse, divergences = _vae_parts(output, target)
        variance = likelihood_variance(sse, target[0].numel(), config)
        return vae_image_loss(sse, divergences.sum(1), target[0].numel(), variance, config, len(target))
    x_recon = reconstruction(output)
    per_image = {"mse": losses.mse, "l1": losses.l1, "charbonnier": losses.charbonnier}[config.loss](x_recon, target)
    for field, term in EXTRA_TERMS:
        if weight := getattr(config, field):
            per_image = per_image + weight * term(unscale(x_recon, config), unscale(target, config))
    return per_image


def vae_image_loss(
    sse: Tensor, kl: Tensor, pixels: int, variance: Tensor, config: TrainConfig, batch: int | Tensor
) -> Tensor:
    """(batch,) -ELBO with the KL term times beta; with the study's reduction, times the images of the batch."""
    per_image = negative_log_likelihood(sse, pixels, variance, config) + config.beta * kl
    return per_image * batch if config.vae_reduction == "batch_sum" else per_image


def negative_log_likelihood(sse: Tensor, pixels: int, variance: Tensor, config: TrainConfig) -> Tensor:
    """(batch,) nats per image from the sums of squared errors; the study's likelihood omits the constant."""
    if config.vae_likelihood == "squared_error":
        return sse / (2 * variance)
    return gaussian_nats(sse, pixels, variance)


def gaussian_nats(sse: Tensor, pixels: int, variance: Tensor) -> Tensor:
    """losses.gaussian_nll from the sums of squared errors (batch,): nats per image, with the constant."""
    return sse / (2 * variance) + 0.5 * pixels * torch.log(2 * math.pi * variance)


def likelihood_variance(sse: Tensor, pixels: int, config: TrainConfig) -> Tensor:
    """0-d variance of the decoder's Gaussian, in the network's range; `optimal`: the mean squared error."""
    if config.vae_likelihood == "optimal":
        return (sse.mean() / pixels).clamp_min(1e-8)
    sigma = config.decoder_sigma * (2 if config.input_range == "symmetric" else 1)
    value = SQUARED_ERROR_VARIANCE if config.vae_likelihood == "squared_error" else sigma**2
    return torch.full((), value, device=sse.device)


def loss_floor(target: Tensor, config: TrainConfig) -> Tensor | None:
    """(batch,) lowest loss that an output in [0, 1] can reach; None for residual models and for losses without one."""
    if config.model.startswith("res_"):
        return None
    if config.model in VAES:
        factor = float(target[0].numel()) * (len(target) if config.vae_reduction == "batch_sum" else 1)
        return losses.mse_floor(target) * factor if config.vae_likelihood == "squared_error" else None
    plain = config.loss == "mse" and not any(getattr(config, field) for field, _ in EXTRA_TERMS)
    return losses.mse_floor(target) if plain else None


def _vae_parts(output: Any, target: Tensor) -> tuple[Tensor, Tensor]:
    """(batch,) sum of squared errors, and (batch, latent) KL of each latent dimension."""
    _, mu, logvar = output
    return losses.squared_error(reconstruction(output), target), losses.kl_per_dimension(mu.float(), logvar.float())
