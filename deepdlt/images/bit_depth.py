"""How much of its range a picture uses: what has fewer bits than its file, such as a 12-bit camera in 16 bits.

It is judged by the distribution. What is drawn over the picture (a scale bar, text) and single hot pixels do not count.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from deepdlt.errors import short

TWELVE_BITS = 4095
FULL = {8: 255, 16: 65535}
QUARTER, HALF = 0.25, 0.5
RARE = 0.02  # share of values below `low` and above `high`: debris, smooth edges of text
MOST_DRAWN = 3  # greys of what is drawn over a picture


class Depth(NamedTuple):
    """`bits` of a value in the file, 8 or 16. `top`: the largest value of the picture. `low`, `high`: of most of it."""

    bits: int
    top: int
    low: int
    high: int


def depth(values: np.ndarray) -> Depth:
    """How a picture (h, w) uint8 or uint16 uses its range."""
    bits = 8 * values.itemsize
    counts = np.bincount(values.ravel(), minlength=FULL[bits] + 1)
    top = int(np.flatnonzero(counts)[-1])
    picture = np.ones(values.shape, bool)
    for _ in range(MOST_DRAWN):
        picture &= ~_grown(picture & (values == top))
        inside = values[picture]
        below = int(inside.max()) if len(inside) >= values.size / 2 else top
        if 2 * below >= top or below == inside.min():
            break
        top, counts = below, np.bincount(inside, minlength=FULL[bits] + 1)
    counts[[0, FULL[bits]]] = 0  # clipped, or drawn
    shares = np.cumsum(counts) / max(1, counts.sum())
    low, high = np.searchsorted(shares, [RARE, 1 - RARE])
    return Depth(bits, top, int(low), min(int(high), top))


def depth_notes(files: Sequence[str], depths: Sequence[Depth]) -> list[str]:
    """Notes on images that use a small part of their range: one for all that do."""
    notes = []
    for bits, full in FULL.items():
        of = [i for i, found in enumerate(depths) if found.bits == bits]
        most = HALF if bits == 16 and all(depths[i].high <= HALF * full for i in of) else QUARTER
        dark = [i for i in of if depths[i].high <= most * full]
        if dark:
            notes.append(_dark(bits, [files[i] for i in dark], len(of), [depths[i] for i in dark]))
        flat = [i for i in of if i not in dark and depths[i].high - depths[i].low <= TWELVE_BITS / FULL[16] * full]
        if flat:
            low, high = min(depths[i].low for i in flat), max(depths[i].high for i in flat)
            of_grey = 255 * (high - low) // full + 1
            notes.append(
                f"{_some([files[i] for i in flat], len(of), bits)} have only values from {low} to {high} of {full}:"
                f" {of_grey} of 256 greys; spread all images alike (one range for all)"
            )
    return notes


def _dark(bits: int, files: Sequence[str], n: int, found: Sequence[Depth]) -> str:
    full, top = FULL[bits], max(one.top for one in found)
    most = "" if top <= HALF * full else "nearly all "
    reach = max(one.high for one in found) if most else top
    used = reach.bit_length()
    lost = "; what is brighter becomes white" if most else ""
    camera = f", as from a {used}-bit camera" if bits == 16 else ""
    return (
        f"{_some(files, n, bits)} use the lowest {max(1, round(100 * reach / full))} % of the range ({most}values <="
        f" {reach} of {full}{camera}). They stay that dark, and PSNR comes out about {6 * (bits - used)} dB too high;"
        f" multiply the values of all images by {2 ** (bits - used)} (ImageJ: Process > Math > Multiply){lost}"
    )


def _some(files: Sequence[str], n: int, bits: int) -> str:
    """`all 12 images of 16 bits`, or `2 of 12 images of 16 bits (such as 'a.tif')`."""
    return (
        f"all {n} images of {bits} bits"
        if len(files) == n
        else (f"{len(files)} of {n} images of {bits} bits (such as {short(files[0])})")
    )


def _grown(mask: np.ndarray) -> np.ndarray:
    """The mask and its neighbours."""
    padded = np.pad(mask, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
