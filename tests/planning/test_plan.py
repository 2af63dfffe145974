"""The trials that a request amounts to: how many, which are missing, what they cost."""

import io
from dataclasses import replace

import numpy as np
import pytest
from calling import parse

from sweeps.console.plan_text import show_plan
from sweeps.planning import plan
from sweeps.planning.eta import Forecast
from sweeps.request import cells as cross_validation
from sweeps.request.request import make_request
from sweeps.request.resources import Resources
from sweeps.store.sweep_file import DataSummary, SweepFile
from sweeps.store.trial_record import TrialRecord, write_record


def request(*arguments):
    return make_request(parse(["--space", "exp_grid", *arguments]))


def test_a_finite_space_bounds_the_number_of_trials():
    assert plan.planned_trials(request("--trials", "500")) == (72, 0)
    assert plan.planned_trials(request("--trials", "5", "--cv", "--folds", "3")) == (5, 12)
    assert plan.planned_trials(request("--set", "lr=1e-3", "--trials", "500")) == (24, 0)


def record(asked, settings, status="complete", psnr=20.0, **more):
    cell = cross_validation.search_cell(asked, settings, "angle", "data")
    metrics = {"best_val_psnr_db": psnr, "epoch": 3}
    return of_cell(cell, status, name=cell.name(1), metrics=metrics, **more)


def of_cell(cell, status="complete", **content):
    return TrialRecord(**{"name": cell.name(), "status": status, "cell": cell, "identity": cell.identity, **content})


def psnr_by_image(noise, behind):
    """PSNR of the test images, so far behind 20 dB."""
    return {str(i): {"psnr_db": 20 - behind + x / 9} for i, x in enumerate(noise)}


def known(*records):
    return {r.identity: r for r in records}


def test_what_is_done_is_not_missing_and_failed_trials_only_on_request():
    asked = request("--set", "lr=1e-3", "--trials", "5", "--search", "grid")
    first, second, third = plan.searched_settings(asked)[:3]
    records = known(record(asked, first), record(asked, second, "pruned"), record(asked, third, "failed"))
    assert plan.missing_trials(asked, records, "data", retry=False) == (2, 0)
    assert plan.missing_trials(asked, records, "data", retry=True) == (3, 0)


def test_trials_outside_an_edited_space_do_not_count():
    asked = request("--trials", "5")
    gone = plan.searched_settings(replace(asked, search="grid"))[0] | {"lr": 7e-4}
    assert plan.missing_trials(asked, known(record(asked, gone)), "data", retry=False) == (5, 0)


def test_folds_are_missing_until_the_best_configuration_has_them():
    asked = request("--trials", "1", "--cv", "--labels", "PP1", "--folds", "2", "--cv-seeds", "2", "--search", "grid")
    done = record(asked, plan.searched_settings(asked)[0])
    assert plan.planned_trials(asked) == (1, 4)
    assert plan.missing_trials(asked, {}, "data", retry=False) == (1, 4)
    cells = cross_validation.fold_cells([done.config], cross_validation.grid_cells(asked), 2, "data")
    folds = [of_cell(c) for c in cells[:3]]
    assert plan.missing_trials(asked, known(done, *folds), "data", retry=False) == (0, 1)


def test_the_k_best_are_cross_validated_cell_by_cell():
    asked = request("--trials", "3", "--cv", "--cv-top", "2", "--labels", "PP1,NP", "--folds", "2", "--search", "grid")
    settings = plan.searched_settings(asked)
    records = [record(asked, s, psnr=psnr) for s, psnr in zip(settings, (20.0, 23.0, 22.0), strict=True)]
    chosen = cross_validation.chosen_configurations(asked, records)
    assert chosen == [records[1].config, records[2].config]
    cells = cross_validation.fold_cells(chosen, cross_validation.grid_cells(asked), 2, "data")
    assert [(c.label, c.fold) for c in cells[::2]] == [("PP1", 1), ("PP1", 2), ("NP", 1), ("NP", 2)]
    assert [c.config for c in cells[:2]] == chosen
    assert plan.planned_trials(asked) == (3, 8)


def test_of_a_population_the_last_settings_are_cross_validated():
    asked = request("--trials", "1", "--cv", "--search", "grid")
    schedule = ({"epoch": 1, "lr": 1e-3}, {"epoch": 2, "lr": 4e-4})
    member = record(asked, plan.searched_settings(asked)[0], schedule=schedule)
    assert cross_validation.chosen_configurations(asked, [member])[0] == member.config | {"lr": 4e-4}


