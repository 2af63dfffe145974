"""Splits: partition, groups, class shares, refusals; the study's folds and tables; the command line."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from calling import command
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from deepdlt.dataset.classes import bin_label
from deepdlt.dataset.create_dataset import CropOptions, create_dataset, load_patches
from deepdlt.dataset.fold_csv import write_folds
from deepdlt.dataset.group_dealing import deal_groups
from deepdlt.dataset.stratified_split import check_folds, plain_split, stratified_folds
from deepdlt.errors import DataError
from deepdlt.images.source import read_source

main = command("folds")

LABELS = ("angle", "PP1", "NP", "EP1")


def made_up(n_images, n_classes, images_per_condition=1, crops=4, seed=0):
    rng = np.random.default_rng(seed)
    conditions = np.arange(n_images) // images_per_condition
    classes = rng.permutation(conditions.max() + 1)[conditions] % n_classes
    images = pd.DataFrame({"image_id": np.arange(n_images), "condition": conditions, "label": classes.astype(str)})
    return images, np.repeat(images["image_id"].to_numpy(), crops)


def assert_partition(folds, images, image_id, unit):
    """Every crop once in each fold's parts, no part empty, no group on two sides; every crop held out once."""
    every = np.arange(len(image_id))
    held = [[fold.test] if unit != "crop" else [fold.test, fold.val] for fold in folds]
    assert np.array_equal(np.sort(np.concatenate(list(itertools.chain(*held)))), every)
    names = {"condition": images["condition"].to_numpy(), "image": images["image_id"].to_numpy()}
    group_of = names[unit][image_id] if unit != "crop" else every
    for fold in folds:
        parts = [fold.train, fold.val, fold.test]
        assert np.array_equal(np.sort(np.concatenate(parts)), every)
        assert min(len(part) for part in parts) > 0
        groups = [set(group_of[part]) for part in parts]
        assert sum(len(g) for g in groups) == len(set().union(*groups))


def made_up_label(kind, n, n_classes, rng):
    """A column of any kind; its classes may be few, many, empty or uneven."""
    uneven = rng.choice(n_classes, n, p=rng.dirichlet(np.full(n_classes, 2.0)))
    return {
        "text": lambda: np.array(list("ABCDEFGHIJ"))[uneven],
        "numbers": lambda: uneven * 1.5 - 2,
        "measured": lambda: rng.normal(size=n),
        "yes or no": lambda: uneven % 2 == 0,
        "incomplete": lambda: np.where(rng.random(n) < 0.1, np.nan, uneven),
    }[kind]()


kinds = st.sampled_from(["text", "numbers", "measured", "yes or no", "text", "numbers", "incomplete"])


def split_or_refuse(images, image_id, label, n_folds, options):
    """The folds, twice; or the message of the refusal."""
    try:
        return [stratified_folds(images, image_id, label, n_folds, **options) for _ in range(2)]
    except DataError as error:
        return str(error)


def test_any_labels_are_split_into_true_folds_or_refused_with_numbers():
    outcomes = []

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(
        n=st.integers(1, 60),
        label_kinds=st.lists(kinds, min_size=1, max_size=3),
        n_classes=st.integers(1, 10),
        n_conditions=st.integers(1, 80),
        n_folds=st.integers(1, 6),
        options=st.fixed_dictionaries(
            {
                "unit": st.sampled_from(["condition", "image", "crop"]),
                "holdout": st.sampled_from(["stratified", "halves"]),
                "seed": st.integers(0, 1000),
            }
        ),
        crops=st.integers(1, 3),
    )
    def check(n, label_kinds, n_classes, n_conditions, n_folds, options, crops):
        rng = np.random.default_rng(options["seed"])
        images = pd.DataFrame({"image_id": np.arange(n)})
        images["condition"] = rng.integers(0, n_conditions, n)  # classes may cut across them
        label = tuple("abc"[: len(label_kinds)])
        for name, kind in zip(label, label_kinds, strict=True):
            images[name] = made_up_label(kind, n, n_classes, rng)
        image_id = np.repeat(np.arange(n), crops)
        found = split_or_refuse(images, image_id, label, n_folds, options)
        outcomes.append(type(found))
        if isinstance(found, str):
            assert re.search(r"\d", found)
            return
        folds, again = found
        assert len(folds) == n_folds
        assert_partition(folds, images, image_id, options["unit"])
        for fold, same in zip(folds, again, strict=True):
            assert np.array_equal(fold.test, same.test)
            assert np.array_equal(fold.val, same.val)

    check()
    assert min(outcomes.count(list), outcomes.count(str)) > 50


