"""The low-pass DCT: the linear code that needs no training."""

from collections.abc import Callable

import numpy as np
from scipy import fft


def lowpass_dct(k: int) -> Callable[[np.ndarray], np.ndarray]:
    """Low-pass DCT with k coefficients: the k lowest frequencies of the orthonormal 2-D DCT-II.

    The coefficients (i, j) of square crops are ordered by i^2 + j^2, ties by row i; those of other crops by
    (i / h)^2 + (j / w)^2.

    Returns:
        A function of (..., h, w) floats, which gives the same shape and may slightly exceed their range.
    """

    def reconstruct(x: np.ndarray) -> np.ndarray:
        height, width = x.shape[-2:]
        i, j = np.divmod(np.arange(height * width), width)
        kept = np.argsort((i * width) ** 2 + (j * height) ** 2, kind="stable")[:k]  # integers, so that ties are exact
        mask = np.zeros(height * width, x.dtype)
        mask[kept] = 1
        spectrum = fft.dctn(x, axes=(-2, -1), norm="ortho") * mask.reshape(height, width)
        return fft.idctn(spectrum, axes=(-2, -1), norm="ortho")

    return reconstruct
