"""Ray as sweeps start it."""

import os

import pytest
import ray


@pytest.mark.usefixtures("shared_ray")
def test_trials_get_their_share_of_a_busy_machine():
    """Ray's own niceness of 15 leaves them 3 % of a processor that another program wants."""
    niceness = ray.remote(num_cpus=0)(lambda: os.nice(0))
    assert ray.get(niceness.remote()) == os.nice(0)
