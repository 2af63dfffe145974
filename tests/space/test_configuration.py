"""Configurations: the same or not, in words; and what a space without Tune says of them."""

import copy
import json

import numpy as np
import pytest

from deepdlt.config import config_dict, make_config
from sweeps.space.axis import Axis
from sweeps.space.configuration import Configuration, describe, distinct
from sweeps.space.space import Space

SPACE = Space(
    axes={
        "model": Axis(("cnn_ae", "cnn_vae")),
        "lr": Axis((), 1e-4, 1e-2),
        "latent_dim": Axis((16, 32)),
        "beta": Axis((0.1, 1)),
        "kernel_size": Axis((3,)),
    },
    conditions={"latent_dim": {"model": ["cnn_vae"]}, "beta": {"latent_dim": [32]}},
)


def test_a_configuration_is_the_same_whatever_its_order_and_spelling():
    one, other = Configuration.of(lr=0.1, dropout=0.0, seed=1), Configuration.of(dropout=0, lr=0.1)
    assert one.unseeded == other
    assert hash(one.unseeded) == hash(other)
    assert one != other
    assert one.unseeded.text == other.text == '{"dropout": 0, "lr": 0.1}'
    assert Configuration.of(lr=0.1) != Configuration.of(lr=0.2)
    assert Configuration.of(x=3 * 0.1) == Configuration.of(x=0.3)
    assert len({one, other, Configuration.of(lr=0.1, dropout=0.0)}) == 2
    assert distinct([other, one, one.unseeded]) == [other, one]


def test_it_is_a_mapping_that_keeps_its_values_as_they_are():
    config = Configuration.of({"lr": 1e-3, "epochs": 2.0})
    assert json.dumps(config.to_json()) == '{"lr": 0.001, "epochs": 2.0}'  # of which identities are made
    assert config == {"epochs": 2, "lr": 1e-3}
    assert list(config | {"lr": 5e-4, "seed": 3}) == ["lr", "epochs", "seed"]
    assert (config | {"seed": 3}).seed == 3
    assert config.only(["epochs", "dropout"]) == {"epochs": 2}
    assert config.without("epochs") == {"lr": 1e-3}
    assert copy.deepcopy(config) == config
    with pytest.raises(AttributeError):
        config.items_in_order = ()


def test_in_words_numbers_are_short_and_what_is_not_known_is_left_out():
    settings = {"lr": np.float32(1e-3), "epochs": np.int64(3), "model": "cnn_ae", "beta": None, "dropout": float("nan")}
    assert describe(settings) == "lr 0.001, epochs 3, model cnn_ae"
    assert describe(settings, ["epochs", "lr", "width"]) == "epochs 3, lr 0.001"


@pytest.mark.parametrize(
    ("settings", "idle"),
    [
        ({"model": "cnn_ae", "latent_dim": 32}, {"latent_dim", "beta"}),  # what depends on an idle one is idle too
        ({"model": "cnn_vae", "latent_dim": 16}, {"beta"}),
        ({"model": "cnn_vae", "latent_dim": 32}, set()),
    ],
)
def test_an_axis_is_idle_where_its_conditions_do_not_hold(settings, idle):
    assert SPACE.idle(settings) == idle
    assert set(SPACE.described(settings, list(SPACE.axes))) == set(SPACE.axes) - idle
    assert SPACE.shown(settings) == {**settings, **dict.fromkeys(idle)}


@pytest.mark.parametrize(
    ("settings", "outside"),
    [
        ({"model": "cnn_ae", "lr": 1e-2, "latent_dim": 999}, []),
        ({"model": "cnn_ae", "lr": 1e-2 * (1 + 1e-12)}, []),
        ({"model": "cnn_ae", "lr": 0.02}, ["lr"]),
        ({"model": "res_ae", "lr": 1e-3}, ["model"]),
        ({"model": "cnn_vae", "lr": 1e-3, "latent_dim": 64}, ["latent_dim"]),
        ({"model": "cnn_ae", "lr": "fast"}, ["lr"]),
    ],
)
def test_a_value_that_the_space_no_longer_has_is_outside(settings, outside):
    assert SPACE.off_axis(settings) == outside


def make(settings):
    return make_config("corrected", epochs=3, **{"dropout": 0.3, **settings})


@pytest.mark.parametrize(
    ("change", "outside"),
    [
        ({}, []),
        ({"lr": 5e-4}, []),
        ({"lr": 0.5}, ["lr"]),
        ({"kernel_size": 5}, ["kernel_size"]),  # was an axis
        ({"dropout": 0.2}, ["dropout"]),
        ({"epochs": 4}, ["epochs"]),
    ],
)
def test_a_trial_is_of_the_space_if_the_space_would_make_its_whole_configuration(change, outside):
    space = Space({"lr": Axis((1e-3, 5e-4))}, Configuration.of(dropout=0.3))
    config = Configuration.of({**config_dict(make({"lr": 1e-3})), **change})
    assert space.outside(config, make) == outside


def test_a_trial_that_lacks_an_axis_is_outside():
    space = Space({"lr": Axis((1e-3,)), "new": Axis((1, 2))})
    assert space.outside(Configuration.of(config_dict(make({"lr": 1e-3}))), make) == ["new"]


def test_choices_that_do_not_go_together_are_no_configuration_of_the_space():
    space = Space({"dropout": Axis((), 0.0, 2.0)})
    config = Configuration.of({**config_dict(make({})), "dropout": 1.5})
    assert space.outside(config, make) == ["dropout"]


def test_an_axis_of_one_value_is_not_swept():
    assert SPACE.swept == ["model", "lr", "latent_dim", "beta"]
    assert Space().swept == []


def test_configurations_that_their_axes_do_not_tell_apart_are_told_apart_by_the_rest():
    both = [Configuration.of(lr=1e-3, epochs=epochs, model="cnn_ae") for epochs in (5, 9)]
    assert list(Space().texts(both, ["lr"]).values()) == ["lr 0.001, epochs 5", "lr 0.001, epochs 9"]
    assert Space().texts(both[:1], ["lr"]) == {both[0]: "lr 0.001"}