def test_cells_of_configurations_that_lost_the_race_are_not_missing():
    options = [
        "--trials",
        "2",
        "--cv",
        "--cv-top",
        "2",
        "--race",
        "--labels",
        "PP1",
        "--folds",
        "5",
        "--search",
        "grid",
    ]
    asked = request(*options)
    searched = [record(asked, s, psnr=p) for s, p in zip(plan.searched_settings(asked), (21.0, 20.0), strict=True)]
    configs = cross_validation.chosen_configurations(asked, searched)
    cells = cross_validation.fold_cells(configs, cross_validation.grid_cells(asked), 5, "data")
    noise = np.random.default_rng(0).normal(size=(10, 20))
    found = [
        of_cell(c, test_by_image=psnr_by_image(row, behind=9 * (c.config == configs[1])))
        for c, row in zip(cells[:8], noise, strict=False)
    ]
    assert plan.missing_trials(asked, known(*searched, *found[:2]), "data", retry=False) == (0, 8)
    assert plan.missing_trials(asked, known(*searched, *found), "data", retry=False) == (0, 1)


def test_a_trial_of_an_axis_that_was_removed_is_outside():
    asked = request("--trials", "2", "--search", "grid")
    with_axis = record(asked, plan.searched_settings(asked)[0] | {"lr": 1e-3})
    fields = {name: value for name, value in asked.tune_space.fields.items() if name != "lr"}
    narrower = replace(asked, tune_space=replace(asked.tune_space, fields=fields, points=()))
    assert not asked.outside(with_axis.config)
    assert narrower.outside(with_axis.config) == ["lr"]  # there lr has its default, 5e-4


def test_only_trials_of_the_current_space_are_cross_validated():
    asked = request("--trials", "2", "--cv", "--search", "grid")
    settings = [s | {"kernel_size": k} for s, k in zip(plan.searched_settings(asked), (5, 3), strict=False)]
    records = [record(asked, s, psnr=p) for s, p in zip(settings, (25.0, 20.0), strict=True)]
    narrow = request("--trials", "2", "--cv", "--set", "kernel_size=3")
    assert [c["kernel_size"] for c in cross_validation.chosen_configurations(asked, records)] == [5]
    assert [c["kernel_size"] for c in cross_validation.chosen_configurations(narrow, records)] == [3]


def test_members_that_ended_with_the_same_settings_are_compared_once():
    asked = request("--trials", "3", "--cv", "--cv-top", "2", "--search", "grid")
    end = {"schedule": ({"epoch": 1, **plan.searched_settings(asked)[0], "from": "s0001"},)}
    first, second, third = plan.searched_settings(asked)[:3]
    records = [
        record(asked, first, psnr=22.0),
        record(asked, second, psnr=21.0, **end),
        record(asked, third, psnr=20.0),
    ]
    chosen = cross_validation.chosen_configurations(asked, records)
    assert chosen == [records[0].config, records[2].config]


def test_when_fewer_completed_than_were_to_be_compared_nothing_more_is_missing():
    asked = request("--trials", "2", "--cv", "--cv-top", "2", "--labels", "PP1", "--folds", "2", "--search", "grid")
    first, second = plan.searched_settings(asked)
    records = known(record(asked, first), record(asked, second, "failed"))
    assert plan.missing_trials(asked, records, "data", retry=False) == (0, 2)


def shown(asked, tmp_path, records, retry=False):
    """The plan's words and values for a sweep with these records."""
    for number, found in enumerate(records):
        write_record(tmp_path / f"t{number}", found.cell, found.status, metrics=found.metrics)
    data = DataSummary(images=12, crops=960, synthetic=True)
    facts = SweepFile(protocol="corrected", data_fingerprint="data", data=data)
    described = plan.describe(asked, Resources(1, 0, 2), facts, tmp_path, retry)
    file = io.StringIO()
    show_plan(described, file=file)
    return described, file.getvalue()


@pytest.fixture
def grid_of_five():
    """A request, its one search trial, and the five folds of it."""
    options = ["--cv", "--labels", "PP1", "--search", "grid", "--trials", "1"]
    asked = request(*options)
    done = record(asked, plan.searched_settings(asked)[0])
    cells = cross_validation.fold_cells([done.config], cross_validation.grid_cells(asked), 5, "data")
    return options, done, [of_cell(c) for c in cells]


def test_folds_of_an_older_grid_are_not_called_done(grid_of_five, tmp_path):
    options, done, folds = grid_of_five
    described, text = shown(request(*options, "--folds", "2"), tmp_path, [done, *folds])
    assert "1 search trial + 2 fold runs, 3 epochs each; to run: 2 fold runs; 1 done already" in text
    content = described.to_json()
    assert (content["done_already"], content["to_run"]) == (1, [0, 2])


