"""Steps of ranges: what is listed, drawn, suggested and counted are the same values."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from calling import parse
from ray import tune
from ray.tune.search import Searcher

from sweeps.planning import plan
from sweeps.request.cells import search_cell
from sweeps.request.request import make_request
from sweeps.space.configuration import Configuration
from sweeps.space.domains import values as values_of
from sweeps.space.tune_space import TuneSpace
from sweeps.store.cell import Cell
from sweeps.store.ranking import METRIC
from sweeps.store.trial_record import COMPLETE, PRUNED, TrialRecord
from sweeps.tuning.optuna_search import DistinctOptunaSearch

pytestmark = pytest.mark.usefixtures("nothing_asks_for_the_end")

STEPS = {
    "quniform": (tune.quniform(0.0, 0.3, 0.1), [0.0, 0.1, 0.2, 0.3]),
    "quniform below 0": (tune.quniform(-0.5, 0.5, 0.5), [-0.5, 0.0, 0.5]),
    "qloguniform": (tune.qloguniform(1e-3, 5e-3, 1e-3), [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]),
    "randint": (tune.randint(3, 6), [3, 4, 5]),
    "lograndint": (tune.lograndint(3, 6), [3, 4, 5]),
    "qrandint": (tune.qrandint(8, 16, 4), [8, 12, 16]),
    "qrandint between multiples": (tune.qrandint(3, 10, 4), [4, 8]),
    "qrandint by 1": (tune.qrandint(3, 6, 1), [3, 4, 5]),
    "qlograndint": (tune.qlograndint(8, 32, 8), [8, 16, 24, 32]),
    "choice": (tune.choice([3, 1]), [3, 1]),
}
each = pytest.mark.parametrize(("domain", "values"), STEPS.values(), ids=STEPS.keys())


def optuna(sweep, fields, conditions=None):
    space = TuneSpace(fields, conditions or {})
    return DistinctOptunaSearch(space, lambda s: {"trial": {"name": "s1", **s}}, sweep=sweep, seed=0)


def record(status, cell=None):
    cell = cell or Cell("search", Configuration(), "angle", 0, 0, "d")
    metrics = {METRIC: 20.0, "epoch": 1}
    return TrialRecord(name=cell.name(1), status=status, cell=cell, identity=cell.identity, metrics=metrics)


def suggestions(searcher, most=20):
    found = (searcher.suggest(f"t{k}") for k in range(most))
    return [{k: v for k, v in f["trial"].items() if k != "name"} for f in found if f != Searcher.FINISHED]


@each
def test_a_range_with_a_step_is_listed(domain, values):
    assert [s["x"] for s in TuneSpace({"x": domain}).grid()] == values
    assert {type(s["x"]) for s in TuneSpace({"x": domain}).grid()} == {type(values[0])}


@each
def test_all_that_is_listed_and_nothing_else_is_drawn_and_is_in_the_space(domain, values):
    rng = np.random.RandomState(0)
    space = TuneSpace({"x": domain})
    drawn = [space.draw(rng) for _ in range(300)]
    assert {s["x"] for s in drawn} == set(values)
    assert all(space.space.holds(s) for s in drawn)
    between = [(a + b) / 2 for a, b in zip(sorted(values), sorted(values)[1:], strict=False)]
    beyond = [min(values) - 1, max(values) + 1]
    assert not any(space.space.holds({"x": value}) for value in [*between, *beyond])


@each
def test_optuna_suggests_every_value_once_and_ends(tmp_path, domain, values):
    assert sorted(s["x"] for s in suggestions(optuna(tmp_path, {"x": domain}))) == sorted(values)


@each
def test_optuna_goes_on_with_known_values(tmp_path, domain, values):
    searcher = optuna(tmp_path, {"x": domain})
    for value, status in zip(values[:2], [COMPLETE, PRUNED], strict=True):
        searcher.add_known(Configuration.of(x=value), record(status))
    searcher.try_first([Configuration.of(x=value) for value in values])
    assert [s["x"] for s in suggestions(searcher)] == values[2:]


def test_what_floating_point_made_of_a_value_is_that_value(tmp_path):
    space = {"x": tune.quniform(0.0, 0.3, 0.1)}
    made = Configuration.of(x=3 * 0.1)
    assert made["x"] > 0.3
    assert TuneSpace(space).space.holds(made)
    assert len(TuneSpace(space, points=[made]).grid()) == 4
    searcher = optuna(tmp_path, space)
    searcher.add_known(made, record(PRUNED))
    assert sorted(s["x"] for s in suggestions(searcher)) == [0.0, 0.1, 0.2]


def test_steps_under_conditions(tmp_path):
    space = {
        "latent_dim": tune.qlograndint(8, 32, 8),
        "dropout": tune.quniform(0.0, 0.2, 0.1),
        "model": tune.choice(["cnn_ae", "cnn_vae"]),
    }
    conditions = {"latent_dim": {"model": ["cnn_vae"]}}
    listed = TuneSpace(space, conditions).grid()
    assert len(listed) == 3 + 3 * 4
    found = suggestions(optuna(tmp_path, space, conditions))
    assert {Configuration.of(s) for s in found} == set(listed)
    assert len(found) == len(listed)


def test_what_is_continuous_or_beyond_all_measure_is_not_listed():
    assert values_of(tune.uniform(0, 1)) is None
    assert values_of(tune.qrandn(0, 1, 0.1)) is None
    assert values_of(tune.randint(0, 10**9)) is None
    assert TuneSpace({"x": tune.quniform(0, 1, 1e-7)}).grid() is None
    assert TuneSpace({"x": tune.quniform(0, 1, 0.001), "y": tune.randint(0, 1000)}).grid() is None
    assert TuneSpace({"x": tune.randint(0, 10**9)}).space.holds({"x": 123456789})


def test_unlikely_values_are_drawn_in_the_end():
    space = {"x": tune.qloguniform(1e-6, 1, 1e-6), "y": tune.choice([1])}
    assert TuneSpace(space).grid() is None  # 10^6 values
    assert len(TuneSpace({"x": tune.lograndint(1, 3000)}).random(5000, seed=0)) == 2999
    few = TuneSpace({"x": tune.choice([1, 2])}, points=[Configuration.of(x=2)]).random(5, seed=0)
    assert few == [{"x": 2}, {"x": 1}]


@pytest.fixture
def asked():
    def request(*options):
        args = parse(["--space", "smoke", "--trials", "12", *options])
        return replace(make_request(args), tune_space=TuneSpace({"dropout": tune.quniform(0.0, 0.2, 0.1)}))

    return request


@pytest.mark.parametrize("kind", ["optuna", "random"])
def test_the_plan_counts_the_values_that_there_are(asked, kind):
    request = asked("--search", kind)
    assert plan.planned_trials(request) == (3, 0)
    records = {}
    for dropout in (0.0, 0.1, 0.2):
        cell = search_cell(request, Configuration.of(dropout=dropout), "angle", "d")
        records[cell.identity] = record(COMPLETE, Cell.from_json(json.loads(json.dumps(cell.to_json()))))
    assert plan.missing_trials(request, records, "d", retry=False) == (0, 0)
    if kind == "random":
        assert {s["dropout"] for s in plan.searched_settings(request)} == {0.0, 0.1, 0.2}


def test_numbers_of_steps_are_exact_where_floats_are_not():
    values = values_of(tune.quniform(0.0, 1.0, 0.01))
    assert len(values) == 101
    assert all(value == round(value, 2) for value in values)
    assert math.isclose(values[-1], 1.0)
