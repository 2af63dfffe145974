"""Pixel pitch of each image from the column DimX and its width in px; which images to exclude or resample."""

import numpy as np
import pandas as pd

from deepdlt.images.image_file import MAX_PIXELS, MIN_SIDE, Facts
from deepdlt.tables import Sheet

MICROMETRES = ("", "μm", "µm", "um")  # both letters mu


def apply_pixel_pitch(
    images: pd.DataFrame, facts: list[Facts], table: Sheet, pixel_pitch: str
) -> tuple[pd.DataFrame, list[float], list[str], list[str]]:
    """(images with `pixel_um`, scale of each or [], notes, problems) for the option `pixel_pitch`."""
    target = _target(pixel_pitch)
    if target is None and pixel_pitch not in ("native", "exclude"):
        rule = "--pixel-pitch must be native, exclude, or nm per pixel in 0.01..100000"
        return images, [], [], [f"{rule}, got {pixel_pitch!r}"]
    dimx = images["DimX"] if "DimX" in images and table.units.get("DimX", "") in MICROMETRES else pd.Series(["?"])
    if not (pd.api.types.is_numeric_dtype(dimx) and (dimx > 0).all() and np.isfinite(dimx).all()):
        need = "the label table needs a column `DimX [um]` with the width of each image in micrometres, above 0"
        problems = [f"{table.path.name}: --pixel-pitch {pixel_pitch}: {need}"] if pixel_pitch != "native" else []
        return images, [], [], problems
    if not all(fact.size[0] for fact in facts):  # refused already
        return images, [], [], []
    images = images.assign(pixel_um=dimx / [fact.size[0] for fact in facts])
    nm = (images["pixel_um"] * 1000).round(2)
    most = nm.mode()[0]
    others = (nm / most - 1).abs() > 0.01
    if target is not None:
        scales = (images["pixel_um"] * 1000 / target).tolist()
        sizes = [(f.size[0] * s, f.size[1] * s) for f, s in zip(facts, scales, strict=True)]
        problems = [
            f"{file}: would be {w:.0f}x{h:.0f} px at {target:g} nm per pixel; choose another --pixel-pitch"
            for file, (w, h) in zip(images["file"], sizes, strict=True)
            if round(min(w, h)) < MIN_SIDE or w * h > MAX_PIXELS
        ]
        images["pixel_um"] = target / 1000
        return images, scales, [], problems
    if not others.any():
        return images, [], [], []
    if pixel_pitch == "exclude":
        return images[~others], [], [f"{others.sum()} image(s) are not at {most:g} nm per pixel and are left out"], []
    note = f"{others.sum()} image(s) are not at {most:g} nm per pixel; --pixel-pitch can exclude or resample them"
    return images, [], [note], []


def _target(pixel_pitch: str) -> float | None:
    try:
        value = float(pixel_pitch)
    except ValueError:
        return None
    return value if 0.01 <= value <= 100_000 else None
