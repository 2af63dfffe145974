"""Racing over folds: who is stopped, when, and that timing, order and failures do not decide it."""

import numpy as np
import pytest
from scipy import stats

from sweeps.folds.race_rule import Race, image_noise, replay

CELLS = [(label, fold, 42) for label in ("angle", "PP1") for fold in range(1, 6)]


def grid_values(behind, luck=0.05, images=12, seed=0, cells=CELLS):
    """Configuration `c0`, `c1`, ... -> cell -> image -> PSNR: 25 dB less what it is behind, and noise."""
    rng = np.random.default_rng(seed)
    return {
        f"c{k}": {
            cell: {f"{j}-{i}": v for i, v in enumerate(25 - b + luck * rng.normal() + 0.05 * rng.normal(size=images))}
            for j, cell in enumerate(cells)
        }
        for k, b in enumerate(behind)
    }


def first(values, m):
    return {name: {cell: found[cell] for cell in CELLS[:m] if cell in found} for name, found in values.items()}


def test_the_hopeless_are_stopped_early_and_the_best_never():
    stops = Race(4, CELLS).stops(grid_values([0.0, 1.0, 0.02, 0.9]))
    assert {"c1", "c3"} <= set(stops)
    assert "c0" not in stops
    assert all(stops[name].cells <= 3 and stops[name].difference > 0.5 for name in ("c1", "c3"))


def test_a_stop_is_the_t_test_of_the_sample_of_cells_it_claims_to_be():
    # Two configurations: no other pair lends its variance, and images explain less than the cells show.
    values = grid_values([0.0, 0.12], luck=0.1, seed=3)
    stop = Race(2, CELLS, alpha=0.2).stops(values)["c1"]
    cells = CELLS[: stop.cells]
    d = np.array([np.mean(list(values["c0"][c].values())) - np.mean(list(values["c1"][c].values())) for c in cells])
    n = len(d)
    t = d.mean() / (d.std(ddof=1) * np.sqrt(1 / n - 1 / len(CELLS)))
    assert stop.p == pytest.approx(stats.t.sf(t, n - 1))
    assert stop.p < 0.2 / ((len(CELLS) - 2) / 2)
    assert (stop.rival, stop.difference) == ("c0", pytest.approx(d.mean()))


def test_the_variance_lent_by_all_pairs_is_that_of_an_analysis_of_variance():
    rng = np.random.default_rng(1)
    means = rng.normal(size=(5, 6))
    residual = means - means.mean(axis=1, keepdims=True) - means.mean(axis=0) + means.mean()
    pairs = [np.var(means[a] - means[b], ddof=1) for a in range(5) for b in range(a)]
    assert np.mean(pairs) == pytest.approx(2 * (residual**2).sum() / (4 * 5))


def test_the_noise_of_images_is_the_squared_standard_error_of_paired_differences():
    table = np.random.default_rng(2).normal(size=(3, 20))
    noise = image_noise(table)
    assert noise[0, 2] == pytest.approx(stats.sem(table[0] - table[2]) ** 2)
    assert np.diag(noise) == pytest.approx(0)
    assert not image_noise(table[:, :1]).any()


def test_two_lucky_folds_cannot_hide_what_images_show():
    means = np.array([[25.30, 25.301, 25.2, 25.3], [25.0, 25.0, 25.0, 25.0]])  # nearly the same lead twice
    finished = np.ones((2, 4), bool)
    assert 1 in replay(means, np.zeros((4, 2, 2)), finished)
    assert 1 not in replay(means, np.full((4, 2, 2), 1.0), finished)


def test_images_alone_do_not_stop_an_unlucky_training():
    # All 2000 images of both folds are worse, so a test over images is certain; how much worse depends on the training.
    rng, values = np.random.default_rng(4), {"c0": {}, "c1": {}}
    for cell, behind in zip(CELLS, (0.6, 0.1), strict=False):
        for name, b in (("c0", 0.0), ("c1", behind)):
            values[name][cell] = {str(i): v for i, v in enumerate(25 - b + 0.02 * rng.normal(size=2000))}
        a, b = (list(values[name][cell].values()) for name in values)
        assert stats.ttest_rel(a, b).pvalue < 1e-100
    assert Race(2, CELLS).decide(values) == set()


def test_the_order_in_which_cells_finish_does_not_matter():
    values = grid_values([0.0, 0.06, 0.1, 0.3], luck=0.04, seed=5)
    race = Race(4, CELLS)
    final = race.stops(values)
    assert final
    rng = np.random.default_rng(6)
    for _ in range(8):
        done = {name: {} for name in values}
        waiting = [(name, cell) for name in values for cell in CELLS]
        seen = set()
        for at in rng.permutation(len(waiting)):
            name, cell = waiting[at]
            done[name][cell] = values[name][cell]
            stops = race.stops(done)
            assert stops.items() <= final.items()
            assert seen <= set(stops)  # nobody comes back
            seen = set(stops)
        assert stops == final


def test_cells_that_a_stopped_configuration_never_ran_are_not_missed():
    values = grid_values([0.0, 0.06, 0.1, 0.6], luck=0.04, seed=7)
    race = Race(4, CELLS)
    full = race.stops(values)
    cut = {name: {c: values[name][c] for c in CELLS[: full[name].cells if name in full else None]} for name in values}
    assert race.stops(cut) == full


