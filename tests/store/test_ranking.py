"""Ties and missing numbers are decided alike for console, cross-validation and report."""

import math

import numpy as np
import pytest

from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell
from sweeps.store.ranking import LOSS, METRIC, best_first, place
from sweeps.store.trial_record import COMPLETE, FAILED, PRUNED, TrialRecord


def record(name, quality, loss=0.1, status=COMPLETE, kind="search"):
    cell = Cell(kind, Configuration(), "angle", 0, 0, "data")
    return TrialRecord(name=name, status=status, cell=cell, identity="", metrics={METRIC: quality, LOSS: loss})


def test_the_higher_quality_then_the_lower_loss_then_the_first_name_leads():
    records = [record("d", 20.0, 0.3), record("c", 20.0, 0.2), record("b", 20.0, 0.2), record("a", 19.0, 0.1)]
    assert [r.name for r in best_first(records)] == ["b", "c", "d", "a"]


@pytest.mark.parametrize("quality", [math.nan, math.inf, -math.inf, None, "20"])
def test_without_a_finite_quality_there_is_no_place(quality):
    assert place(quality, 0.1, "a") is None
    assert best_first([record("a", quality), record("b", 1.0)]) == [record("b", 1.0)]


@pytest.mark.parametrize("loss", [math.nan, None])
def test_a_loss_that_is_missing_is_the_worst_of_equals(loss):
    names = [r.name for r in best_first([record("a", 20.0, loss), record("b", 20.0, 9.0), record("c", 19.0, 0.0)])]
    assert names == ["b", "a", "c"]


def test_numbers_of_numpy_count():
    assert place(np.float64(20), np.float64(0.1), "a") == (-20.0, 0.1, "a")


def test_only_complete_search_trials_have_places():
    others = [record("a", 9.0, status=FAILED), record("b", 9.0, status=PRUNED), record("c", 9.0, kind="cv")]
    assert best_first(others) == []
