"""Grid, random and Optuna: the right configurations, none twice, the truth about early stops."""

import optuna
import pytest
from optuna.trial import TrialState
from ray import tune
from ray.tune.search import Searcher

import search_spaces
from sweeps import search
from sweeps.optuna_search import DistinctOptunaSearch
from sweeps.records import COMPLETE, PRUNED

SPACE = {"lr": tune.choice([1e-3, 1e-4]), "kernel_size": tune.choice([3, 5, 7]), "model": "cnn_ae"}
POINT = {"lr": 1e-4, "kernel_size": 5}


def test_the_main_grid_has_72_configurations_and_the_reports_experiments_come_first():
    module = search_spaces.load("exp_grid")
    grid = search.grid(module.SPACE, module.POINTS)
    assert len(grid) == len({search.key(g) for g in grid}) == 72
    assert grid[:3] == module.POINTS
    experiments = [(p["optimizer"], p["lr"], p["dropout"], p["activation"], p["kernel_size"]) for p in grid[:3]]
    assert experiments == [("adam", 1e-3, 0.3, "relu", 3), ("sgd", 1e-4, 0.2, "elu", 3), ("adam", 5e-4, 0.2, "relu", 5)]


def test_a_continuous_space_has_no_grid():
    assert search.grid({"lr": tune.loguniform(1e-5, 1e-2)}, []) is None


def test_random_configurations_are_distinct_seeded_and_start_with_the_points():
    first = search.random_configurations(SPACE, [POINT], 5, seed=1)
    assert first == search.random_configurations(SPACE, [POINT], 5, seed=1)
    assert first != search.random_configurations(SPACE, [POINT], 5, seed=2)
    assert first[0] == POINT
    assert len({search.key(s) for s in first}) == 5
    assert len(search.random_configurations(SPACE, [], 50, seed=1)) == 6


def test_random_values_of_a_range_are_plain_numbers_inside_it():
    space = {"lr": tune.loguniform(1e-5, 1e-2), "latent_dim": tune.randint(8, 64)}
    for settings in search.random_configurations(space, [], 20, seed=0):
        assert type(settings["lr"]) is float
        assert type(settings["latent_dim"]) is int
        assert 1e-5 <= settings["lr"] <= 1e-2


@pytest.fixture
def searcher(tmp_path):
    return DistinctOptunaSearch(SPACE, lambda s: {"trial": s}, epochs=3, seed=0, journal=tmp_path / "optuna.journal")


def told(tmp_path):
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "optuna.journal"))
    )
    trials = optuna.load_study(study_name=tmp_path.name, storage=storage).trials
    return [trial for trial in trials if not trial.user_attrs.get("repeated")]


def test_no_configuration_is_suggested_twice_and_a_finite_space_ends(searcher):
    searcher.try_first([POINT])
    seen = []
    for k in range(6):
        seen.append(searcher.suggest(f"t{k}")["trial"])
        value = {search.METRIC: 30.0 if seen[-1] == POINT else 1.0, "epoch": 3}  # a favourite that invites repetition
        searcher.on_trial_complete(f"t{k}", value)
    assert seen[0] == POINT
    assert len({search.key(s) for s in seen}) == 6
    assert searcher.suggest("t6") == Searcher.FINISHED


def test_optuna_learns_how_a_trial_really_ended(searcher, tmp_path):
    for k in range(3):
        searcher.suggest(f"t{k}")
    searcher.on_trial_result("t1", {search.METRIC: 12.0, "epoch": 1})
    searcher.on_trial_complete("t0", {search.METRIC: 25.0, "epoch": 3})
    searcher.on_trial_complete("t1", {search.METRIC: 13.0, "epoch": 2})
    searcher.on_trial_complete("t2", error=True)
    trials = told(tmp_path)
    assert [t.state for t in trials] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert trials[0].value == 25.0
    assert trials[1].intermediate_values == {1: 12.0, 2: 13.0}


def test_known_trials_are_in_the_study_and_not_suggested_again(searcher, tmp_path):
    known = search.grid(SPACE, [])[:5]
    for settings, status in zip(known, [COMPLETE, COMPLETE, PRUNED, COMPLETE, COMPLETE], strict=True):
        searcher.add_known(settings, {"status": status, "metrics": {search.METRIC: 20.0, "epoch": 2}})
    assert searcher.suggest("t0")["trial"] == search.grid(SPACE, [])[5]
    trials = told(tmp_path)[:5]
    assert [t.state.name for t in trials] == ["COMPLETE", "COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"]
    assert trials[2].intermediate_values == {2: 20.0}


def test_a_configuration_belongs_to_a_space_or_not():
    assert search.contains(SPACE, POINT)
    assert not search.contains(SPACE, {**POINT, "lr": 5e-4})
    assert not search.contains(SPACE, {"lr": 1e-4})
    assert search.contains({"lr": tune.loguniform(1e-5, 1e-2)}, {"lr": 3e-4})
    assert not search.contains({"lr": tune.loguniform(1e-5, 1e-2)}, {"lr": 0.1})


def test_logged_numbers_find_their_choice_again():
    value = search.as_value(tune.choice([3, 5]), 3.0)
    assert value == 3
    assert type(value) is int
    assert search.as_value(tune.choice(["relu"]), "relu") == "relu"
    assert type(search.as_value(tune.randint(1, 9), 4.0)) is int


@pytest.mark.parametrize("name", ["none", "asha", "median"])
def test_every_scheduler_that_is_offered_can_be_made(name):
    scheduler = search.make_scheduler(name, epochs=3)
    assert (scheduler is None) == (name == "none")
