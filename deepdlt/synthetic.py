"""SEM-like images of laser-textured steel (DLIP trenches carrying LIPSS ripples) with known truth.

Direct laser interference patterning (DLIP) sets the fluence, a Swift-Hohenberg field grows the ripples (LIPSS) where
the fluence exceeds the incubated threshold, and the relief is imaged as a scanning electron microscope would.

    python -m deepdlt.synthetic --preset small --out data/synthetic
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from scipy import fft, ndimage
from scipy.special import ndtri

GENERATOR_VERSION = 1  # part of the folder's name: raise it whenever the pixels or the sheet change

# Laser and steel. Lengths in um, fluence in J/cm2; "tuned" = by eye and by statistics beside real micrographs.
WAVELENGTH, PIXEL = 1.026, 40 / 1280  # wavelength; usual pitch of the micrographs
SPOT_RADIUS = 150.0  # 1/e^2 radius w0, the sheet's "Spot size"
THRESHOLD, INCUBATION = 0.09, 0.87  # F_th(N) = F_th(1) N^(S-1) as in Opt. Express 22, 12200; both values tuned
SECOND_PULSE = 0.8  # share of the second pulse's energy that still acts after the delay; estimate
PATTERN_PEAK = {"V": 2.0, "H": 2.0, "D": 4.0}  # peak over mean of two- and four-beam interference
PATTERN_SHARE = {"V": 0.75, "H": 0.75, "D": 0.42}  # share of the energy that reaches the fringes; tuned
WARP, WARP_SIZE = 0.05, 1.2  # displacement of the fringes and its correlation length; tuned
SPECKLE, SPECKLE_SIZE = 0.10, 0.25  # sd of log fluence and its correlation length; tuned
# Ripples: time step, number of steps, quadratic term and anisotropy of the Swift-Hohenberg equation; tuned.
COARSE, TIME_STEP, STEPS, QUADRATIC, ANISOTROPY = 2, 0.5, 50, 0.3, 0.4  # COARSE: pixels per cell of its grid
# Relief in um: trench per log fluence at 50 pulses, ripples, grains of the over-ablated bottom; tuned.
TRENCH, RIPPLE, MELT = 0.25, 0.08, 0.03
ROUGHNESS = ((0.02, 0.003, 0.012), (0.06, 0.003, 0.012), (0.12, 0.003, 0.008))  # size, on steel, on ablated; tuned
# Grey per unit of tilt, edge, trench depth, relief between fringes, slope to the detector, ablation, crack; tuned.
TILT, EDGE, SHADOW, RELIEF, DETECTOR, ABLATION, CRACK = 0.14, 1.6, 0.18, 0.7, 0.03, 0.10, 0.15
GREY_MEAN, GREY_MEAN_SD, GREY_SD, GREY_SKEW = 0.358, 0.034, 0.170, 0.40  # first three: 208 real images; last tuned
ELECTRONS, READ_NOISE = 500, 0.006  # dose per pixel and grey level; with the blur, sd .018 as in the real images


@dataclass(frozen=True)
class Condition:
    """One row of the sheet in physical terms.

    angle_deg: half-angle of the interfering beams, (0, 90) degrees; pattern: 'V' or 'H' lines, 'D' dot lattice;
    n_pulses >= 1; energy_uj > 0: energy acting on the pattern, microjoule; polarization: 'H' or 'V';
    image_size: (height, width) in pixels of pixel_um micrometres; seed >= 0: the same seed gives the same image.

    Raises: ValueError naming the field that is out of range.
    """

    angle_deg: float
    pattern: str
    n_pulses: int
    energy_uj: float
    polarization: str = "H"
    image_size: tuple[int, int] = (480, 640)
    pixel_um: float = PIXEL
    seed: int = 0

    def __post_init__(self) -> None:
        rules = {
            "angle_deg": (0 < self.angle_deg < 90, "in (0, 90)"),
            "pattern": (self.pattern in PATTERN_PEAK, "'V', 'H' or 'D'"),
            "n_pulses": (self.n_pulses >= 1, "at least 1"),
            "energy_uj": (self.energy_uj > 0, "positive"),
            "polarization": (self.polarization in ("H", "V"), "'H' or 'V'"),
            "image_size": (min(self.image_size) >= 32, "at least 32 x 32 pixels"),
            "pixel_um": (self.pixel_um > 0, "positive"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise ValueError(f"`{name}` must be {rule}, got {getattr(self, name)!r}")


class Truth(NamedTuple):
    """What a perfect analysis of the image would find.

    Periods in um, fluence in J/cm2; ripple_angle_deg is the direction of the ripples' ridges from the x axis.
    For pattern D, period_dlip_um is that of the projections on x and y; the lattice's own is sqrt(2) times as long.
    """

    period_dlip_um: float
    period_lipss_um: float
    ripple_angle_deg: float
    fluence_ratio: float  # peak fluence over the incubated threshold
    peak_fluence_j_cm2: float


@dataclass(frozen=True)
class Surface:
    """A simulated micrograph: `image` is uint8 (height, width), `truth` what it shows."""

    image: np.ndarray
    truth: Truth


def truth(condition: Condition) -> Truth:
    """Periods, ripple direction and fluence that follow from the process parameters alone.

    Source: two-beam interference, period = wavelength / (2 sin theta); ripples lie perpendicular to the polarization.
    """
    mean_fluence = 2 * condition.energy_uj * 1e-6 / (np.pi * (SPOT_RADIUS * 1e-4) ** 2)
    peak = mean_fluence * PATTERN_SHARE[condition.pattern] * PATTERN_PEAK[condition.pattern]
    return Truth(
        period_dlip_um=float(WAVELENGTH / (2 * np.sin(np.radians(condition.angle_deg)))),
        period_lipss_um=float(WAVELENGTH * (0.88 - 0.05 * np.log10(condition.n_pulses / 10))),  # trend: estimate
        ripple_angle_deg=90.0 if condition.polarization == "H" else 0.0,
        fluence_ratio=float(peak / (THRESHOLD * condition.n_pulses ** (INCUBATION - 1))),
        peak_fluence_j_cm2=float(peak),
    )


def surface(condition: Condition) -> Surface:
    """Simulate the SEM image of one laser-textured surface; the same condition gives the same bytes.

    Returns: image uint8 (height, width), and the truth behind it.
    Source: two- and four-beam interference; Swift & Hohenberg, Phys. Rev. A 15, 319 (1977).
    """
    rng = np.random.default_rng(condition.seed)
    known = truth(condition)
    coarse_ratio = _fluence_ratio(condition, known, rng)
    coarse_ripples = _swift_hohenberg(coarse_ratio, condition, known.period_lipss_um, rng)
    ratio, ripples = (_refine(field, condition.image_size) for field in (coarse_ratio, coarse_ripples))
    ablated = _logistic(6 * (ratio - 1))
    height = _relief(ratio, ripples, ablated, condition, rng) + _debris(ratio, condition, rng)
    return Surface(_instrument(_electron_yield(height, ablated, condition, rng), rng), known)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float | tuple[float, float]) -> np.ndarray:
    """White noise under a periodic Gaussian filter of `sigma` cells, or (y, x) of them; zero mean, unit variance."""
    sigma_y, sigma_x = np.broadcast_to(sigma, 2)
    ky, kx = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None]
    kernel = np.exp(-2 * np.pi**2 * ((sigma_y * ky) ** 2 + (sigma_x * kx) ** 2)).astype(np.float32)
    field = fft.irfft2(fft.rfft2(rng.standard_normal(shape, dtype=np.float32)) * kernel, s=shape)
    field -= field.mean()
    return field / field.std()


def _fluence_ratio(condition: Condition, known: Truth, rng: np.random.Generator) -> np.ndarray:
    """Local fluence over the ablation threshold, on the coarse grid."""
    cell = condition.pixel_um * COARSE
    shape = tuple(-(-n // COARSE) for n in condition.image_size)
    y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) * cell for n in shape), indexing="ij")
    off_y, off_x = rng.uniform(-15, 15, 2) + np.array(shape) * cell / 2  # the beam's centre is near the image's
    envelope = np.exp(-2 * ((y - off_y) ** 2 + (x - off_x) ** 2) / SPOT_RADIUS**2)
    y, x = (axis + rng.uniform(0, 20) + WARP * _noise(rng, shape, WARP_SIZE / cell) for axis in (y, x))
    q = np.pi / known.period_dlip_um
    if condition.pattern == "D":
        fringes = (np.cos(q * x) + np.cos(q * y)) ** 2
    else:
        fringes = 1 + np.cos(2 * q * (x if condition.pattern == "V" else y))
    speckle = np.exp(SPECKLE * _noise(rng, shape, SPECKLE_SIZE / cell))
    return (known.fluence_ratio / PATTERN_PEAK[condition.pattern] * fringes * envelope * speckle).astype(np.float32)


def _swift_hohenberg(ratio: np.ndarray, condition: Condition, period_um: float, rng: np.random.Generator) -> np.ndarray:
    """Ripples u of du/dt = eps u - (1 + lap/k0^2)^2 u - a (k_perp/k0)^2 u + g u^2 - u^3, semi-implicit in Fourier."""
    cells = period_um / (condition.pixel_um * COARSE)
    ky, kx = fft.fftfreq(ratio.shape[0])[:, None] * cells, fft.rfftfreq(ratio.shape[1])[None] * cells
    across = ky if condition.polarization == "H" else kx  # the selected wavevector is parallel to the polarization
    growth = np.clip(0.9 * np.tanh(1.5 * (ratio - 1)), -1.5, 0.9)
    ceiling = growth.max()  # the implicit part takes the uniform rate, the explicit part what a place falls short of it
    rate = ceiling - (1 - (kx**2 + ky**2)) ** 2 - ANISOTROPY * across**2
    implicit = (1 / (1 - np.minimum(TIME_STEP * rate, 0.9))).astype(np.float32)
    u = rng.normal(0, 0.1, ratio.shape).astype(np.float32)
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
    """Height in um, zero on virgin steel: trenches, ripples on their floor, roughness."""
    shape, px = ratio.shape, condition.pixel_um
    melt = _logistic(3 * (ratio - 4))  # over-ablation erases the ripples and leaves grains
    height = -TRENCH * (condition.n_pulses / 50) ** 0.5 * np.log(np.maximum(ratio, 1))
    ridges = np.tanh(3.5 * (ripples + 0.3 + 0.25 * _noise(rng, shape, 0.12 / px)))  # broad ridges, narrow grooves
    height += RIPPLE * ablated * (1 - 0.7 * melt) * (ridges - 0.5)
    height += MELT * melt * _noise(rng, shape, 0.08 / px)
    for size, on_steel, on_ablated in ROUGHNESS:
        height += (on_steel + on_ablated * ablated) * _noise(rng, shape, size / px)
    return height


def _debris(ratio: np.ndarray, condition: Condition, rng: np.random.Generator) -> np.ndarray:
    """Redeposited steel in um: droplets along the rims, and grains, more with every pulse, where fluence was low."""
    px = condition.pixel_um
    removed = condition.n_pulses / 100 * np.log(np.maximum(ratio, 1)).mean()
    clumps = np.exp(1.2 * _noise(rng, ratio.shape, 0.3 / px) - 0.7)
    droplets = 0.03 * _logistic(6 * (ratio - 1)) + 0.12 * np.exp(-(((ratio - 1) / 0.4) ** 2))
    grains = min(0.004 + 0.5 * removed, 0.35) / (1 + (0.7 * ratio) ** 2)
    height = np.zeros_like(ratio)
    for cover, size_um in ((droplets, 0.025), (grains, 0.05), (0.5 * grains, 0.09)):
        level = -ndtri(np.clip(cover * clumps, 1e-6, 0.6))  # Gaussian noise exceeds it on the share `cover`
        excess = np.maximum(_noise(rng, ratio.shape, size_um / px) - level, 0)
        height = np.maximum(height, 1.4 * size_um * np.sqrt(excess))
    return height


def _cracks(image_size: tuple[int, ...], pixel_um: float, rng: np.random.Generator) -> np.ndarray:
    """Cracks of the steel, 1 = crack: jagged lines, one per 120 um2."""
    rows, columns = image_size
    canvas = Image.new("L", (columns, rows))
    for _ in range(rng.poisson(rows * columns * pixel_um**2 / 120)):
        heading = rng.uniform(0, np.pi) + rng.normal(0, 0.6, rng.integers(5, 40))
        path = rng.uniform(0, (columns, rows)) + np.cumsum(6 * np.stack((np.cos(heading), np.sin(heading)), 1), 0)
        for start, end in pairwise(path):
            ImageDraw.Draw(canvas).line((*start, *end), fill=255, width=int(rng.integers(1, 5)))
    return ndimage.gaussian_filter(np.asarray(canvas, np.float32) / 255, 1.0)


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
    streaks = _noise(rng, grey.shape, (0.04 / px, 1.5 / px))  # polishing marks, only on virgin steel
    grey += 0.006 * (1 - ablated) * streaks + 0.008 * _noise(rng, grey.shape, 1.0 / px)
    return grey - CRACK * _cracks(grey.shape, px, rng)


def _instrument(signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Probe blur, contrast and brightness, drift, dose noise: electrons in, 8-bit grey out."""
    shape = signal.shape
    signal = ndimage.gaussian_filter(signal, 0.45)
    standard = np.clip((signal - signal.mean()) / signal.std(), -3, 4)
    signal = np.exp(GREY_SKEW * standard)  # few bright edges, blacks that keep their detail
    contrast, brightness = GREY_SD * rng.uniform(0.8, 1.2), rng.normal(GREY_MEAN, GREY_MEAN_SD)
    grey = (signal - signal.mean()) / signal.std() * contrast + brightness
    grey += 0.015 * _noise(rng, shape, min(shape) / 4) + np.cumsum(rng.normal(0, 0.0004, shape[0]))[:, None]
    grey = ndimage.gaussian_filter(rng.poisson(ELECTRONS * np.maximum(grey, 0)) / ELECTRONS, 0.45)
    grey += rng.normal(0, READ_NOISE, shape)
    return np.rint(255 * np.clip(grey, 0, 1)).astype(np.uint8)


