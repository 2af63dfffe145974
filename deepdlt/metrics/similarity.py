"""PSNR, SSIM and MS-SSIM on the device, one value per image, in the standard definition and in the study's.

The standard definition is that of the literature: data range 1, Gaussian-weighted SSIM (Wang et al. 2004). The study's
definition (`report_`): PSNR with the range of each image in [-1, 1] against an output in [0, 1], and SSIM after
separate min-max normalisation of both images, which hides errors of brightness and contrast.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

K1, K2 = 0.01, 0.03  # Wang et al. 2004
WINDOWS = {"gaussian": (11, 1.5), "uniform": (5, math.inf)}  # side in pixels, sigma
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest first
LOWEST_CONTRAST = 1e-3  # x**weight has an infinite slope at 0 and no value below


def psnr_db(x_recon: Tensor, target: Tensor, data_range: float | Tensor = 1.0) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB: two (batch, 1, h, w) -> (batch,).

    Equals skimage.metrics.peak_signal_noise_ratio; identical images give +inf.
    """
    mse = (x_recon - target).square().flatten(1).mean(1)
    return 10 * torch.log10(torch.as_tensor(data_range, device=mse.device) ** 2 / mse)


def ssim(x_recon: Tensor, target: Tensor, window: str = "gaussian") -> Tensor:
    """Structural similarity of each image pair with data range 1: two (batch, 1, h, w), h and w >= 11 -> (batch,).

    The mean over all positions at which the window fits into the image, as in Wang et al. 2004 and skimage;
    torchmetrics pads by reflection instead.
    `gaussian`: sigma 1.5, 11x11, equals skimage.metrics.structural_similarity(gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False). `uniform`: 5x5, equals structural_similarity(win_size=5).
    The filter is two matrix products with a band matrix, 30 times faster on a CPU than a convolution of one channel.
    """
    size, sigma = WINDOWS[window]
    unbiased = size**2 / (size**2 - 1) if window == "uniform" else 1.0
    luminance, contrast = _ssim_parts(x_recon.float(), target.float(), size, sigma, unbiased)
    return (luminance * contrast).flatten(1).mean(1)


def ms_ssim(x_recon: Tensor, target: Tensor, scales: int = 3, window: int = 7, sigma: float = 1.5) -> Tensor:
    """Multi-scale structural similarity with data range 1: two (batch, 1, h, w) -> (batch,) in (0, 1].

    The product of contrast and structure at each scale, and of the whole SSIM at the coarsest one, with 2x2 means
    between the scales. The usual 5 scales with an 11x11 window need more than 160 px; a crop of 64 px has 3 scales with
    a 7x7 window, whose weights are normalised to a sum of 1. A factor below 1e-3 (an inverted image) counts as 1e-3 and
    has no gradient.

    Raises:
        ValueError: the coarsest scale is smaller than the window, or `scales` is not in 1..5.

    Source: Wang et al. 2003, "Multiscale structural similarity for image quality assessment".
    """
    if not 1 <= scales <= len(SCALE_WEIGHTS):
        raise ValueError(f"`scales` must be in 1..{len(SCALE_WEIGHTS)}, got {scales}")
    coarsest = min(target.shape[-2:]) >> (scales - 1)
    if coarsest < window:
        raise ValueError(f"{scales} scales leave {coarsest} px, less than the window's {window}; use fewer `scales`")
    x, y = x_recon.float(), target.float()
    factors = []
    for scale in range(scales):
        if scale:
            x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
        luminance, contrast = _ssim_parts(x, y, window, sigma)
        index = luminance * contrast if scale == scales - 1 else contrast
        factors.append(index.flatten(1).mean(1).clamp_min(LOWEST_CONTRAST))
    weights = SCALE_WEIGHTS[:scales]
    logs = [weight / sum(weights) * factor.log() for factor, weight in zip(factors, weights, strict=True)]
    return torch.stack(logs).sum(0).exp()  # the gradient of Tensor.prod would wait for the device


def report_psnr_db(x_recon: Tensor, x: Tensor) -> Tensor:
    """The study's PSNR: the data range is that of x in [-1, 1]; x_recon is in [0, 1]. (batch, 1, h, w) -> (batch,)."""
    flat = x.flatten(1)
    return psnr_db(x_recon, x, flat.amax(1) - flat.amin(1))


def report_ssim(x_recon: Tensor, x: Tensor) -> Tensor:
    """The study's SSIM: each image min-max normalised on its own, uniform 5x5 window. (batch, 1, h, w) -> (batch,).

    A constant image becomes all zero; the study's code divides 0 by 0.
    """
    return ssim(_min_max(x_recon), _min_max(x), window="uniform")


def without_autocast(device: torch.device) -> AbstractContextManager:
    """A context in which matrix products stay float32, also under autocast."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def _min_max(x: Tensor) -> Tensor:
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return (x - low) / (high - low).clamp_min(torch.finfo(torch.float32).tiny)


def _ssim_parts(x: Tensor, y: Tensor, size: int, sigma: float, unbiased: float = 1.0) -> tuple[Tensor, Tensor]:
    """Maps of luminance, and of contrast times structure; their product is the SSIM of each window."""
    x, y = x.flatten(0, 1), y.flatten(0, 1)
    rows = _filter_matrix(x.shape[-2], size, sigma, x.device)
    columns = _filter_matrix(x.shape[-1], size, sigma, x.device)
    with without_autocast(x.device):  # variances are small differences of these products
        maps = rows @ torch.stack([x, y, x * x + y * y, x * y]) @ columns.T
    mu_x, mu_y, squares, xy = maps
    mean_product, mean_squares = mu_x * mu_y, mu_x * mu_x + mu_y * mu_y
    cov, variances = (xy - mean_product) * unbiased, (squares - mean_squares) * unbiased
    c1, c2 = K1**2, K2**2
    return (2 * mean_product + c1) / (mean_squares + c1), (2 * cov + c2) / (variances + c2)


@cache
@torch.inference_mode(False)  # a tensor made in inference mode could not be used in the next training
def _filter_matrix(side: int, size: int, sigma: float, device: torch.device) -> Tensor:
    """(side - size + 1, side) band matrix: the 1-D window at every position at which it fits."""
    offsets = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    positions = side - size + 1
    matrix = torch.zeros(positions, side, dtype=torch.float64)
    for row in range(positions):
        matrix[row, row : row + size] = kernel
    return matrix.float().to(device)
