"""Losses, one value per image. The caller averages, so a short last batch has the right weight.

All are computed in float32, also from bfloat16 tensors under autocast, and never wait for the device.
"""

import math
from functools import cache

import torch
from torch import Tensor

from deepdlt.metrics.similarity import ms_ssim, without_autocast

NOISE_SIGMA = 0.016  # of the published micrographs, grey values in [0, 1]
BANDS = 12


def mse(x_recon: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the pixels of each image: two (batch, 1, h, w) -> (batch,).

    Source: the study, section 4.3. The batch mean equals torch.nn.functional.mse_loss.
    """
    return _difference(x_recon, target).square().mean(1)


def l1(x_recon: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error over the pixels of each image: two (batch, 1, h, w) -> (batch,)."""
    return _difference(x_recon, target).abs().mean(1)


def charbonnier(x_recon: Tensor, target: Tensor, eps: float = 1e-3) -> Tensor:
    """Mean of sqrt(error^2 + eps^2), an L1 that is smooth at 0: two (batch, 1, h, w) -> (batch,), >= eps.

    Source: Charbonnier et al. 1994; eps as in Lai et al. 2017 (LapSRN).
    """
    return (_difference(x_recon, target).square() + eps**2).sqrt().mean(1)


def squared_error(x_recon: Tensor, target: Tensor) -> Tensor:
    """Sum of squared errors over the pixels of each image: two (batch, 1, h, w) -> (batch,)."""
    return _difference(x_recon, target).square().sum(1)


def mse_floor(target: Tensor) -> Tensor:
    """The lowest MSE that an output in [0, 1] can reach: (batch, 1, h, w) -> (batch,); 0 for targets in [0, 1]."""
    return mse(target.clamp(0, 1), target)


def ms_ssim_loss(x_recon: Tensor, target: Tensor) -> Tensor:
    """1 - MS-SSIM of 3 scales: two (batch, 1, h, w) in [0, 1], h and w >= 28 -> (batch,) in [0, 1)."""
    return 1 - ms_ssim(x_recon, target)


def focal_frequency(x_recon: Tensor, target: Tensor, alpha: float = 1.0) -> Tensor:
    """Squared error of the 2-D spectrum, each frequency weighted by its error: two (batch, 1, h, w) -> (batch,).

    The weight is |error|^alpha over its maximum in the image, in [0, 1], without gradient; with alpha 0 it is 1 and the
    loss is the MSE. Equals the authors' FocalFrequencyLoss().

    Source: Jiang et al. 2021, "Focal frequency loss for image reconstruction and synthesis".
    """
    spectrum = torch.fft.fft2(x_recon.float() - target.float(), norm="ortho")  # linear: the difference of the spectra
    power = torch.view_as_real(spectrum).square().sum(-1).flatten(1)
    with torch.no_grad():
        weight = power ** (alpha / 2)
        weight = (weight / weight.amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)).clamp(0, 1)
    return (weight * power).mean(1)


def log_spectrum(x_recon: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of log10 radial power over frequency bands: two (batch, 1, h, w) -> (batch,), decades.

    For images in [0, 1]. 12 logarithmic bands from 1 period per image to 1 period in 2 px, with a Hann window, without
    the mean. The variance of the micrographs' noise is added to the power: detail below the noise then adds little to
    the loss, and the gradient of a constant image stays finite.
    """
    return (_log_radial_power(x_recon) - _log_radial_power(target)).abs().mean(1)


def kl_per_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)) in nats, of each latent dimension: two (batch, ...) -> (batch, latent).

    Source: Kingma & Welling 2014, appendix B. Equals torch.distributions.kl_divergence.
    """
    mu, logvar = mu.float().flatten(1), logvar.float().flatten(1)
    return -0.5 * (1 + logvar - mu.square() - logvar.exp())


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """`kl_per_dimension`, summed over the latent vector or feature map: two (batch, ...) -> (batch,)."""
    return kl_per_dimension(mu, logvar).sum(1)


def free_bits_kl(kl: Tensor, nats: float) -> Tensor:
    """KL of a batch with free bits, `nats` per latent dimension: (batch, latent) -> 0-d, nats per image.

    Each latent dimension adds its mean over the batch, but at least `nats`; below `nats` it has no gradient.

    Source: Kingma et al. 2016, "Inverse autoregressive flow" ("free bits"), with groups of one latent dimension.
    """
    return kl.float().mean(0).clamp_min(nats).sum()


def gaussian_nll(x_recon: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """-log N(target; x_recon, variance) in nats, summed over pixels, constant included: (batch, 1, h, w) -> (batch,).

    Args:
        variance: 0-d or (batch,), > 0, in squared grey values on the scale of `target`.
    """
    variance, pixels = variance.float(), target[0].numel()
    return 0.5 * (squared_error(x_recon, target) / variance + pixels * torch.log(2 * math.pi * variance))


def vae_loss(x_recon: Tensor, target: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Tensor:
    """Squared error plus beta times KL, (batch,).

    A Gaussian negative log-likelihood with variance 0.5, up to a constant. Source: the study, section 6.1.
    """
    return squared_error(x_recon, target) + beta * kl_divergence(mu, logvar)


def _difference(x_recon: Tensor, target: Tensor) -> Tensor:
    return (x_recon.float() - target.float()).flatten(1)


def _log_radial_power(image: Tensor) -> Tensor:
    """(batch, 1, h, w) -> (batch, bands); white noise of variance v has power v (less in the two lowest bands)."""
    window, bands = _spectrum_basis(image.shape[-2], image.shape[-1], image.device)
    x = image.float()
    x = (x - (x * window).sum((-2, -1), keepdim=True) / window.sum()) * window
    power = torch.view_as_real(torch.fft.rfft2(x)).square().sum(-1).flatten(1) / window.square().sum()
    with without_autocast(x.device):
        return torch.log10(power @ bands + NOISE_SIGMA**2)


@cache
@torch.inference_mode(False)  # a tensor made in inference mode could not be used in the next training
def _spectrum_basis(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Hann window (h, w), and the matrix (frequencies of rfft2, bands) that averages each band."""
    window = torch.outer(torch.hann_window(height), torch.hann_window(width))
    columns = torch.arange(width // 2 + 1)
    periods = min(height, width) * torch.hypot(torch.fft.fftfreq(height)[:, None], columns / width).flatten()
    edges = torch.logspace(0, math.log10(min(height, width) / 2), BANDS + 1)
    band = torch.bucketize(periods, edges[1:-1] * (1 - 1e-6), right=True)
    twice = torch.where((columns > 0) & (2 * columns != width), 2.0, 1.0).repeat(height)  # the half that is not stored
    inside = (periods >= 1 - 1e-6) & (periods <= min(height, width) / 2 + 1e-6)
    weights = torch.nn.functional.one_hot(band, BANDS) * (twice * inside)[:, None]
    weights = weights[:, weights.sum(0) > 0]  # a small image has no frequency in some bands
    return window.to(device), (weights / weights.sum(0)).to(device)