@settings(max_examples=60, deadline=None)
@given(
    n_folds=st.integers(2, 6),
    sizes=st.lists(st.lists(st.integers(1, 4), min_size=6, max_size=20), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
def test_no_share_of_a_class_is_further_than_one_group_from_the_ideal(n_folds, sizes, seed):
    rows = [
        (code, group) for code, groups in enumerate(sizes) for group, size in enumerate(groups) for _ in range(size)
    ]
    images = pd.DataFrame({"image_id": np.arange(len(rows)), "label": [str(code) for code, _ in rows]})
    images["condition"] = pd.MultiIndex.from_tuples(rows).factorize()[0]
    folds = stratified_folds(images, images["image_id"].to_numpy(), "label", n_folds, seed=seed)
    assert_partition(folds, images, images["image_id"].to_numpy(), "condition")
    for code, groups in enumerate(sizes):
        for fold in folds:
            count = (images["label"][fold.test] == str(code)).sum()
            assert abs(count - sum(groups) / n_folds) <= max(groups)


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


def test_the_studys_folds_divide_crops_80_10_10_and_order_validation_before_test(patches):
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


def test_one_label_is_split_as_scikit_learn_splits_it():
    images, image_id = made_up(60, 3, images_per_condition=2, crops=1)
    ours = stratified_folds(images, image_id, "label", 5, seed=3)
    theirs = StratifiedGroupKFold(5, shuffle=True, random_state=3).split(images, images["label"], images["condition"])
    assert all(np.array_equal(a.test, test) for a, (_, test) in zip(ours, theirs, strict=True))


def test_the_studys_folds_are_the_studys_code(patches):
    combined = patches.rows()
    for label in LABELS:
        if pd.api.types.is_numeric_dtype(combined[label]):
            combined[label] = pd.qcut(combined[label], q=5, labels=False, duplicates="drop")
        ours = stratified_folds(patches.images, patches.image_id, label, 3, unit="crop", holdout="halves")
        theirs = StratifiedKFold(3, shuffle=True, random_state=42).split(combined, combined[label])
        for fold, (train, held) in zip(ours, theirs, strict=True):
            assert np.array_equal(fold.train, train)
            assert np.array_equal(np.concatenate([fold.val, fold.test]), held)


def shares(images, labels, fold_of):
    """Largest distance in images of any class of any label from its ideal share of a fold."""
    n_folds = fold_of.max() + 1
    found = [
        np.abs(np.bincount(fold_of[images[name] == value], minlength=n_folds) - (images[name] == value).sum() / n_folds)
        for name in labels
        for value in images[name].unique()
    ]
    return np.max(found)


def fold_of_image(folds, image_id):
    fold_of = np.empty(image_id.max() + 1, int)
    for k, fold in enumerate(folds):
        fold_of[image_id[fold.test]] = k
    return fold_of


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n_folds=st.integers(2, 6), n_labels=st.integers(2, 4))
def test_several_labels_are_each_within_three_images_of_their_ideal_share(seed, n_folds, n_labels):
    rng = np.random.default_rng(seed)
    images = pd.DataFrame({"image_id": np.arange(120), "condition": np.arange(120)})
    labels = tuple(f"label {k}" for k in range(n_labels))
    for name in labels:
        images[name] = rng.permutation(np.repeat(["a", "b", "c", "d"], [60, 30, 18, 12]))
    folds = stratified_folds(images, np.arange(120), labels, n_folds, seed=seed)
    assert_partition(folds, images, np.arange(120), "condition")
    if n_labels > 2:  # few enough units per combination that the labels are dealt one by one
        assert shares(images, labels, fold_of_image(folds, np.arange(120))) < 3  # by lot: 3 to 7


def test_combinations_of_labels_are_kept_where_they_are_large_enough():
    images = pd.DataFrame({"image_id": np.arange(80), "condition": np.arange(80)})
    images["a"], images["b"] = np.arange(80) // 40, np.arange(80) // 20 % 2
    both = images["a"] * 2 + images["b"]
    for fold in stratified_folds(images, np.arange(80), ("a", "b"), 5):
        assert np.bincount(both[fold.test]).tolist() == [4] * 4


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n_groups=st.integers(2, 12), n_parts=st.integers(2, 4))
def test_no_exchange_of_two_groups_would_improve_what_was_dealt(seed, n_groups, n_parts):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, (n_groups, 3)) + np.eye(3, dtype=int)[rng.integers(0, 3, n_groups)]

    def cost(part):
        sums = np.stack([counts[part == k].sum(0) for k in range(n_parts)])
        return ((sums - counts.sum(0) / n_parts) ** 2).sum()

    part = deal_groups(counts, n_parts, seed)
    assert len(set(part)) == min(n_groups, n_parts)
    for a, b in itertools.combinations(range(n_groups), 2):
        other = part.copy()
        other[[a, b]] = other[[b, a]]
        assert cost(other) >= cost(part) - 1e-6


