"""Linear baselines of equal latent size: mean grey values, principal components, low frequencies.

A network that does not beat PCA with as many coefficients is no better than a matrix product.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch

from deepdlt.metrics import losses, lowpass_dct
from deepdlt.metrics import similarity as metrics

Reconstruct = Callable[[np.ndarray], np.ndarray]
"""(n, 1, h, w) float32 in [0, 1] -> the same shape; PCA and DCT may slightly exceed [0, 1]."""

FIT_CROPS = 4000
"""Number of crops for the fit of PCA. Compared with 16,600 crops it takes 1 s instead of 3.5 s for 128 components, and
5 s instead of 20 s for 1024 (one thread of a Xeon server); on unseen crops the PSNR is lower by 0.2 dB with 128
components, 0.6 dB with 512 and 1.0 dB with 1024."""
BATCH_PIXELS = 256 * 64 * 64  # SSIM keeps about ten copies of a batch


def constant(train: np.ndarray) -> Reconstruct:
    """Latent size 0: the mean grey value of the training crops, (n, 1, h, w) uint8."""
    grey = np.float32(train.mean() / 255)
    return lambda x: np.full_like(x, grey)


def patch_mean(x: np.ndarray) -> np.ndarray:
    """Latent size 1: the mean of each crop, (n, 1, h, w) float -> the same shape."""
    return np.zeros_like(x) + x.mean((2, 3), keepdims=True)


def pca(train: np.ndarray, k: int, *, fit_crops: int = FIT_CROPS) -> Reconstruct:
    """PCA with k coefficients: projection on the k directions of largest variance of the training crops.

    Args:
        train: (n, 1, h, w) uint8.
        k: 1 to min(n, fit_crops, h * w).
        fit_crops: largest number of crops for the fit, spread evenly over `train`; FIT_CROPS has the cost.

    Source: sklearn PCA(svd_solver="randomized"), within 0.02 dB of the exact components on the published images.
    """
    return _projection(*_fit_pca(train[_evenly(len(train), fit_crops)], k))


def baseline_table(
    crops: np.ndarray, train: np.ndarray, test: np.ndarray, sizes: Iterable[int], *, fit_crops: int = FIT_CROPS
) -> list[dict[str, float | int | str]]:
    """Errors of all baselines on the test crops, with reconstructions clipped to [0, 1].

    For 16,600 training and 2,100 test crops of 64x64 and sizes (128, 1024) it takes 8 s on one thread of a Xeon server
    and 240 MB of memory besides the crops.

    Args:
        crops: (n, 1, h, w) uint8, h and w >= 11.
        train: indices of the crops for the constant and the PCA.
        test: indices of the crops for the evaluation.
        sizes: latent sizes, >= 1; repeated ones count once.
        fit_crops: as in `pca`.

    Returns:
        A row for the constant and one for the patch mean, then PCA and DCT for each size in the order given, with
        `baseline` (constant, patch mean, PCA, low-pass DCT), `numbers` (latent size), `loss` (mean squared error),
        `psnr_db` (mean over crops, data range 1; inf if a crop has no error), `pooled_psnr_db` (PSNR of the pooled
        MSE), `ssim` (mean over crops). A size >= h * w is lossless and has no row; PCA has no row for a size above the
        number of crops in its fit.

    Raises:
        ValueError: no training or no test crops, a size below 1, or crops that are not (n, 1, h, w) uint8.
    """
    sizes = list(dict.fromkeys(sizes))
    _check(crops, train, test, sizes)
    sizes = [k for k in sizes if k < crops[0].size]
    fitted = train[_evenly(len(train), fit_crops)]
    ranks = [k for k in sizes if k <= len(fitted)]
    methods = [("constant", 0, constant(crops[train])), ("patch mean", 1, patch_mean)]
    # One fit for all sizes: the first k of its components are those of size k.
    mean, components = _fit_pca(crops[fitted], max(ranks)) if ranks else (np.empty(0), np.empty(0))
    for k in sizes:
        methods += [("PCA", k, _projection(mean, components[:k]))] if k in ranks else []
        methods += [("low-pass DCT", k, lowpass_dct(k))]
    return [{"baseline": name, "numbers": k, **_quality(method, crops, test)} for name, k, method in methods]


def _check(crops: np.ndarray, train: np.ndarray, test: np.ndarray, sizes: list[int]) -> None:
    if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1] != 1:
        raise ValueError(f"`crops` must be (n, 1, h, w) uint8, got {crops.shape} {crops.dtype}")
    for name, indices in (("train", train), ("test", test)):
        if not len(indices):
            raise ValueError(f"`{name}` must have at least one crop")
    if sizes and min(sizes) < 1:
        raise ValueError(f"`sizes` must be >= 1, got {min(sizes)}")


def _evenly(n: int, most: int) -> np.ndarray:
    """At most `most` of the indices 0..n-1, evenly spaced, so that they include crops of every image."""
    return np.linspace(0, n - 1, min(n, most)).round().astype(int)


def _fit_pca(train: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(h * w,) mean and (k, h * w) orthonormal components, float32."""
    from sklearn.decomposition import PCA  # late: seconds, for the baselines alone

    flat = train.reshape(len(train), -1).astype(np.float32)
    flat /= 255
    with np.errstate(invalid="ignore"):  # identical crops have no variance
        fitted = PCA(k, svd_solver="randomized", random_state=0).fit(flat)
    return fitted.mean_, fitted.components_


def _projection(mean: np.ndarray, components: np.ndarray) -> Reconstruct:
    def reconstruct(x: np.ndarray) -> np.ndarray:
        flat = x.reshape(len(x), -1) - mean
        return (flat @ components.T @ components + mean).reshape(x.shape)

    return reconstruct


def _quality(reconstruct: Reconstruct, crops: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """Metrics as means over the test crops, evaluated in batches."""
    parts, batch = [], max(1, BATCH_PIXELS // crops[0].size)
    for start in range(0, len(test), batch):
        x = crops[test[start : start + batch]].astype(np.float32) / 255
        pair = torch.from_numpy(np.clip(reconstruct(x), 0, 1)), torch.from_numpy(x)
        parts.append(torch.stack([losses.mse(*pair), metrics.psnr_db(*pair), metrics.ssim(*pair)]))
    loss, psnr_db, ssim = torch.cat(parts, dim=1).double().mean(1)
    pooled = -10 * torch.log10(loss)
    return {"loss": loss.item(), "psnr_db": psnr_db.item(), "pooled_psnr_db": pooled.item(), "ssim": ssim.item()}
