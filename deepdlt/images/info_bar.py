"""What a microscope's software draws over a picture: info bars along a side, boxes with text, scale bars.

An info bar is a strip of one grey over the whole width, with text in it and a sharp edge to the picture. A groove of a
laser texture is none: its edge is rough, nothing is written in it, or it comes again inside the picture.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

MIN_BAR, MAX_BAR = 8, 0.4  # height: px, share of the picture
FRAME = 6  # px: the thickest line of a frame, or between two fields
TOLERANCES = (2, 12, 24)  # grey levels that a drawn background varies by: lossless, good and poor JPEG
GROUND, PLAIN, LINE = 0.35, 0.9, 0.6  # share of the background in a row with text, in one without; of a line in its row
STEP = 0.3  # by which that share falls from the bar to the picture
INK = 50  # grey levels between text and background
INKED, CRISP = (0.001, 0.5), 0.7  # share of the text; of its edges, that are at most two pixels wide
FLAT = 0.3  # share of the background that is of one grey; JPEG changes what is near text, noise all
EVEN = 0.5  # share of the rows that are of one grey to the last pixel, in a strip without text
BOX, SCALE_BAR = (20, 10), (24, 3)  # smallest width and height, px
MOST_ALIKE = 3  # boxes or scale bars in one picture; more of them are a texture


class Drawing(NamedTuple):
    """`kind`: bar, strip (a bar without text), box or line (a scale bar). `side`: bottom or top, of a bar or strip.

    `width`, `height` in px; `share` of the picture.
    """

    kind: str
    side: str
    width: int
    height: int
    share: float


def drawings(pixels: np.ndarray) -> tuple[Drawing, ...]:
    """What is drawn over a picture (h, w) uint8, as far as that is certain; a strip alone is not."""
    height, width = pixels.shape
    found = []
    for side in ("bottom", "top"):
        kind, rows = _bar(pixels[::-1] if side == "bottom" else pixels)
        found += [Drawing(kind, side, width, rows, rows / height)] if rows else []
    return tuple(found) or tuple(_inside(pixels))


def _bar(pixels: np.ndarray) -> tuple[str, int]:
    """Kind and height in px, with its frame, of a bar or strip along the first rows; height 0 if there is none."""
    edge = [pixels[at : at + 8] for at in (0, 4, 8)]
    for grey in dict.fromkeys(int(np.bincount(rows.ravel(), minlength=256).argmax()) for rows in edge):
        for tolerance in TOLERANCES:
            if (_near(pixels[: 2 * MIN_BAR + FRAME], grey, tolerance).mean(1) >= PLAIN).any():
                kind, rows = _bar_of(pixels, grey, tolerance)
                if rows:
                    return kind, rows
    return "", 0


def _bar_of(pixels: np.ndarray, grey: int, tolerance: int) -> tuple[str, int]:
    """The same for one grey of the background."""
    is_ground = _near(pixels, grey, tolerance)
    share = is_ground.mean(1)
    end, lines = _end(pixels, share, tolerance)
    ground = share[:end][~lines]  # of the rows that are no lines
    if not MIN_BAR <= end <= MAX_BAR * len(pixels) or len(ground) < MIN_BAR - 2:
        return "", 0
    beyond = share[end : len(pixels) - int(MAX_BAR / 2 * len(pixels))]  # without a bar on the other side
    if (ground >= PLAIN).sum() < max(2, len(ground) // 10) or np.median(beyond) > ground.mean() - STEP:
        return "", 0
    if ground[-3:].mean() - share[end : end + 3].mean() < STEP:
        return "", 0
    columns = is_ground[:end].mean(0) >= GROUND  # without the lines across
    bar, again = pixels[:end][~lines][:, columns], pixels[end:][share[end:] >= PLAIN][:, columns]
    if _is_written(bar, grey, tolerance) and _has_margins(bar, grey) and _ink(again, grey) < _ink(bar, grey) / 4:
        return "bar", end
    even = (bar == grey).all(1).mean() >= EVEN and not (beyond >= PLAIN).any()
    return ("strip", end) if even else ("", 0)


def _end(pixels: np.ndarray, share: np.ndarray, tolerance: int) -> tuple[int, np.ndarray]:
    """Number of the first rows that are background, text or lines; and which of them are lines."""
    lines = np.zeros(len(share), bool)
    end = at_end = 0  # at_end: lines
    for row in pixels[: int(MAX_BAR * len(pixels)) + 1]:
        lines[end] = share[end] < GROUND and _near(row, int(np.bincount(row).argmax()), tolerance).mean() >= LINE
        if share[end] < GROUND and not lines[end]:
            break
        at_end = at_end + 1 if lines[end] else 0
        end += 1
        if at_end > FRAME:  # an even texture
            end -= at_end
            break
    return end, lines[:end]


def _is_written(part: np.ndarray, grey: int, tolerance: int) -> bool:
    """Text or a scale bar is in it: something of another grey whose edges are sharp."""
    ink = ~_near(part, grey, INK)
    if not part.size or not INKED[0] <= ink.mean() <= INKED[1] or ink.any(1).sum() < 3:
        return False
    if _near(part, grey, TOLERANCES[0]).mean() < FLAT:
        return False
    clear = ink | _near(part, grey, tolerance)
    edges = np.concatenate([clear[:, 3:][ink[:, :-3] & ~ink[:, 1:-2]], clear[:, :-3][ink[:, 3:] & ~ink[:, 2:-1]]])
    return len(edges) >= 6 and edges.mean() >= CRISP


def _has_margins(bar: np.ndarray, grey: int) -> bool:
    """Text does not touch the edges of a bar; debris lies everywhere in a groove."""
    return all(min(_ink(row, grey) for row in edge) <= INKED[0] for edge in (bar[:2], bar[-2:]))


def _ink(part: np.ndarray, grey: int) -> float:
    """Share of pixels that differ clearly from the background; 0 of none."""
    return float((~_near(part, grey, INK)).mean()) if part.size else 0.0


def _near(pixels: np.ndarray, grey: int, tolerance: int) -> np.ndarray:
    return (pixels >= max(0, grey - tolerance)) & (pixels <= min(255, grey + tolerance))


def _inside(pixels: np.ndarray) -> Iterator[Drawing]:
    """Boxes with text, and scale bars, within the picture."""
    boxes, lines = [], []
    for grey in (0, 255):
        for rows, columns in _places(_near(pixels, grey, TOLERANCES[0])):
            part = pixels[rows, columns]
            drawing = Drawing("box", "", part.shape[1], part.shape[0], part.size / pixels.size)
            if _is_box(part, grey):
                boxes.append(drawing)
            elif _is_scale_bar(part, grey):
                lines.append(drawing._replace(kind="line"))
    for found in (boxes, lines):
        if len(found) <= MOST_ALIKE:
            yield from found


def _places(mask: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Bounding boxes of connected areas that are large enough, and do not reach from side to side."""
    narrowest, lowest = (min(sizes) for sizes in zip(BOX, SCALE_BAR, strict=True))
    coarse = mask[:, :: narrowest // 2]  # whatever is wide enough covers two of these columns
    wide = coarse[:, 1:] & coarse[:, :-1]
    if not (wide[2:] & wide[1:-1] & wide[:-2]).any():
        return
    for rows, columns in ndimage.find_objects(ndimage.label(mask)[0]):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if narrowest <= width < 0.9 * mask.shape[1] and lowest <= height < 0.9 * mask.shape[0]:
            yield rows, columns


def _is_box(part: np.ndarray, grey: int) -> bool:
    ground = _near(part, grey, TOLERANCES[0])
    if part.shape[1] < BOX[0] or part.shape[0] < BOX[1] or ground.mean() < 0.5:
        return False
    rim = np.concatenate([ground[0], ground[-1], ground[:, 0], ground[:, -1]])
    return bool(rim.all()) and _is_written(part, grey, TOLERANCES[0])


def _is_scale_bar(part: np.ndarray, grey: int) -> bool:
    height, width = part.shape
    return width >= max(SCALE_BAR[0], 6 * height) and height >= SCALE_BAR[1] and bool((part == grey).mean() >= 0.98)
