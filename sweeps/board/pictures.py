"""The IMAGES tab: crops over their reconstructions over the error, and what a VAE generates."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import nn

from deepdlt.analysis import encode_crops, sample_images, traversals
from deepdlt.config import VAES, TrainConfig
from deepdlt.dataset import Split
from deepdlt.metrics import similarity
from deepdlt.models import reconstruct, shown
from sweeps.board.shown_crops import ShownCrop, part_of
from sweeps.store import TrialLog

RECONSTRUCTIONS = "crops/original over reconstruction over error"
SAMPLES, TRAVERSALS = "vae/samples", "vae/traversals"
LARGEST_ERROR = 0.25
"""Grey value (0 to 1) at which the colours of the error end, in all pictures, so that they can be compared."""
LEGEND = (
    "from top to bottom: original, reconstruction, error",
    f"error, of the grey range: blue -{LARGEST_ERROR:g}, white 0, red +{LARGEST_ERROR:g}",
)
ENLARGED = 128  # px, side of a crop in the picture
COLUMNS = 3  # a picture of this width keeps its text legible in a card of the IMAGES tab
GAP, LINE, MARGIN = 6, 16, 12
GREYS = 160  # of the 256 colours of the palette; the others are those of the error
SAMPLES_SHOWN, DIMENSIONS_SHOWN, SPREAD = 32, 8, np.linspace(-3, 3, 7)
FOR_VARIANCE = 256  # crops by which the dimensions of a traversal are chosen
SEED = 0  # of the samples: the same noise in every trial


@dataclass(frozen=True)
class Trained:
    """A network and where it stands."""

    model: nn.Module
    config: TrainConfig
    device: str


def show_reconstructions(
    log: TrialLog,
    trained: Trained,
    crops: np.ndarray,
    chosen: Sequence[ShownCrop],
    split: Split,
    step: int,
) -> None:
    """Log the crops that all trials show, as this network reconstructs them.

    Args:
        crops: (n, 1, size, size) uint8, all of the sweep.
        split: of the trial; the captions say on which crops it was trained.
    """
    if not chosen:
        return
    originals = torch.as_tensor(crops[[each.crop for each in chosen]])
    output = reconstruct(trained.model, trained.config, originals.to(trained.device)).cpu()
    unit = originals.float().div(255)
    psnr = similarity.psnr_db(output, unit).tolist()
    captions = [_caption(each, part_of(each.crop, split), value) for each, value in zip(chosen, psnr, strict=True)]
    log.picture(RECONSTRUCTIONS, reconstruction_sheet(unit[:, 0].numpy(), output[:, 0].numpy(), captions), step)


def show_generated(log: TrialLog, trained: Trained, crops: np.ndarray, step: int) -> None:
    """Log samples of a VAE's prior, and traversals of its most active dimensions; nothing for other networks.

    Args:
        crops: (n, 1, size, size) uint8: the first gives the latent that is varied, all of them the dimensions.
    """
    model, config = trained.model, trained.config
    if config.model not in VAES or not len(crops):
        return
    noise = torch.Generator().manual_seed(SEED)
    samples = shown(sample_images(model, SAMPLES_SHOWN, noise), config).cpu()
    log.image(SAMPLES, _tiled(samples[:, 0].numpy(), 8), step)
    mu = encode_crops(model, config, crops[:: -(-len(crops) // FOR_VARIANCE)], pool=False)
    dimensions = np.argsort(-mu.var(0), kind="stable")[:DIMENSIONS_SHOWN].tolist()
    varied = traversals(model, torch.as_tensor(mu[0]).to(trained.device), dimensions, SPREAD.tolist())
    images = shown(varied.flatten(0, 1), config).cpu()
    log.image(TRAVERSALS, _tiled(images[:, 0].numpy(), len(SPREAD)), step)


def reconstruction_sheet(originals: np.ndarray, output: np.ndarray, captions: Sequence[Sequence[str]]) -> Image.Image:
    """Blocks of COLUMNS crops: caption, original, reconstruction, error in colour (blue too dark, red too bright).

    Args:
        originals, output: (n, size, size) in [0, 1].
        captions: lines of each crop.
    """
    size, lines = originals.shape[-1], max(map(len, captions))
    scale = max(1, ENLARGED // size)
    side, head = size * scale, lines * LINE + 2
    blocks = -(-len(originals) // COLUMNS)
    block = head + 3 * (side + GAP) + MARGIN
    canvas = np.full(
        (MARGIN + blocks * block + len(LEGEND) * LINE, 2 * MARGIN + COLUMNS * (side + GAP) - GAP), GREYS - 1, np.uint8
    )
    error = np.clip((output - originals) / LARGEST_ERROR, -1, 1)
    rows = (_grey(originals), _grey(output), (GREYS + (error + 1) / 2 * (255 - GREYS)).round().astype(np.uint8))
    for k in range(len(originals)):
        y, x = MARGIN + k // COLUMNS * block + head, MARGIN + k % COLUMNS * (side + GAP)
        for row in rows:
            canvas[y : y + side, x : x + side] = row[k].repeat(scale, 0).repeat(scale, 1)
            y += side + GAP
    picture = Image.fromarray(canvas)
    draw, font = ImageDraw.Draw(picture), _font()
    for k, caption in enumerate(captions):
        at = MARGIN + k // COLUMNS * block, MARGIN + k % COLUMNS * (side + GAP)
        for number, line in enumerate(caption):
            draw.text((at[1], at[0] + number * LINE), _cut(line, side), fill=0, font=font)
    for number, line in enumerate(LEGEND):
        draw.text((MARGIN, MARGIN + blocks * block - GAP + number * LINE), line, fill=0, font=font)
    picture.putpalette(_palette())  # its numbers are places in the palette from now on
    return picture


def _caption(crop: ShownCrop, part: str, psnr: float) -> list[str]:
    """Its image, its classes, two to a line, and its PSNR."""
    classes = [f"{label} {name}" for label, name in crop.classes.items()]
    pairs = [", ".join(classes[k : k + 2]) for k in range(0, min(len(classes), 4), 2)]
    return [crop.image, *pairs, f"{psnr:.2f} dB" + (f" ({part})" if part else "")]


def _cut(text: str, width: int) -> str:
    """As much as fits into this many pixels, the end of it rather than the beginning: there file names differ."""
    cuts = [text, *(f"…{text[k:]}" for k in range(1, len(text)))]
    return next((cut for cut in cuts if _font().getlength(cut) <= width), "")


def _grey(images: np.ndarray) -> np.ndarray:
    return (np.clip(images, 0, 1) * (GREYS - 1)).round().astype(np.uint8)


def _tiled(images: np.ndarray, columns: int) -> np.ndarray:
    rows = [np.hstack(list(images[k : k + columns])) for k in range(0, len(images), columns)]
    return (np.clip(np.vstack(rows), 0, 1) * 255).round().astype(np.uint8)


@cache
def _palette() -> bytes:
    """Greys, then blue, white and red, which colour-blind people tell apart."""
    greys = np.repeat(np.linspace(0, 255, GREYS)[:, None], 3, 1)
    at = np.linspace(-1, 1, 256 - GREYS)[:, None]
    ends = np.where(at < 0, [[33, 102, 172]], [[178, 24, 43]])
    colours = 255 + (ends - 255) * np.abs(at)
    return np.vstack([greys, colours]).round().astype(np.uint8).tobytes()


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(13)
