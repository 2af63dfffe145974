"""PSNR and SSIM against scikit-image and torchmetrics."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from deepdlt.metrics import psnr_db, report_psnr_db, report_ssim, ssim


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(6, 1, 64, 64, generator=generator)
    return (x + 0.2 * torch.randn(x.shape, generator=generator)).clamp(0, 1), x


def each(pair, function):
    return np.array([function(a[0].numpy(), b[0].numpy()) for a, b in zip(*pair, strict=True)])


def test_psnr_equals_scikit_image(pair):
    expected = each(pair, lambda r, x: peak_signal_noise_ratio(x, r, data_range=1))
    np.testing.assert_allclose(psnr_db(*pair), expected, atol=1e-4)


def test_psnr_of_identical_images_is_infinite(pair):
    assert torch.isinf(psnr_db(pair[1], pair[1])).all()


def test_gaussian_ssim_equals_torchmetrics_inside_its_padded_border(pair):
    options = {"data_range": 1.0, "reduction": "none", "return_full_image": True}
    _, full = structural_similarity_index_measure(*pair, **options)
    expected = full[..., 5:-5, 5:-5].flatten(1).mean(1)
    torch.testing.assert_close(ssim(*pair), expected, atol=2e-6, rtol=0)


def test_gaussian_ssim_equals_scikit_image(pair):
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    expected = each(pair, lambda r, x: structural_similarity(x, r, **options))
    np.testing.assert_allclose(ssim(*pair), expected, atol=1e-5)


def test_uniform_ssim_equals_scikit_image(pair):
    expected = each(pair, lambda r, x: structural_similarity(x, r, win_size=5, data_range=1))
    np.testing.assert_allclose(ssim(*pair, window="uniform"), expected, atol=1e-5)


def test_report_psnr_uses_the_range_of_each_image(pair):
    x_recon, x = pair[0], pair[1] * 1.6 - 0.8
    expected = each((x_recon, x), lambda r, x: peak_signal_noise_ratio(x, r, data_range=x.max() - x.min()))
    np.testing.assert_allclose(report_psnr_db(x_recon, x), expected, atol=1e-4)


def test_report_ssim_cannot_see_brightness_or_contrast(pair):
    x = pair[1]
    torch.testing.assert_close(report_ssim(0.3 * x + 0.2, 2 * x - 1), torch.ones(len(x)), atol=1e-4, rtol=0)
    assert (ssim(0.3 * x + 0.2, x) < 0.9).all()


def test_report_ssim_of_a_constant_output_is_finite(pair):
    assert torch.isfinite(report_ssim(torch.full_like(pair[1], 0.5), pair[1])).all()
