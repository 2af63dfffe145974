"""The plan says what stays together, and what leaks."""

import pytest

from sweeps.folds import groups_text, leakage_text, most_leaked
from sweeps.store import SweepFile


@pytest.mark.parametrize(
    ("grouped_by", "text"),
    [
        (None, ""),
        ((), "each image by itself (--group-by COLUMN keeps replicates together)"),
        (("angle", "NP"), "2 conditions: images with equal angle, NP stay together"),
    ],
)
def test_groups_are_named(grouped_by, text):
    assert groups_text(SweepFile(grouped_by=grouped_by, conditions_of_images=(0, 0, 1))) == text


def test_of_each_share_the_label_with_the_most_counts():
    shares = {"a": {"overlap_share": 0.1, "image_share": 0.3}, "b": {"overlap_share": 0.2, "replicate_share": None}}
    assert leakage_text(shares) == "20% of test crops overlap a training crop; 30% come from an image used in training"
    assert leakage_text({}) == ""
    shares["a"]["replicate_share"] = 0.5
    assert leakage_text(shares).endswith("; 50% from a probable replicate of one")
    assert most_leaked({}, "image_share") == 0
