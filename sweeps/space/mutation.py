"""New values near old ones, inside the domains of a space: what a population does to the settings of its best."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ray.tune.search.sample import Categorical, Domain

from sweeps.space import domains as of_tune

RESAMPLED, FACTORS = 0.25, (0.8, 1.2)  # the defaults of Ray, and of the paper
WIDE = 10.0  # choices that span this factor are compared by their logarithm


def mutate(settings: Mapping[str, Any], domains: Mapping[str, Domain], rng: np.random.RandomState) -> dict[str, Any]:
    """New values near the old: one in four drawn anew, a range's times 0.8 or 1.2, of choices the next one.

    Args:
        settings: value of every field of `domains`; other fields are left out.
    """
    return {name: _mutated(settings[name], domain, rng) for name, domain in domains.items()}


def nearest_in(domain: Domain, value: float) -> Any:
    """The nearest value that a domain has: of its choices, or inside its range and on its grid."""
    if isinstance(domain, Categorical):
        return min(domain.categories, key=lambda choice: abs(scaled(domain, choice) - scaled(domain, value)))
    low, high = ends(domain)
    return of_tune.nearest(domain, domain.cast(min(max(value, low), high)))


def ends(domain: Domain) -> tuple[float, float]:
    """The lowest value of a domain and the highest."""
    if isinstance(domain, Categorical):
        return min(domain.categories), max(domain.categories)
    return of_tune.ends(domain)


def scaled(domain: Domain, value: float) -> float:
    """A value as it is compared with others: its decimal logarithm where the domain spans decades."""
    return float(np.log10(value)) if _is_logarithmic(domain) else float(value)


def unscaled(domain: Domain, value: float) -> float:
    """The value that `scaled` made this of."""
    return 10**value if _is_logarithmic(domain) else value


def _mutated(value: Any, domain: Domain, rng: np.random.RandomState) -> Any:
    if rng.uniform() < RESAMPLED:
        return of_tune.nearest(domain, domain.sample(random_state=rng))
    if isinstance(domain, Categorical):
        choices = sorted(domain.categories)
        position = choices.index(nearest_in(domain, value)) + rng.choice([-1, 1])
        return choices[int(np.clip(position, 0, len(choices) - 1))]
    return nearest_in(domain, value * rng.choice(FACTORS))


def _is_logarithmic(domain: Domain) -> bool:
    if isinstance(domain, Categorical):
        low, high = ends(domain)
        return low > 0 and high / low >= WIDE
    return of_tune.is_logarithmic(domain)