def test_dealing_many_groups_is_quick_and_even():
    rng = np.random.default_rng(0)
    counts = np.concatenate([np.eye(5, dtype=int)[rng.integers(0, 5, 5000)] for _ in range(3)], axis=1)
    part = deal_groups(counts, 5, 0)
    sums = np.stack([counts[part == k].sum(0) for k in range(5)])
    assert np.abs(sums - counts.sum(0) / 5).max() <= 3


def test_several_labels_are_refused_together(patches):
    with pytest.raises(DataError) as refused:
        check_folds(patches.images, patches.image_id, ("PP1", "angle", "NP"), 7, "image")
    lines = str(refused.value).splitlines()
    assert [line.split("'")[1] for line in lines] == ["PP1", "angle", "NP"]
    with pytest.raises(DataError, match="unknown label 'colour'; labels: image_id"):
        stratified_folds(patches.images, patches.image_id, ("PP1", "colour"), 2)


def test_a_plain_split_takes_several_labels():
    images, image_id = made_up(80, 2)
    images["other"] = np.arange(80) % 4
    split = plain_split(images, image_id, label=("label", "other"))
    ids = [set(image_id[part]) for part in (split.train, split.val, split.test)]
    assert [len(i) for i in ids] == pytest.approx([64, 8, 8], abs=2)
    assert set(images["other"][list(ids[2])]) == {0, 1, 2, 3}


def read_tables(folder, name, part):
    return [pd.read_csv(folder / f"fold_{k}" / f"{name}_{part}.csv") for k in (1, 2, 3)]


def test_the_tables_hold_the_folds_the_raw_labels_and_the_bins(patches, tmp_path):
    for label, rule in (("NP", "report"), ("PP1", "corrected")):
        unit, holdout = ("crop", "halves") if rule == "report" else ("condition", "stratified")
        folds = stratified_folds(patches.images, patches.image_id, label, 3, unit=unit, holdout=holdout)
        folder = write_folds(patches, folds, label, tmp_path, rule)
        assert folder == tmp_path / "label_aware_splitting_data" / label
        for part in ("train", "val", "test"):
            for table, fold in zip(read_tables(folder, label, part), folds, strict=True):
                assert np.array_equal(table["crop"], getattr(fold, part))
                images = patches.images.loc[table["image_id"]]
                assert table[label].tolist() == images[label].tolist()
                expected = bin_label(patches.images[label], rule)[table["image_id"]]
                assert np.array_equal(table[f"{label}_bin"], expected)
    assert sorted(path.name for path in (tmp_path / "label_aware_splitting_data").iterdir()) == ["NP", "PP1"]


def test_new_folds_replace_the_old_ones_whole_and_nothing_else(patches, tmp_path):
    labels = ("PP1", "angle")
    for n_folds in (4, 2):
        folds = stratified_folds(patches.images, patches.image_id, labels, n_folds)
        folder = write_folds(patches, folds, labels, tmp_path)
    assert folder.name == "PP1+angle"
    assert sorted(path.name for path in folder.iterdir()) == ["fold_1", "fold_2"]
    assert {"PP1_bin", "angle_bin"} <= set(pd.read_csv(folder / "fold_1" / "PP1+angle_val.csv"))
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"contains 'notes.txt', which is not a fold"):
        write_folds(patches, folds, labels, tmp_path)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_label_with_a_slash_stays_inside_the_tree(patches, tmp_path):
    odd = replace(patches, images=patches.images.rename(columns={"PP1": "../x/PP1"}))
    folds = stratified_folds(odd.images, odd.image_id, "../x/PP1", 2)
    assert write_folds(odd, folds, "../x/PP1", tmp_path).parent == tmp_path / "label_aware_splitting_data"


