"""Which sweep a command means: its name, and the sweeps beside it that it could extend."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from ray import tune

from sweeps.identity import description
from sweeps.planning import plan
from sweeps.request import cells as cross_validation
from sweeps.request.options import make_parser
from sweeps.request.request import LABELS, make_request
from sweeps.store import sweep_file
from sweeps.store import trial_records as records

CONSTANT, WIDER = 0.0, tune.choice([0.0, 0.2])


@pytest.fixture
def data():
    columns = {"file": ["a.png"], "condition": ["c"], **{label: [1] for label in LABELS}}
    patches = SimpleNamespace(fingerprint="d", images=pd.DataFrame(columns), crops=np.zeros((1, 1, 64, 64)))
    return SimpleNamespace(patches=patches, splits={}, name="tiny", synthetic=True, leakage={}, images={})


def asking(dropout, *options):
    """The request of a space with this dropout, a constant or a domain."""
    request = make_request(make_parser().parse_args(["--space", "smoke", *options]))
    request.domains["dropout"] = dropout
    return request


def begin(storage, request, data):
    asked = description.asked(request, data, "")
    sweep = storage / description.default_name(request, data)
    sweep_file.open_sweep(sweep, asked, description.FIXED)
    return sweep


def test_a_space_whose_constant_became_an_axis_keeps_its_trials(tmp_path, data):
    narrow, wide = asking(CONSTANT), asking(WIDER)
    sweep = begin(tmp_path, narrow, data)
    point = next(iter(plan.search.grid(narrow.domains, []) or [{}]))
    cell = plan.search_cell(narrow, point, "angle", "d")
    records.write_record(sweep / cell.name(1), cell, records.COMPLETE, metrics={})
    asked = description.asked(wide, data, "")
    sweep_file.check_sweep(sweep, asked, description.FIXED)
    [record] = records.read_records(sweep).values()
    assert cross_validation.in_space(wide, record)
    elsewhere = plan.search_cell(wide, {**point, "dropout": 0.2}, "angle", "d")
    records.write_record(sweep / elsewhere.name(2), elsewhere, records.COMPLETE, metrics={})
    sweep_file.open_sweep(sweep, asked, description.FIXED)
    sweep_file.check_sweep(sweep, description.asked(narrow, data, ""), description.FIXED)  # and back
    inside = [cross_validation.in_space(narrow, r) for r in records.read_records(sweep).values()]
    assert sorted(inside) == [False, True]


def test_the_automatic_name_of_an_edited_space_is_another_and_the_old_one_is_named(tmp_path, data):
    old = begin(tmp_path, asking(CONSTANT), data)
    begin(tmp_path, asking(0.1), data)  # another sweep
    named = description.asked(asking(WIDER), data, "")
    sweep_file.open_sweep(tmp_path / "mine", named, description.FIXED)  # the same one, under a name of its own
    begin(tmp_path, asking(CONSTANT, "--epochs", "9"), data)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "sweep.json").write_text("{")
    wide = asking(WIDER)
    new = tmp_path / description.default_name(wide, data)
    assert new != old
    [note] = description.extendable(new, description.asked(wide, data, ""))
    assert note.endswith(f"to extend that one: --name {old.name}")
    begin(tmp_path, wide, data)
    assert not description.extendable(new, description.asked(wide, data, ""))
