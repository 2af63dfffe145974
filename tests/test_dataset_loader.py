"""The Dataset, the loaders, the on-device batches and the transforms."""

import numpy as np
import pytest
import torch
from scipy.signal import wiener

from deepdlt.dataset_loader import (
    FourierMagnitude,
    GaussianNoise,
    LaserDataset,
    WienerDenoise,
    batches,
    prepare_and_load_data,
)
from deepdlt.stratified_split import plain_split


def test_images_are_unit_floats_and_labels_are_tensors(patches):
    image, labels = LaserDataset(patches)[17]
    assert image.shape == (1, 64, 64)
    assert torch.equal((image * 255).round().byte(), torch.from_numpy(patches.crops[17]))
    row = patches.images.iloc[patches.image_id[17]]
    assert labels["angle"] == pytest.approx(row["angle"])
    assert labels["NP"] == row["NP"]
    assert int(labels["PP1"]) == {"V": 0, "H": 1, "D": 2}[row["PP1"]]


def test_loaders_give_the_numbers_of_the_on_device_batches(patches):
    split = plain_split(patches.images, patches.image_id)
    _, val, _ = prepare_and_load_data(patches, split, batch_size=6)
    ours = list(batches(torch.from_numpy(patches.crops), torch.from_numpy(split.val), 6))
    theirs = [image for image, _ in val]
    assert len(ours) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_training_batches_are_a_permutation_that_the_generator_decides(patches):
    crops, indices = torch.from_numpy(patches.crops), torch.arange(20)
    first, second, other = (
        torch.cat(list(batches(crops, indices, 8, torch.Generator().manual_seed(s)))) for s in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(first.flatten(1).sum(1).sort()[0], other.flatten(1).sum(1).sort()[0])


def test_a_last_batch_of_one_joins_the_one_before(patches):
    sizes = [len(b) for b in batches(torch.from_numpy(patches.crops), torch.arange(17), 8)]
    assert sizes == [8, 9]


def test_wiener_denoise_equals_scipy():
    x = torch.rand(1, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = wiener(x[0].numpy(), mysize=3)
    np.testing.assert_allclose(WienerDenoise(3)(x)[0], expected, atol=1e-9)


def test_denoising_brings_a_noisy_image_closer_to_the_clean_one():
    x = torch.arange(64).expand(64, 64)
    clean = (0.5 + 0.3 * torch.sin(2 * np.pi * x / 24))[None]
    torch.manual_seed(0)
    noisy = GaussianNoise(0.1)(clean)
    assert (WienerDenoise(5)(noisy) - clean).square().mean() < 0.5 * (noisy - clean).square().mean()


def test_fourier_magnitude_peaks_at_the_period():
    x = torch.arange(64).float()
    image = (0.5 + 0.4 * torch.cos(2 * np.pi * x / 8)).expand(1, 64, 64)
    magnitude = FourierMagnitude()(image)[0]
    magnitude[32, 32] = 0  # zero frequency
    assert divmod(int(magnitude.argmax()), 64) in {(32, 32 - 8), (32, 32 + 8)}
    assert magnitude.max() <= 1
