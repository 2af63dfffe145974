"""Images from a variational autoencoder: samples of its prior, and traversals of its latent dimensions.

`model` is a network with decode (latents -> images) and latent_shape, the shape for one image: (d,) for vectors,
(c, h, w) for feature maps. Each function sets it to eval mode.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

CHUNK = 512  # images per decoding step


@torch.inference_mode()
def sample_images(model: Any, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Images decoded from the prior N(0, 1): (n, 1, h, w), in the range of the decoder's output.

    The noise is from `generator` or torch's global generator. A generator on the CPU gives the same noise for a model
    on any device.
    """
    model.eval()
    device = next(model.parameters()).device
    source = generator.device if generator else device
    z = torch.randn((n, *model.latent_shape), generator=generator, device=source).to(device)
    return torch.cat([model.decode(part) for part in z.split(CHUNK)])


@torch.inference_mode()
def traversals(model: Any, mu: Tensor, dimensions: Sequence[int], values: Sequence[float]) -> Tensor:
    """Images decoded from a latent in which one dimension at a time is replaced.

    Args:
        mu: the latent of one image, in its shape or flattened.
        dimensions: dimensions of the flattened latent.
        values: replacements, in standard deviations of the prior.

    Returns:
        (len(dimensions), len(values), 1, h, w).

    Raises:
        ValueError: the latent has no such dimension.
    """
    unknown = [d for d in dimensions if not 0 <= d < mu.numel()]
    if unknown:
        raise ValueError(f"`dimensions` must be in 0..{mu.numel() - 1}, got {unknown}")
    model.eval()
    z = mu.float().flatten().repeat(len(dimensions), len(values), 1)
    for row, dimension in enumerate(dimensions):
        z[row, :, dimension] = torch.tensor(values, dtype=z.dtype, device=z.device)
    images = [model.decode(part) for part in z.reshape(-1, *model.latent_shape).split(CHUNK)]
    return torch.cat(images).unflatten(0, (len(dimensions), len(values)))
