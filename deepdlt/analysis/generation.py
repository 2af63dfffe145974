"""What a variational autoencoder makes: samples of its prior, traversals of its latents.

`model` is a network with decode (latents -> images) and latent_shape, that of one image: (d,) for vectors, (c, h, w)
for feature maps. Each function puts it into eval mode.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

CHUNK = 512  # images that are decoded at once


@torch.inference_mode()
def sample_images(model: Any, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Images decoded from the prior N(0, 1): (n, 1, h, w), in the range of the decoder's output.

    Noise comes from `generator`, or from torch's global one; one on the CPU draws the same for a model on any device.
    """
    model.eval()
    device = next(model.parameters()).device
    source = generator.device if generator else device
    z = torch.randn((n, *model.latent_shape), generator=generator, device=source).to(device)
    return torch.cat([model.decode(part) for part in z.split(CHUNK)])


@torch.inference_mode()
def traversals(model: Any, mu: Tensor, dimensions: Sequence[int], values: Sequence[float]) -> Tensor:
    """Images of a latent in which one number at a time is replaced.

    Args:
        mu: the latent of one image, in its shape or flattened.
        dimensions: which numbers of the flattened latent.
        values: in standard deviations of the prior.

    Returns:
        (len(dimensions), len(values), 1, h, w).

    Raises:
        ValueError: a dimension that the latent does not have.
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
