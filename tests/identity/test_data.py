"""Which sweep a command means: its name, and the sweeps beside it that it could extend."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from calling import parse
from ray import tune

from sweeps.identity import description
from sweeps.request.cells import search_cell
from sweeps.request.request import LABELS, make_request
from sweeps.space.tune_space import TuneSpace
from sweeps.store.sweep_file import SweepFile, check_sweep, open_sweep
from sweeps.store.trial_record import COMPLETE, read_records, write_record

NO_IMAGES = {"labels": [], "images": {}}
CONSTANT, WIDER = 0.0, tune.choice([0.0, 0.2])


@pytest.fixture
def data():
    columns = {"file": ["a.png"], "condition": ["c"], **{label: [1] for label in LABELS}}
    patches = SimpleNamespace(
        fingerprint="d", images=pd.DataFrame(columns), crops=np.zeros((1, 1, 64, 64)), crop_size=64, downsample=1
    )
    return SimpleNamespace(
        patches=patches, splits={}, name="tiny", synthetic=True, leakage={}, images=NO_IMAGES, grouped_by=()
    )


def asking(dropout, *options):
    """The request of a space with this dropout, a constant or a domain."""
    request = make_request(parse(["--space", "smoke", *options]))
    return replace(request, tune_space=TuneSpace({**request.tune_space.fields, "dropout": dropout}))


def begin(storage, request, data):
    asked = description.make_sweep_file(request, data, "")
    sweep = storage / description.default_name(request.space, data.name, asked)
    open_sweep(sweep, asked)
    return sweep


def test_a_space_whose_constant_became_an_axis_keeps_its_trials(tmp_path, data):
    narrow, wide = asking(CONSTANT), asking(WIDER)
    sweep = begin(tmp_path, narrow, data)
    point = narrow.tune_space.grid()[0]
    cell = search_cell(narrow, point, "angle", "d")
    write_record(sweep / cell.name(1), cell, COMPLETE, metrics={})
    asked = description.make_sweep_file(wide, data, "")
    check_sweep(sweep, asked)
    [record] = read_records(sweep).values()
    assert not wide.outside(record.config)
    elsewhere = search_cell(wide, point | {"dropout": 0.2}, "angle", "d")
    write_record(sweep / elsewhere.name(2), elsewhere, COMPLETE, metrics={})
    open_sweep(sweep, asked)
    check_sweep(sweep, description.make_sweep_file(narrow, data, ""))  # and back
    outside = [narrow.outside(r.config) for r in read_records(sweep).values()]
    assert sorted(outside) == [[], ["dropout"]]


def test_the_automatic_name_of_an_edited_space_is_another_and_the_old_one_is_named(tmp_path, data):
    old = begin(tmp_path, asking(CONSTANT), data)
    begin(tmp_path, asking(0.1), data)  # another sweep
    wide = asking(WIDER)
    asked = description.make_sweep_file(wide, data, "")
    open_sweep(tmp_path / "mine", asked)  # the same one, under a name of its own
    begin(tmp_path, asking(CONSTANT, "--epochs", "9"), data)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "sweep.json").write_text("{")
    new = tmp_path / description.default_name(wide.space, data.name, asked)
    assert new != old
    [note] = description.extendable(new, asked)
    assert note.endswith(f"to extend that one: --name {old.name}")
    begin(tmp_path, wide, data)
    assert not description.extendable(new, asked)


def test_a_sweep_of_an_older_version_is_told_beside_the_new_one(tmp_path):
    """Its trials would be found by nobody: the same command has another default name."""
    images = {"labels": ["NP"], "images": {"a.png": ["s1", 10]}}
    now = SweepFile(space="smoke", data_fingerprint="y", images=images, grouped_by=("NP",))
    old = tmp_path / "smoke-old"
    old.mkdir()
    (old / "sweep.json").write_text(json.dumps(replace(now, data_fingerprint="x", grouped_by=None).to_json()))
    [note] = description.extendable(tmp_path / "smoke-new", now)
    assert note == "smoke-old is this sweep of an older version: it is kept, its trials are not counted here"
    assert not description.extendable(tmp_path / "smoke-new", replace(now, images={**images, "labels": ["PP1"]}))
    assert not description.extendable(old, now)
