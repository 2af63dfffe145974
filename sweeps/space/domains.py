"""One axis of a space: which values Tune's domain has, the same ones for every kind of search.

Tune, Optuna and floating point disagree about steps: `tune.quniform(0, 0.3, 0.1)` draws 0.30000000000000004,
`tune.qrandint(3, 10, 4)` is 4, 8 to Tune and 3, 7 to Optuna, which knows no steps of logarithmic ranges at all. Here a
domain with a step has the multiples of it between its ends, written with 12 digits.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform, Quantized

from sweeps.space.axis import MOST, Axis, alike, rounded


def is_axis(value: Any) -> bool:
    """Is this one of the domains that can be listed or bounded?"""
    return isinstance(value, Categorical | Integer | Float)


def values(domain: Domain) -> Sequence[Any] | None:
    """All values in order; None when the axis is continuous or has more than `MOST`."""
    if isinstance(domain, Categorical):
        return list(domain.categories)
    multiples = _multiples(domain)
    if multiples is None or len(multiples) > MOST:
        return None
    return [_times(domain, k) for k in multiples]


def ends(domain: Domain) -> tuple[Any, Any]:
    """The lowest and the highest value of a range."""
    multiples = _multiples(domain)
    return (_times(domain, multiples[0]), _times(domain, multiples[-1])) if multiples else (domain.lower, domain.upper)


def axis_of(domain: Domain) -> Axis:
    """The domain without Tune. The upper end of whole numbers without a step is not on it, as in Tune."""
    if isinstance(domain, Categorical):
        return Axis(tuple(domain.categories))
    low, high = ends(domain)
    step, integer = step_of(domain), isinstance(domain, Integer)
    return Axis((), low, high, step or (1 if integer else None), integer)


def nearest(domain: Domain, value: Any) -> Any:
    """A drawn or suggested value as the one of the domain that was meant, a plain number."""
    if isinstance(domain, Categorical):
        return next((choice for choice in domain.categories if alike(choice, plain(value))), plain(value))
    multiples = _multiples(domain)
    if not multiples:
        return plain(value)
    k = round(float(value) / (step_of(domain) or 1))
    return _times(domain, min(max(k, multiples[0]), multiples[-1]))


def step_of(domain: Domain) -> float | None:
    """The step of tune.quniform, qloguniform, qrandint and qlograndint; None for others."""
    sampler = domain.get_sampler()
    return sampler.q if isinstance(sampler, Quantized) else None


def is_logarithmic(domain: Domain) -> bool:
    """Is it drawn by its logarithm, with a step or without?"""
    sampler = domain.get_sampler()
    return isinstance(sampler.get_sampler() if isinstance(sampler, Quantized) else sampler, LogUniform)


def plain(value: Any) -> Any:
    """numpy scalar -> Python's own, which JSON and TrainConfig accept."""
    return value.item() if isinstance(value, np.generic) else value


def _multiples(domain: Domain) -> range | None:
    """What the values are when divided by the step, whole numbers without one have 1; None for continuous ranges."""
    step = step_of(domain)
    if isinstance(domain, Integer):
        open_end = step in (None, 1)  # Tune's rule
        return range(-int(-domain.lower // (step or 1)), int(domain.upper // (step or 1)) + (not open_end))
    if step is None or not math.isfinite(domain.lower) or not math.isfinite(domain.upper):
        return None
    return range(round(domain.lower / step), round(domain.upper / step) + 1)  # Tune sees to whole multiples


def _times(domain: Domain, k: int) -> Any:
    step = step_of(domain) or 1
    return k * int(step) if isinstance(domain, Integer) else rounded(float(k * step))
