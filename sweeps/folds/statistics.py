"""Statistics of a comparison: intervals over folds, paired tests over images, ties with the best configuration.

Two questions, two units. Over folds: would other training images give the same answer? Folds share training images, so
their spread is corrected (`corrected_interval`, `corrected_paired_test`). Over images: would other images, shown to
these trained networks, give the same answer? Crops of an image, and images of one process condition, are no independent
evidence, so they are averaged first (`paired_image_test`, `tied_with_best`).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

EXACT_UNITS = 12  # 2^12 patterns of signs are all tried; more units are sampled
FLIPS = 10_000
RESAMPLES = 2000
FEWEST_FOR_INTERVAL = 3


@dataclass(frozen=True)
class PairedTest:
    """Mean of a - b over `n` units, its 95 % interval (None below 3 units), and the two-sided p of no difference."""

    mean_difference: float
    low: float | None
    high: float | None
    p: float
    n: int


@dataclass(frozen=True)
class Standing:
    """A configuration beside the best one: `difference` is its mean minus the best's, with the interval of that."""

    config: Any
    mean: float
    difference: float
    low: float | None
    high: float | None
    p_holm: float | None
    """None for the best itself."""
    tied: bool
    n: int
    """Images or process conditions compared."""


def corrected_interval(
    fold_means: Sequence[float] | np.ndarray, n_train: float, n_test: float, level: float = 0.95
) -> tuple[float, float | None, float | None]:
    """Mean over folds and its interval, as wide as folds that share training images make it.

    Args:
        fold_means: (J,) one value per fold. Of a cross-validation that was repeated (other seeds, or other labels to
            stratify by) all J = folds x repeats values, which is Bouckaert & Frank's corrected repeated k-fold.
        n_train: images (or crops) that each fold trained on.
        n_test: of the same unit, that each fold tested; n_test / n_train is 1 / (folds - 1) without validation images.
        level: in (0, 1).

    Returns:
        mean, low, high; (mean, None, None) for J < 2.

    Raises:
        ValueError: no folds, a value that is not finite, or a size that is not positive.

    Source: variance (1/J + n_test/n_train) s^2, Student t of J - 1 degrees of freedom: Nadeau & Bengio 2003 (Machine
        Learning 52, section 3); Bouckaert & Frank 2004 (PAKDD, section 3.3) for repeats.
    """
    values = _checked(fold_means)
    mean, error = float(values.mean()), _corrected_error(values, n_train, n_test)
    if error is None:
        return mean, None, None
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * error
    return mean, mean - half, mean + half


def corrected_paired_test(differences: Sequence[float] | np.ndarray, n_train: float, n_test: float) -> float | None:
    """Two-sided p of no difference between two configurations on the same folds; None for fewer than two folds.

    Args:
        differences: (J,) of one configuration minus the other; arguments and errors as of `corrected_interval`.

    Source: Nadeau & Bengio 2003, the corrected resampled t-test.
    """
    values = _checked(differences)
    error = _corrected_error(values, n_train, n_test)
    if error is None:
        return None
    if error == 0:
        return 1.0 if values.mean() == 0 else 0.0
    return float(2 * stats.t.sf(abs(values.mean()) / error, len(values) - 1))


def paired_image_test(
    a: Mapping[str, float], b: Mapping[str, float], clusters: Mapping[str, Hashable] | None = None
) -> PairedTest:
    """Do two configurations differ on the images that both were tested on?

    Args:
        a: image -> value. Images that only one of a and b has are left out.
        clusters: image -> process condition. Conditions are then the units: their images are averaged first.

    Returns:
        a - b: sign-flip permutation test of the mean (all flips for n <= 12, else 10,000, seeded) and 95 % percentile
        bootstrap interval. Neither depends on the order of the images.

    Raises:
        ValueError: no image in common, a value that is not finite, or an image without a condition.
    """
    differences = _unit_means({image: a[image] - b[image] for image in a.keys() & b.keys()}, clusters)
    low, high = _bootstrap(differences)
    return PairedTest(float(differences.mean()), low, high, _sign_flip_p(differences), len(differences))


