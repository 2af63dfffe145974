"""What a trial gets, how many fit, and where they may write."""

import pytest

from sweeps.errors import SweepRefused
from sweeps.request.resources import Resources, check_resources, check_storage, fit_to


@pytest.mark.parametrize(
    ("cpus", "gpus", "per_cpu", "per_gpu", "expected"),
    [
        (2, 0, 1, 0, 2),
        (8, 0, 2, 0, 4),
        (2, 0, 0.5, 0, 4),
        (16, 1, 1, 0.25, 4),
        (16, 2, 1, 0.3, 6),  # a trial never spans two GPUs: 3 on each
        (3, 4, 1, 0.25, 3),
        (64, 4, 1, 2, 2),
    ],
)
def test_as_many_trials_at_a_time_as_fit(cpus, gpus, per_cpu, per_gpu, expected):
    resources = Resources(per_cpu, per_gpu, max_concurrent=100)
    assert fit_to(resources, cpus, gpus).max_concurrent == expected


def test_fewer_at_a_time_are_respected():
    assert fit_to(Resources(1, 0, max_concurrent=2), 16, 0).max_concurrent == 2


def test_a_cluster_is_not_measured_by_this_machine():
    resources = check_resources(512, 4, None, address="auto")
    assert (resources.cpus_per_trial, resources.gpus_per_trial) == (512, 4)
    with pytest.raises(SweepRefused, match="--cpus-per-trial must be in"):
        check_resources(-1, None, None, address="auto")


def test_shares_are_of_one_gpu():
    assert check_resources(1, 0.5, None, address="auto").gpus_per_trial == 0.5
    with pytest.raises(SweepRefused, match=r"a share of one GPU or a whole number, got 1\.5"):
        check_resources(1, 1.5, None, address="auto")


def test_a_place_that_cannot_hold_the_sweep_is_refused(tmp_path):
    check_storage(tmp_path / "new" / "sweep", 80.0)
    with pytest.raises(SweepRefused, match="about 1000000000000 MB are needed"):
        check_storage(tmp_path, 1e12)
    (tmp_path / "file").write_text("")
    with pytest.raises(SweepRefused, match="is a file"):
        check_storage(tmp_path / "file" / "sweep", 80.0)
