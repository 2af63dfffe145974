"""Axes of a space as Optuna's distributions."""

from typing import Any

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from ray.tune.search.sample import Categorical, Domain, Integer

from sweeps.space.domains import ends, is_logarithmic, step_of


def distribution(domain: Domain) -> BaseDistribution:
    """Optuna's distribution of Tune's domain.

    Optuna has no logarithmic ranges with steps: there it suggests values between, of which `nearest` is what was meant.
    """
    if isinstance(domain, Categorical):
        return CategoricalDistribution(domain.categories)
    (low, high), step, log = ends(domain), step_of(domain), is_logarithmic(domain)
    if isinstance(domain, Integer):
        return IntDistribution(low, high, log=log, step=1 if log or step is None else int(step))
    return FloatDistribution(low, high, log=log, step=None if log else step)


def suggest(trial: Trial, name: str, among: Any) -> Any:
    """Ask a trial for a value, as `ask` does with distributions that are known beforehand."""
    if isinstance(among, CategoricalDistribution):
        return trial.suggest_categorical(name, among.choices)
    bounds: Any = {"low": among.low, "high": among.high, "log": among.log}
    step: Any = {} if among.log else {"step": among.step}
    ask = trial.suggest_int if isinstance(among, IntDistribution) else trial.suggest_float
    return ask(name, **bounds, **step)
