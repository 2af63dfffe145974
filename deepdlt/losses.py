"""Losses, one value per image: the caller averages, so a short last batch weighs what it should."""

from torch import Tensor


def mse(x_recon: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the pixels of each image: two (batch, 1, h, w) -> (batch,).

    Source: the report, section 4.3. Its batch mean equals torch.nn.functional.mse_loss.
    """
    return (x_recon - target).square().flatten(1).mean(1)


def squared_error(x_recon: Tensor, target: Tensor) -> Tensor:
    """Sum of squared errors over the pixels of each image: two (batch, 1, h, w) -> (batch,)."""
    return (x_recon - target).square().flatten(1).sum(1)


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)) in nats, summed over the latent: two (batch, latent) -> (batch,).

    Source: Kingma & Welling 2014, appendix B. Equals torch.distributions.kl_divergence.
    """
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(1)


def vae_loss(x_recon: Tensor, target: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Tensor:
    """Squared error plus beta times KL, (batch,).

    A Gaussian negative log-likelihood with variance 0.5, up to a constant. Source: the report, section 6.1.
    """
    return squared_error(x_recon, target) + beta * kl_divergence(mu, logvar)
