"""One rule says what is on an axis: for Tune's domains, for sweep.json, and for who reads it without Ray."""

import json
import math

import pytest
from ray import tune

from sweeps.space.axis import Axis
from sweeps.space.domains import axis_of, values
from sweeps.space.space import Space
from sweeps.store.sweep_file import SweepFile

DOMAINS = {
    "texts": tune.choice(["adam", "sgd"]),
    "numbers": tune.choice([0.1, 1]),
    "uniform": tune.uniform(0.1, 0.5),
    "loguniform": tune.loguniform(1e-5, 1e-2),
    "quniform": tune.quniform(0, 0.3, 0.1),
    "qloguniform": tune.qloguniform(1e-4, 1e-1, 1e-4),
    "randint": tune.randint(3, 10),
    "qrandint": tune.qrandint(3, 10, 4),
    "qlograndint": tune.qlograndint(4, 64, 4),
}


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_an_axis_comes_back_from_json_as_it_was(domain):
    axis = axis_of(domain)
    assert Axis.from_json(json.loads(json.dumps(axis.to_json()))) == axis


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_what_tune_can_draw_is_on_the_axis_and_is_counted(domain):
    axis, listed = axis_of(domain), values(domain)
    assert axis.values is None if listed is None else list(axis.values) == list(listed)
    assert all(axis.has(value) for value in listed or [domain.sample() for _ in range(50)])


@pytest.mark.parametrize(
    ("axis", "on_it", "beside_it"),
    [
        (Axis(low=0, high=0.3, step=0.1), [0, 0.1, 3 * 0.1, 0.3], [0.15, -0.1, 0.4, "0.1", True, math.nan]),
        (Axis(low=1e-5, high=1e-2), [1e-5, 10 ** math.log10(1e-2), 3e-4], [9e-6, 0.011, math.inf]),
        (Axis(low=3, high=9, step=1, integer=True), [3, 9, 4.0], [3.5, 2, 10]),
        (Axis(("relu", "selu")), ["relu"], ["elu", 1]),
    ],
)
def test_only_multiples_between_the_ends_are_on_an_axis(axis, on_it, beside_it):
    assert all(axis.has(value) for value in on_it)
    assert not any(axis.has(value) for value in beside_it)


def test_a_step_decides_alike_in_the_file_of_the_sweep():
    asked = SweepFile(axes={"dropout": axis_of(tune.quniform(0, 0.3, 0.1)), "lr": Axis((0.001, 0.01))})
    for space in (asked.current_space, SweepFile.from_json(asked.to_json()).current_space, Space(asked.axes)):
        assert space.off_axis({"dropout": 0.1, "lr": 0.001}) == []
        assert space.off_axis({"dropout": 0.15, "lr": 0.001}) == ["dropout"]


def test_a_range_of_an_older_sweep_is_read_as_continuous():
    [axis] = SweepFile.from_json({"axes": {"dropout": {"low": 0.0, "high": 0.3}}}).axes.values()
    assert axis.has(0.15)
    assert axis.values is None
