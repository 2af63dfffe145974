"""How well a network does on images: loss, PSNR, SSIM, spectra and the terms of the ELBO, one value per image."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from deepdlt import losses, metrics
from deepdlt.config import TrainConfig
from deepdlt.config_rules import VAES
from deepdlt.dataset_loader import batches
from deepdlt.inference import forward, reconstruction, scale, unscale
from deepdlt.objective import image_loss, likelihood_variance, loss_floor, vae_image_loss
from deepdlt.spectral_metrics import spectrum_distance_db
from deepdlt.variational import ACTIVE_VARIANCE, bits_per_dim

QUALITY = ("psnr_db", "ssim")
VAE_TERMS = ("nll_nats", "kl_nats", "elbo_nats", "bits_per_dim", "active_units")


@torch.inference_mode()
def evaluate(
    model: nn.Module, config: TrainConfig, crops: Tensor, indices: Tensor, terms: str = "quality"
) -> dict[str, Tensor]:
    """Loss, PSNR and SSIM of every image, in eval mode, in the definition that `config.metrics` names.

    Args:
        crops: (n, 1, 64, 64) uint8 on the model's device.
        indices: (m,) of the crops to evaluate.
        terms: `loss` alone, `quality` (with PSNR, SSIM and the VAE's terms), or `all` (with the spectral distance).

    Returns:
        Each (m,) float32 on the CPU, in the order of `indices`: `loss`, `psnr_db`, `ssim`, `spectrum_db`; of a VAE
        `nll_nats` (of the scaled image given z = mu), `kl_nats`, `elbo_nats`, `bits_per_dim`, and 0-d `active_units`.
        The variance of an `optimal` likelihood is the one that fits these images best.
    """
    model.eval()
    parts: list[dict[str, Tensor]] = []
    latents = _Moments()
    for x in batches(crops, indices, config.batch_size):
        target = scale(x, config)
        output = forward(model, config, target)
        part = _loss_parts(output, target, config, latents if terms != "loss" else None)
        if terms != "loss":
            part |= _quality(reconstruction(output), target, x, config)
        if terms == "all":
            part["spectrum_db"] = spectrum_distance_db(unscale(reconstruction(output), config), x)
        parts.append(part)
    table = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    if config.model in VAES:
        table = _vae_table(table, crops[0].numel(), config, terms != "loss")
    values = dict(zip(table, torch.stack(list(table.values())).cpu(), strict=True))  # one transfer
    return values | ({"active_units": latents.active()} if latents.count else {})


def mean_floor(config: TrainConfig, crops: Tensor, indices: Tensor) -> float | None:
    """The lowest mean loss that a network with outputs in [0, 1] can reach on these crops; see losses.mse_floor."""
    floors = [loss_floor(scale(x, config), config) for x in batches(crops, indices, config.batch_size)]
    found = [floor for floor in floors if floor is not None]
    return float(torch.cat(found).mean()) if found else None


def _loss_parts(output: Any, target: Tensor, config: TrainConfig, latents: "_Moments | None") -> dict[str, Tensor]:
    """The loss of each image, or of a VAE what it is made of once all images are known."""
    if config.model not in VAES:
        return {"loss": image_loss(output, target, config)}
    x_recon, mu, logvar = reconstruction(output), output[1].float(), output[2].float()
    if latents is not None:
        latents.add(mu.flatten(1))
    sse = losses.squared_error(x_recon, target)
    return {"sse": sse, "kl_nats": losses.kl_divergence(mu, logvar), "batch": torch.full_like(sse, len(sse))}


def _quality(x_recon: Tensor, target: Tensor, x: Tensor, config: TrainConfig) -> dict[str, Tensor]:
    """PSNR and SSIM of each image; `target` and `x` are the image in the network's range and in [0, 1]."""
    if config.metrics == "report":
        values = metrics.report_psnr_db(x_recon, target), metrics.report_ssim(x_recon, target)
    else:
        unit = unscale(x_recon, config).clamp(0, 1)
        values = metrics.psnr_db(unit, x), metrics.ssim(unit, x)
    return dict(zip(QUALITY, values, strict=True))


def _vae_table(table: dict[str, Tensor], pixels: int, config: TrainConfig, terms: bool) -> dict[str, Tensor]:
    """Sums of squared errors and KL -> loss and, if wanted, the terms of the ELBO (whatever beta is)."""
    sse, kl, batch = (table.pop(name) for name in ("sse", "kl_nats", "batch"))
    variance = likelihood_variance(sse, pixels, config)
    table["loss"] = vae_image_loss(sse, kl, pixels, variance, config, batch)
    if not terms:
        return table
    nll = sse / (2 * variance) + 0.5 * pixels * torch.log(2 * math.pi * variance)
    levels = 127.5 if config.input_range == "symmetric" else 255.0  # grey levels in one unit of the scaled image
    bits = bits_per_dim(nll + kl, pixels, levels)
    return table | {"nll_nats": nll, "kl_nats": kl, "elbo_nats": -(nll + kl), "bits_per_dim": bits}


class _Moments:
    """Variance of every latent number over a data set, batch by batch, without keeping the latents."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, mu: Tensor) -> None:
        wide = mu.double()
        self.count += len(mu)
        self.sum, self.squares = self.sum.to(mu.device) + wide.sum(0), self.squares.to(mu.device) + wide.square().sum(0)

    def active(self) -> Tensor:
        """Active units (Burda et al. 2016): how many mu vary more than the threshold over the images."""
        variance = self.squares / self.count - (self.sum / self.count).square()
        return (variance > ACTIVE_VARIANCE).sum().float().cpu()
