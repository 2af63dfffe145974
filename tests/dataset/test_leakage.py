"""Leakage against a count of every pixel by hand; the study's 67 %, 25 %, 100 % and the corrected zeros."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepdlt.dataset.classes import bin_label
from deepdlt.dataset.create_dataset import CropOptions, create_dataset, load_patches
from deepdlt.dataset.leakage import balance, leakage, mean_leakage
from deepdlt.dataset.patches import Patches
from deepdlt.dataset.stratified_split import Split, plain_split, stratified_folds
from deepdlt.images.source import read_source

NONE = np.empty(0, int)


def by_hand(table, split, size):
    """(image share, overlap share, pixel share), pixel by pixel."""

    def pixels(k):
        row = table.iloc[k]
        return {(row.image_id, row.y + i, row.x + j) for i in range(size) for j in range(size)}

    trained = set().union(*(pixels(k) for k in split.train))
    images = {image for image, _, _ in trained}
    seen = [len(pixels(k) & trained) for k in split.test]
    shares = [table.image_id.iloc[k] in images for k in split.test], [n > 0 for n in seen], [n / size**2 for n in seen]
    return [np.mean(share) for share in shares]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(3, 25), size=st.integers(1, 5), n_images=st.integers(1, 4))
def test_leakage_equals_a_count_of_every_pixel(seed, n, size, n_images):
    rng = np.random.default_rng(seed)
    columns = {"image_id": rng.integers(0, n_images, n) * 7, "x": rng.integers(0, 12, n), "y": rng.integers(0, 9, n)}
    table = pd.DataFrame(columns)
    order = rng.permutation(n)
    split = Split(order[: n // 2], NONE, order[n // 2 :])
    found = leakage(table, split, size)
    expected = by_hand(table, split, size)
    assert [found.image_share, found.overlap_share, found.pixel_share] == pytest.approx(expected)


def test_crops_that_touch_do_not_overlap_and_one_pixel_is_enough():
    split = Split(np.array([0]), NONE, np.array([1]))
    for x, overlap, pixels in ((64, 0, 0), (63, 1, 1 / 64), (0, 1, 1)):
        found = leakage(pd.DataFrame({"image_id": 0, "x": [0, x], "y": 0}), split)
        assert (found.image_share, found.overlap_share, found.pixel_share) == (1, overlap, pixels)


def test_conditions_are_counted_where_they_are_known():
    table = pd.DataFrame({"image_id": [0, 1, 2], "x": 0, "y": 0})
    images = pd.DataFrame({"image_id": [0, 1, 2], "condition": [5, 5, 6]})
    split = Split(np.array([0]), NONE, np.array([1, 2]))
    assert leakage(table, split, images=images).condition_share == 0.5
    assert leakage(table, split).condition_share is None
    assert "50.0% from its conditions" in str(leakage(table, split, images=images))


def test_an_empty_side_is_no_error():
    table = pd.DataFrame({"image_id": [0, 0], "x": 0, "y": 0})
    assert leakage(table, Split(NONE, NONE, np.array([0]))).image_share == 0
    assert np.isnan(leakage(table, Split(np.array([0]), NONE, NONE)).pixel_share)


def test_the_mean_over_folds_is_the_mean_of_each_share():
    table = pd.DataFrame({"image_id": [0, 0, 1], "x": [0, 32, 0], "y": 0})
    leaks = [leakage(table, Split(np.array([0]), NONE, np.array([k]))) for k in (1, 2)]
    mean = mean_leakage(leaks)
    assert (mean.image_share, mean.overlap_share, mean.pixel_share, mean.condition_share) == (0.5, 0.5, 0.25, None)


def test_the_balance_counts_every_crop_of_every_class(patches):
    folds = stratified_folds(patches.images, patches.image_id, "PP1", 4)
    table = balance(patches, folds, "PP1")
    assert table["all"].to_dict() == {"D": 32, "H": 32, "V": 32}
    assert table.loc["H", "2"] == "8 (8)"
    classes = bin_label(patches.images["PP1"])[patches.image_id]
    for k, fold in enumerate(folds, start=1):
        tested = np.bincount(classes[fold.test], minlength=3)
        assert [int(cell.split()[0]) for cell in table[str(k)]] == tested.tolist()


def test_the_studys_folds_leak_two_thirds_and_the_corrected_ones_nothing(real_images, tmp_path):
    patches = load_patches(create_dataset(read_source(real_images), tmp_path, CropOptions()))

    def mean_of(label, **options):
        folds = stratified_folds(patches.images, patches.image_id, label, 5, **options)
        return mean_leakage([leakage(patches.table, fold, 64, patches.images) for fold in folds])

    for label in ("angle", "PP1", "NP", "EP1"):
        report = mean_of(label, unit="crop", holdout="halves")
        assert report.image_share == 1
        assert report.overlap_share == pytest.approx(0.67, abs=0.03)
        assert report.pixel_share == pytest.approx(0.25, abs=0.03)
        corrected = mean_of(label)
        assert (corrected.image_share, corrected.condition_share) == (0, 0)
        assert (corrected.overlap_share, corrected.pixel_share) == (0, 0)
    by_image = mean_of("angle", unit="image")
    assert by_image.image_share == by_image.pixel_share == 0
    assert by_image.condition_share > 0.1  # replicates of one surface on both sides
    plain = plain_split(patches.images, patches.image_id, unit="crop")
    assert leakage(patches.table, plain).image_share == 0  # the study's base split is by image


def test_the_balance_has_no_row_for_a_bin_without_values():
    """Quantiles of a label that is mostly one value in the middle: the bin above that value is empty."""
    values = [*range(6), *[50] * 13, *range(76, 81)]
    images = pd.DataFrame({"image_id": np.arange(len(values)), "power": values})
    crops = np.zeros((len(values), 1, 1, 1), np.uint8)
    patches = Patches(crops, pd.DataFrame({"image_id": images["image_id"]}), images, "")
    codes = bin_label(images["power"])
    split = Split(NONE, NONE, np.arange(len(values)))
    table = balance(patches, [split], "power")
    assert set(range(codes.max())) - set(codes.tolist())
    assert table["all"].tolist() == [int((codes == code).sum()) for code in sorted(set(codes.tolist()))]
    assert not [name for name in table.index if "nan" in name]
