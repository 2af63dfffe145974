"""The front of quality and cost equals Optuna's."""

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.reporting.findings import pareto_front

optuna.logging.set_verbosity(optuna.logging.WARNING)
numbers = st.integers(0, 6).map(float)  # few, so that ties are frequent


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=12))
def test_the_front_is_that_of_optunas_best_trials(points):
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in points:
        study.add_trial(optuna.trial.create_trial(values=list(values)))
    best = {trial.number for trial in study.best_trials}
    front = pareto_front([value for value, _ in points], [cost for _, cost in points])
    assert {number for number, on in enumerate(front) if on} == best


def test_the_best_and_the_cheapest_are_on_the_front():
    assert pareto_front([25.0, 24.0, 24.5, 20.0], [4.0, 2.0, 3.0, 2.0]) == [True, True, True, False]


@pytest.mark.parametrize("values", [[], [1.0]])
def test_few_points_are_their_own_front(values):
    assert pareto_front(values, values) == [True] * len(values)
