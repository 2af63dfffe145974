"""Intervals, paired tests and ties: against formulas by hand, brute force and simulated truth."""

from itertools import chain, combinations, product

import numpy as np
import pytest
from scipy import stats

from sweeps.folds.statistics import corrected_interval, corrected_paired_test, holm, paired_image_test, tied_with_best

FOLDS = np.array([26.1, 26.4, 25.8, 26.9, 26.3])


def images(values):
    return {f"{k:03d}": float(value) for k, value in enumerate(values)}


def test_the_corrected_interval_is_the_formula_of_nadeau_and_bengio():
    mean, low, high = corrected_interval(FOLDS, n_train=160, n_test=40)
    half = 2.7764451051977987 * np.sqrt((1 / 5 + 40 / 160) * FOLDS.var(ddof=1))  # t of 4 degrees of freedom, 97.5 %
    assert (mean, low, high) == pytest.approx((FOLDS.mean(), FOLDS.mean() - half, FOLDS.mean() + half))


def test_without_shared_training_images_the_interval_is_students():
    _, *interval = corrected_interval(FOLDS, n_train=10**12, n_test=1, level=0.9)
    assert interval == pytest.approx(stats.t.interval(0.9, 4, FOLDS.mean(), stats.sem(FOLDS)))


def test_the_correction_is_that_of_repeated_cross_validation():
    # Bouckaert & Frank: F = 1 + T K / (K - 1) on the variance of a mean of T K values (also R's MachineShop).
    values = np.tile(FOLDS, 4)
    _, low, high = corrected_interval(values, n_train=4, n_test=1)
    factor = 1 + 4 * 5 / (5 - 1)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 19) * np.sqrt(factor * values.var(ddof=1) / 20))


def test_one_fold_has_a_mean_but_no_interval_and_no_test():
    assert corrected_interval([26.0], 160, 40) == (26.0, None, None)
    assert corrected_paired_test([0.3], 160, 40) is None


@pytest.mark.parametrize(
    ("values", "sizes", "problem"),
    [
        ([], (160, 40), "at least one"),
        ([1.0, np.nan], (160, 40), "finite"),
        ([1.0, 2.0], (0, 40), "must be positive, got 0 and 40"),
    ],
)
def test_folds_that_mean_nothing_are_refused(values, sizes, problem):
    with pytest.raises(ValueError, match=problem):
        corrected_interval(values, *sizes)


def test_the_corrected_test_rejects_exactly_when_the_interval_excludes_zero():
    for shift in np.linspace(-1, 1, 41):
        differences = FOLDS - FOLDS.mean() + shift
        _, low, high = corrected_interval(differences, 160, 40)
        assert (corrected_paired_test(differences, 160, 40) < 0.05) == (low > 0 or high < 0)


def test_no_difference_at_all_is_no_evidence():
    assert corrected_paired_test([0.0, 0.0, 0.0], 160, 40) == 1.0
    assert corrected_paired_test([0.5, 0.5, 0.5], 160, 40) == 0.0


def test_few_images_are_tested_by_all_flips_of_signs():
    a, b = np.random.default_rng(0).normal(size=(2, 8))
    d = a + 0.5 - b
    flips = [abs(np.dot(signs, d)) >= abs(d.sum()) - 1e-12 for signs in product((1, -1), repeat=8)]
    found = paired_image_test(images(a + 0.5), images(b))
    assert found.p == pytest.approx(np.mean(flips))
    assert (found.mean_difference, found.n) == (pytest.approx(d.mean()), 8)


def test_many_images_agree_with_scipy():
    a, b = np.random.default_rng(1).normal(size=(2, 60))
    found = paired_image_test(images(a + 0.3), images(b))
    oracle = stats.permutation_test(
        (a + 0.3 - b,), lambda d, axis: d.mean(axis=axis), permutation_type="samples", n_resamples=9999, rng=2
    )
    assert found.p == pytest.approx(oracle.pvalue, abs=0.02)
    bootstrap = stats.bootstrap((a + 0.3 - b,), np.mean, method="percentile", n_resamples=9999, rng=3)
    assert (found.low, found.high) == pytest.approx(tuple(bootstrap.confidence_interval), abs=0.02)


def test_the_paired_test_rejects_as_often_as_it_says_when_nothing_differs():
    rng = np.random.default_rng(4)
    p = [paired_image_test(images(rng.normal(size=8)), images(np.zeros(8))).p for _ in range(300)]
    assert stats.binomtest(int(np.sum(np.array(p) <= 0.1)), 300, 0.1).pvalue > 0.01


