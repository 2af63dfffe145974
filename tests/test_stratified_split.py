"""Splits: partition, groups, class shares, refusals; the report's leak and its absence."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepdlt.create_dataset import CropOptions, create_dataset, load_patches
from deepdlt.source_images import DataError, read_source
from deepdlt.stratified_split import bin_label, plain_split, stratified_folds

LABELS = ("angle", "PP1", "NP", "EP1")


def made_up(n_images, n_classes, images_per_condition=1, crops=4, seed=0):
    rng = np.random.default_rng(seed)
    conditions = np.arange(n_images) // images_per_condition
    classes = rng.permutation(conditions.max() + 1)[conditions] % n_classes
    images = pd.DataFrame({"image_id": np.arange(n_images), "condition": conditions, "label": classes.astype(str)})
    return images, np.repeat(images["image_id"].to_numpy(), crops)


@settings(max_examples=40, deadline=None)
@given(
    n_folds=st.integers(2, 6),
    n_classes=st.integers(1, 3),
    per_condition=st.integers(1, 3),
    unit=st.sampled_from(["condition", "image"]),
    seed=st.integers(0, 1000),
)
def test_folds_partition_and_never_divide_a_group(n_folds, n_classes, per_condition, unit, seed):
    images, image_id = made_up(n_classes * n_folds * 2 * per_condition, n_classes, per_condition, seed=seed)
    folds = stratified_folds(images, image_id, "label", n_folds, unit=unit, seed=seed)
    tested = np.sort(np.concatenate([fold.test for fold in folds]))
    assert np.array_equal(tested, np.arange(len(image_id)))
    group_of = images[unit if unit == "condition" else "image_id"].to_numpy()[image_id]
    for fold in folds:
        parts = [fold.train, fold.val, fold.test]
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(image_id)))
        assert min(len(part) for part in parts) > 0
        groups = [set(group_of[part]) for part in parts]
        assert sum(len(g) for g in groups) == len(set().union(*groups))


def test_each_test_fold_has_every_class_in_its_share():
    images, image_id = made_up(60, 3)
    classes = images["label"].to_numpy()[image_id]
    for fold in stratified_folds(images, image_id, "label", 5):
        _, counts = np.unique(classes[fold.test], return_counts=True)
        assert len(counts) == 3
        assert np.ptp(counts) <= 2 * 4  # within one image of the ideal on either side


def test_same_seed_same_folds_and_another_seed_other_folds():
    images, image_id = made_up(40, 2)
    a, b, c = (stratified_folds(images, image_id, "label", 4, seed=s) for s in (1, 1, 2))
    assert all(np.array_equal(x.test, y.test) for x, y in zip(a, b, strict=True))
    assert not all(np.array_equal(x.test, y.test) for x, y in zip(a, c, strict=True))


def test_the_reports_folds_divide_crops_80_10_10_and_order_validation_before_test(patches):
    for fold in stratified_folds(patches.images, patches.image_id, "PP1", 4, unit="crop", holdout="halves"):
        assert (len(fold.train), len(fold.val), len(fold.test)) == (72, 12, 12)
        assert fold.val.max() < fold.test.min()
        assert set(patches.image_id[fold.test]) <= set(patches.image_id[fold.train])  # the leak


def test_report_bins_are_quantiles_and_corrected_bins_keep_few_values_apart():
    values = pd.Series([5.5] * 3 + [8.5] * 2 + [19.0] * 15)
    assert len(set(bin_label(values, "report"))) == 2
    assert len(set(bin_label(values, "corrected"))) == 3
    many = pd.Series(np.arange(100.0))
    assert np.array_equal(bin_label(many, "report"), bin_label(many, "corrected"))
    assert np.bincount(bin_label(many, "report")).tolist() == [20] * 5


@pytest.mark.parametrize("unit", ["condition", "image", "crop"])
def test_plain_split_keeps_images_apart_and_is_about_80_10_10(unit):
    images, image_id = made_up(60, 3)
    split = plain_split(images, image_id, label="label", unit=unit)
    ids = [set(image_id[part]) for part in (split.train, split.val, split.test)]
    assert [len(i) for i in ids] == pytest.approx([48, 6, 6], abs=2)
    assert sum(len(i) for i in ids) == 60


@pytest.mark.parametrize("n_folds", [-1, 0, 1])
def test_fewer_than_two_folds_are_refused(patches, n_folds):
    with pytest.raises(DataError, match="at least 2"):
        stratified_folds(patches.images, patches.image_id, "PP1", n_folds)


def test_more_folds_than_the_smallest_class_allows_are_refused_with_the_counts(patches):
    with pytest.raises(DataError, match=r"smallest class has 4 condition\(s\) \(D: 4, H: 4, V: 4\); use --folds 4"):
        stratified_folds(patches.images, patches.image_id, "PP1", 5)


def test_a_class_of_one_cannot_be_stratified():
    images, image_id = made_up(10, 2)
    images.loc[0, "label"] = "only"
    with pytest.raises(DataError, match="leave this label out"):
        stratified_folds(images, image_id, "label", 2)


def test_two_images_are_too_few_and_three_are_enough():
    with pytest.raises(DataError, match="at least 3"):
        plain_split(*made_up(2, 1))
    split = plain_split(*made_up(3, 1))
    assert [len(part) for part in (split.train, split.val, split.test)] == [4, 4, 4]


def test_the_real_images_split_as_the_facts_say(real_images, tmp_path):
    source = read_source(real_images, LABELS)
    bins = {label: len(set(bin_label(source.images[label], "report"))) for label in LABELS}
    assert bins == {"angle": 2, "PP1": 3, "NP": 4, "EP1": 5}
    packed = load_patches(create_dataset(source, tmp_path, CropOptions(crops_per_image=10)))
    for label in LABELS:
        for fold in stratified_folds(packed.images, packed.image_id, label, 5, unit="crop"):
            assert (len(fold.train), len(fold.val), len(fold.test)) == (1664, 208, 208)
        for fold in stratified_folds(packed.images, packed.image_id, label, 5):
            conditions = packed.images["condition"].to_numpy()[packed.image_id]
            assert not set(conditions[fold.train]) & set(conditions[fold.test])
            assert len(fold.test) == pytest.approx(416, abs=20)
