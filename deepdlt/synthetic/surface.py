"""Simulation of one surface, from laser and steel to its image in a scanning electron microscope.

Direct laser interference patterning (DLIP) sets the fluence, a Swift-Hohenberg field grows the ripples (LIPSS) where
the fluence exceeds the incubated threshold, and a model of the microscope turns the relief into an image.
"""

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw
from scipy import fft, ndimage
from scipy.special import ndtri

from deepdlt.synthetic.laser_condition import (
    PATTERN_PEAK,
    PIXEL,
    SPOT_RADIUS,
    Condition,
    Truth,
    peak_ratios,
    ripple_share,
    truth,
)

# Lengths in um; "tuned": by eye and by statistics of real micrographs.
WARP, WARP_SIZE = 0.05, 1.2  # displacement of the fringes and its correlation length; tuned
SPECKLE, SPECKLE_SIZE = 0.10, 0.25  # SD of log fluence and its correlation length; tuned
# Ripples: time step, number of steps, quadratic term and anisotropy of the Swift-Hohenberg equation; tuned.
COARSE, TIME_STEP, STEPS, QUADRATIC, ANISOTROPY = 2, 0.5, 50, 0.3, 0.4  # COARSE: pixels per cell of its grid
# Relief in um: trench per log fluence at 50 pulses, ripples, grains of the over-ablated bottom; tuned.
TRENCH, RIPPLE, MELT = 0.25, 0.08, 0.03
ROUGHNESS = ((0.02, 0.003, 0.012), (0.06, 0.003, 0.012), (0.12, 0.003, 0.008))  # size, on steel, on ablated; tuned
# Grey per unit of tilt, edge, trench depth, relief between fringes, slope to the detector, ablation, crack; tuned.
TILT, EDGE, SHADOW, RELIEF, DETECTOR, ABLATION, CRACK = 0.14, 1.6, 0.18, 0.7, 0.03, 0.10, 0.15
GREY_MEAN, GREY_MEAN_SD, GREY_SD, GREY_SKEW = 0.358, 0.034, 0.170, 0.40  # first three: published images; last tuned
PROBE = 0.45 * PIXEL  # SD of the electron beam, um; tuned
ELECTRONS, READ_NOISE = 500, 0.006  # dose per pixel and grey level; with the blur, SD 0.018 as in real images


def surface(condition: Condition) -> np.ndarray:
    """Simulate the SEM image of one laser-textured surface; the same condition gives the same bytes.

    Returns: image uint8 (height, width); `truth` has its periods and directions.
    Source: two- and four-beam interference; Swift & Hohenberg, Phys. Rev. A 15, 319 (1977).
    """
    rng = np.random.default_rng(condition.seed)
    coarse_ratio, share = _fluence_ratio(condition, truth(condition), rng)
    coarse_ripples = _swift_hohenberg(coarse_ratio, condition.polarization, condition, rng)
    if condition.crossed:
        across = _swift_hohenberg(coarse_ratio, condition.flat_polarization, condition, rng)
        coarse_ripples = share * coarse_ripples + (1 - share) * across
    ratio, ripples = (_refine(field, condition.image_size) for field in (coarse_ratio, coarse_ripples))
    ablated = _logistic(6 * (ratio - 1))
    height = _relief(ratio, ripples, ablated, condition, rng) + _debris(ratio, condition, rng)
    return _instrument(_electron_yield(height, ablated, condition, rng), condition.pixel_um, rng)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float | tuple[float, float]) -> np.ndarray:
    """White noise, filtered with a periodic Gaussian of `sigma` (or (y, x)) cells; zero mean, unit variance."""
    sigma_y, sigma_x = np.broadcast_to(sigma, 2)
    ky, kx = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None]
    kernel = np.exp(-2 * np.pi**2 * ((sigma_y * ky) ** 2 + (sigma_x * kx) ** 2)).astype(np.float32)
    field = fft.irfft2(fft.rfft2(rng.standard_normal(shape, dtype=np.float32)) * kernel, s=shape)
    field -= field.mean()
    return field / field.std()


