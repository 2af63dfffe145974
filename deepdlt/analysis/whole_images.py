"""Reconstructions of whole images from overlapping tiles, and the errors of their dominant waves."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from deepdlt.config import TrainConfig
from deepdlt.dataset import shrink
from deepdlt.metrics import wave_error
from deepdlt.models import forward, scale, shown


def reconstruct_image(model: nn.Module, config: TrainConfig, image: np.ndarray) -> np.ndarray:
    """Reconstruction of a whole image without seams: (h, w) uint8 -> (h, w) float32 in [0, 1].

    h and w are at least `config.crop_size`. Where the network's crops were downsampled by a factor d, the image is
    downsampled first, and the result is (h // d, w // d): compare it with `seen_by`.

    Raises:
        ValueError: the image is smaller than a tile.
    """
    device = next(model.parameters()).device
    model.eval()

    @torch.inference_mode()
    def tiles(x: np.ndarray) -> np.ndarray:
        parts: list[Tensor] = []
        for part in torch.as_tensor(x).to(device).split(config.batch_size):
            parts.append(shown(forward(model, config, scale(part, config)), config))
        return torch.cat(parts).cpu().numpy()

    return blend_tiles(seen_by(config, image) / np.float32(255), tiles, config.side, config.side // 2)


def seen_by(config: TrainConfig, image: np.ndarray) -> np.ndarray:
    """The image as the network sees it: (h, w) uint8 -> (h // downsample, w // downsample) uint8."""
    return image if config.downsample == 1 else shrink(image, config.downsample).round().astype(np.uint8)


def wave_fidelity(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Errors of the dominant wave (fringes or ripples) of whole images: (reconstruction, original) pairs, each (h, w).

    Returns:
        `images`: their number; `lost`: number of images whose wave is missing or has an error above 10 % or 10 deg;
        `period_error_percent` and `orientation_error_deg`: means over the other images, NaN if there are none.
    """
    errors = [wave_error(recon, original) for recon, original in pairs]
    table = np.array([[e.period_error_percent, e.orientation_error_deg] for e in errors]).reshape(-1, 2)
    kept = (np.abs(table) <= 10).all(1)  # NaN is not
    means = table[kept].mean(0) if kept.any() else np.full(2, np.nan)
    return {
        "period_error_percent": float(means[0]),
        "orientation_error_deg": float(means[1]),
        "images": len(table),
        "lost": int((~kept).sum()),
    }


def blend_tiles(
    image: np.ndarray, reconstruct: Callable[[np.ndarray], np.ndarray], size: int = 64, overlap: int = 32
) -> np.ndarray:
    """Reconstruct an image of any size from overlapping tiles, without seams: (h, w) in [0, 1] -> (h, w) float32.

    Args:
        image: h and w >= size.
        reconstruct: (n, 1, size, size) float32 -> the same shape; called once for each row of tiles.
        size: side of a tile in px: the side of the network's input.
        overlap: overlap of neighbouring tiles in px, 0 to size - 1; the last tile of a row or column may overlap more.

    Raises:
        ValueError: the image is smaller than a tile, `overlap` is out of range, or `reconstruct` changes the shape.
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


def _tiling(side: int, size: int, overlap: int) -> tuple[list[int], np.ndarray]:
    """Start of each tile on one axis, and its weights, (n, size), which sum to one at every pixel."""
    starts = [*range(0, side - size, size - overlap), side - size]
    ramp = np.sin(np.pi / 2 * (np.arange(min(overlap, size // 2)) + 0.5) / max(1, min(overlap, size // 2))) ** 2
    weight = np.concatenate([ramp, np.ones(size - 2 * len(ramp)), ramp[::-1]])
    total = np.zeros(side)
    for start in starts:
        total[start : start + size] += weight
    return starts, np.stack([weight / total[start : start + size] for start in starts])
