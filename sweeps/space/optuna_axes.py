"""Axes of a space as Optuna's distributions, where Ray's conversion would raise or drop a step."""

from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from ray.tune.search.sample import Domain, Integer

from sweeps.space.domains import ends, is_logarithmic, step_of


def stepped(domain: Domain) -> BaseDistribution:
    """The distribution of a range with a step.

    Optuna has no logarithmic ranges with steps: there it suggests values between, of which `search_axes.nearest` is
    what was meant.
    """
    (low, high), step, log = ends(domain), step_of(domain), is_logarithmic(domain)
    if isinstance(domain, Integer):
        return IntDistribution(low, high, log=log, step=1 if log or step is None else int(step))
    return FloatDistribution(low, high, log=log, step=None if log else step)


def suggest(trial: Any, name: str, distribution: Any) -> Any:
    """Ask a trial for a value, as `ask` does with distributions that are known beforehand."""
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    bounds: Any = {"low": distribution.low, "high": distribution.high, "log": distribution.log}
    step: Any = {} if distribution.log else {"step": distribution.step}
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, **bounds, **step)
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, **bounds, **step)