def _fluence_ratio(condition: Condition, known: Truth, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Local fluence / ablation threshold on the coarse grid, and the patterned pulse's share of the ripples."""
    cell = condition.pixel_um * COARSE
    shape = tuple(-(-n // COARSE) for n in condition.image_size)
    y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) * cell for n in shape), indexing="ij")
    off_y, off_x = rng.uniform(-15, 15, 2) + np.array(shape) * cell / 2  # the beam's centre is near the image's centre
    envelope = np.exp(-2 * ((y - off_y) ** 2 + (x - off_x) ** 2) / SPOT_RADIUS**2)
    y, x = (axis + rng.uniform(0, 20) + WARP * _noise(rng, shape, WARP_SIZE / cell) for axis in (y, x))
    q = np.pi / known.period_dlip_um
    if condition.pattern == "D":
        fringes = (np.cos(q * x) + np.cos(q * y)) ** 2
    else:
        fringes = 1 + np.cos(2 * q * (x if condition.pattern == "V" else y))
    speckle = np.exp(SPECKLE * _noise(rng, shape, SPECKLE_SIZE / cell))
    patterned, flat = peak_ratios(condition)
    local = patterned / PATTERN_PEAK[condition.pattern] * fringes
    share = np.asarray(ripple_share(condition, fringes), np.float32)
    return ((local + flat) * envelope * speckle).astype(np.float32), share


def _swift_hohenberg(
    ratio: np.ndarray, polarization: str, condition: Condition, rng: np.random.Generator
) -> np.ndarray:
    """Ripples u of du/dt = eps u - (1 + lap/k0^2)^2 u - a (k_perp/k0)^2 u + g u^2 - u^3, semi-implicit in Fourier."""
    cells = truth(condition).period_lipss_um / (condition.pixel_um * COARSE)
    ky, kx = fft.fftfreq(ratio.shape[0])[:, None] * cells, fft.rfftfreq(ratio.shape[1])[None] * cells
    across = ky if polarization == "H" else kx  # the selected wavevector is parallel to the polarization
    growth = np.clip(0.9 * np.tanh(1.5 * (ratio - 1)), -1.5, 0.9)
    ceiling = growth.max()  # the implicit part has this uniform rate, the explicit part the local difference to it
    rate = ceiling - (1 - (kx**2 + ky**2)) ** 2 - ANISOTROPY * across**2
    implicit = (1 / (1 - np.minimum(TIME_STEP * rate, 0.9))).astype(np.float32)
    u = rng.normal(0, 0.1 * PIXEL / condition.pixel_um, ratio.shape).astype(np.float32)  # noise per area, not per cell
    spectrum = fft.rfft2(u)
    for _ in range(STEPS):
        spectrum += TIME_STEP * fft.rfft2((growth - ceiling + (QUADRATIC - u) * u) * u)
        spectrum *= implicit
        u = fft.irfft2(spectrum, s=ratio.shape)
    return u


