"""Names, rules and requirements of the schedulers, which prune trials, let them wait or let them copy others."""

import math
from collections.abc import Mapping
from typing import Any

from ray.tune.search.sample import Categorical, Domain

from deepdlt.config import CHANGEABLE, TrainConfig
from sweeps.tuning.pruning import NOTHING, Asha, Known, Median
from sweeps.tuning.run_end import InTurn

NAMES = ("none", "asha", "median", "hyperband", "pbt", "pb2")
ANYTIME = ("asha", "median")
"""These compare a trial with all that came before it, of earlier runs too: see sweeps.tuning.pruning."""
POPULATIONS = ("pbt", "pb2")
"""Trials of these are members of a population: see sweeps.tuning.population_members."""
PAUSING = ("hyperband", *POPULATIONS)
"""Trials of these wait for each other: all of them must be begun before the first is compared."""
MIN_MEMBERS, MIN_BRACKET = 4, 3
RAY_UNITS = 10_000  # per CPU, in Ray's accounts


def make_scheduler(
    name: str, epochs: int, trials: int, domains: Mapping[str, Domain], seed: int, *, known: Known = NOTHING
) -> Any:
    """Tune's scheduler of that name.

    Args:
        epochs: of a trial that is not stopped.
        trials: that Tune will start; 1 or more.
        domains: the swept fields with their domains.
        seed: of a population's choices.
        known: what trials of earlier runs reached, for those of `ANYTIME`.
    """
    if name == "asha":
        return Asha(epochs, known)
    if name == "median":
        return Median(known)
    if name == "hyperband":
        from sweeps.tuning.hyperband import HyperBand  # late: seconds, for this scheduler alone

        return HyperBand(epochs, trials)
    if name in POPULATIONS:
        from sweeps.tuning.population_schedulers import Bandit, Mutations  # late: seconds, for this scheduler alone

        return {"pbt": Mutations, "pb2": Bandit}[name](epochs, changeable(domains), seed)
    return InTurn()


def max_concurrent_trials(name: str, trials: int, concurrent: int) -> int:
    """Setting of tune.TuneConfig: how many trials may have begun and not ended. Waiting trials count: where trials wait
    for each other it is all of them, and the resources alone decide how many run.
    """
    return max(1, trials) if name in PAUSING else concurrent


def cpus_per_trial(name: str, cpus: float, concurrent: int, there: float, node: float = math.inf) -> float:
    """CPUs to reserve for a trial, so that no more than `concurrent` run where nothing but resources limits them.

    Args:
        cpus: that a trial uses.
        there: of the machine or cluster.
        node: of its largest node; more run at a time where the others' share would fit on none.
    """
    if name not in PAUSING or int(there / cpus) <= concurrent:
        return cpus
    share = math.floor(there / concurrent * RAY_UNITS) / RAY_UNITS  # rounded up, the last one would not fit
    return min(share, node)


def changeable(domains: Mapping[str, Domain]) -> dict[str, Domain]:
    """The swept fields that a population may change while it trains: those that have another value."""
    return {name: domain for name, domain in domains.items() if name in CHANGEABLE and not _is_fixed(domain)}


def problems(name: str, domains: Mapping[str, Domain], config: TrainConfig, epochs: int, trials: int) -> list[str]:
    """Why this scheduler cannot work on these trials, one message per reason.

    Args:
        domains: the swept fields with their domains.
        config: the fields that are not swept.
        epochs, trials: as asked for.
    """
    option = f"--scheduler {name}"
    if name not in NAMES:
        return [f"--scheduler must be one of {', '.join(NAMES)}, got {name!r}"]
    if name == "hyperband":
        return _too_few(option, "--epochs", epochs, MIN_BRACKET, "the first third decides") + _too_few(
            option, "--trials", trials, MIN_BRACKET, "one in three continues"
        )
    if name not in POPULATIONS:
        return []
    found = _too_few(option, "--epochs", epochs, 2, "members change between epochs")
    found += _too_few(option, "--trials", trials, MIN_MEMBERS, "the worst quarter copies the best")
    if not changeable(domains):
        swept = ", ".join(domains) or "nothing"
        found.append(
            f"{option} needs an axis that may change while training ({', '.join(CHANGEABLE)}), got {swept}; "
            f"add one to the space, or use asha"
        )
    schedules = _values("schedule", domains, config)
    if schedules != ["constant"]:
        listed = ", ".join(map(str, schedules))
        found.append(f"{option} changes lr itself: `schedule` must be constant, got {listed}; --set schedule=constant")
    if _values("warmup", domains, config) != [0]:
        listed = ", ".join(map(str, _values("warmup", domains, config)))
        found.append(f"{option} changes lr itself: `warmup` must be 0, got {listed}; --set warmup=0")
    return found


def _too_few(option: str, what: str, number: int, least: int, why: str) -> list[str]:
    return [] if number >= least else [f"{option} needs {what} {least} or more ({why}), got {number}; or use asha"]


def _is_fixed(domain: Domain) -> bool:
    return isinstance(domain, Categorical) and len(domain) == 1


def _values(name: str, domains: Mapping[str, Domain], config: TrainConfig) -> list[Any]:
    """What a field can be in the sweep: its choices, the ends of its range, or its one value."""
    domain = domains.get(name)
    if domain is None:
        return [getattr(config, name)]
    return list(domain.categories) if isinstance(domain, Categorical) else [domain.lower, domain.upper]
