"""Lists of trials for Tune: their order, their end, and a race among them. No Ray cluster."""

import numpy as np
import pytest
from ray.tune.search import Searcher

from deepdlt.config import config_dict, make_config
from sweeps import stopping
from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell, trial_cell, trial_config, trial_name
from sweeps.store.trial_record import COMPLETE, FAILED, write_record
from sweeps.tuning.listed_search import ListedSearch, RaceSearch

pytestmark = pytest.mark.usefixtures("nothing_asks_for_the_end")

CELLS = [("angle", fold, 0) for fold in (1, 2, 3, 4, 5)] + [("NP", fold, 0) for fold in (1, 2, 3, 4, 5)]
CONFIGS = [Configuration.of(config_dict(make_config("corrected", lr=lr))) for lr in (1e-3, 5e-4, 1e-4)]
BEHIND = (0.0, 0.0, 3.0)  # dB: two that tie, one without a chance


def grid():
    return [Cell("cv", c, label, fold, 5, "d") for label, fold, _ in CELLS for c in CONFIGS]


def handed_out(searcher):
    found = []
    while (trial := searcher.suggest(f"t{len(found)}")) != Searcher.FINISHED:
        found.append(trial)
    return found


def test_trials_come_in_their_order_and_then_it_is_finished():
    trials = [{"trial": {"name": f"s{k}"}} for k in range(3)]
    assert handed_out(ListedSearch(trials)) == trials


def test_an_end_that_is_asked_for_leaves_the_rest():
    searcher = ListedSearch([{"trial": {"name": "a"}}, {"trial": {"name": "b"}}])
    searcher.suggest("t0")
    stopping.set_deadline(1e-9)
    assert searcher.suggest("t1") == Searcher.FINISHED
    assert searcher.left == 1


def commit(sweep, trial, behind, status=COMPLETE):
    """The record that the trainable would write: 12 images whose difficulty all configurations share."""
    cell = trial_cell(trial)
    rng = np.random.default_rng([cell.fold, len(cell.label)])
    values = 20 + rng.normal(size=12) + 0.01 * np.random.default_rng(int(cell.identity[:8], 16)).normal(size=12)
    images = {str(i): {"psnr_db": float(v - behind)} for i, v in enumerate(values)}
    write_record(sweep / trial_name(trial), cell, status, test_by_image=images if status == COMPLETE else {})


def race(sweep, done=()):
    trials = [trial_config(cell, cell.name()) for cell in grid()]
    trials = [t for t in trials if trial_name(t) not in done]
    return RaceSearch(trials, sweep, CELLS, [c.unseeded for c in CONFIGS], 0.0)


def run(sweep, searcher, limit=100):
    names = []
    while len(names) < limit and (trial := searcher.suggest(f"t{len(names)}")) != Searcher.FINISHED:
        commit(sweep, trial, BEHIND[CONFIGS.index(trial_cell(trial).config)])
        searcher.on_trial_complete(f"t{len(names)}", {"epoch": 1})
        names.append(trial_name(trial))
    return names


def test_who_cannot_win_gets_no_further_cell_and_the_others_finish(tmp_path):
    names = run(tmp_path, race(tmp_path))
    per_config = [sum(n in {c.name() for c in grid() if c.config == config} for n in names) for config in CONFIGS]
    assert per_config[:2] == [10, 10]
    assert 2 <= per_config[2] <= 4


def test_a_race_that_was_interrupted_ends_the_same(tmp_path):
    whole = run(tmp_path / "a", race(tmp_path / "a"))
    begun = run(tmp_path / "b", race(tmp_path / "b"), limit=5)
    rest = run(tmp_path / "b", race(tmp_path / "b", done=begun))
    assert sorted(begun + rest) == sorted(whole)


def test_a_failed_cell_holds_nobody_up(tmp_path):
    searcher = race(tmp_path)
    first = searcher.suggest("t0")
    commit(tmp_path, first, 0, FAILED)
    searcher.on_trial_complete("t0", {"epoch": 1})
    names = run(tmp_path, searcher)
    assert len(names) < len(grid()) - 1


def test_a_cell_whose_worker_died_for_good_holds_nobody_up(tmp_path):
    searcher = race(tmp_path)
    searcher.suggest("t0")
    searcher.on_trial_complete("t0", error=True)  # before anybody has written a record
    assert len(run(tmp_path, searcher)) < len(grid()) - 1


def test_who_was_stopped_by_one_that_fails_later_races_on(tmp_path):
    """The third is stopped by the first two, which both lose a cell at the end."""
    searcher, late = race(tmp_path), []
    while (trial := searcher.suggest(f"t{len(late)}")) != Searcher.FINISHED:
        cell, which = trial_cell(trial), CONFIGS.index(trial_cell(trial).config)
        fails = which < 2 and (cell.label, cell.fold) == ("NP", 3)
        commit(tmp_path, trial, BEHIND[which], FAILED if fails else COMPLETE)
        searcher.on_trial_complete(f"t{len(late)}", {"epoch": 1})
        late.append(trial_name(trial))
    assert sorted(late) == sorted(cell.name() for cell in grid())
    third = [late.index(cell.name()) for cell in grid() if cell.config == CONFIGS[2]]
    assert third[4] > late.index(grid()[3 * CELLS.index(("NP", 3, 0)) + 1].name())  # it came late


def test_a_failed_cell_that_is_retried_is_not_counted_before(tmp_path):
    trial = trial_config(grid()[2], grid()[2].name())
    commit(tmp_path, trial, 0, FAILED)
    assert trial in handed_out(race(tmp_path))