class Block(NamedTuple):
    """A measurement campaign: every factor's levels are spread evenly over its n images; repeat a level to weigh it."""

    n: int
    folders: tuple[str, ...]
    angles: tuple[float, ...]
    patterns: str
    n_pulses: tuple[int, ...]
    energies: tuple[int, ...]
    delay_ps: int = 0  # more than 0: double pulses, both of the energy EP1
    polarization: str = "H"


SINGLE, DOUBLE = (26, 35, 40, 42, 50, 61, 78), (16, 20, 21, 23, 25, 35)  # EP1 in uJ
# Image size (height, width) and campaigns. "full" follows the proportions of the 208 real images, angles corrected.
PRESETS: dict[str, tuple[tuple[int, int], tuple[Block, ...]]] = {
    "tiny": ((160, 200), (Block(12, ("Single pulses",), (5.5, 8.5, 19.0), "VHD", (10, 50, 100), (26, 42, 61)),)),
    "small": (
        (480, 640),
        (
            Block(30, ("Single pulses 1", "Single pulses 2"), (5.5, 8.5, 19.0), "VHD", (10, 20, 50, 100, 500),
                  (26, 35, 42, 50, 61)),
        ),
    ),
    "full": (
        (960, 1280),
        (
            Block(36, ("Tuning",), (6.8, 8.5, 11.6), "V", (10, 20, 50), DOUBLE, 500),
            Block(26, ("Vertical polarization",), (19.0,), "VHD", (20, 100, 100), DOUBLE, 500, "V"),
            Block(39, ("Double pulses",), (5.5, 19.0), "VHD", (10, 50, 100), DOUBLE, 500),
            Block(48, ("Single pulses 1",), (5.5, 5.5, 19.0, 19.0, 19.0), "VHD", (10, 50), SINGLE),
            Block(28, ("Single pulses 2",), (19.0,), "VVHD", (10, 50, 100), SINGLE),
            Block(31, ("Single pulses 3",), (8.5, 8.5, 8.5, 5.5), "VVHD", (10, 50, 500), SINGLE),
        ),
    ),
}  # fmt: skip
TRUE_COLUMNS = ("period_dlip_um", "period_lipss_um", "ripple_angle_deg", "fluence_ratio")