@pytest.mark.parametrize("label", ["a/b", "..", "Größe", "功" * 200])
def test_each_label_has_a_folder_of_its_own_that_can_be_made(patches, tmp_path, label):
    def folder_of(name):
        odd = replace(patches, images=patches.images.rename(columns={"PP1": name}))
        return write_folds(odd, stratified_folds(odd.images, odd.image_id, name, 2), name, tmp_path)

    folder = folder_of(label)
    assert folder.parent == tmp_path / "label_aware_splitting_data"
    assert len(list(folder.rglob("*.csv"))) == 2 * 3
    assert folder_of(f"{label}|") != folder
    assert folder_of(label) == folder


def test_the_command_line_cuts_crops_splits_and_prints_balance_and_leakage(image_folder, tmp_path, capsys):
    command = ["--data", str(image_folder), "--labels", "PP1,angle+PP1", "--folds", "2"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    tree = tmp_path / "label_aware_splitting_data"
    assert sorted(path.name for path in tree.iterdir()) == ["PP1", "angle+PP1"]
    assert len(list(tree.rglob("*.csv"))) == 2 * 2 * 3
    assert "leakage: 0.0% of the test crops come from images of the training set, 0.0% from" in captured.out
    assert "writing angle+PP1: 2/2 folds" in captured.err
    (made,) = (tmp_path / "patches").iterdir()
    command = ["--patches", str(made), "--labels", "PP1", "--folds", "2", "--protocol", "report"]
    assert main([*command, "--out", str(tmp_path / "report")]) == 0
    assert "100.0% of the test crops come from images of the training set" in capsys.readouterr().out
    tables = [pd.read_csv(path) for path in sorted((tmp_path / "report").rglob("*.csv"))]
    assert [len(table) for table in tables] == [300, 600, 300] * 2


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--labels", "PP1,angle", "--folds", "9"], "--folds 9 is too many for label 'angle'"),
        (["--labels", "colour"], "unknown label 'colour'"),
        (["--labels", "PP1+colour"], "unknown label 'colour'"),
        (["--labels", "PP1", "--folds", "1"], "--folds must be at least 2, got 1"),
        (["--labels", "PP1", "--protocol", "report", "--unit", "image"], "--unit belongs to --protocol corrected"),
    ],
)
def test_the_command_line_refuses_before_anything_is_written(image_folder, tmp_path, capsys, options, problem):
    assert main(["--data", str(image_folder), "--out", str(tmp_path / "out"), *options]) == 2
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_line_refuses_missing_crops_and_an_unwritable_folder(image_folder, tmp_path, capsys):
    assert main(["--patches", str(tmp_path), "--group-by", "NP"]) == 2
    assert "say how --data is read" in capsys.readouterr().err
    assert main(["--patches", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    options = ["--labels", "PP1", "--folds", "2", "--out", str(tmp_path / "file")]
    assert main(["--data", str(image_folder), *options]) == 3
    assert "cannot write" in capsys.readouterr().err


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
    fold_of = {
        labels: fold_of_image(stratified_folds(packed.images, packed.image_id, labels, 5), packed.image_id)
        for labels in ("angle", LABELS)
    }
    bins = packed.images.assign(EP1=bin_label(packed.images["EP1"]))
    assert shares(bins, LABELS, fold_of[LABELS]) <= 1  # images, of four labels at once
    assert shares(bins, LABELS, fold_of["angle"]) > 4


def test_the_studys_tables_of_the_real_images_have_the_studys_sizes(real_images, tmp_path, capsys):
    assert main(["--data", str(real_images), "--protocol", "report", "--labels", "angle", "--out", str(tmp_path)]) == 0
    for k in range(1, 6):
        folder = tmp_path / "label_aware_splitting_data" / "angle" / f"fold_{k}"
        sizes = [len(pd.read_csv(folder / f"angle_{part}.csv")) for part in ("train", "val", "test")]
        assert sizes == [16_640, 2_080, 2_080]
    assert "5.5 to 8.5   5900" in capsys.readouterr().out
