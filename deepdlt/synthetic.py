"""SEM-like images of laser-textured steel in a folder, with the label sheet of the real ones and the known truth.

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
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from deepdlt.progress_bar import progress_bar
from deepdlt.surface_physics import PIXEL, SECOND_PULSE, SPOT_RADIUS, WAVELENGTH, Condition, surface, truth

GENERATOR_VERSION = 1  # part of the folder's name: raise it whenever the pixels or the sheet change


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
    with progress_bar(f"making synthetic images ({options.preset})", "images") as progress:
        folder = make_synthetic(options.out, options.preset, options.seed, progress)
    print(folder)


if __name__ == "__main__":
    main()
