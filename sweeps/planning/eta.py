"""How long the trials that are missing will take, as a range in which the real duration should lie."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.planning import cost
from sweeps.planning.cost import Cost, Span

STOPPED = {"asha": 2 / 3, "hyperband": 2 / 3, "median": 1 / 2}
"""Share of the trials that a scheduler ends after their first epoch, at most."""
RACE_SAVES = 4.4  # times fewer cells at most, of the simulated grids in docs/sweeps.md
SURE = 1.64  # standard deviations of the mean of the configurations that a search draws: 90 %
INDEPENDENT = 10  # at most so many of its draws are: Optuna's later ones resemble the best


@dataclass(frozen=True)
class Work:
    """What is missing of a sweep."""

    search_trials: int
    cv_trials: int
    epochs: int
    """Of a trial."""
    at_once: int
    """Trials."""
    scheduler: str = "none"
    race: bool = False
    least_epochs: int | None = None
    """With early stopping of the training itself; None without."""
    drawn: bool = True
    """The search chooses as it goes; False when its configurations are those of the costs."""
    cv_scale: float = 1.0
    """Crops of a fold's training against those of the search's."""
    other_s: Span = (0.0, 0.0)
    """Everything but trials."""


@dataclass(frozen=True)
class Eta:
    """A range of wall-clock seconds."""

    low_s: float
    high_s: float
    basis: str
    """What it was computed from."""


def eta(costs: Sequence[Cost], work: Work) -> Eta:
    """The wall-clock range of the missing trials, from the costs of a trial's epochs.

    Low: every trial that may stop early does, and trials share the processors without a gap. High: nothing stops, and
    the last round waits for its longest. Which configuration is cross-validated is not known: any of these.
    """
    least = work.epochs if work.least_epochs is None else min(work.epochs, work.least_epochs)
    stopped = STOPPED.get(work.scheduler, 0.0)
    least_each = [(stopped + (1 - stopped) * least) * c.epoch_s[0] + (1 - stopped) * c.trial_s[0] for c in costs]
    most_each = [work.epochs * c.epoch_s[1] + c.trial_s[1] for c in costs]
    shares = [c.share for c in costs]
    low = _least_wall(_total(work, shares, least_each, -1), min(least_each), work.search_trials, work.at_once)
    high = _most_wall(_total(work, shares, most_each, 1), max(most_each), work.search_trials, work.at_once)
    cheapest = work.cv_scale * min(least * c.epoch_s[0] + c.trial_s[0] for c in costs)
    dearest = work.cv_scale * max(work.epochs * c.epoch_s[1] + c.trial_s[1] for c in costs)
    cells = work.cv_trials / (RACE_SAVES if work.race else 1)
    low += _least_wall(cells * cheapest, cheapest, work.cv_trials, work.at_once)
    high += _most_wall(work.cv_trials * dearest, dearest, work.cv_trials, work.at_once)
    return Eta(low + work.other_s[0], high + work.other_s[1], _basis(costs))


def span(low_s: float, high_s: float) -> str:
    """`40-65 s`, `12-16 min` or `1.5-2.5 h`; one number where both ends read the same."""
    unit, seconds = ("s", 1) if high_s < 90 else ("min", 60) if high_s < 5400 else ("h", 3600)
    ends = [end / seconds for end in (low_s, high_s)]
    low, high = (f"{end:.{int(end < 9.95 and seconds > 1)}f}" for end in ends)
    return f"{low}-{high} {unit}" if low != high else f"{high} {unit}"


def _total(work: Work, shares: Sequence[float], each: Sequence[float], sign: int) -> float:
    """Seconds of all search trials: their number times the mean, and what other configurations may be drawn."""
    n = work.search_trials
    mean = sum(share * seconds for share, seconds in zip(shares, each, strict=True))
    variance = sum(share * (seconds - mean) ** 2 for share, seconds in zip(shares, each, strict=True))
    off = SURE * math.sqrt(variance / min(max(n, 1), INDEPENDENT)) if work.drawn else 0.0
    return n * min(max(mean + sign * off, min(each)), max(each))


def _least_wall(total_s: float, shortest_s: float, trials: int, at_once: int) -> float:
    return max(total_s / at_once, shortest_s) if trials else 0.0


def _most_wall(total_s: float, longest_s: float, trials: int, at_once: int) -> float:
    """Graham's bound (1969) of what starting jobs in any order takes: the longest may be the last."""
    if trials <= at_once:
        return longest_s if trials else 0.0
    return longest_s + max(0.0, total_s - longest_s) / at_once


def _basis(costs: Sequence[Cost]) -> str:
    """`12 finished trials; measured: kernel_size 5; 3 interpolated`."""
    finished = sum(c.trials for c in costs)
    measured = [c.described for c in costs if c.source == cost.MEASURED]
    between = sum(c.source == cost.ESTIMATED for c in costs)
    parts = [f"{finished} finished trials"] if finished else []
    parts += ["measured: " + "; ".join(measured)] if measured else []
    parts += [f"{between} interpolated"] if between else []
    return ", ".join(parts)
