"""Which scales and which waves of an image a reconstruction keeps, and whole images from an autoencoder of crops.

PSNR sees neither: a blurred image without its ripples can have a higher one than a sharp image a pixel aside.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from scipy import fft, ndimage
from torch import Tensor

BANDS = 12
QUANTISATION = 1 / 255**2 / 12  # variance of the rounding to 8 bits: no file holds less power
MIN_PERIODS = 2.5  # fewer in the field of view cannot be told from uneven illumination
MIN_PERIOD_PX = 2.5  # shorter ones are noise in a micrograph, and the peak's neighbours would lie beyond Nyquist
RIVAL = 0.5  # peaks with so much of the strongest one's power may be the dominant wave just as well


class Wave(NamedTuple):
    """`period_px`; `orientation_deg` of the wave vector, [0, 180): 0 for upright fringes, growing from x to rows."""

    period_px: float
    orientation_deg: float


class WaveError(NamedTuple):
    """`period_error_percent` >= 0; `orientation_error_deg` in [0, 90]."""

    period_error_percent: float
    orientation_error_deg: float


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


def dominant_wave(image: np.ndarray) -> Wave:
    """The strongest wave in an image, (h, w) grey in [0, 1], h and w >= 64; NaN if it has none above 8-bit rounding.

    The highest peak of the Fourier transform (plane removed, Hann window, zero-padded to twice the side, parabola
    through the logarithms beside the peak) anywhere but below 2.5 periods in the field of view, where uneven
    illumination lies, and below a period of 2.5 px. To 0.5 % and 0.3 deg from three periods on; 0.3 s for 960x1280.

    Raises:
        ValueError: the image is not two-dimensional or smaller than 64 px.
    """
    waves = _waves(image)
    return waves[0] if waves else Wave(float("nan"), float("nan"))


def wave_error(recon: np.ndarray, original: np.ndarray) -> WaveError:
    """Error of the period and the orientation of the dominant wave of a reconstruction; two (h, w) grey in [0, 1].

    All of the reconstruction's spectrum is searched as in `dominant_wave`: near the original's peak alone, any noise
    would have a peak with a small error. But a lattice of dots has peaks of equal power, and which one is the highest
    is chance: of the reconstruction's peaks with at least half its highest power the one next to the original's
    counts. NaN where one of the images has no wave. Tells little of strong waves: even PCA-16 keeps the fringes.

    Raises:
        ValueError: an image is not two-dimensional or smaller than 64 px, or they differ in shape.
    """
    if recon.shape != original.shape:
        raise ValueError(f"`recon` and `original` must have one shape, got {recon.shape} and {original.shape}")
    truth = dominant_wave(original)
    waves = _waves(recon)
    if not waves or np.isnan(truth.period_px):
        return WaveError(float("nan"), float("nan"))
    wave = min(waves, key=lambda wave: _distance(wave, truth))
    turn = abs(wave.orientation_deg - truth.orientation_deg)
    return WaveError(100 * abs(wave.period_px / truth.period_px - 1), min(turn, 180 - turn))


def blend_tiles(
    image: np.ndarray, reconstruct: Callable[[np.ndarray], np.ndarray], size: int = 64, overlap: int = 32
) -> np.ndarray:
    """Reconstruct an image of any size from overlapping tiles, without seams: (h, w) in [0, 1] -> (h, w) float32.

    Args:
        image: h and w >= size.
        reconstruct: (n, 1, size, size) float32 -> the same shape; called once for each row of tiles.
        size: side of a tile in px.
        overlap: of neighbouring tiles in px, 0 to size - 1; the last tile of a row or column may overlap more.

    Raises:
        ValueError: the image is smaller than a tile, the overlap outside its range, or `reconstruct` changes shapes.
    """
    if image.ndim != 2 or min(image.shape) < size:
        raise ValueError(f"`image` must be (h, w) of at least {size}x{size} px, got {image.shape}")
    if not 0 <= overlap < size:
        raise ValueError(f"`overlap` must be in [0, {size}), got {overlap}")
    (tops, row_weights), (lefts, column_weights) = (_tiling(side, size, overlap) for side in image.shape)
    blended = np.zeros(image.shape)
    for top, row_weight in zip(tops, row_weights, strict=True):
        tiles = np.stack([image[top : top + size, left : left + size] for left in lefts])[:, None]
        recon = np.asarray(reconstruct(tiles.astype(np.float32)))
        if recon.shape != tiles.shape:
            raise ValueError(f"`reconstruct` must keep the shape {tiles.shape}, got {recon.shape}")
        for left, column_weight, tile in zip(lefts, column_weights, recon[:, 0], strict=True):
            blended[top : top + size, left : left + size] += row_weight[:, None] * column_weight * tile
    return blended.astype(np.float32)


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


def _waves(image: np.ndarray) -> list[Wave]:
    """The waves at the local maxima of the spectrum that reach RIVAL of the highest, strongest first."""
    if image.ndim != 2 or min(image.shape) < 64:
        raise ValueError(f"`image` must be (h, w) of at least 64x64 px, got {image.shape}")
    height, width = image.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    image = image - image.mean(dtype=np.float64)
    image = image - y * (image * y).mean() / np.square(y).mean() - x * (image * x).mean() / np.square(x).mean()
    if image.var() <= QUANTISATION:
        return []
    window = np.hanning(height)[:, None] * np.hanning(width)
    shape = [fft.next_fast_len(2 * side) for side in image.shape]
    power = np.abs(fft.fft2((image * window).astype(np.float32), shape)) ** 2
    fy, fx = fft.fftfreq(shape[0])[:, None], fft.fftfreq(shape[1])
    allowed = (np.hypot(fy * height, fx * width) >= MIN_PERIODS) & (np.hypot(fy, fx) <= 1 / MIN_PERIOD_PX)
    allowed &= (fx > 0) | ((fx == 0) & (fy > 0))  # the other half is the same again
    allowed &= power == ndimage.maximum_filter(power, 3, mode="wrap")
    peaks = np.argwhere(allowed & (power >= RIVAL * power[allowed].max(initial=0)))
    peaks = peaks[np.argsort(-power[*peaks.T], kind="stable")]
    return [_wave(power, row, column) for row, column in peaks]


def _wave(power: np.ndarray, row: int, column: int) -> Wave:
    """The wave of a peak, between the samples of the spectrum."""
    n, m = power.shape
    beside = np.array([-1, 0, 1])
    fy = (row + _vertex(power[(row + beside) % n, column])) / n
    fx = (column + _vertex(power[row, (column + beside) % m])) / m
    fy -= round(fy)
    return Wave(float(1 / np.hypot(fy, fx)), float(np.degrees(np.arctan2(fy, fx)) % 180))


def _vertex(power: np.ndarray) -> float:
    """Position of the top of the parabola through the logarithms of three values around a maximum, in [-0.5, 0.5]."""
    left, middle, right = np.log(power + np.finfo(np.float32).tiny)
    curvature = left - 2 * middle + right
    return float((left - right) / (2 * curvature)) if curvature < 0 else 0.0


def _distance(a: Wave, b: Wave) -> float:
    """Between two wave vectors of unknown sign, in cycles per px."""
    p, q = (np.exp(1j * np.radians(wave.orientation_deg)) / wave.period_px for wave in (a, b))
    return float(min(abs(p - q), abs(p + q)))


def _tiling(side: int, size: int, overlap: int) -> tuple[list[int], np.ndarray]:
    """Where the tiles begin on one axis, and their (n, size) weights, which sum to one at every pixel."""
    starts = [*range(0, side - size, size - overlap), side - size]
    ramp = np.sin(np.pi / 2 * (np.arange(min(overlap, size // 2)) + 0.5) / max(1, min(overlap, size // 2))) ** 2
    weight = np.concatenate([ramp, np.ones(size - 2 * len(ramp)), ramp[::-1]])
    total = np.zeros(side)
    for start in starts:
        total[start : start + size] += weight
    return starts, np.stack([weight / total[start : start + size] for start in starts])