def _refine(field: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    fine = ndimage.zoom(field, COARSE, order=1, mode="nearest", grid_mode=True)
    return fine[: image_size[0], : image_size[1]]


def _relief(
    ratio: np.ndarray, ripples: np.ndarray, ablated: np.ndarray, condition: Condition, rng: np.random.Generator
) -> np.ndarray:
    """Height in um, zero on untreated steel: trenches, ripples on their floor, roughness."""
    shape, px = ratio.shape, condition.pixel_um
    melt = _logistic(3 * (ratio - 4))  # strong ablation removes the ripples and leaves grains
    height = -TRENCH * (condition.n_pulses / 50) ** 0.5 * np.log(np.maximum(ratio, 1))
    ridges = np.tanh(3.5 * (ripples + 0.3 + 0.25 * _noise(rng, shape, 0.12 / px)))  # broad ridges, narrow grooves
    height += RIPPLE * ablated * (1 - 0.7 * melt) * (ridges - 0.5)
    height += MELT * melt * _noise(rng, shape, 0.08 / px)
    for size, on_steel, on_ablated in ROUGHNESS:
        height += (on_steel + on_ablated * ablated) * _noise(rng, shape, size / px)
    return height


def _debris(ratio: np.ndarray, condition: Condition, rng: np.random.Generator) -> np.ndarray:
    """Redeposited steel in um: droplets along the rims; grains at low fluence, more with every pulse."""
    px = condition.pixel_um
    removed = condition.n_pulses / 100 * np.log(np.maximum(ratio, 1)).mean()
    clumps = np.exp(1.2 * _noise(rng, ratio.shape, 0.3 / px) - 0.7)
    droplets = 0.03 * _logistic(6 * (ratio - 1)) + 0.12 * np.exp(-(((ratio - 1) / 0.4) ** 2))
    grains = min(0.004 + 0.5 * removed, 0.35) / (1 + (0.7 * ratio) ** 2)
    height = np.zeros_like(ratio)
    for cover, size_um in ((droplets, 0.025), (grains, 0.05), (0.5 * grains, 0.09)):
        level = -ndtri(np.clip(cover * clumps, 1e-6, 0.6))  # Gaussian noise exceeds this level on the share `cover`
        excess = np.maximum(_noise(rng, ratio.shape, size_um / px) - level, 0)
        height = np.maximum(height, 1.4 * size_um * np.sqrt(excess))
    return height


def _cracks(image_size: tuple[int, ...], pixel_um: float, rng: np.random.Generator) -> np.ndarray:
    """Cracks of the steel (1 = crack): jagged lines, one per 120 um2."""
    rows, columns = image_size
    zoom = PIXEL / pixel_um  # lengths below are in pixels of the usual pitch
    canvas = Image.new("L", (columns, rows))
    for _ in range(rng.poisson(rows * columns * pixel_um**2 / 120)):
        heading = rng.uniform(0, np.pi) + rng.normal(0, 0.6, rng.integers(5, 40))
        path = rng.uniform(0, (columns, rows)) + np.cumsum(
            6 * zoom * np.stack((np.cos(heading), np.sin(heading)), 1), 0
        )
        for start, end in pairwise(path):
            ImageDraw.Draw(canvas).line((*start, *end), fill=255, width=max(1, round(int(rng.integers(1, 5)) * zoom)))
    return ndimage.gaussian_filter(np.asarray(canvas, np.float32) / 255, zoom)


def _electron_yield(
    height: np.ndarray, ablated: np.ndarray, condition: Condition, rng: np.random.Generator
) -> np.ndarray:
    """Secondary electrons, arbitrary units: tilt (secant law), edges, shadowed trenches, detector side, steel."""
    px = condition.pixel_um
    low = {size: ndimage.gaussian_filter(height, size / px) for size in (0.12, 0.2, 0.3, 0.6)}
    slope_y, slope_x = np.gradient(height, px)
    grey = TILT * np.minimum(np.sqrt(1 + slope_x**2 + slope_y**2) - 1, 3) + EDGE * (height - low[0.12])
    grey += RELIEF * np.clip(low[0.2] - low[0.6], -0.3, 0.3) - SHADOW * np.clip(-low[0.3], 0, 2)
    grey += DETECTOR * slope_x + ABLATION * ablated
    streaks = _noise(rng, grey.shape, (0.04 / px, 1.5 / px))  # polishing marks, only on untreated steel
    grey += 0.006 * (1 - ablated) * streaks + 0.008 * _noise(rng, grey.shape, 1.0 / px)
    return grey - CRACK * _cracks(grey.shape, px, rng)


def _instrument(signal: np.ndarray, pixel_um: float, rng: np.random.Generator) -> np.ndarray:
    """From electron yield to 8-bit greyscale: probe blur, contrast and brightness, drift, dose noise."""
    shape = signal.shape
    signal = ndimage.gaussian_filter(signal, PROBE / pixel_um)
    standard = np.clip((signal - signal.mean()) / signal.std(), -3, 4)
    signal = np.exp(GREY_SKEW * standard)  # few bright edges; dark areas keep their detail
    contrast, brightness = GREY_SD * rng.uniform(0.8, 1.2), rng.normal(GREY_MEAN, GREY_MEAN_SD)
    grey = (signal - signal.mean()) / signal.std() * contrast + brightness
    grey += 0.015 * _noise(rng, shape, min(shape) / 4) + np.cumsum(rng.normal(0, 0.0004, shape[0]))[:, None]
    grey = ndimage.gaussian_filter(rng.poisson(ELECTRONS * np.maximum(grey, 0)) / ELECTRONS, 0.45)
    grey += rng.normal(0, READ_NOISE, shape)
    return np.rint(255 * np.clip(grey, 0, 1)).astype(np.uint8)