def test_names_do_not_decide():
    values = grid_values([0.0, 0.06, 0.1, 0.6], luck=0.04, seed=7)
    renamed = {f"z{9 - int(name[1])}": found for name, found in reversed(values.items())}
    swap = {f"c{k}": f"z{9 - k}" for k in range(4)}
    assert {swap[name] for name in Race(4, CELLS).decide(values)} == Race(4, CELLS).decide(renamed)


def test_losses_race_the_other_way():
    values = grid_values([0.0, 1.0])
    assert Race(2, CELLS).decide(values) == {"c1"}
    assert Race(2, CELLS, higher_is_better=False).decide(values) == {"c0"}


def test_nothing_is_decided_before_all_have_begun_nor_after_one_cell():
    values = grid_values([0.0, 5.0, 5.0])
    assert Race(3, CELLS).decide({name: values[name] for name in ("c0", "c1")}) == set()
    assert Race(3, CELLS).decide({"c0": values["c0"], "c1": values["c1"], "c2": {}}) == set()
    assert Race(3, CELLS).decide(first(values, 1)) == set()
    assert Race(3, CELLS).decide(first(values, 4)) == {"c1", "c2"}


@pytest.mark.parametrize("found", [{}, {"1-0": np.inf, "1-1": 24.0}, {"1-0": np.nan}])
def test_a_failed_cell_is_neither_waited_for_nor_compared(found):
    values = grid_values([0.0, 0.5, 0.5], seed=8)
    values["c1"][CELLS[1]] = found
    stops = Race(3, CELLS).stops(values)
    assert set(stops) == {"c1", "c2"}
    compared = [c for c in CELLS[: stops["c1"].cells] if c != CELLS[1]]
    means = {n: [np.mean(list(values[n][c].values())) for c in compared] for n in ("c0", "c1")}
    assert stops["c1"].difference == pytest.approx(np.mean(means["c0"]) - np.mean(means["c1"]))


def test_a_configuration_of_which_all_fails_stops_nobody():
    values = grid_values([0.0, 0.0, 1.0])
    values["c1"] = {cell: {} for cell in CELLS}
    assert Race(3, CELLS).decide(values) == {"c2"}


@pytest.mark.parametrize("cell", [0, 9])
def test_who_cannot_be_ranked_any_more_stops_nobody(cell):
    """It leads by 3 dB, but one of its cells failed: the others must have a winner among themselves."""
    cells = [("PP1", fold + 1, 0) for fold in range(10)]
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(10, 12))
    behind = {"a": 0.0, "b": 3.0, "c": 3.01, "d": 9.0}
    values = {
        name: {
            c: {str(i): v for i, v in enumerate(shared[j] - far + rng.normal(scale=0.05, size=12))}
            for j, c in enumerate(cells)
        }
        for name, far in behind.items()
    }
    race = Race(4, cells)
    assert {stop.rival for stop in race.stops(values).values()} == {"a"}
    values["a"][cells[cell]] = {}
    stops = race.stops(values)
    assert list(stops) == ["d"]
    assert stops["d"].rival in "bc"


def test_one_of_identical_configurations_remains_and_only_a_margin_ends_their_tie():
    values = grid_values([0.0])
    twins = {"a": values["c0"], "b": values["c0"]}
    assert Race(2, CELLS).decide(twins) == set()
    assert len(Race(2, CELLS, margin=0.1).decide(twins)) == 1


def test_a_margin_saves_cells_and_costs_no_more_than_itself():
    saved = 0
    for seed in range(20):
        values = grid_values([0.0, 0.02, 0.03], luck=0.03, seed=seed)
        total = {n: np.mean([np.mean(list(c.values())) for c in cells.values()]) for n, cells in values.items()}
        stops, plain = Race(3, CELLS, margin=0.1).stops(values), Race(3, CELLS).stops(values)
        saved += sum(len(CELLS) - s.cells for s in stops.values()) - sum(len(CELLS) - s.cells for s in plain.values())
        assert max(total.values()) - max(total[n] for n in values if n not in stops) < 0.1
    assert saved > 20 * 5


@pytest.mark.parametrize("behind", [(0, 0, 0), (0, 0.05, 0.1), (0,) * 6])
def test_the_winner_of_the_full_grid_is_rarely_stopped(behind):
    rng, runs, wrong = np.random.default_rng(9), 100, 0
    for _ in range(runs):
        means = 0.1 * rng.normal(size=(len(behind), 20)) - np.array(behind)[:, None]
        noise = np.full((20, len(behind), len(behind)), 0.03**2)
        wrong += means.mean(axis=1).argmax() in replay(means, noise, np.ones(means.shape, bool))
    assert wrong / runs <= 0.05 + 2 * 0.022  # two standard errors of 100 runs


def test_a_race_that_means_nothing_is_refused_with_all_reasons():
    with pytest.raises(ValueError, match=r"`cells` must.*\n`alpha` must be in \(0, 1\), got 1\n`margin`"):
        Race(2, [("NP", 1, 42), ("NP", 1, 42)], alpha=1, margin=-1)
    with pytest.raises(ValueError, match="3 configurations in a race of 2"):
        Race(2, CELLS).decide(grid_values([0, 0, 0]))