def _spread(block: Block, rng: np.random.Generator, tries: int = 300) -> list[tuple]:
    """Rows (angle, pattern, NP, EP1) with balanced levels: the shuffle with fewest repeats, then least association."""
    factors = (block.angles, tuple(block.patterns), block.n_pulses, block.energies)
    best, best_score = np.zeros((len(factors), 0), int), np.inf
    for _ in range(tries):
        codes = np.stack([rng.permutation(np.resize(np.arange(len(f)), block.n)) for f in factors])
        repeats = block.n - len(np.unique(codes, axis=1).T)
        chi2 = 0.0
        for a, b in combinations(range(len(factors)), 2):
            cells = np.bincount(codes[a] * len(factors[b]) + codes[b], minlength=len(factors[a]) * len(factors[b]))
            chi2 += np.square(cells - cells.mean()).sum() / cells.mean()
        if (score := 1e6 * repeats + chi2) < best_score:
            best, best_score = codes, score
    return [tuple(f[i] for f, i in zip(factors, row, strict=True)) for row in best.T.tolist()]


def _condition(row: dict, image_size: tuple[int, int], seed: int = 0) -> Condition:
    energy = row["EP1 [μJ]"] + SECOND_PULSE * row["EP2 [μJ]"]
    return Condition(row["angle [deg]"], row["PP1"], row["NP"], energy, row["Pol 1"], image_size, seed=seed)


