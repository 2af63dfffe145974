"""A folder of synthetic SEM images of laser-textured steel, with a label table like the published one and the truth.

deepdlt synthetic --preset small --out data/synthetic
"""

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from deepdlt.synthetic.design import PRESETS, condition_of, design
from deepdlt.synthetic.surface import surface

GENERATOR_VERSION = 1  # part of the folder's name; increase it if the pixels or the table change
MAX_WORKERS = 16  # threads; each holds about 100 MB for an image of 960x1280


def make_synthetic(
    root: Path,
    preset: str = "small",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    image_size: tuple[int, int] | None = None,
    label_noise: bool = False,
) -> Path:
    """Write the images (8-bit greyscale PNG) and all_images.xlsx of a preset to root/<preset>-<hash>, unless it exists.

    The folder is complete or absent, and the same seed gives the same PNG bytes. `progress(done, total)` is called
    after each image. `image_size`: (height, width) in pixels instead of the preset's. `label_noise`: wrong angles in
    the table, as in the published one; the images stay the same (see `design`).

    Returns: the folder; its hash depends on the table, the size, the seed and the generator's version.
    Raises: ValueError for an unknown preset, a negative seed or an image size out of range.
    """
    sheet = design(preset, image_size, label_noise)
    if seed < 0:
        raise ValueError(f"`seed` must be at least 0, got {seed}")
    size = image_size or PRESETS[preset].image_size
    content = f"{sheet.to_csv(index=False)}{size}-{seed}-{GENERATOR_VERSION}"
    folder = Path(root) / f"{preset}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
    if folder.exists():
        return folder
    building = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        _write_images(building, sheet, size, seed, progress)
        sheet.to_excel(building / "all_images.xlsx", sheet_name="Sheet1", index=False)
        building.rename(folder)
    except OSError:
        if not folder.exists():  # else another process was faster; its images are the same
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _write_images(
    folder: Path, sheet: pd.DataFrame, image_size: tuple[int, int], seed: int,
    progress: Callable[[int, int], None] | None = None, workers: int | None = None,
) -> None:  # fmt: skip
    """Simulate every row. Threads suffice: FFTs, filters and random numbers release the interpreter's lock."""

    def render(index: int, row: dict) -> None:
        image_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
        path = folder / f"{row['Names'][:-4]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(surface(condition_of(row, image_size, image_seed))).save(path)

    with ThreadPoolExecutor(workers or min(os.cpu_count() or 1, MAX_WORKERS)) as pool:
        jobs = [pool.submit(render, index, row) for index, row in enumerate(sheet.to_dict("records"))]
        try:
            for done, job in enumerate(as_completed(jobs), start=1):
                job.result()
                if progress:
                    progress(done, len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
