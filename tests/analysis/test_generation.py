"""Numbers of a VAE against a linear-Gaussian one, whose evidence is known exactly."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import nn

from deepdlt.analysis import generation as variational
from deepdlt.analysis.generation import importance_weighted_bound, sample_images, traversals
from deepdlt.metrics.elbo import active_units, bits_per_dim
from deepdlt.metrics.losses import gaussian_nll, kl_divergence

VARIANCE = torch.tensor(0.3)


class LinearVAE(nn.Module):
    """x = W z + b + noise of 4x4 px; q(z|x) is the exact posterior's mean with another variance, or the exact one."""

    def __init__(self, latent_shape=(3,), exact=False):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.latent_shape = latent_shape
        d = math.prod(latent_shape)
        basis = torch.linalg.qr(torch.randn(16, d, generator=generator))[0]  # a diagonal posterior covariance
        self.weight = nn.Parameter(basis * torch.linspace(0.5, 2, d))
        self.bias = nn.Parameter(torch.rand(16, generator=generator))
        precision = 1 + self.weight.detach().square().sum(0) / VARIANCE
        self.posterior = self.weight.detach() / VARIANCE / precision
        self.logvar = -precision.log() + (0.0 if exact else 0.7)
        self.largest_batch = 0

    def encode(self, x):
        mu = (x.flatten(1) - self.bias) @ self.posterior
        return tuple(a.reshape(-1, *self.latent_shape) for a in (mu, self.logvar.expand_as(mu)))

    def decode(self, z):
        assert not self.training
        self.largest_batch = max(self.largest_batch, len(z))
        return (z.flatten(1) @ self.weight.T + self.bias).reshape(-1, 1, 4, 4)

    def draw(self, n):
        z = torch.randn(n, len(self.logvar))
        return self.decode(z.reshape(-1, *self.latent_shape)) + VARIANCE.sqrt() * torch.randn(n, 1, 4, 4)

    def log_evidence(self, x):
        weight = self.weight.detach()
        cov = (weight @ weight.T + VARIANCE * torch.eye(16)).numpy()
        return multivariate_normal(self.bias.detach().numpy(), cov).logpdf(x.detach().flatten(1).numpy())


@pytest.fixture(params=[(3,), (2, 1, 2)], ids=["vector", "map"])
def model(request):
    torch.manual_seed(0)
    return LinearVAE(request.param).eval()


def log_likelihood(x_recon, x):
    return -gaussian_nll(x_recon, x, VARIANCE)


def bound(model, x, samples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return importance_weighted_bound(model, x, log_likelihood, samples, generator).numpy()


def test_a_uniform_density_on_0_to_1_costs_8_bits():
    torch.testing.assert_close(bits_per_dim(torch.zeros(3), 4096, 256), torch.full((3,), 8.0))


def test_bits_do_not_depend_on_the_scale_of_the_images(model):
    x = torch.rand(5, 1, 4, 4)
    unit = gaussian_nll(x * 0.9, x, VARIANCE)
    symmetric = gaussian_nll(2 * x * 0.9 - 1, 2 * x - 1, 4 * VARIANCE)
    torch.testing.assert_close(bits_per_dim(unit, 16, 256), bits_per_dim(symmetric, 16, 128))


def test_active_units_are_those_whose_mean_varies():
    spread = torch.tensor([0.0, 0.05, 0.2, 1.0, 0.0, 0.0, 0.0, 2.0])
    mu = 3 + torch.randn(2000, 8, generator=torch.Generator().manual_seed(0)) * spread
    assert active_units(mu) == active_units(mu.reshape(-1, 2, 2, 2)) == 3
    assert active_units(mu, threshold=0.5) == 2
    assert active_units(mu[:1]) == 0


def test_one_sample_has_the_elbo_as_expectation(model):
    x = model.draw(2).detach()
    draws = bound(model, x.repeat_interleave(20_000, 0), samples=1).reshape(2, -1)
    mu, logvar = model.encode(x)
    variance = logvar.exp().flatten(1)
    spread = (variance * model.weight.square().sum(0)).sum(1) / (2 * VARIANCE)  # the decoder is linear: closed form
    elbo = log_likelihood(model.decode(mu), x) - spread - kl_divergence(mu, logvar)
    error = draws.std(1) / math.sqrt(draws.shape[1])
    assert (np.abs(draws.mean(1) - elbo.detach().numpy()) < 4 * error).all()


def test_more_samples_approach_the_evidence(model):
    x = model.draw(200).detach()
    gaps = [np.mean(model.log_evidence(x) - bound(model, x, samples)) for samples in (1, 10, 2000)]
    assert gaps[0] > 5 * gaps[1] > 0
    assert abs(gaps[2]) < 0.01


def test_the_exact_posterior_needs_one_sample():
    model = LinearVAE(exact=True).eval()
    x = model.draw(20).detach()
    np.testing.assert_allclose(bound(model, x, samples=1), model.log_evidence(x), rtol=1e-4)


def test_the_bound_decodes_a_bounded_number_of_images_at_once(monkeypatch):
    model = LinearVAE(exact=True).eval()
    monkeypatch.setattr(variational, "CHUNK", 8)
    x = model.draw(19).detach()
    model.largest_batch = 0
    np.testing.assert_allclose(bound(model.train(), x, samples=5), model.log_evidence(x), rtol=1e-4)
    assert model.largest_batch == 8


def test_the_bound_needs_a_sample(model):
    with pytest.raises(ValueError, match="`samples` must be >= 1, got 0"):
        bound(model, torch.rand(1, 1, 4, 4), samples=0)


def test_samples_follow_the_generator_and_the_prior(model):
    images, again, other = (
        sample_images(model.train(), 600, torch.Generator().manual_seed(seed)).flatten(1) for seed in (4, 4, 5)
    )
    assert images.shape == (600, 16)
    torch.testing.assert_close(images, again, atol=0, rtol=0)
    assert not torch.equal(images, other)
    expected = (model.weight @ model.weight.T).detach()
    torch.testing.assert_close(images.T.cov(), expected, atol=0.2, rtol=0)


def test_a_traversal_varies_one_number_at_a_time(model):
    mu = torch.randn(model.latent_shape)
    dimensions, values = [2, 0], [-2.0, 0.0, 1.0, 2.0]
    images = traversals(model.train(), mu, dimensions, values)
    assert images.shape == (2, 4, 1, 4, 4)
    torch.testing.assert_close(traversals(model, mu.flatten(), dimensions, values), images)
    for row, dimension in enumerate(dimensions):
        for column, value in enumerate(values):
            z = mu.flatten().clone()
            z[dimension] = value
            expected = model.decode(z.reshape(1, *model.latent_shape))[0]
            torch.testing.assert_close(images[row, column], expected.detach())


def test_a_traversal_names_dimensions_that_do_not_exist(model):
    last = math.prod(model.latent_shape) - 1
    with pytest.raises(ValueError, match=rf"`dimensions` must be in 0\.\.{last}, got \[-1, 9\]"):
        traversals(model, torch.zeros(model.latent_shape), [0, -1, 9], [0.0])