def test_the_plan_says_when_nothing_is_left(grid_of_five, tmp_path):
    options, done, folds = grid_of_five
    described, text = shown(request(*options), tmp_path, [done, *folds])
    assert "nothing is left to run; 6 done already" in text
    assert described.to_json()["failed_already"] == 0
    file = io.StringIO()
    show_plan(replace(described, forecast=Forecast((2.0, 8.0), "nothing is left to train")), file=file)
    assert file.getvalue() == text


@pytest.mark.parametrize(
    ("retry", "words"),
    [
        (False, "to run: 2 search trials; 2 done already; 1 failed (--retry-failed repeats it)"),
        (True, "to run: 3 search trials; 2 done already; 1 failed (to be repeated)"),
    ],
)
def test_the_plan_counts_failures_and_says_how_to_repeat_them(retry, words, tmp_path):
    asked = request("--set", "lr=1e-3", "--trials", "5", "--search", "grid")
    first, second, third = plan.searched_settings(asked)[:3]
    gone = first | {"kernel_size": 7}
    records = [record(asked, first), record(asked, second, "pruned"), record(asked, third, "failed")]
    records += [record(asked, gone, "failed"), record(asked, gone | {"dropout": 0.1})]  # outside the space
    described, text = shown(asked, tmp_path, records, retry)
    assert words in text
    content = described.to_json()
    assert (content["done_already"], content["failed_already"]) == (2, 1)


@pytest.mark.parametrize("path", ["SEM [raw]", "SEM[/raw]"])
def test_brackets_in_a_path_are_no_markup_of_the_plan(path, tmp_path):
    _, text = shown(request("--trials", "2"), tmp_path / path, [])
    assert path.rpartition("/")[2] in text.replace("\n", "")


def test_a_fold_fails_for_the_request_that_asks_for_it_alone(grid_of_five):
    options, done, folds = grid_of_five
    failed = known(done, *folds[:4], replace(folds[4], status="failed"))
    assert plan.tally(request(*options), failed, "data").failed == (0, 1)
    assert plan.tally(request(*options, "--folds", "2"), failed, "data").failed == (0, 0)
    assert plan.tally(request(*options[3:]), failed, "data").failed == (0, 0)  # no cross-validation
    other = plan.searched_settings(request(*options[:-1], "2"))[1]
    better = record(request(*options), other, psnr=30.0)
    extended = request(*options[:-1], "2")
    assert plan.tally(extended, failed | known(better), "data").failed == (0, 0)  # another configuration is chosen
    assert plan.tally(extended, failed | known(better), "data").to_run == (0, 5)


def test_a_failed_trial_outside_the_space_or_beyond_the_trials_is_not_of_the_request():
    asked = request("--set", "lr=1e-3", "--trials", "2", "--search", "grid")
    first, second, third = plan.searched_settings(replace(asked, trials=3))
    gone = record(asked, first | {"kernel_size": 7}, "failed")
    assert plan.tally(asked, known(gone), "data").failed == (0, 0)
    complete = known(record(asked, first), record(asked, second), record(asked, third, "failed"))
    assert plan.tally(asked, complete, "data").failed == (0, 0)
    assert plan.tally(asked, complete, "data", retry=True).to_run == (0, 0)
    assert plan.tally(replace(asked, trials=3), complete, "data").failed == (1, 0)


def test_a_failed_fold_of_who_lost_the_race_is_needed_no_more():
    asked = request("--trials", "2", "--cv", "--cv-top", "2", "--race", "--labels", "PP1", "--search", "grid")
    searched = [record(asked, s, psnr=p) for s, p in zip(plan.searched_settings(asked), (21.0, 20.0), strict=True)]
    configs = cross_validation.chosen_configurations(asked, searched)
    cells = cross_validation.fold_cells(configs, cross_validation.grid_cells(asked), 5, "data")
    noise = np.random.default_rng(0).normal(size=(10, 20))
    found = [
        of_cell(c, test_by_image=psnr_by_image(row, behind=9 * (c.config == configs[1])))
        for c, row in zip(cells[:8], noise, strict=False)
    ]
    late = of_cell(next(c for c in reversed(cells) if c.config == configs[1]), "failed")
    state = plan.tally(asked, known(*searched, *found, late), "data")
    assert (state.failed, state.to_run) == ((0, 0), (0, 1))


def test_who_has_folds_is_counted_from_the_best_on(grid_of_five):
    options, done, folds = grid_of_five
    asked = request(*options[:-1], "2")
    settings = plan.searched_settings(asked)
    assert plan.tally(asked, known(done, *folds), "data").compared == 1
    better = record(asked, settings[1], psnr=30.0)
    state = plan.tally(request(*options[1:-1], "2"), known(done, better, *folds), "data")
    assert (state.searched, state.compared, state.space_size) == (2, 0, 72)