def interval_over_images(
    values: Mapping[str, float], clusters: Mapping[str, Hashable] | None = None
) -> tuple[float, float | None, float | None]:
    """Mean of image -> value and its 95 % percentile bootstrap interval (None below 3 units): for other images.

    Args:
        clusters: image -> process condition, see `paired_image_test`, which also says what is refused.
    """
    units = _unit_means(values, clusters)
    return float(units.mean()), *_bootstrap(units)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """(n,) p-values adjusted so that rejecting those <= alpha errs at all with a probability of at most alpha.

    Raises:
        ValueError: a p-value outside [0, 1].

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    p = np.asarray(p_values, float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be in [0, 1], got {p.tolist()}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def tied_with_best(
    per_image: Mapping[Any, Mapping[str, float]],
    higher_is_better: bool = True,
    alpha: float = 0.05,
    clusters: Mapping[str, Hashable] | None = None,
) -> list[Standing]:
    """The leaderboard with its ties, best first.

    "Tied" means: these images do not show, at `alpha` after Holm's correction, that the configuration is worse than
    the best. It does not mean proven equal: few images tie everything; the interval says how far apart the two may
    be. "Not tied" is about these trained networks on other images. The luck of a training (its images, its seed) is
    not in a test over images; `corrected_interval` of the fold differences shows what it adds. Selection bias: the
    best is chosen on the same images, so its score is slightly optimistic.

    Args:
        per_image: configuration -> image -> value, averaged over the cells that tested the image. Only images that
            every configuration was tested on count; leave out a configuration whose folds were stopped early.
        clusters: image -> process condition, see `paired_image_test`.

    Raises:
        ValueError: as `paired_image_test`, over the images that all have in common.
    """
    if not per_image:
        return []
    shared = sorted(set.intersection(*(set(values) for values in per_image.values())))
    values = {config: {image: found[image] for image in shared} for config, found in per_image.items()}
    means = {config: float(_unit_means(found, clusters).mean()) for config, found in values.items()}
    ranked = sorted(means, key=lambda config: -means[config] if higher_is_better else means[config])
    best, *others = ranked
    tests = [paired_image_test(values[config], values[best], clusters) for config in others]
    adjusted = holm([test.p for test in tests])
    n = len(_unit_means(values[best], clusters))
    rows = [Standing(best, means[best], 0.0, None, None, None, True, n)]
    for config, test, p in zip(others, tests, adjusted, strict=True):
        found = (test.mean_difference, test.low, test.high, float(p), bool(p > alpha), test.n)
        rows.append(Standing(config, means[config], *found))
    return rows


def _checked(values: Sequence[float] | np.ndarray) -> np.ndarray:
    array = np.asarray(values, float)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"fold values must be finite, one per fold and at least one, got {array.tolist()}")
    return array


def _corrected_error(values: np.ndarray, n_train: float, n_test: float) -> float | None:
    """Nadeau & Bengio's standard error of the mean; None for fewer than two folds."""
    if n_train <= 0 or n_test <= 0:
        raise ValueError(f"n_train and n_test must be positive, got {n_train} and {n_test}")
    if len(values) < 2:
        return None
    return float(np.sqrt((1 / len(values) + n_test / n_train) * values.var(ddof=1)))


def _unit_means(values: Mapping[str, float], clusters: Mapping[str, Hashable] | None) -> np.ndarray:
    """(n,) one value per image or, with clusters, per condition; in the order of the image names."""
    if not values:
        raise ValueError("the configurations have no tested image in common")
    images = sorted(values)
    array = np.array([values[image] for image in images], float)
    if not np.isfinite(array).all():
        wrong = [image for image, value in zip(images, array, strict=True) if not np.isfinite(value)]
        raise ValueError(f"values of images must be finite; they are not for image {', '.join(wrong[:5])}")
    if clusters is None:
        return array
    missing = [image for image in images if image not in clusters]
    if missing:
        raise ValueError(f"`clusters` has no condition for image {', '.join(missing[:5])}")
    numbers: dict[Hashable, int] = {}
    unit = np.array([numbers.setdefault(clusters[image], len(numbers)) for image in images])
    return np.bincount(unit, array) / np.bincount(unit)


def _sign_flip_p(differences: np.ndarray) -> float:
    """Two-sided p of the mean, were every unit's sign a coin's toss."""
    n = len(differences)
    if n <= EXACT_UNITS:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    else:
        signs = 1 - 2 * np.random.default_rng(0).integers(2, size=(FLIPS, n), dtype=np.int8)
    reached = np.abs(signs @ differences) >= abs(differences.sum()) * (1 - 1e-9)  # equal sums differ by rounding
    # A sample of flips counts the observed signs too, else p could be 0 (Phipson & Smyth 2010).
    return float(reached.mean() if n <= EXACT_UNITS else (reached.sum() + 1) / (FLIPS + 1))


def _bootstrap(differences: np.ndarray) -> tuple[float | None, float | None]:
    """95 % percentile interval of the mean."""
    n = len(differences)
    if n < FEWEST_FOR_INTERVAL:
        return None, None
    counts = np.random.default_rng(1).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    low, high = np.percentile(counts @ differences / n, [2.5, 97.5])
    return float(low), float(high)