def test_images_of_one_condition_count_once():
    a, b = {"1": 1.0, "2": 3.0, "3": 5.0}, dict.fromkeys("123", 0.0)
    found = paired_image_test(a, b, {"1": "x", "2": "x", "3": "y"})
    assert (found.n, found.mean_difference) == (2, (2.0 + 5.0) / 2)


def test_copies_of_images_make_nothing_significant():
    rng = np.random.default_rng(5)
    once = rng.normal(size=20)
    once += 0.3 - once.mean()
    many, zero = images(np.repeat(once, 10)), images(np.zeros(200))
    condition = {image: int(image) // 10 for image in many}
    alone = paired_image_test(images(once), images(np.zeros(20)))
    assert paired_image_test(many, zero).p < 0.05 < alone.p
    assert paired_image_test(many, zero, condition).p == pytest.approx(alone.p)


def test_only_images_that_both_have_are_compared_in_any_order():
    a, b = {"1": 1.0, "2": 2.0, "4": 9.0}, {"2": 0.5, "1": 0.25, "3": 7.0}
    found = paired_image_test(a, b)
    assert (found.n, found.mean_difference, found.low) == (2, 1.125, None)
    assert paired_image_test(dict(reversed(a.items())), b) == found


def test_images_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="no tested image in common"):
        paired_image_test({"1": 1.0}, {"2": 1.0})
    with pytest.raises(ValueError, match="not for image 2"):
        paired_image_test({"1": 1.0, "2": np.inf}, {"1": 1.0, "2": 0.0})
    with pytest.raises(ValueError, match="no condition for image 2"):
        paired_image_test({"1": 1.0, "2": 1.0}, {"1": 1.0, "2": 0.0}, {"1": "x"})


def test_holm_is_the_closed_test_of_bonferronis():
    rng = np.random.default_rng(6)
    for p in (*rng.random((20, 5)) ** 3, np.array([0.01, 0.01, 0.02, 0.9, 0.9]), np.array([0.04])):
        n = len(p)
        sets = [list(s) for s in chain.from_iterable(combinations(range(n), size) for size in range(1, n + 1))]
        closed = [max(min(1, len(s) * p[s].min()) for s in sets if i in s) for i in range(n)]
        assert holm(p) == pytest.approx(closed)
    assert holm([]).shape == (0,)


def test_holm_refuses_what_is_no_p_value():
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        holm([0.5, np.nan])


def test_the_leaderboard_marks_ties_and_losers():
    rng = np.random.default_rng(70)
    base = 25 + 2 * rng.normal(size=100)
    tested = {
        "worse": images(base - 0.3 + 0.2 * rng.normal(size=100)),
        "best": images(base + 0.2 * rng.normal(size=100)),
        "as good": images(base - 0.05 + 0.2 * rng.normal(size=100)),
    }
    rows = {row.config: row for row in tied_with_best(tested)}
    assert list(rows) == ["best", "as good", "worse"]
    assert [row.tied for row in rows.values()] == [True, True, False]
    assert rows["worse"].low < -0.3 < rows["worse"].high < 0
    assert rows["best"].p_holm is None
    losses = {config: {image: -v for image, v in values.items()} for config, values in tested.items()}
    mirrored = tied_with_best(losses, higher_is_better=False)
    assert [(row.config, row.tied, row.p_holm) for row in mirrored] == [
        (row.config, row.tied, row.p_holm) for row in rows.values()
    ]


def test_means_are_over_the_images_that_all_were_tested_on():
    rows = tied_with_best({"easy": {"1": 1.0, "2": 2.0, "3": 99.0}, "hard": {"1": 1.5, "2": 2.5}})
    assert [(row.config, row.mean, row.n) for row in rows] == [("hard", 2.0, 2), ("easy", 1.5, 2)]
    assert tied_with_best({}) == []


def test_the_true_best_is_rarely_declared_beaten():
    rng = np.random.default_rng(8)
    wrong = 0
    for _ in range(100):
        values = rng.normal(size=(4, 8))
        rows = tied_with_best({str(k): images(v) for k, v in enumerate(values)})
        wrong += any(row.config == "0" and not row.tied for row in rows)
    assert wrong / 100 <= 0.05 + 2 * 0.022  # two standard errors of 100 runs
