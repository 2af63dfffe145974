"""Transforms of crops before they enter a network: modules for `torchvision.transforms.v2.Compose`.

Each takes an image (1, h, w) or a batch (n, 1, h, w), float in [0, 1], on any device. Called with (image, labels), it
returns both and adapts labels that depend on the orientation. Random transforms draw from torch's generator of the
image's device, so `torch.manual_seed` repeats them.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from deepdlt.dataset import DIRECTION_CODES, DIRECTION_LABELS, LabelTensors

INVARIANT_LABELS = (
    *("image_id", "condition", "angle", "angle_measured", "NP", "EP1", "EP2", "Δτ", "wavelength", "Spot size"),
    *("DimX", "DimY"),  # of the whole image, which is not turned
)
"""Labels that do not depend on the orientation of the image; `angle` is the angle between the beams."""


class Transform(nn.Module):
    """Base of transforms that change only the image: subclasses define `change`."""

    def forward(self, x: Tensor, labels: LabelTensors | None = None) -> Tensor | tuple[Tensor, LabelTensors]:
        """The changed image, or (changed image, the same labels)."""
        x = self.change(x)
        return x if labels is None else (x, labels)

    def change(self, x: Tensor) -> Tensor:
        """(..., 1, h, w) -> same shape."""
        raise NotImplementedError


class FourierMagnitude(Transform):
    """log(1 + |FFT|) of an image, with zero frequency at the centre, scaled to [0, 1]: (..., h, w) -> same shape."""

    def change(self, x: Tensor) -> Tensor:
        """Apply to one image or a batch."""
        magnitude = torch.log1p(torch.fft.fftshift(torch.fft.fft2(x), dim=(-2, -1)).abs())
        return magnitude / magnitude.amax((-2, -1), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)


class WienerDenoise(Transform):
    """Local Wiener filter of images in [0, 1]: (..., 1, h, w) -> same shape.

    Args:
        size: window side in px, odd.
        noise: noise variance, >= 0; None: estimated for each image with `noise_variance`.

    Source: equals scipy.signal.wiener(image, size, noise). scipy's estimate of the noise, the mean local variance, also
    counts texture. The denoising in the study's code kept one of 4096 Fourier coefficients: a constant image.
    """

    def __init__(self, size: int = 3, noise: float | None = None) -> None:
        super().__init__()
        if size < 1 or size % 2 == 0:
            raise ValueError(f"`size` must be odd and positive, got {size}")
        self.size = size
        self.noise = noise

    def change(self, x: Tensor) -> Tensor:
        """Apply to one image or a batch."""
        images = x.reshape(-1, 1, *x.shape[-2:])
        mean = self._local_mean(images)
        variance = self._local_mean(images.square()) - mean.square()
        noise = noise_variance(images) if self.noise is None else variance.new_tensor(self.noise)
        gain = (variance - noise) / variance.clamp_min(torch.finfo(x.dtype).tiny)
        return (mean + gain.clamp_min(0) * (images - mean)).reshape(x.shape)

    def _local_mean(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, self.size, stride=1, padding=self.size // 2, count_include_pad=True)


def noise_variance(x: Tensor) -> Tensor:
    """Variance of the white noise in each image: (..., 1, h, w) -> (..., 1, 1, 1); h, w >= 3.

    Source: Immerkaer 1996, Fast noise variance estimation (a mask that ignores constant, linear and saddle shapes).
    """
    mask = x.new_tensor([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])[None, None]
    response = nn.functional.conv2d(x.reshape(-1, 1, *x.shape[-2:]), mask).abs().mean((-2, -1), keepdim=True)
    return (response / 6).square().mul(torch.pi / 2).reshape(*x.shape[:-2], 1, 1)


class GaussianNoise(Transform):
    """Add white noise of standard deviation `sigma` >= 0 to images in [0, 1] and clip. SEM noise is about 0.018.

    Args:
        sigma: on the scale of the image. The study's 0.1 was meant on this scale, but acted as 0.1 of 255 grey levels.
    """

    def __init__(self, sigma: float = 0.05) -> None:
        super().__init__()
        if not 0 <= sigma < float("inf"):
            raise ValueError(f"`sigma` must be >= 0, got {sigma}")
        self.sigma = sigma

    def change(self, x: Tensor) -> Tensor:
        """Apply to one image or a batch; each pixel has its own noise."""
        return (x + self.sigma * torch.randn_like(x)).clamp(0, 1)


class Brightness(Transform):
    """Multiply each image by its own factor from U(1 - amount, 1 + amount) and clip to [0, 1].

    Drawn anew each time; `CropOptions.brightness` is fixed in the crops. Source: the study, section 2.1 (±20 %).

    Args:
        amount: in [0, 1).
    """

    def __init__(self, amount: float = 0.2) -> None:
        super().__init__()
        if not 0 <= amount < 1:
            raise ValueError(f"`amount` must be in [0, 1), got {amount}")
        self.amount = amount

    def change(self, x: Tensor) -> Tensor:
        """Apply to one image or a batch."""
        factor = _one_per_image(x).uniform_(1 - self.amount, 1 + self.amount)
        return (x * factor).clamp(0, 1)


class RandomDihedral(nn.Module):
    """One of the 8 symmetries of a square (flips and quarter turns), or of the 4 that keep the axes, for each image.

    A turn that exchanges the axes also exchanges V and H of `DIRECTION_LABELS`. Labels that do not depend on the
    orientation stay as they are. Any other label is refused, because a turn could make it wrong.

    Args:
        turns: False draws only the identity, two flips and the half turn, which change no label.
        invariant: further labels that do not depend on the orientation.
    """

    def __init__(self, *, turns: bool = True, invariant: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.turns = turns
        self.invariant = invariant

    def forward(self, x: Tensor, labels: LabelTensors | None = None) -> Tensor | tuple[Tensor, LabelTensors]:
        """The turned image, or (turned image, adapted labels).

        Raises:
            ValueError: a label that a turn may falsify, or a quarter turn of an image that is not square.
        """
        self.check(labels or {})
        if self.turns and x.shape[-1] != x.shape[-2]:
            raise ValueError(f"a quarter turn needs square images, got {x.shape[-2]}x{x.shape[-1]}; use turns=False")
        columns, rows, axes = (_one_per_image(x).uniform_() < 0.5 for _ in range(3))
        x = torch.where(columns, x.flip(-1), x)
        x = torch.where(rows, x.flip(-2), x)
        if self.turns:
            x = torch.where(axes, x.transpose(-1, -2), x)
        if labels is None:
            return x
        return x, _exchange(labels, axes.reshape(x.shape[:-3])) if self.turns else labels

    def check(self, labels: Mapping[str, object]) -> None:
        """Refuse labels that a flip or turn may falsify.

        Raises:
            ValueError: the message names them.
        """
        unknown = [name for name in labels if name not in (*DIRECTION_LABELS, *INVARIANT_LABELS, *self.invariant)]
        if unknown:
            names = ", ".join(repr(name) for name in unknown)
            remedy = f"leave them out, or pass invariant=({names},) if no flip or turn changes them"
            raise ValueError(f"RandomDihedral may falsify {names}; {remedy}")


def _exchange(labels: LabelTensors, axes: Tensor) -> LabelTensors:
    """Exchange V and H of the direction labels where `axes` is true."""
    v, h = DIRECTION_CODES["V"], DIRECTION_CODES["H"]
    return {
        name: torch.where(axes & (code <= max(v, h)), v + h - code, code) if name in DIRECTION_LABELS else code
        for name, code in labels.items()
    }


def _one_per_image(x: Tensor) -> Tensor:
    """An empty tensor (..., 1, 1, 1) with one value per image of (..., 1, h, w)."""
    return x.new_empty((*x.shape[:-3], 1, 1, 1))
