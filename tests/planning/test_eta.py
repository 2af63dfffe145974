"""The range of a sweep's duration: its arithmetic, and that more work never takes less."""

import dataclasses
import itertools
from pathlib import Path

import pytest

from sweeps.planning.cost import ESTIMATED, FINISHED, Cost
from sweeps.planning.eta import INDEPENDENT, RACE_SAVES, SURE, Work, eta, span

CHEAP = Cost("kernel_size 3", 0.5, epoch_s=(1.0, 2.0), trial_s=(0.5, 1.0))
DEAR = Cost("kernel_size 5", 0.5, epoch_s=(3.0, 4.0), trial_s=(0.5, 1.0))
LISTED = Work(search_trials=4, cv_trials=0, epochs=10, at_once=1, drawn=False)


def ends(costs, **changes):
    found = eta(costs, dataclasses.replace(LISTED, **changes))
    return found.low_s, found.high_s


def test_one_after_the_other_takes_the_sum():
    assert ends([CHEAP, DEAR]) == pytest.approx((2 * 10.5 + 2 * 30.5, 2 * 21 + 2 * 41))


def test_two_at_a_time_take_half_and_at_most_wait_for_the_longest():
    assert ends([CHEAP, DEAR], at_once=2) == pytest.approx((82 / 2, 41 + (124 - 41) / 2))
    assert ends([CHEAP], at_once=2, search_trials=5) == pytest.approx((5 * 10.5 / 2, 3 * 21))  # three rounds


def test_no_trial_is_faster_for_being_alone():
    assert ends([CHEAP], at_once=64, search_trials=1) == pytest.approx((10.5, 21))
    assert ends([CHEAP], at_once=64, search_trials=64) == pytest.approx((10.5, 21))


@pytest.mark.parametrize(("scheduler", "stopped"), [("asha", 2 / 3), ("hyperband", 2 / 3), ("median", 1 / 2)])
def test_at_best_a_scheduler_ends_the_losers_after_an_epoch(scheduler, stopped):
    low, high = ends([CHEAP], scheduler=scheduler)
    assert low == pytest.approx(4 * (stopped * 1.0 + (1 - stopped) * 10.5))
    assert high == pytest.approx(4 * 21)
    assert ends([CHEAP], scheduler="pbt") == ends([CHEAP], scheduler="none")


def test_which_configuration_is_cross_validated_is_not_known():
    assert ends([CHEAP, DEAR], search_trials=0, cv_trials=6) == pytest.approx((6 * 10.5, 6 * 41))
    assert ends([CHEAP, DEAR], search_trials=0, cv_trials=6, cv_scale=0.5) == pytest.approx((3 * 10.5, 3 * 41))


def test_at_best_a_race_saves_as_much_as_was_ever_measured():
    assert ends([CHEAP], search_trials=0, cv_trials=60, race=True) == pytest.approx((60 / 4.4 * 10.5, 60 * 21))
    table = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text().partition("<!-- racing -->")[2]
    saved = [
        float(row.split("|")[-2])
        for row in table.partition("<!-- end -->")[0].splitlines()
        if row[:3] in ("| 3", "| 8")
    ]
    assert max(saved) == pytest.approx(RACE_SAVES, abs=0.05)


def test_a_training_may_stop_by_itself():
    assert ends([CHEAP], least_epochs=3) == pytest.approx((4 * 3.5, 4 * 21))
    assert ends([CHEAP], least_epochs=30) == ends([CHEAP])


def test_the_rest_of_a_sweep_is_added():
    low, high = ends([CHEAP])
    assert ends([CHEAP], other_s=(5.0, 9.0)) == pytest.approx((low + 5, high + 9))
    assert ends([CHEAP], search_trials=0, other_s=(5.0, 9.0)) == (5, 9)


def test_a_search_may_draw_more_of_the_cheap_or_of_the_dear():
    sd = 10.0  # of 10.5 and 30.5 seconds, and of 21 and 41
    assert ends([CHEAP, DEAR], drawn=True) == pytest.approx((4 * (20.5 - SURE * sd / 2), 4 * (31 + SURE * sd / 2)))
    assert ends([CHEAP, DEAR], drawn=True, search_trials=1) == pytest.approx((10.5, 41))  # no more than there is
    many = ends([CHEAP, DEAR], drawn=True, search_trials=1000)
    assert many == pytest.approx(
        (1000 * (20.5 - SURE * sd / INDEPENDENT**0.5), 1000 * (31 + SURE * sd / INDEPENDENT**0.5))
    )
    assert ends([CHEAP], drawn=True) == ends([CHEAP])


@pytest.mark.parametrize("drawn", [True, False])
@pytest.mark.parametrize("scheduler", ["none", "asha"])
def test_more_work_never_takes_less_and_more_at_once_never_takes_longer(drawn, scheduler):
    rare = Cost("rare", 0.05, epoch_s=(80.0, 90.0), trial_s=(1.0, 2.0))
    costs = [dataclasses.replace(CHEAP, share=0.45), DEAR, rare]

    def both(**changes):
        return ends(costs, drawn=drawn, scheduler=scheduler, **changes)

    series = {
        "search_trials": [{"search_trials": n, "at_once": 4} for n in range(40)],
        "cv_trials": [{"cv_trials": n, "at_once": 3} for n in range(20)],
        "epochs": [{"epochs": n} for n in range(1, 12)],
        "at_once": [{"at_once": n, "search_trials": 17, "cv_trials": 5} for n in range(40, 0, -1)],
    }
    for changes in series.values():
        found = [both(**change) for change in changes]
        for (low, high), (more_low, more_high) in itertools.pairwise(found):
            assert more_low >= low - 1e-9
            assert more_high >= high - 1e-9
        assert found[0] != found[-1]
        assert all(low < high for low, high in found if high)


def test_the_basis_says_where_the_numbers_come_from():
    costs = [
        dataclasses.replace(CHEAP, source=FINISHED, trials=12),
        DEAR,
        dataclasses.replace(DEAR, described="kernel_size 7", source=ESTIMATED),
    ]
    assert eta(costs, LISTED).basis == "12 finished trials, measured: kernel_size 5, 1 interpolated"
    assert eta([DEAR], LISTED).basis == "measured: kernel_size 5"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (40, 65, "40-65 s"),
        (719, 962, "12-16 min"),
        (85, 91, "1.4-1.5 min"),
        (3600, 9000, "1.0-2.5 h"),
        (67, 207, "1.1-3.5 min"),
        (500, 597.5, "8.3-10 min"),
        (30.2, 30.3, "30 s"),
        (20, 600, "0.3-10 min"),
        (600, 90_000, "0.2-25 h"),
    ],
)
def test_a_range_reads_well(low, high, text):
    assert span(low, high) == text
