"""sweep.json: read with what is missing or wrong in it, grown, refused where something else is asked."""

import json

import pytest

from sweeps.errors import SweepRefused
from sweeps.space.axis import Axis
from sweeps.space.configuration import Configuration
from sweeps.store.sweep_file import RaceRule, SweepFile, check_sweep, differences, open_sweep, read_sweep, update_sweep


def test_a_sweep_may_grow_but_not_change_its_data(tmp_path):
    open_sweep(tmp_path / "s", SweepFile(data_fingerprint="a", trials=2))
    open_sweep(tmp_path / "s", SweepFile(data_fingerprint="a", trials=9))
    assert json.loads((tmp_path / "s" / "sweep.json").read_text())["trials"] == 9
    with pytest.raises(SweepRefused, match="data_fingerprint: 'a' in the sweep, 'b' requested\n  three images more"):
        check_sweep(tmp_path / "s", SweepFile(data_fingerprint="b"), lambda before, now: ["three images more"])


def test_what_was_cross_validated_stays_known_when_only_the_search_is_extended(tmp_path):
    first = SweepFile(cv=True, labels=("NP",), folds=3, classes={"NP": {"10": [1]}}, race=RaceRule(), created="then")
    open_sweep(tmp_path, first)
    update_sweep(tmp_path, cv_configurations=(Configuration.of(lr=1e-3),), cv_cells=(("NP", 1, 42),))
    with_grid = read_sweep(tmp_path)
    open_sweep(tmp_path, SweepFile(folds=5, created="now"))
    assert read_sweep(tmp_path) == with_grid


def test_a_damaged_sweep_json_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(SweepRefused, match="delete it"):
        check_sweep(tmp_path, SweepFile())


def test_a_sweep_json_that_goes_while_the_sweep_runs_is_told(tmp_path):
    with pytest.raises(SweepRefused, match="removed or damaged"):
        update_sweep(tmp_path, trials=3)


def test_what_is_of_another_kind_is_left_out_and_the_rest_is_read():
    content = {"space": "s", "epochs": "many", "labels": 7, "axes": {"lr": [1e-3], "x": 5}, "cv_cells": [["NP"]]}
    content |= {"data": [], "classes": {"NP": {"1": [3], "2": "all"}, "PP1": []}, "cv_configurations": ["{"]}
    content |= {"settings": 3, "race": "yes", "codes": [], "unknown": 1}
    found = SweepFile.from_json(content)
    assert found == SweepFile(space="s", axes={"lr": Axis((1e-3,))}, classes={"NP": {"1": [3]}})


def test_it_comes_back_as_it_was_written(tmp_path):
    asked = SweepFile(
        space="exp_grid",
        epochs=3,
        seed=42,
        settings=Configuration.of(model="cnn_ae"),
        axes={"lr": Axis((1e-3, 1e-4)), "dropout": Axis((), 0.0, 0.5, 0.1), "latent_dim": Axis((), 8, 64, 8, True)},
        conditions={"latent_dim": {"model": ["cnn_vae"]}},
        cv_seeds=(42, 43),
        race=RaceRule(0.05, 0.1),
        labels=("angle",),
        conditions_of_images=("0", "1"),
    )
    open_sweep(tmp_path, asked)
    assert read_sweep(tmp_path) == asked


CONSTANT = SweepFile(space="s", settings=Configuration.of(model="cnn_ae", dropout=0.0), axes={"lr": Axis((1e-3, 1e-4))})
LR = CONSTANT.axes
MODEL = Configuration.of(model="cnn_ae")


def swept(dropout, settings=MODEL, **more):
    return SweepFile(space="s", settings=settings, axes={**LR, "dropout": dropout}, **more)


SWEPT = swept(Axis((0.0, 0.2)))
RANGE = swept(Axis((), 0.0, 0.5))
UNDER_CONDITION = swept(Axis((0.0, 0.2)), conditions={"dropout": {"model": ["cnn_ae"]}})


@pytest.mark.parametrize("wider", [SWEPT, RANGE, UNDER_CONDITION])
def test_a_constant_may_become_an_axis_that_has_its_value_and_an_axis_a_constant(tmp_path, wider):
    for asked in (CONSTANT, wider, CONSTANT):
        open_sweep(tmp_path, asked)
        assert read_sweep(tmp_path).settings == asked.settings


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        (CONSTANT, SweepFile(space="s", settings=MODEL | {"dropout": 0.1}, axes=LR)),
        (CONSTANT, SweepFile(space="s", settings=MODEL, axes=LR)),  # its default need not be 0
        (CONSTANT, swept(Axis((0.1, 0.2)))),
        (CONSTANT, swept(Axis((), 0.1, 0.2))),
        (CONSTANT, swept(Axis((0.0, 0.2)), Configuration.of(model="cnn_vae"))),
        (SWEPT, swept(Axis((0.0, 0.2)), MODEL | {"batch_size": 8})),
        (SweepFile(space="s"), CONSTANT),  # damaged by hand
    ],
)
def test_other_constants_are_other_sweeps(tmp_path, before, asked):
    (tmp_path / "sweep.json").write_text(json.dumps(before.to_json()))
    with pytest.raises(SweepRefused, match="settings: "):
        check_sweep(tmp_path, asked)


def test_only_the_settings_may_be_edited():
    other = SweepFile(space="other", settings=SWEPT.settings, axes=SWEPT.axes)
    assert differences(CONSTANT, other) == ["space"]
