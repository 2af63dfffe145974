"""Configurations as a sweep keeps them: same or not, inside the space or not, in words."""

import json

import pytest

from sweeps.space.configurations import (
    configuration_group,
    configuration_words,
    described,
    idle_axes,
    last_settings,
    outside_space,
    swept_axes,
)

ASKED = {
    "axes": {
        "model": ["cnn_ae", "cnn_vae"],
        "lr": {"low": 1e-4, "high": 1e-2},
        "latent_dim": [16, 32],
        "beta": [0.1, 1],
        "kernel_size": [3],
    },
    "conditions": {"latent_dim": {"model": ["cnn_vae"]}, "beta": {"latent_dim": [32]}},
}


def test_a_group_is_a_configuration_whatever_its_seed_order_and_spelling():
    assert configuration_group({"lr": 0.1, "dropout": 0.0, "seed": 1}) == configuration_group({"dropout": 0, "lr": 0.1})
    assert configuration_group({"lr": 0.1}) != configuration_group({"lr": 0.2})
    assert json.loads(configuration_group({"dropout": 0.0})) == {"dropout": 0}


@pytest.mark.parametrize(
    ("settings", "idle"),
    [
        ({"model": "cnn_ae", "latent_dim": 32}, {"latent_dim", "beta"}),  # what depends on an idle one is idle too
        ({"model": "cnn_vae", "latent_dim": 16}, {"beta"}),
        ({"model": "cnn_vae", "latent_dim": 32}, set()),
    ],
)
def test_an_axis_is_idle_where_its_conditions_do_not_hold(settings, idle):
    assert idle_axes(ASKED, settings) == idle
    assert set(described(ASKED, settings, list(ASKED["axes"]))) == set(ASKED["axes"]) - idle


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
    assert outside_space(ASKED, settings) == outside


def test_an_axis_of_one_value_is_not_swept():
    assert swept_axes(ASKED) == ["model", "lr", "latent_dim", "beta"]
    assert swept_axes({}) == []


def test_configurations_that_their_axes_do_not_tell_apart_are_told_apart_by_the_rest():
    groups = [configuration_group({"lr": 1e-3, "epochs": epochs, "model": "cnn_ae"}) for epochs in (5, 9)]
    assert list(configuration_words(groups, {}, ["lr"]).values()) == ["lr 0.001, epochs 5", "lr 0.001, epochs 9"]
    assert configuration_words(groups[:1], {}, ["lr"]) == {groups[0]: "lr 0.001"}


def test_the_last_settings_of_a_schedule_are_those_it_ended_with():
    schedule = [{"epoch": 1, "lr": 1e-3, "dropout": 0.2}, {"epoch": 4, "lr": 5e-4}]
    assert last_settings({"schedule": schedule}) == {"lr": 5e-4, "dropout": 0.2}
    assert last_settings({}) == {}
