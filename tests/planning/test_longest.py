"""The order of a list by arithmetic, against PyTorch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from deepdlt.config import config_dict, make_config
from deepdlt.models import build_model
from sweeps.planning.eta import kind
from sweeps.planning.longest import longest_first, multiplications
from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell, trial_cell, trial_config


def configuration(**settings):
    return Configuration.of(config_dict(make_config("corrected", **settings)))


@pytest.mark.parametrize("settings", [{}, {"kernel_size": 5}, {"model": "cnn_vae", "latent_dim": 16}])
def test_as_many_as_pytorch_counts(settings):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        build_model(make_config("corrected", **settings)).eval()(torch.zeros(1, 1, 64, 64))
    assert 2 * multiplications(kind(configuration(**settings))) == counter.get_total_flops()


def test_choices_that_do_not_go_together_count_nothing_and_random_numbers_stay():
    before = torch.random.get_rng_state()
    assert multiplications(configuration() | {"kernel_size": 4}) == 0
    assert multiplications(kind(configuration(kernel_size=7))) > 0
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_longest_come_first_and_equal_ones_keep_their_order():
    settings = [{"lr": 1e-3}, {"lr": 5e-4, "kernel_size": 5}, {"lr": 2e-3}, {"kernel_size": 5}, {"kernel_size": 7}]
    trials = [trial_config(Cell("search", configuration(**each), "angle", 0, 0, "d"), "s") for each in settings]
    ordered = [(trial_cell(t).config["kernel_size"], trial_cell(t).config["lr"]) for t in longest_first(trials)]
    assert ordered == [(7, 5e-4), (5, 5e-4), (5, 5e-4), (3, 1e-3), (3, 2e-3)]
