"""Losses against torch's own, closed forms and torch.distributions."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal
from torch.distributions import kl_divergence as torch_kl
from torch.nn.functional import l1_loss, mse_loss

from deepdlt.metrics import losses
from deepdlt.metrics.losses import (
    charbonnier,
    focal_frequency,
    free_bits_kl,
    gaussian_nll,
    kl_divergence,
    kl_per_dimension,
    l1,
    log_spectrum,
    ms_ssim_loss,
    mse,
    mse_floor,
    squared_error,
    vae_loss,
)
from deepdlt.metrics.similarity import ms_ssim

PIXEL_LOSSES = (mse, l1, charbonnier, squared_error, ms_ssim_loss, focal_frequency, log_spectrum)


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(5, 1, 64, 64, generator=generator)
    return (x + 0.2 * torch.randn(x.shape, generator=generator)).clamp(0, 1), x


def test_mean_of_mse_equals_torch(pair):
    torch.testing.assert_close(mse(*pair).mean(), mse_loss(*pair))


def test_mean_of_l1_equals_torch(pair):
    torch.testing.assert_close(l1(*pair).mean(), l1_loss(*pair))


def test_charbonnier_is_the_hypotenuse_of_error_and_eps(pair):
    expected = np.hypot((pair[0] - pair[1]).numpy(), 0.05).mean((1, 2, 3))
    np.testing.assert_allclose(charbonnier(*pair, eps=0.05), expected, rtol=1e-6)


def test_ms_ssim_loss_is_what_ms_ssim_lacks(pair):
    torch.testing.assert_close(ms_ssim_loss(*pair) + ms_ssim(*pair), torch.ones(5))


def test_focal_frequency_equals_the_formula_of_its_authors(pair):
    for alpha in (0.5, 1.0, 2.0):
        error = np.abs(np.fft.fft2(pair[0].numpy().astype(float)) - np.fft.fft2(pair[1].numpy().astype(float))) / 64
        weight = error**alpha / (error**alpha).max((2, 3), keepdims=True)
        expected = (weight * error**2).mean((1, 2, 3))
        np.testing.assert_allclose(focal_frequency(*pair, alpha=alpha), expected, rtol=1e-5)


def test_focal_frequency_without_weights_is_the_mse(pair):
    torch.testing.assert_close(focal_frequency(*pair, alpha=0.0), mse(*pair))


def test_the_weight_of_focal_frequency_has_no_gradient(pair):
    x = pair[0].double().requires_grad_()
    x_recon = pair[0].clone().requires_grad_()
    focal_frequency(x_recon, pair[1]).sum().backward()
    spectrum = torch.fft.fft2(x - pair[1], norm="ortho")
    weight = (spectrum.abs() / spectrum.abs().amax((2, 3), keepdim=True)).detach()
    (weight * spectrum.abs() ** 2).flatten(1).mean(1).sum().backward()
    torch.testing.assert_close(x_recon.grad, x.grad.float(), rtol=1e-4, atol=1e-9)


def test_log_spectrum_measures_a_change_of_contrast_in_decades(pair):
    loud = 100 * (pair[1] - 0.5)  # far above the noise's power
    torch.testing.assert_close(log_spectrum(10 * loud, loud), torch.full((5,), 2.0), atol=1e-3, rtol=0)


def test_log_spectrum_sees_neither_brightness_nor_noise_far_below_the_microscope_s(pair):
    x = pair[1]
    torch.testing.assert_close(log_spectrum(x + 0.3, x), torch.zeros(5), atol=1e-4, rtol=0)
    flat = torch.full_like(x, 0.5)
    assert (log_spectrum(flat + 0.1 * losses.NOISE_SIGMA * torch.randn_like(x), flat) < 0.02).all()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 48), (33, 40)])
def test_white_noise_has_its_variance_as_power_above_the_lowest_bands(height, width):
    noise = 0.3 * torch.randn(800, 1, height, width, generator=torch.Generator().manual_seed(0))
    power = (10 ** losses._log_radial_power(noise) - losses.NOISE_SIGMA**2).mean(0)
    torch.testing.assert_close(power[2:], torch.full_like(power[2:], 0.09), rtol=0.1, atol=0)


def test_a_cosine_appears_in_its_own_band():
    periods = torch.tensor([1.2, 3.0, 7.0, 15.0, 28.0])
    x = 0.5 + 0.4 * torch.cos(2 * math.pi * periods[:, None] * torch.arange(64) / 64)
    strongest = losses._log_radial_power(x[:, None, None].expand(-1, 1, 64, -1)).argmax(1)
    torch.testing.assert_close(strongest, (12 * torch.log2(periods) / 5).long())


@pytest.mark.parametrize("loss", PIXEL_LOSSES)
@pytest.mark.parametrize("kind", ["constant", "identical", "inverted", "different"])
def test_gradients_are_finite_everywhere(loss, kind, pair):
    target = pair[1]
    starts = {
        "constant": torch.full_like(target, 0.5),
        "identical": target,
        "inverted": 1 - target,
        "different": pair[0],
    }
    x_recon = starts[kind].clone().requires_grad_()
    values = loss(x_recon, torch.zeros_like(target) if kind == "constant" else target)
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert torch.isfinite(x_recon.grad).all()


@pytest.mark.parametrize("loss", PIXEL_LOSSES)
def test_losses_are_float32_under_autocast(loss, pair):
    x_recon, target = (x.bfloat16() for x in pair)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = loss(x_recon, target)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values, loss(x_recon.float(), target.float()), rtol=0, atol=0)


@pytest.mark.parametrize("loss", PIXEL_LOSSES)
def test_losses_never_wait_for_the_device(loss):
    x = torch.rand(5, 1, 64, 64, device="meta", requires_grad=True)  # has no values to wait for
    values = loss(x, torch.rand(5, 1, 64, 64, device="meta"))
    values.sum().backward()
    assert values.shape == (5,)


@pytest.mark.parametrize("loss", PIXEL_LOSSES)
def test_an_image_s_loss_does_not_depend_on_its_batch(loss, pair):
    torch.testing.assert_close(loss(*pair)[2:3], loss(pair[0][2:3], pair[1][2:3]))


@pytest.mark.parametrize("loss", [ms_ssim_loss, log_spectrum])
def test_training_follows_a_validation(loss):
    side = {ms_ssim_loss: 76, log_spectrum: 78}[loss]  # of no other test: what is cached is made here
    with torch.inference_mode():
        loss(torch.rand(1, 1, side, side), torch.rand(1, 1, side, side))
    loss(torch.rand(1, 1, side, side, requires_grad=True), torch.rand(1, 1, side, side)).sum().backward()


def test_the_mse_floor_is_that_of_the_nearest_image_in_0_to_1():
    target = torch.linspace(-1, 1, 64 * 64).reshape(1, 1, 64, 64) * torch.tensor([1.0, 0.5]).reshape(2, 1, 1, 1) + 0.5
    x = target.numpy()
    expected = (np.minimum(x, 0) ** 2 + np.maximum(x - 1, 0) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(mse_floor(target), expected, rtol=1e-5)
    assert mse_floor(target)[1] == 0


def test_kl_equals_torch_distributions():
    mu, logvar = torch.randn(7, 12), torch.randn(7, 12)
    q = Normal(mu, (0.5 * logvar).exp())
    p = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    torch.testing.assert_close(kl_per_dimension(mu, logvar), torch_kl(q, p))
    torch.testing.assert_close(kl_divergence(mu, logvar), torch_kl(Independent(q, 1), Independent(p, 1)))


def test_kl_of_a_feature_map_is_that_of_its_numbers():
    mu, logvar = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8)
    torch.testing.assert_close(kl_per_dimension(mu, logvar), kl_per_dimension(mu.flatten(1), logvar.flatten(1)))
    assert kl_divergence(mu, logvar).shape == (3,)


def test_free_bits_leave_small_latents_alone():
    kl = torch.tensor([[0.1, 1.0, 0.0], [0.5, 3.0, 0.2]], requires_grad=True)
    value = free_bits_kl(kl, nats=0.25)
    torch.testing.assert_close(value, torch.tensor(0.3 + 2.0 + 0.25))
    value.backward()
    torch.testing.assert_close(kl.grad, torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]))


def test_no_free_bits_is_the_mean_kl():
    mu, logvar = torch.randn(7, 2, 8, 8), torch.randn(7, 2, 8, 8)
    torch.testing.assert_close(free_bits_kl(kl_per_dimension(mu, logvar), 0.0), kl_divergence(mu, logvar).mean())


@pytest.mark.parametrize("variance", [torch.tensor(0.02), torch.tensor([0.01, 0.02, 0.1, 1.0, 3.0])])
def test_gaussian_nll_equals_torch_distributions(variance, pair):
    scale = variance.sqrt().expand(5).reshape(5, 1, 1, 1)
    expected = -Normal(pair[0], scale).log_prob(pair[1]).sum((1, 2, 3))
    torch.testing.assert_close(gaussian_nll(*pair, variance), expected)


def test_beta_weighs_only_the_kl_term():
    x, mu, logvar = torch.rand(2, 1, 64, 64), torch.randn(2, 8), torch.randn(2, 8)
    difference = vae_loss(x, x, mu, logvar, beta=3.0) - vae_loss(x, x, mu, logvar, beta=1.0)
    torch.testing.assert_close(difference, 2 * kl_divergence(mu, logvar))
