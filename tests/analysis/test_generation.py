"""What a VAE makes, against a linear one, whose images have a known covariance."""

import math

import pytest
import torch
from torch import nn

from deepdlt.analysis.generation import sample_images, traversals
from deepdlt.metrics.elbo import active_units, bits_per_dim
from deepdlt.metrics.losses import gaussian_nll

VARIANCE = torch.tensor(0.3)


class LinearVAE(nn.Module):
    """x = W z + b of 4x4 px."""

    def __init__(self, latent_shape=(3,)):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.latent_shape = latent_shape
        d = math.prod(latent_shape)
        basis = torch.linalg.qr(torch.randn(16, d, generator=generator))[0]
        self.weight = nn.Parameter(basis * torch.linspace(0.5, 2, d))
        self.bias = nn.Parameter(torch.rand(16, generator=generator))

    def decode(self, z):
        assert not self.training
        return (z.flatten(1) @ self.weight.T + self.bias).reshape(-1, 1, 4, 4)


@pytest.fixture(params=[(3,), (2, 1, 2)], ids=["vector", "map"])
def model(request):
    torch.manual_seed(0)
    return LinearVAE(request.param).eval()


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
