"""Numbers -> classes: one per number, or bins; never one class for several values without a word."""

import numpy as np
import pandas as pd
import pytest

from deepdlt.dataset import bin_label, class_notes

ZEROS = [0] * 50 + list(range(1, 11))


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (ZEROS, [0] * 50 + [1] * 10),  # all quantile edges but the last are 0
        ([-v for v in ZEROS], [1] * 50 + [0] * 10),
        ([v / 10 for v in ZEROS], [0] * 50 + [1] * 10),
    ],
)
def test_a_number_that_most_rows_have_is_a_class_of_its_own(values, classes):
    assert bin_label(pd.Series(values, name="defects")).tolist() == classes


@pytest.mark.parametrize("seed", range(30))
def test_several_numbers_never_make_one_class(seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(60) < rng.random(), 3.0, rng.integers(0, rng.integers(2, 40), 60))
    if len(set(values)) > 1:
        assert len(set(bin_label(pd.Series(values)))) > 1


def test_bins_that_had_two_classes_or_more_are_those_of_pandas():
    values = pd.Series(np.random.default_rng(0).gamma(1.0, size=100).round(2))
    assert bin_label(values).tolist() == pd.qcut(values, 5, labels=False, duplicates="drop").tolist()


def test_the_studys_single_class_is_kept_and_told():
    images = pd.DataFrame({"defects": ZEROS, "power": [1, 2, 3, 4, 5] * 12, "same": 1})
    assert set(bin_label(images["defects"], "report")) == {0}
    [note] = class_notes(images, ("defects", "power", "same"), "report")
    assert "'defects' has 11 values but falls into one class" in note
    assert class_notes(images, ("defects", "power", "same"), "corrected") == []
