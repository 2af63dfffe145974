"""The splits of a sweep and the classes of its labels."""

import numpy as np
from calling import parse

from sweeps.identity.splits import class_members, make_splits, search_label
from sweeps.request.request import LABELS, make_request


def request(*arguments):
    return make_request(parse(["--space", "exp_grid", *arguments]))


def test_every_label_gets_its_folds_and_the_search_the_plain_split(patches):
    asked = request("--cv", "--folds", "3", "--labels", "PP1,NP")
    splits = make_splits(asked, patches)
    assert set(splits) == {("angle", 0), *((label, k) for label in ("PP1", "NP") for k in (1, 2, 3))}
    tested = np.concatenate([splits["NP", k].test for k in (1, 2, 3)])
    assert np.array_equal(np.sort(tested), np.arange(len(patches.crops)))


def test_classes_name_every_image_once_per_label(patches):
    members = class_members(request("--labels", "angle,PP1"), patches)
    assert set(members["PP1"]) == {"V", "H", "D"}
    assert set(members["angle"]) == {"5.5", "8.5", "19.0"}
    assert sorted(i for ids in members["angle"].values() for i in ids) == list(range(12))


def test_the_searchs_split_does_not_depend_on_the_labels_that_are_asked_for(patches):
    assert search_label(patches.images) == "angle"
    assert search_label(patches.images.drop(columns="angle")) == "PP1"
    assert search_label(patches.images.drop(columns=list(LABELS))) == ""
