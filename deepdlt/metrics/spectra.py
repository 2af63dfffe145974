"""Radial power spectra of images, and how far two are apart in dB."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

BANDS = 12

QUANTISATION = 1 / 255**2 / 12  # variance of the rounding to 8 bits: no file holds less power


def radial_spectrum_db(x: Tensor) -> Tensor:
    """Power of each scale in dB, coarse to fine: (batch, 1, h, w) in [0, 1], h and w >= 4 -> (batch, bands).

    Mean power of the Fourier coefficients whose frequency lies in each of 12 bands (fewer in small images: every band
    has a coefficient), equally wide in its logarithm, from one period in the longer side to the corner beyond
    Nyquist. Hann window, mean removed; scaled so that white noise of variance v has 10 log10(v) in all but the two
    coarsest bands, of which the mean takes 2 and 1 dB. The power of 8-bit rounding, -59 dB, is added: below it nothing
    was recorded, and a constant image has a finite spectrum.
    """
    x = x.float().squeeze(1)
    window, bands = (a.to(x.device) for a in _window_and_bands(*x.shape[-2:]))
    mean = (x * window).sum((1, 2), keepdim=True) / window.sum()
    power = torch.fft.rfft2((x - mean) * window).abs().square() / window.square().sum()
    return 10 * torch.log10(power.flatten(1) @ bands + QUANTISATION)


def spectrum_distance_db(x_recon: Tensor, target: Tensor) -> Tensor:
    """Root mean square over the bands of the difference of two radial spectra, dB: two (batch, 1, h, w) -> (batch,).

    0 for the same power at every scale, wherever it lies. The microscope's noise counts as well. On held-out crops
    PCA-128 is 8 dB away, the low-pass DCT-1024, which keeps nothing of the two finest bands, 11 dB.
    """
    difference = radial_spectrum_db(x_recon) - radial_spectrum_db(target)
    return difference.square().mean(1).sqrt()


@cache
def _window_and_bands(height: int, width: int) -> tuple[Tensor, Tensor]:
    """(h, w) Hann window and (h * (w // 2 + 1), bands) weights that average the coefficients of each band."""
    window = torch.outer(torch.hann_window(height), torch.hann_window(width))
    half = width // 2 + 1
    fy, fx = torch.fft.fftfreq(height, dtype=torch.float64)[:, None], torch.fft.rfftfreq(width, dtype=torch.float64)
    radius = torch.hypot(fy, fx).flatten()
    column = torch.arange(half)
    twice = torch.where((column == 0) | (2 * column == width), 1.0, 2.0).expand(height, half).flatten()
    lowest, corner = 1 / max(height, width), 0.5**0.5
    position = torch.log(radius.clamp_min(lowest) / lowest) / np.log(corner / lowest) * BANDS
    band = (position + 1e-9).floor().clamp_max(BANDS - 1).long()  # 1e-9: the lowest frequency is in the first band
    weights = torch.nn.functional.one_hot(band, BANDS).double() * (twice * (radius > 0))[:, None]
    weights = weights[:, weights.sum(0) > 0]
    return window, (weights / weights.sum(0)).float()
