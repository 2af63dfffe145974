"""A search space: listed, drawn at random, compared with what was logged."""

import pytest
from ray import tune

import search_spaces
from sweeps.space.configuration import Configuration
from sweeps.space.tune_space import TuneSpace

FIELDS = {"lr": tune.choice([1e-3, 1e-4]), "kernel_size": tune.choice([3, 5, 7]), "model": "cnn_ae"}
POINT = Configuration.of(lr=1e-4, kernel_size=5)
SPACE = TuneSpace(FIELDS)


def test_the_main_grid_has_72_configurations_and_the_reports_experiments_come_first():
    module = search_spaces.load("exp_grid")
    grid = TuneSpace(module.SPACE, points=[Configuration.of(point) for point in module.POINTS]).grid()
    assert len(grid) == len(set(grid)) == 72
    assert grid[:3] == module.POINTS
    experiments = [(p["optimizer"], p["lr"], p["dropout"], p["activation"], p["kernel_size"]) for p in grid[:3]]
    assert experiments == [("adam", 1e-3, 0.3, "relu", 3), ("sgd", 1e-4, 0.2, "elu", 3), ("adam", 5e-4, 0.2, "relu", 5)]


def test_a_continuous_space_has_no_grid():
    assert TuneSpace({"lr": tune.loguniform(1e-5, 1e-2)}).grid() is None


def test_random_configurations_are_distinct_seeded_and_start_with_the_points():
    space = TuneSpace(FIELDS, points=[POINT])
    first = space.random(5, seed=1)
    assert first == space.random(5, seed=1)
    assert first != space.random(5, seed=2)
    assert first[0] == POINT
    assert len(set(first)) == 5
    assert len(SPACE.random(50, seed=1)) == 6


def test_random_values_of_a_range_are_plain_numbers_inside_it():
    space = TuneSpace({"lr": tune.loguniform(1e-5, 1e-2), "latent_dim": tune.randint(8, 64)})
    for settings in space.random(20, seed=0):
        assert type(settings["lr"]) is float
        assert type(settings["latent_dim"]) is int
        assert 1e-5 <= settings["lr"] <= 1e-2


def test_a_configuration_belongs_to_a_space_or_not():
    assert SPACE.space.holds(POINT)
    assert not SPACE.space.holds(POINT | {"lr": 5e-4})
    assert not SPACE.space.holds({"lr": 1e-4})
    continuous = TuneSpace({"lr": tune.loguniform(1e-5, 1e-2)}).space
    assert continuous.holds({"lr": 3e-4})
    assert not continuous.holds({"lr": 0.1})


def test_values_beside_the_steps_of_a_range_are_not_in_it():
    space = TuneSpace({"dropout": tune.quniform(0.0, 0.5, 0.1)}).space
    assert space.holds({"dropout": 0.3})
    assert not space.holds({"dropout": 0.25})


@pytest.mark.parametrize(
    ("domain", "logged", "value"),
    [
        (tune.choice([3, 5]), 3.0, 3),
        (tune.choice(["relu"]), "relu", "relu"),
        (tune.randint(1, 9), 4.0, 4),
        (tune.uniform(0, 1), 0.25, 0.25),
    ],
)
def test_logged_numbers_find_their_choice_again(domain, logged, value):
    found = TuneSpace({"x": domain}).logged({"x": logged, "other": 1.0})
    assert found == {"x": value}
    assert type(found["x"]) is type(value)


def test_of_logged_settings_those_whose_condition_does_not_hold_are_left_out():
    space = TuneSpace(
        {"model": tune.choice(["cnn_ae", "cnn_vae"]), "latent_dim": tune.choice([16, 64])},
        conditions={"latent_dim": {"model": ["cnn_vae"]}},
    )
    assert space.logged({"model": "cnn_ae", "latent_dim": 16.0}) == {"model": "cnn_ae"}
