"""Reconstructions of whole images, from overlapping tiles, and what became of their waves."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from deepdlt.config import TrainConfig
from deepdlt.inference import forward, scale, shown
from deepdlt.spectral_metrics import blend_tiles, wave_error

SIDE = 64  # px of the crops that the networks know


@dataclass(frozen=True)
class WaveFidelity:
    """Errors of the strongest wave (fringes or ripples) of whole images, mean over those that have one."""

    period_error_percent: float
    orientation_error_deg: float
    images: int
    lost: int
    """Images whose wave is more than 10 % or 10 deg off, or gone; not part of the means."""


def reconstruct_image(model: nn.Module, config: TrainConfig, image: np.ndarray, overlap: int = 32) -> np.ndarray:
    """(h, w) uint8, h and w >= 64 -> (h, w) float32 in [0, 1], without seams.

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

    return blend_tiles(image / np.float32(255), tiles, SIDE, overlap)


def wave_fidelity(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """The fields of WaveFidelity for (reconstruction, original) pairs of whole images, each (h, w); NaN without any."""
    errors = [wave_error(recon, original) for recon, original in pairs]
    table = np.array([[e.period_error_percent, e.orientation_error_deg] for e in errors]).reshape(-1, 2)
    kept = (np.abs(table) <= 10).all(1)  # NaN is not
    means = table[kept].mean(0) if kept.any() else np.full(2, np.nan)
    return asdict(WaveFidelity(float(means[0]), float(means[1]), len(table), int((~kept).sum())))
