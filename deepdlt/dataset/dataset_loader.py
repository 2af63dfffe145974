"""Crops as a torch Dataset with transforms and labels, and as batches on the device.

Training uses `batches`: the uint8 crops are on the device, a batch is a selection by index, and the conversion to float
happens there. `LaserDataset` gives the same values to your own torch code, item by item or as `on_device` batches with
labels. Transforms are in deepdlt.training.transforms.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from deepdlt.dataset.patches import Patches
from deepdlt.dataset.stratified_split import Split
from deepdlt.errors import DataError
from deepdlt.images import DLIP_LABELS

LabelTensors = dict[str, Tensor]

DIRECTION_CODES = {"V": 0, "H": 1, "D": 2, "0": 3}
"""Codes of pattern and polarisation: V 0, H 1, D 2 as in the study, and 3 for none. The order has no meaning."""

DIRECTION_LABELS = ("PP1", "PP2", "Pol 1", "Pol 2")
"""Labels with these codes. A quarter turn or transposition exchanges V and H; flips and half turns do not."""

ImageTransform = Callable[[Tensor], Any]
Augmentation = Callable[[Tensor, LabelTensors], Any]


class LaserDataset(Dataset):
    """(image, labels) pairs: image (1, h, w) float32 in [0, 1] before any transform, labels a dict of 0-d tensors.

    Numeric labels keep their value (float32). PP1, PP2, Pol 1 and Pol 2 are coded V 0, H 1, D 2, and other text by the
    alphabetical order of its values in the data set (int64).

    Args:
        patches: from `load_patches`.
        indices: (m,) crops to use; None for all.
        labels: columns of `patches.images`.
        transform: image -> image, applied after `augment`.
        augment: (image, labels) -> (image, labels), applied first and drawn anew whenever a crop is read.
        noise: image -> image, applied last. Its input becomes the label `clean`, the target of a denoising
            autoencoder.

    Raises:
        DataError: a label does not exist, lacks a value, or has a pattern without a code.

    Source: the study, section 2.2.
    """

    def __init__(
        self,
        patches: Patches,
        indices: np.ndarray | None = None,
        labels: tuple[str, ...] = DLIP_LABELS,
        transform: ImageTransform | None = None,
        augment: Augmentation | None = None,
        noise: ImageTransform | None = None,
    ) -> None:
        self.crops = patches.crops
        self.indices = np.arange(len(patches.crops)) if indices is None else np.asarray(indices)
        self.transform, self.augment, self.noise = transform, augment, noise
        rows = pd.Index(patches.images["image_id"]).get_indexer(patches.image_id[self.indices])
        self.labels = {name: _label_tensor(name, patches.images)[torch.from_numpy(rows)] for name in labels}

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: int) -> tuple[Tensor, LabelTensors]:
        image = torch.from_numpy(self.crops[self.indices[item]].copy()).float().div_(255)
        return self._finish(image, {name: values[item] for name, values in self.labels.items()})

    def on_device(
        self, device: str, batch_size: int = 32, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, LabelTensors]]:
        """Batches of (images, labels) on the device, with the sizes and the order of `batches`."""
        crops = torch.from_numpy(self.crops[self.indices]).to(device)
        labels = {name: values.to(device) for name, values in self.labels.items()}
        for chosen in _chunks(torch.arange(len(self)), batch_size, generator, crops.device):
            images = crops[chosen].float().div_(255)
            yield self._finish(images, {name: values[chosen] for name, values in labels.items()})

    def _finish(self, image: Tensor, labels: LabelTensors) -> tuple[Tensor, LabelTensors]:
        """Apply augmentation, transform and noise to one image or a batch."""
        if self.augment is not None:
            image, labels = self.augment(image, labels)
        if self.transform is not None:
            image = self.transform(image)
        return (image, labels) if self.noise is None else (self.noise(image), {**labels, "clean": image})


def prepare_and_load_data(
    patches: Patches,
    split: Split,
    batch_size: int = 32,
    transform: ImageTransform | None = None,
    num_workers: int = 0,
    seed: int = 0,
    *,
    labels: tuple[str, ...] = DLIP_LABELS,
    augment: Augmentation | None = None,
) -> tuple[DataLoader, DataLoader, DataLoader]:
    """DataLoaders of the training (shuffled), validation and test set; only training crops are augmented.

    Source: the study, section 2.2; its experiments used batches of 32 and 2 workers.
    """
    generator = torch.Generator().manual_seed(seed)
    loaders = [
        DataLoader(
            LaserDataset(patches, indices, labels, transform, augment if training else None),
            batch_size=batch_size,
            shuffle=training,
            num_workers=num_workers,
            generator=generator,
        )
        for indices, training in ((split.train, True), (split.val, False), (split.test, False))
    ]
    return loaders[0], loaders[1], loaders[2]


def batches(
    crops: Tensor,
    indices: Tensor,
    batch_size: int,
    generator: torch.Generator | None = None,
    transform: ImageTransform | None = None,
) -> Iterator[Tensor]:
    """Batches of float32 images in [0, 1], (<= batch_size, 1, h, w), on the device of `crops` (n, 1, h, w) uint8.

    With a generator (on the CPU) the order is a permutation drawn from it, else that of `indices`. A last batch of one
    image joins the batch before, since batch normalisation cannot train on a single image. `transform` is applied to
    each batch on the device.
    """
    for chosen in _chunks(indices, batch_size, generator, crops.device):
        images = crops[chosen].float().div_(255)
        yield images if transform is None else transform(images)


def _chunks(
    indices: Tensor, batch_size: int, generator: torch.Generator | None, device: torch.device
) -> Iterator[Tensor]:
    """The indices of each batch, on the device."""
    order = indices[torch.randperm(len(indices), generator=generator)] if generator else indices
    order = order.to(device)
    starts = list(range(0, len(order), batch_size))
    if len(starts) > 1 and len(order) - starts[-1] == 1:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        yield order[start:end]


def _label_tensor(name: str, images: pd.DataFrame) -> Tensor:
    """(n_images,) values or codes of a label. The codes are those of all images, the same in each part of a split."""
    if name not in images:
        raise DataError(f"unknown label {name!r}; labels: {', '.join(images.columns)}")
    values = images[name]
    if values.isna().any():
        raise DataError(f"label {name!r} has no value for {int(values.isna().sum())} of {len(values)} images")
    if name not in DIRECTION_LABELS:
        if pd.api.types.is_numeric_dtype(values):
            return torch.tensor(values.to_numpy(), dtype=torch.float32)
        return torch.tensor(np.unique(values.astype(str), return_inverse=True)[1])
    codes = values.astype(str).map(DIRECTION_CODES)
    if codes.isna().any():
        odd, known = sorted(set(values[codes.isna()].astype(str))), ", ".join(DIRECTION_CODES)
        raise DataError(f"label {name!r} must be one of {known}, got {', '.join(odd)}; rename a column of another kind")
    return torch.tensor(codes.to_numpy(np.int64))
