"""`--race`: eliminate a configuration when its finished folds show that it cannot win the grid.

The rule. The grid's winner is the configuration with the highest mean over all N cells (label, fold, seed). After m
cells, each pair of configurations has m paired differences d_j, each a mean over the images that both were tested on.
The finished cells are a sample, without replacement, of the grid's N, so the full grid's difference is away from their
mean by a standard error of s sqrt(1/m - 1/N). A configuration stops when a rival still in the race leads it by more
than a one-sided Student t quantile of that, at the level alpha / (configurations - 1) / max(1, analyses / 2).
Rivals and interim analyses share alpha (Bonferroni). Two neighbouring analyses count as one, because they share most
of their cells. The resulting error rate is measured: tests/benchmarks/racing_error.py draws whole grids and races them.

Cells, not images, are the sample. A configuration with an unlucky training is worse on all images of its fold, and a
test over images alone mistakes that luck for skill: with eight small configurations trained on the
208 micrographs, differences varied 2 to 20 times as much over folds as their images explain (variances). Hence s^2,
the weak point of few folds, is made of

- the variance of the pair's own differences (m - 1 degrees of freedom),
- the mean of that over all pairs, which knows the luck of training from many more cells; it weighs like
  PRIOR_FREEDOM cells, so that an unstable configuration still shows its own variance,
- and at least the variance that the paired images explain, which few folds can hide by chance.

The correction of Nadeau & Bengio (sweeps.folds.statistics) is for conclusions about other data. It has no place here:
the question is who wins this grid, whose folds share their training images in finished and unfinished cells alike.

A configuration with a cell that failed for good has no mean over the grid and cannot be its winner: others stop it, it
eliminates no other, and those that it eliminated before it failed race on.

With margin 0, equivalent configurations run all folds, since eliminating either could remove the winner. With a
`margin`, a configuration stops as soon as it cannot win by more than the margin.

Precedents: Maron & Moore 1994 (Hoeffding races); R's finetune::tune_race_anova (analysis of variance over resamples).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from sweeps.store import GridCell, RaceRule

Name = Any
"""Name of a configuration: hashable, with an order."""
Values = Mapping[Name, Mapping[GridCell, Mapping[str, float]]]

ALPHA = RaceRule.alpha  # probability of stopping the configuration that would have won the full grid
FIRST_LOOK = 2  # cells; one has no variance
LOOKS_COUNTED_AS_ONE = 2
PRIOR_FREEDOM = 4  # degrees of freedom that the mean variance of all pairs lends to each pair's own


@dataclass(frozen=True)
class Stop:
    """Why a configuration left: after `cells` cells, `rival` led it by `difference`, with this one-sided `p`."""

    cells: int
    rival: Name
    difference: float
    p: float


@dataclass(frozen=True)
class Race:
    """The race of some configurations over a grid.

    Interim analyses are made at prefixes of `cells` that all configurations still in the race have finished, so neither
    the order in which cells finish nor the number of calls, nor a resumed sweep, changes which one is stopped and when.
    """

    n_configurations: int
    cells: Sequence[GridCell]
    """(label, fold, seed) of the grid in the order in which they run, the same for every configuration."""
    alpha: float = ALPHA
    """Probability, in (0, 1), of stopping the configuration that would have won the full grid."""
    margin: float = 0.0
    """A winner may be stopped if it wins by less than this (dB of PSNR): makes ties end. >= 0."""
    higher_is_better: bool = True

    def __post_init__(self) -> None:
        rules = [
            ("n_configurations", self.n_configurations >= 1, "be >= 1"),
            ("cells", len(set(self.cells)) == len(self.cells) > 0, "be one or more different (label, fold, seed)"),
            ("alpha", 0 < self.alpha < 1, "be in (0, 1)"),
            ("margin", self.margin >= 0, "be >= 0"),
        ]
        problems = [f"`{name}` must {rule}, got {getattr(self, name)!r}" for name, holds, rule in rules if not holds]
        if problems:
            raise ValueError("\n".join(problems))

    def decide(self, values: Values) -> set[Name]:
        """The configurations that need no further cells; see `stops`."""
        return set(self.stops(values))

    def stops(self, values: Values) -> dict[Name, Stop]:
        """Configuration -> why it was stopped, in the order of stopping.

        Args:
            values: configuration -> finished (label, fold, seed) -> image -> value, of all configurations, stopped ones
                too. A cell that failed for good is an empty mapping: no other waits for it, it is not compared (like
                one with a value that is not finite), and its configuration is no longer a rival of any other.

        Raises:
            ValueError: more than `n_configurations`.
        """
        if len(values) > self.n_configurations:
            raise ValueError(f"{len(values)} configurations in a race of {self.n_configurations}")
        if len(values) < self.n_configurations:  # one has not begun
            return {}
        names = sorted(values)
        finished = np.array([[cell in values[name] for cell in self.cells] for name in names])
        failed = np.array([not all(values[name].get(cell, True) for cell in self.cells) for name in names])
        means, noise = self._arrays([values[name] for name in names])
        found = replay(means, noise, finished, self.alpha, self.margin, failed)
        return {names[k]: Stop(cells, names[rival], lead, p) for k, (cells, rival, lead, p) in found.items()}

    def _arrays(self, values: list[Mapping[GridCell, Mapping[str, float]]]) -> tuple[np.ndarray, np.ndarray]:
        """What `replay` needs; the images of a cell are those that all configurations with a result have."""
        k, sign = len(values), 1 if self.higher_is_better else -1
        means, noise = np.full((k, len(self.cells)), np.nan), np.zeros((len(self.cells), k, k))
        for j, cell in enumerate(self.cells):
            have = [c for c in range(k) if values[c].get(cell) and np.isfinite(list(values[c][cell].values())).all()]
            images = sorted(set.intersection(*(set(values[c][cell]) for c in have))) if have else []
            if not images:
                continue
            table = sign * np.array([[values[c][cell][image] for image in images] for c in have], float)
            means[have, j] = table.mean(axis=1)
            noise[np.ix_([j], have, have)] = image_noise(table)
        return means, noise


def image_noise(table: np.ndarray) -> np.ndarray:
    """(k, k) variances of the pairs' mean differences that their images explain.

    Args:
        table: (k, n) values of k configurations on the n images of a cell.
    """
    n = table.shape[1]
    if n < 2:
        return np.zeros((len(table), len(table)))
    covariance = np.atleast_2d(np.cov(table))
    own = np.diag(covariance)
    return np.maximum(0, own[:, None] + own - 2 * covariance) / n


def replay(
    means: np.ndarray,
    noise: np.ndarray,
    finished: np.ndarray,
    alpha: float = 0.05,
    margin: float = 0.0,
    failed: np.ndarray | None = None,
) -> dict[int, tuple[int, int, float, float]]:
    """The race from its start, as far as the finished cells allow.

    Args:
        means: (k, N) value of each configuration and cell, higher is better; NaN where it failed or is not finished.
        noise: (N, k, k) of `image_noise`.
        finished: (k, N) bool; failed cells are finished.
        failed: (k,) bool, whether a configuration has a cell that failed, and so eliminates no other.

    Returns:
        Stopped configuration -> cells it took, the rival, the rival's lead, its p; in the order of stopping.
    """
    k, n_cells = means.shape
    used = means.copy()  # a stopped configuration's later cells, which ran already, are not looked at
    stopped: dict[int, tuple[int, int, float, float]] = {}
    level = alpha / max(1, k - 1) / max(1, (n_cells - FIRST_LOOK) / LOOKS_COUNTED_AS_ONE)
    for m in range(1, n_cells):
        racing = [c for c in range(k) if c not in stopped]
        if len(racing) < 2 or not finished[racing, m - 1].all():
            break
        if m < FIRST_LOOK:
            continue
        lead, p = _compare(used[:, :m], noise[:m], n_cells, margin)
        p[failed if failed is not None else [], :] = 1.0
        while len(racing) > 1:
            among = p[np.ix_(racing, racing)]
            rival, loser = (racing[i] for i in np.unravel_index(among.argmin(), among.shape))
            if p[rival, loser] >= level:
                break
            stopped[loser] = (m, rival, float(lead[rival, loser]), float(p[rival, loser]))
            racing.remove(loser)
            used[loser, m:] = np.nan
    return stopped


def _compare(means: np.ndarray, noise: np.ndarray, n_cells: int, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """(k, k) mean lead of row over column in their common cells, and one-sided p that the full grid reverses it.

    Args:
        means: (k, m) of the cells so far; `noise` is (m, k, k).
        n_cells: N, of the full grid.
    """
    known = np.isfinite(means)
    both = known[:, None] & known
    n = both.sum(axis=2)
    differences = np.where(both, np.nan_to_num(means)[:, None] - np.nan_to_num(means), 0.0)
    lead = differences.sum(axis=2) / np.maximum(n, 1)
    squares = (np.where(both, differences - lead[..., None], 0.0) ** 2).sum(axis=2)
    freedom = np.maximum(n - 1, 0)
    # The mean variance of all pairs is twice the interaction mean square of a two-way analysis of variance; these
    # are that one's degrees of freedom: values - configurations - cells + 1.
    pooled = squares.sum() / max(1, freedom.sum())
    pooled_freedom = known.sum() - known.any(axis=1).sum() - known.any(axis=0).sum() + 1
    lent = np.clip(pooled_freedom - freedom, 0, PRIOR_FREEDOM)
    variance = (squares + lent * pooled) / np.maximum(freedom + lent, 1)
    explained = np.where(both, noise.transpose(1, 2, 0), 0.0).sum(axis=2) / np.maximum(n, 1)
    wanted = n_cells - (means.shape[1] - n)  # cells that failed for one of the two are not in their grid
    error = np.sqrt(np.maximum(variance, explained) * (1 / np.maximum(n, 1) - 1 / np.maximum(wanted, 1)))
    distance = lead + margin
    t = np.divide(distance, error, out=np.where(distance > 0, np.inf, 0.0), where=error > 0)
    p = np.where(n >= FIRST_LOOK, stats.t.sf(t, np.maximum(freedom + lent, 1)), 1.0)
    np.fill_diagonal(p, 1.0)
    return lead, p
