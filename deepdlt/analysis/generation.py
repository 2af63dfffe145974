"""What a variational autoencoder knows and makes: bounds on the evidence, units in use, samples, traversals.

`model` is a network with encode (images -> mu, logvar), decode (latents -> images) and latent_shape, that of one image:
(d,) for vectors, (c, h, w) for feature maps. Each function puts it into eval mode. Noise comes from `generator`,
or from torch's global one; a generator on the CPU draws the same numbers for a model on any device.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

CHUNK = 512  # images that are decoded at once


@torch.inference_mode()
def importance_weighted_bound(
    model: Any,
    x: Tensor,
    log_likelihood: Callable[[Tensor, Tensor], Tensor],
    samples: int = 50,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Lower bound on log p(x) in nats: the ELBO for one sample on average, tighter with more. (n, 1, h, w) -> (n,).

    Decodes at most 512 images at once.

    Args:
        log_likelihood: log p(x|z) in nats of two (batch, 1, h, w), the decoder's output and x -> (batch,).
        samples: of q(z|x) for each image, >= 1.

    Raises:
        ValueError: fewer than one sample.

    Source: Burda et al. 2016.
    """
    if samples < 1:
        raise ValueError(f"`samples` must be >= 1, got {samples}")
    model.eval()
    bounds = []
    for part in x.split(CHUNK):
        mu, logvar = (parameter.float() for parameter in model.encode(part))
        at_once = max(1, CHUNK // len(part))
        counts = [min(at_once, samples - done) for done in range(0, samples, at_once)]
        weights = [_log_weights(model, part, mu, logvar, log_likelihood, n, generator) for n in counts]
        bounds.append(torch.cat(weights).logsumexp(0) - math.log(samples))
    return torch.cat(bounds)


@torch.inference_mode()
def sample_images(model: Any, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Images decoded from the prior N(0, 1): (n, 1, h, w), in the range of the decoder's output."""
    model.eval()
    z = _noise((n, *model.latent_shape), next(model.parameters()).device, generator)
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


def _log_weights(
    model: Any,
    x: Tensor,
    mu: Tensor,
    logvar: Tensor,
    log_likelihood: Callable[[Tensor, Tensor], Tensor],
    samples: int,
    generator: torch.Generator | None,
) -> Tensor:
    """(samples, n): log p(x|z) p(z) / q(z|x) for z of q(z|x)."""
    noise = _noise((samples, *mu.shape), mu.device, generator)
    z = mu + (0.5 * logvar).exp() * noise
    log_ratio = 0.5 * (noise.square() - z.square() + logvar).flatten(2).sum(2)  # the constants cancel
    x_recon = model.decode(z.flatten(0, 1)).float()
    repeated = x.float().expand(samples, *x.shape).flatten(0, 1)
    return log_ratio + log_likelihood(x_recon, repeated).unflatten(0, (samples, len(x)))


def _noise(shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None) -> Tensor:
    source = generator.device if generator else device
    return torch.randn(shape, generator=generator, device=source).to(device)