def design(preset: str) -> pd.DataFrame:
    """The sheet of a preset: one row per image, the real sheet's columns and units, then the truth as `true_*`.

    Names end in '.bmp' where the file ends in '.png', and PP2, EP2, Pol 2 are 0 for single pulses, as in the real one.

    Raises: ValueError for a preset that is not one of PRESETS.
    """
    if preset not in PRESETS:
        raise ValueError(f"`preset` must be one of {', '.join(PRESETS)}, got {preset!r}")
    image_size, blocks = PRESETS[preset]
    rng = np.random.default_rng(0)  # the design is part of the preset; only the surfaces depend on the user's seed
    rows = []
    for block in blocks:
        for i, (angle, pattern, n_pulses, energy) in enumerate(_spread(block, rng)):
            double = block.delay_ps > 0
            row = {
                "Names": f"{block.folders[i % len(block.folders)]}/{i + 1:02d}.bmp",
                "DimY [μm]": image_size[0] * PIXEL, "DimX [μm]": image_size[1] * PIXEL,
                "wavelength [nm]": round(WAVELENGTH * 1000), "Spot size [μm]": round(SPOT_RADIUS),
                "angle [deg]": angle, "PP1": pattern, "PP2": pattern if double else 0, "Δτ [ps]": block.delay_ps,
                "NP": n_pulses, "EP1 [μJ]": energy, "EP2 [μJ]": energy if double else 0,
                "Pol 1": block.polarization, "Pol 2": block.polarization if double else 0,
            }  # fmt: skip
            known = truth(_condition(row, image_size))
            rows.append(row | {f"true_{name}": round(getattr(known, name), 6) for name in TRUE_COLUMNS})
    return pd.DataFrame(rows)


