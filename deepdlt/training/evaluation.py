"""Evaluation of a network: loss, PSNR, SSIM, log-spectral distance and the terms of the ELBO, one value per image."""

from typing import Any

import torch
from torch import Tensor, nn

from deepdlt.config import VAES, TrainConfig
from deepdlt.dataset import batches
from deepdlt.metrics import LatentMoments, bits_per_dim, losses, spectrum_distance_db
from deepdlt.metrics import similarity as metrics
from deepdlt.models import autocast, forward, reconstruction, scale, unscale
from deepdlt.training.objective import gaussian_nats, image_loss, likelihood_variance, loss_floor, vae_image_loss

QUALITY = ("psnr_db", "ssim")
VAE_TERMS = ("nll_nats", "kl_nats", "elbo_nats", "bits_per_dim", "active_units", "decoder_variance")
NOISE_SEED = 0  # for the latent samples of the ELBO: the same in every epoch


@torch.inference_mode()
def evaluate(
    model: nn.Module, config: TrainConfig, crops: Tensor, indices: Tensor, terms: str = "quality"
) -> dict[str, Tensor]:
    """Loss, PSNR and SSIM of every image, in eval mode, with the definitions of `config.metrics`.

    Args:
        crops: (n, 1, side, side) uint8 on the model's device.
        indices: (m,) indices of the crops to evaluate.
        terms: only the `loss`, `quality` (also PSNR and SSIM), or `all` (also MSE and log-spectral distance).

    Returns:
        Each (m,) float32 on the CPU, in the order of `indices`: `loss`, `psnr_db`, `ssim`; with `all` also `mse` (of
        images in [0, 1]) and `spectrum_db`. For a VAE also `nll_nats`, `kl_nats`, `elbo_nats` (of the scaled image,
        with one seeded sample of z per image), `bits_per_dim`, and 0-d `active_units` and `decoder_variance`.
        Reconstructions, and the loss of a `squared_error` likelihood, use z = mu. The variance of an `optimal`
        likelihood is the model's `decoder_variance` or, without one, the one that fits these images best.
    """
    model.eval()
    parts: list[dict[str, Tensor]] = []
    latents, noise = LatentMoments(), torch.Generator().manual_seed(NOISE_SEED)
    for x in batches(crops, indices, config.batch_size):
        target = scale(x, config)
        output = forward(model, config, target)
        if config.model in VAES:
            part = _vae_parts(model, config, output, target, noise)
            latents.add(output[1].float().flatten(1))
        else:
            part = {"loss": image_loss(output, target, config)}
        if terms != "loss":
            part |= _quality(reconstruction(output), target, x, config)
        if terms == "all":
            unit = unscale(reconstruction(output), config).clamp(0, 1)
            part |= {"mse": losses.mse(unit, x), "spectrum_db": spectrum_distance_db(unit, x)}
        parts.append(part)
    table = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    single: dict[str, Tensor] = {}
    if config.model in VAES:
        variance = _variance(model, table["sampled_sse"], crops[0].numel(), config)
        table = _vae_table(table, crops[0].numel(), variance, config)
        single = {"active_units": latents.active(), "decoder_variance": variance.cpu()}
    return dict(zip(table, torch.stack(list(table.values())).cpu(), strict=True)) | single  # one transfer


def mean_floor(config: TrainConfig, crops: Tensor, indices: Tensor) -> float | None:
    """The lowest mean loss of a network with outputs in [0, 1] on these crops, or None; see losses.mse_floor."""
    floors = [loss_floor(scale(x, config), config) for x in batches(crops, indices, config.batch_size)]
    found = [floor for floor in floors if floor is not None]
    return float(torch.cat(found).mean()) if found else None


def _vae_parts(
    model: nn.Module, config: TrainConfig, output: Any, target: Tensor, noise: torch.Generator
) -> dict[str, Tensor]:
    """The terms of loss and ELBO for each image of a batch; `_vae_table` combines them once all images are known."""
    mu, logvar = output[1].float(), output[2].float()
    z = mu + torch.exp(0.5 * logvar) * torch.randn(mu.shape, generator=noise).to(mu.device)
    decode: Any = model.decode  # nn.Module does not know it
    with autocast(config, target.device):
        sampled = decode(z).float()
    sse = losses.squared_error(reconstruction(output), target)
    kl = losses.kl_divergence(mu, logvar)
    sampled_sse = losses.squared_error(sampled, target)
    return {"sse": sse, "sampled_sse": sampled_sse, "kl_nats": kl, "batch": torch.full_like(sse, len(sse))}


def _variance(model: nn.Module, sse: Tensor, pixels: int, config: TrainConfig) -> Tensor:
    fitted = getattr(model, "decoder_variance", None)
    if config.vae_likelihood == "optimal" and fitted is not None:
        return torch.full((), fitted, device=sse.device)
    return likelihood_variance(sse, pixels, config)


def _quality(x_recon: Tensor, target: Tensor, x: Tensor, config: TrainConfig) -> dict[str, Tensor]:
    """PSNR and SSIM of each image; `target` is the image in the network's range, `x` the same in [0, 1]."""
    if config.metrics == "report":
        values = metrics.report_psnr_db(x_recon, target), metrics.report_ssim(x_recon, target)
    else:
        unit = unscale(x_recon, config).clamp(0, 1)
        values = metrics.psnr_db(unit, x), metrics.ssim(unit, x)
    return dict(zip(QUALITY, values, strict=True))


def _vae_table(table: dict[str, Tensor], pixels: int, variance: Tensor, config: TrainConfig) -> dict[str, Tensor]:
    """Sums of squared errors and KL -> loss, and the terms of the ELBO, which do not depend on beta."""
    sse, sampled, kl, batch = (table.pop(name) for name in ("sse", "sampled_sse", "kl_nats", "batch"))
    shown = sse if config.vae_likelihood == "squared_error" else sampled
    nll = gaussian_nats(sampled, pixels, variance)
    levels = 127.5 if config.input_range == "symmetric" else 255.0  # grey levels in one unit of the scaled image
    return table | {
        "loss": vae_image_loss(shown, kl, pixels, variance, config, batch),
        "nll_nats": nll,
        "kl_nats": kl,
        "elbo_nats": -(nll + kl),
        "bits_per_dim": bits_per_dim(nll + kl, pixels, levels),
    }
