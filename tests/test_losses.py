"""Losses against torch's own."""

import torch
from torch.distributions import Independent, Normal
from torch.distributions import kl_divergence as torch_kl
from torch.nn.functional import mse_loss

from deepdlt.losses import kl_divergence, mse, vae_loss


def test_mean_of_mse_equals_torch():
    a, b = torch.rand(5, 1, 64, 64), torch.rand(5, 1, 64, 64)
    torch.testing.assert_close(mse(a, b).mean(), mse_loss(a, b))


def test_kl_equals_torch_distributions():
    mu, logvar = torch.randn(7, 12), torch.randn(7, 12)
    q = Independent(Normal(mu, (0.5 * logvar).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    torch.testing.assert_close(kl_divergence(mu, logvar), torch_kl(q, p))


def test_beta_weighs_only_the_kl_term():
    x, mu, logvar = torch.rand(2, 1, 64, 64), torch.randn(2, 8), torch.randn(2, 8)
    difference = vae_loss(x, x, mu, logvar, beta=3.0) - vae_loss(x, x, mu, logvar, beta=1.0)
    torch.testing.assert_close(difference, 2 * kl_divergence(mu, logvar))
