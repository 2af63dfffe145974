"""Crops as a torch Dataset with transforms and labels, and as batches that never leave the device.

Training uses `batches`: the uint8 crops live on the device, a batch is an index, conversion happens there. The
`LaserDataset` gives the same numbers to anybody's own torch code.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from deepdlt.create_dataset import Patches
from deepdlt.stratified_split import Split

PP1_CODES = {"V": 0, "H": 1, "D": 2}
"""The report's coding of the pattern. The order means nothing: treat it as a class index."""


class LaserDataset(Dataset):
    """(image, labels) pairs: image (1, 64, 64) float32 in [0, 1] before `transform`, labels a dict of 0-d tensors.

    Numeric labels keep their value (float32); PP1 is coded V 0, H 1, D 2, other text by alphabetical order (int64).

    Source: the report, section 2.2.
    """

    def __init__(
        self,
        patches: Patches,
        indices: np.ndarray | None = None,
        labels: tuple[str, ...] = ("angle", "PP1", "NP", "EP1"),
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.crops = patches.crops
        self.indices = np.arange(len(patches.crops)) if indices is None else np.asarray(indices)
        self.transform = transform
        rows = patches.images.set_index("image_id").loc[patches.image_id[self.indices]]
        self.labels = {name: _label_tensor(name, rows[name]) for name in labels}

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: int) -> tuple[Tensor, dict[str, Tensor]]:
        image = torch.from_numpy(self.crops[self.indices[item]].copy()).float().div_(255)
        if self.transform is not None:
            image = self.transform(image)
        return image, {name: values[item] for name, values in self.labels.items()}


def prepare_and_load_data(
    patches: Patches,
    split: Split,
    batch_size: int = 32,
    transform: Callable[[Tensor], Tensor] | None = None,
    num_workers: int = 0,
    seed: int = 0,
) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Train (shuffled), validation and test DataLoaders of a split.

    Source: the report, section 2.2; its experiments used batches of 32 and 2 workers.
    """
    generator = torch.Generator().manual_seed(seed)
    loaders = [
        DataLoader(
            LaserDataset(patches, indices, transform=transform),
            batch_size=batch_size,
            shuffle=shuffle,
            num_workers=num_workers,
            generator=generator,
        )
        for indices, shuffle in ((split.train, True), (split.val, False), (split.test, False))
    ]
    return loaders[0], loaders[1], loaders[2]


def batches(
    crops: Tensor, indices: Tensor, batch_size: int, generator: torch.Generator | None = None
) -> Iterator[Tensor]:
    """Batches of float32 images in [0, 1], (<= batch_size, 1, h, w), on the device of `crops` (n, 1, h, w) uint8.

    With a generator (on the CPU) the order is a permutation drawn from it, without one it is that of `indices`. A
    last batch of one image joins the batch before: batch normalisation cannot train on a single image.
    """
    order = indices[torch.randperm(len(indices), generator=generator)] if generator else indices
    order = order.to(crops.device)
    starts = list(range(0, len(order), batch_size))
    if len(starts) > 1 and len(order) - starts[-1] == 1:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        yield crops[order[start:end]].float().div_(255)


class FourierMagnitude(nn.Module):
    """log(1 + |FFT|) of an image, zero frequency in the middle, scaled to [0, 1]: (..., h, w) -> same shape."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to one image or a batch."""
        magnitude = torch.log1p(torch.fft.fftshift(torch.fft.fft2(x), dim=(-2, -1)).abs())
        return magnitude / magnitude.amax((-2, -1), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)


class WienerDenoise(nn.Module):
    """Local Wiener filter of images in [0, 1]: (..., 1, h, w) -> same shape. Equals scipy.signal.wiener.

    Args:
        size: window side in px, odd.
        noise: noise variance; None estimates it as the mean local variance.

    The original code's denoise kept one Fourier coefficient of 4096 and returned a constant image.
    """

    def __init__(self, size: int = 3, noise: float | None = None) -> None:
        super().__init__()
        self.size = size
        self.noise = noise

    def forward(self, x: Tensor) -> Tensor:
        """Apply to one image or a batch."""
        images = x.reshape(-1, 1, *x.shape[-2:])
        mean = self._local_mean(images)
        variance = self._local_mean(images.square()) - mean.square()
        noise = variance.mean((-2, -1), keepdim=True) if self.noise is None else variance.new_tensor(self.noise)
        gain = (variance - noise) / variance.clamp_min(torch.finfo(x.dtype).tiny)
        return (mean + gain.clamp_min(0) * (images - mean)).reshape(x.shape)

    def _local_mean(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, self.size, stride=1, padding=self.size // 2, count_include_pad=True)


class GaussianNoise(nn.Module):
    """Add white noise of standard deviation `sigma` to images in [0, 1] and clip. SEM noise is about 0.018."""

    def __init__(self, sigma: float = 0.05) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        """Apply to one image or a batch of any shape; draws from torch's global generator."""
        return (x + self.sigma * torch.randn_like(x)).clamp(0, 1)


def _label_tensor(name: str, values: pd.Series) -> Tensor:
    if pd.api.types.is_numeric_dtype(values):
        return torch.tensor(values.to_numpy(), dtype=torch.float32)
    codes = PP1_CODES if name == "PP1" else {v: i for i, v in enumerate(sorted(values.astype(str).unique()))}
    return torch.tensor([codes[str(v)] for v in values])
