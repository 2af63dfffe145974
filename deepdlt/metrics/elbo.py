"""Interpretation of a VAE's evidence lower bound (ELBO): bits per pixel, and latent dimensions in use."""

import math

import torch
from torch import Tensor

ACTIVE_VARIANCE = 0.01  # of mu over a data set; Burda et al. 2016


def bits_per_dim(nats: Tensor, pixels: int, grey_levels_per_unit: float) -> Tensor:
    """Nats per image, of a density on scaled images -> bits per pixel of the 8-bit image, same shape.

    Args:
        nats: -ELBO or another -log density; it may be negative, since densities may exceed 1.
        pixels: number per image.
        grey_levels_per_unit: 256 for images in [0, 1], 128 in [-1, 1], if uniform noise of one grey level was
            added. For pixels / 255 it is 255 or 127.5, which gives 0.006 bits less.

    Source: Theis et al. 2016, "A note on the evaluation of generative models".
    """
    return nats / (pixels * math.log(2)) + math.log2(grey_levels_per_unit)


def active_units(mu: Tensor, threshold: float = ACTIVE_VARIANCE) -> int:
    """Number of active latent dimensions: those whose mean has a variance over the images above `threshold`.

    Args:
        mu: (n, ...) means of q(z|x) over a data set.
        threshold: lowest variance of an active dimension; the prior has 1.

    Source: Burda et al. 2016, "Importance weighted autoencoders".
    """
    return int((mu.float().flatten(1).var(0, correction=0) > threshold).sum())


class LatentMoments:
    """Variance of every latent dimension over a data set, batch by batch, without keeping the latents."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, mu: Tensor) -> None:
        """Add a batch: (batch, latent)."""
        wide = mu.double()
        self.count += len(mu)
        self.sum, self.squares = self.sum.to(mu.device) + wide.sum(0), self.squares.to(mu.device) + wide.square().sum(0)

    def active(self) -> Tensor:
        """Number of active units (Burda et al. 2016): dimensions whose mean has a variance above the threshold; 0-d."""
        variance = self.squares / self.count - (self.sum / self.count).square()
        return (variance > ACTIVE_VARIANCE).sum().float().cpu()
