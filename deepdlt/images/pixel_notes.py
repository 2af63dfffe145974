"""Notes on the pixels of a folder: bit depth, and what is drawn over the pictures."""

from collections.abc import Sequence
from typing import NamedTuple

from deepdlt.errors import short
from deepdlt.images.bit_depth import Depth, depth_notes
from deepdlt.images.image_file import Decoded
from deepdlt.images.info_bar import Drawing, drawings

ALIKE = 3  # strips of one height that make an info bar without text


class Look(NamedTuple):
    """What a decoded image tells about itself."""

    depth: Depth
    drawn: tuple[Drawing, ...]


def look(decoded: Decoded) -> Look:
    """Look at a decoded image."""
    return Look(decoded.depth, drawings(decoded.pixels))


def pixel_notes(files: Sequence[str], looks: Sequence[Look]) -> tuple[str, ...]:
    """Notes on a folder, for people; `looks`: one for each of its files."""
    found = [(file, drawn) for file, seen in zip(files, looks, strict=True) for drawn in seen.drawn]
    bars = [(file, drawn) for file, drawn in found if drawn.kind == "bar"]
    notes = []
    for side in ("bottom", "top"):
        strips = [(file, drawn) for file, drawn in found if (drawn.kind, drawn.side) == ("strip", side)]
        heights = [drawn.height for _, drawn in strips]
        same = [pair for pair in strips if heights.count(pair[1].height) >= max(ALIKE, len(looks) / 2)]
        here = [pair for pair in bars if pair[1].side == side] + same
        if here:
            notes.append(_note(here, len(looks), f"an info bar at the {side}", "high", "crop it off every image alike"))
    inside = {"box": "a box with text", "line": "a scale bar"}
    for kind, what in inside.items():
        here = [(file, drawn) for file, drawn in found if drawn.kind == kind]
        if here:
            remedy = "export them without it, or cut the images so that it lies outside"
            notes.append(_note(here, len(looks), f"{what} drawn into the picture", "", remedy))
    return (*notes, *depth_notes(files, [seen.depth for seen in looks]))


def _note(here: Sequence[tuple[str, Drawing]], n: int, what: str, high: str, remedy: str) -> str:
    drawn = [d for _, d in here]
    sizes = [d.height for d in drawn]
    size = f"{_range(sizes)} px {high}" if high else f"{drawn[0].width}x{drawn[0].height} px"
    share = _range([max(1, round(100 * d.share)) for d in drawn])
    images = len({file for file, _ in here})  # of which one may have several drawings
    return (
        f"{images} of {n} image(s) seem to have {what} ({size.strip()}, {share} % of the picture), such as"
        f" {short(here[0][0])}; {remedy}: networks would learn it too"
    )


def _range(values: Sequence[int]) -> str:
    return str(min(values)) if min(values) == max(values) else f"{min(values)} to {max(values)}"
