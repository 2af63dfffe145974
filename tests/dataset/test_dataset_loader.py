"""The Dataset, the loaders and the on-device batches, which give the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from deepdlt.dataset.create_dataset import CropOptions, create_dataset, load_patches
from deepdlt.dataset.dataset_loader import LaserDataset, batches, prepare_and_load_data
from deepdlt.dataset.stratified_split import plain_split
from deepdlt.errors import DataError
from deepdlt.training.transforms import Brightness, FourierMagnitude, GaussianNoise, RandomDihedral, WienerDenoise

DENOISED_SPECTRUM = v2.Compose([WienerDenoise(3), FourierMagnitude()])


def test_images_are_unit_floats_and_labels_are_tensors(patches):
    image, labels = LaserDataset(patches)[17]
    assert image.shape == (1, 64, 64)
    assert torch.equal((image * 255).round().byte(), torch.from_numpy(patches.crops[17]))
    row = patches.images.iloc[patches.image_id[17]]
    assert labels["angle"] == pytest.approx(row["angle"])
    assert labels["NP"] == row["NP"]
    assert int(labels["PP1"]) == {"V": 0, "H": 1, "D": 2}[row["PP1"]]


@pytest.mark.parametrize("transform", [None, DENOISED_SPECTRUM])
def test_loaders_give_the_numbers_of_the_on_device_batches(patches, transform):
    split = plain_split(patches.images, patches.image_id)
    _, val, _ = prepare_and_load_data(patches, split, batch_size=6, transform=transform)
    ours = list(batches(torch.from_numpy(patches.crops), torch.from_numpy(split.val), 6, transform=transform))
    theirs = [image for image, _ in val]
    with_labels = list(LaserDataset(patches, split.val, transform=transform).on_device("cpu", 6))
    assert len(ours) == len(theirs) == len(with_labels)
    for a, b, (c, labels), (_, expected) in zip(ours, theirs, with_labels, val, strict=True):
        torch.testing.assert_close(a, b)
        assert torch.equal(a, c)
        assert all(torch.equal(labels[name], expected[name]) for name in expected)


def test_training_batches_are_a_permutation_that_the_generator_decides(patches):
    crops, indices = torch.from_numpy(patches.crops), torch.arange(20)
    first, second, other = (
        torch.cat(list(batches(crops, indices, 8, torch.Generator().manual_seed(s)))) for s in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(first.flatten(1).sum(1).sort()[0], other.flatten(1).sum(1).sort()[0])


def test_on_device_batches_keep_each_image_with_its_labels_in_any_order(patches):
    dataset = LaserDataset(patches, np.arange(0, 96, 3), labels=("image_id",))
    shuffled = dataset.on_device("cpu", 5, torch.Generator().manual_seed(3))
    seen = [(image, int(i)) for images, labels in shuffled for image, i in zip(images, labels["image_id"], strict=True)]
    assert len(seen) == 32
    for image, image_id in seen:
        crops = patches.crops[patches.image_id == image_id]
        assert (crops == (image * 255).round().byte().numpy()).all((1, 2, 3)).any()


def test_a_last_batch_of_one_joins_the_one_before(patches):
    sizes = [len(b) for b in batches(torch.from_numpy(patches.crops), torch.arange(17), 8)]
    assert sizes == [8, 9]


def test_only_training_crops_are_augmented_and_their_labels_with_them(patches):
    split = plain_split(patches.images, patches.image_id)
    torch.manual_seed(0)
    options = {"labels": ("PP1", "angle"), "augment": v2.Compose([RandomDihedral(), Brightness(0.2)])}
    train, val, test = prepare_and_load_data(patches, split, **options)
    plain_train, plain_val, plain_test = prepare_and_load_data(patches, split, labels=("PP1", "angle"))
    for loader, plain in ((val, plain_val), (test, plain_test)):
        assert all(torch.equal(a, b) for (a, _), (b, _) in zip(loader, plain, strict=True))
    images, labels = (torch.cat(parts) for parts in zip(*((x, y["PP1"]) for x, y in train), strict=True))
    originals, before = (torch.cat(parts) for parts in zip(*((x, y["PP1"]) for x, y in plain_train), strict=True))
    assert not torch.equal(images, originals)
    changed = labels != before
    assert changed.any()
    assert torch.equal(labels[changed] + before[changed], torch.ones(int(changed.sum()), dtype=torch.int64))


def test_augmentation_is_drawn_anew_each_time_and_repeats_with_the_seed(patches):
    dataset = LaserDataset(patches, augment=Brightness(0.3))
    torch.manual_seed(1)
    first, second = dataset[0][0], dataset[0][0]
    torch.manual_seed(1)
    again = dataset[0][0]
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_brightness_in_training_equals_brightness_baked_into_the_crops(source, patches, tmp_path):
    plain = load_patches(create_dataset(source, tmp_path, CropOptions(crops_per_image=8, brightness=0)))
    factors = torch.tensor(patches.table["brightness"].to_numpy(), dtype=torch.float32)
    torch.manual_seed(0)
    drawn, _ = next(LaserDataset(plain, augment=Brightness(0.2)).on_device("cpu", 96))
    original, _ = next(LaserDataset(plain).on_device("cpu", 96))
    baked, _ = next(LaserDataset(patches).on_device("cpu", 96))
    torch.testing.assert_close((original * factors.reshape(-1, 1, 1, 1)).clamp(0, 1), baked, atol=1.01 / 255, rtol=0)
    ratio = drawn.sum((1, 2, 3)) / original.sum((1, 2, 3))
    assert ratio.std() == pytest.approx(float(factors.std()), rel=0.3)


def test_noise_leaves_the_clean_image_as_the_target(patches):
    torch.manual_seed(0)
    dataset = LaserDataset(patches, transform=WienerDenoise(3), noise=GaussianNoise(0.1))
    noisy, labels = dataset[3]
    assert torch.equal(labels["clean"], LaserDataset(patches, transform=WienerDenoise(3))[3][0])
    assert (noisy - labels["clean"]).std() == pytest.approx(0.1, rel=0.15)
    images, labels = next(iter(dataset.on_device("cpu", 4)))
    assert images.shape == labels["clean"].shape == (4, 1, 64, 64)


def test_text_is_coded_over_all_images_so_that_the_parts_of_a_split_agree(patches):
    images = patches.images.assign(material=["steel", "copper", "brass"] * 4)
    named = replace(patches, images=images)
    codes = {"brass": 0, "copper": 1, "steel": 2}
    for image_id in range(3):
        dataset = LaserDataset(named, np.flatnonzero(patches.image_id == image_id), labels=("material",))
        assert int(dataset[0][1]["material"]) == codes[images["material"][image_id]]


@pytest.mark.parametrize(
    ("change", "label", "problem"),
    [
        ({}, "colour", "unknown label 'colour'; labels: image_id, condition"),
        ({"NP": np.nan}, "NP", "'NP' has no value for 12 of 12 images"),
        ({"PP1": "X"}, "PP1", "'PP1' must be one of V, H, D, 0, got X"),
    ],
)
def test_labels_that_cannot_be_tensors_are_refused(patches, change, label, problem):
    with pytest.raises(DataError, match=problem):
        LaserDataset(replace(patches, images=patches.images.assign(**change)), labels=(label,))