def make_synthetic(
    root: Path, preset: str = "small", seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write the images (8-bit grey PNG) and all_images.xlsx of a preset to root/<preset>-<hash>, unless it is there.

    Built beside its place and renamed into it, so the folder is whole or absent; the same seed gives the same PNG
    bytes. `progress(done, total)` is called after each image.

    Returns: the folder. Raises: ValueError for an unknown preset or a negative seed.
    """
    sheet = design(preset)
    if seed < 0:
        raise ValueError(f"`seed` must be at least 0, got {seed}")
    digest = hashlib.sha256(f"{preset}-{seed}-{GENERATOR_VERSION}".encode()).hexdigest()[:8]
    folder = Path(root) / f"{preset}-{digest}"
    if folder.exists():
        return folder
    building = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        _write_images(building, sheet, PRESETS[preset][0], seed, progress)
        sheet.to_excel(building / "all_images.xlsx", sheet_name="Sheet1", index=False)
        building.rename(folder)
    except OSError:
        if not folder.exists():  # else another maker was faster, and its images are the same
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _write_images(
    folder: Path, sheet: pd.DataFrame, image_size: tuple[int, int], seed: int,
    progress: Callable[[int, int], None] | None = None, workers: int | None = None,
) -> None:  # fmt: skip
    """Render every row. Threads suffice: the FFTs, filters and random numbers release the interpreter's lock."""

    def render(index: int, row: dict) -> None:
        image_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
        path = folder / f"{row['Names'][:-4]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(surface(_condition(row, image_size, image_seed)).image).save(path)

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        jobs = [pool.submit(render, index, row) for index, row in enumerate(sheet.to_dict("records"))]
        try:
            for done, job in enumerate(as_completed(jobs), start=1):
                job.result()
                if progress:
                    progress(done, len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def main() -> None:
    """Command line: make a preset, show progress on stderr, print the folder on stdout."""
    from rich.console import Console
    from rich.progress import Progress

    parser = argparse.ArgumentParser(
        prog="python -m deepdlt.synthetic",
        description="Make SEM-like images of laser-textured steel, with their sheet all_images.xlsx and known truth.",
        epilog="example: python -m deepdlt.synthetic --preset small --out data/synthetic",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--preset", choices=list(PRESETS), default="small", help="how many images, of which size")
    parser.add_argument("--out", type=Path, default=Path("data/synthetic"), help="folder that receives the data set")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same images; at least 0")
    options = parser.parse_args()
    if options.seed < 0:
        parser.error(f"argument --seed: must be at least 0, got {options.seed}")
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(f"images of preset {options.preset}", total=None)
        folder = make_synthetic(
            options.out, options.preset, options.seed, lambda done, n: bar.update(task, completed=done, total=n)
        )
    print(folder)


if __name__ == "__main__":
    main()
