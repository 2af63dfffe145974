"""Radial power spectra of images, and the log-spectral distance of two images in dB."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

BANDS = 12

QUANTISATION = 1 / 255**2 / 12  # variance of the rounding to 8 bits, the lowest power in a file


def radial_spectrum_db(x: Tensor) -> Tensor:
    """Power per frequency band in dB, coarse to fine: (batch, 1, h, w) in [0, 1], h and w >= 4 -> (batch, bands).

    Mean power of the Fourier coefficients in each of 12 bands (fewer in small images, since every band has a
    coefficient). The bands are equally wide in the logarithm of the frequency, from one period in the longer side to
    the corner beyond Nyquist. Hann window, mean removed. White noise of variance v has 10 log10(v) in all bands but the
    two coarsest, which lose 2 and 1 dB with the mean. The power of 8-bit rounding, -59 dB, is added: nothing below it
    was recorded, and the spectrum of a constant image stays finite.
    """
    x = x.float().squeeze(1)
    window, bands = (a.to(x.device) for a in _window_and_bands(*x.shape[-2:]))
    mean = (x * window).sum((1, 2), keepdim=True) / window.sum()
    power = torch.fft.rfft2((x - mean) * window).abs().square() / window.square().sum()
    return 10 * torch.log10(power.flatten(1) @ bands + QUANTISATION)


def spectrum_distance_db(x_recon: Tensor, target: Tensor) -> Tensor:
    """Log-spectral distance: RMS difference of two radial spectra in dB, two (batch, 1, h, w) -> (batch,).

    It is 0 for images with the same power at every scale, wherever the structures are. The microscope's noise counts as
    well. On held-out crops it is 8 dB for PCA-128, and 11 dB for the low-pass DCT-1024, which removes the two finest
    bands.
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
