"""PSNR, SSIM and MS-SSIM against scikit-image, torchmetrics and a slow copy with SciPy."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from skimage.measure import block_reduce
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn.functional import avg_pool2d
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from deepdlt.metrics.similarity import SCALE_WEIGHTS, ms_ssim, psnr_db, report_psnr_db, report_ssim, ssim


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


def slow_ms_ssim(x, y, scales):
    """Wang et al. 2003 for one image pair, window 7x7, sigma 1.5."""
    kernel = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 1.5**2))
    kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
    weights = np.array(SCALE_WEIGHTS[:scales]) / np.sum(SCALE_WEIGHTS[:scales])
    product = 1.0
    for scale, weight in enumerate(weights):
        mx, my, xx, yy, xy = (correlate2d(m, kernel, "valid") for m in (x, y, x * x, y * y, x * y))
        index = (2 * (xy - mx * my) + 0.03**2) / (xx - mx**2 + yy - my**2 + 0.03**2)
        if scale == scales - 1:
            index = index * (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        product *= max(index.mean(), 1e-3) ** weight
        x, y = (block_reduce(m, (2, 2), np.mean) for m in (x, y))
    return product


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_ms_ssim_equals_a_slow_copy(pair, scales):
    expected = each(pair, lambda r, x: slow_ms_ssim(r.astype(float), x.astype(float), scales))
    np.testing.assert_allclose(ms_ssim(*pair, scales=scales), expected, atol=1e-5)


def test_ms_ssim_equals_torchmetrics_with_the_padding_of_its_coarsest_scale_cut_off(pair):
    sigma = 0.9  # from which torchmetrics makes a window of 7x7; it ignores `kernel_size`
    *fine, coarse = np.array(SCALE_WEIGHTS[:3]) / sum(SCALE_WEIGHTS[:3])
    options = {"sigma": sigma, "data_range": 1.0, "reduction": "none"}
    product = multiscale_structural_similarity_index_measure(
        *pair, **options, kernel_size=7, betas=(*fine, 0.0), normalize="relu"
    )
    small = (avg_pool2d(x, 4) for x in pair)
    _, full = structural_similarity_index_measure(*small, **options, return_full_image=True)
    expected = product * full[..., 3:-3, 3:-3].flatten(1).mean(1) ** coarse
    torch.testing.assert_close(ms_ssim(*pair, sigma=sigma), expected.float(), atol=1e-5, rtol=0)


def test_ms_ssim_is_1_for_identical_images_and_small_but_positive_for_inverted_ones(pair):
    torch.testing.assert_close(ms_ssim(pair[1], pair[1]), torch.ones(len(pair[1])))
    inverted = ms_ssim(1 - pair[1], pair[1])
    assert ((inverted > 0) & (inverted < 0.01)).all()


def test_ms_ssim_names_scales_that_do_not_fit():
    x = torch.rand(1, 1, 64, 64)
    with pytest.raises(ValueError, match="5 scales leave 4 px, less than the window's 7; use fewer `scales`"):
        ms_ssim(x, x, scales=5)
    with pytest.raises(ValueError, match=r"`scales` must be in 1\.\.5, got 6"):
        ms_ssim(x, x, scales=6)


@pytest.mark.parametrize("metric", [ssim, ms_ssim])
def test_similarities_are_float32_under_autocast(metric, pair):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = metric(*pair)
    torch.testing.assert_close(values, metric(*pair), atol=0, rtol=0)
