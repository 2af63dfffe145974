"""Averages over folds: only of complete labels, seeds first, and the same from records and from logs."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from written_contest import BEST, CELLS, HOPELESS, SMALL, configuration, write_cell, write_contest
from written_sweeps import write_sweep_json, write_trial

from sweeps.console.summary import show_summary, summary_json
from sweeps.folds.standings import fold_findings
from sweeps.folds.tables import FoldResult, fold_results, fold_tables, image_means, of_grid, over_all_folds
from sweeps.folds.texts import average_text, p_text
from sweeps.reporting.findings import find
from sweeps.reporting.logs import read_logs
from sweeps.space.configuration import Configuration
from sweeps.store.sweep_file import SweepFile, read_sweep
from sweeps.store.trial_record import read_records

ASKED = SweepFile(labels=("angle",), folds=5, cv_seeds=(1, 2))
NONE = Configuration()


def result(fold: int, seed: int = 1, psnr: float = 20.0, **more: Any) -> FoldResult:
    about = {"configuration": NONE, "label": "angle", "n_folds": 5, "trial": f"f{fold}-{seed}", "status": "complete"}
    numbers = {"test_psnr_db": psnr}
    return FoldResult(fold=fold, seed=seed, **{**about, "numbers": numbers, "n_train": 80, "n_test": 10, **more})


def both_seeds() -> list[FoldResult]:
    return [result(fold, seed, 20 + fold + 0.5 * seed) for fold in range(1, 6) for seed in (1, 2)]


def test_seeds_are_averaged_before_folds_and_the_interval_is_nadeau_and_bengios() -> None:
    (table,) = fold_tables(both_seeds(), ASKED, NONE)
    means = np.array([20.75 + fold for fold in range(1, 6)])
    half = stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + 10 / 80) * means.var(ddof=1))
    average = table.averages["test_psnr_db"]
    assert (average.mean, average.sd) == pytest.approx((means.mean(), means.std(ddof=1)))
    assert (average.low, average.high) == pytest.approx((means.mean() - half, means.mean() + half))
    assert (table.n_done, table.n_folds, table.n_seeds) == (10, 5, 2)


@pytest.mark.parametrize("status", ["failed", "interrupted", None])
def test_one_cell_that_is_not_complete_takes_the_average_away(status: str | None) -> None:
    results = both_seeds()
    results[7:8] = [result(4, 2, status=status)] if status else []
    (table,) = fold_tables(results, ASKED, NONE)
    assert table.averages == {}
    assert not table.assumed
    assert table.incomplete == "incomplete, 9 of 10"
    assert table.rows[7].state == (status or "missing")
    assert table.by_fold("test_psnr_db")[3] == (None, "1 of 2")
    assert table.by_fold("test_psnr_db")[0][0] == pytest.approx(21.75)
    assert average_text(table, "test_psnr_db", 2) == "incomplete, 9 of 10"


def test_a_number_that_one_fold_lacks_has_no_average_but_the_others_do() -> None:
    results = [replace(r, numbers={"test_ssim": 0.5, "train_loss": None if r.fold == 3 else 0.1}) for r in both_seeds()]
    (table,) = fold_tables(results, ASKED, NONE)
    assert "train_loss" not in table.averages
    assert table.averages["test_ssim"].mean == 0.5
    assert average_text(table, "train_loss", 2) == "–"


def test_a_diverged_fold_is_not_averaged_away() -> None:
    results = both_seeds()
    results[0] = result(1, psnr=float("nan"))
    assert "test_psnr_db" not in fold_tables(results, ASKED, NONE)[0].averages


def test_cells_of_other_seeds_and_other_numbers_of_folds_are_not_of_this_grid() -> None:
    others = [result(1, 3, 99.0), result(1, 1, 99.0, n_folds=3)]
    others += [result(1, 1, 99.0, configuration=Configuration.of(lr=1))]
    (table,) = fold_tables([*others, *both_seeds()], ASKED, NONE)
    assert table.averages["test_psnr_db"].mean == pytest.approx(23.75)
    assert of_grid([*others, *both_seeds()], ASKED, NONE) == both_seeds()  # whose images are averaged


def test_all_labels_together_are_one_repeated_cross_validation() -> None:
    tables = [
        fold_tables([replace(r, label=label) for r in both_seeds()], replace(ASKED, labels=(label,)), NONE)[0]
        for label in ("angle", "NP")
    ]
    total = over_all_folds(tables)
    values = np.tile([20.75 + fold for fold in range(1, 6)], 2)
    half = stats.t.ppf(0.975, 9) * np.sqrt((1 / 10 + 10 / 80) * values.var(ddof=1))
    assert (total.low, total.high) == pytest.approx((values.mean() - half, values.mean() + half))
    incomplete = fold_tables(both_seeds()[:-1], ASKED, NONE)
    assert over_all_folds([*tables, *incomplete]) is None
    assert over_all_folds([]) is None


def test_images_are_averaged_over_the_complete_cells_that_tested_them() -> None:
    tested = [{"7": {"psnr_db": 20.0}, "8": {"psnr_db": 30.0}}, {"7": {"psnr_db": 22.0}}, {"8": {"psnr_db": 99.0}}]
    results = [result(1, test_by_image=tested[0]), result(2, test_by_image=tested[1])]
    results += [result(3, status="failed", test_by_image=tested[2]), result(4)]
    assert image_means(results) == {"7": 21.0, "8": 30.0}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_contest(tmp_path_factory.mktemp("ray_results") / "contest")


def test_records_and_logs_give_the_same_tables_to_the_last_bit(sweep: Path) -> None:
    records = list(read_records(sweep).values())
    by_records = fold_findings(fold_results(records), records, read_sweep(sweep))
    by_logs = find(read_logs(sweep)).folds
    assert list(by_records.tables) == list(by_logs.tables)
    assert by_records.places == by_logs.places
    assert by_records.stops == by_logs.stops
    for one, other in zip(by_records.tables.values(), by_logs.tables.values(), strict=True):
        for a, b in zip(one, other, strict=True):
            tests = [name for name in a.averages if name.startswith("test_")]
            assert tests or not a.complete
            assert {name: a.averages[name] for name in tests} == {name: b.averages[name] for name in tests}


def test_the_console_shows_intervals_ties_stops_and_the_next_command(sweep: Path) -> None:
    file = io.StringIO()
    show_summary(sweep, file)
    text = file.getvalue()
    average = find(read_logs(sweep)).leading[0].averages["test_psnr_db"]
    shown = f"{average.mean:.2f} ± {average.sd:.2f} [{average.low:.2f}, {average.high:.2f}]"
    assert shown in text
    assert "tied" in text
    assert "eliminated after 2 of 10 fold runs: lr 0.0001, kernel_size 3" in text
    assert "smallest of the tied configurations: lr 0.001, kernel_size 3, 150,000 parameters instead of 400,000" in text
    assert "next: python sweeps/run.py --space exp_grid --cv --trials 16" in text


def test_an_incomplete_label_says_so_on_the_console(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, labels=["angle"])
    for cell in CELLS[:4]:
        write_cell(tmp_path, BEST, cell, 0.0)
    write_trial(tmp_path, 0, "failed", cv=("angle", 5), seed=42, content={"error": "no space"}, **BEST)
    file = io.StringIO()
    show_summary(tmp_path, file)
    assert "incomplete, 4 of 5" in file.getvalue()
    assert "cross-validation 5 fold runs (4 complete, 1 failed)" in file.getvalue()
    assert "next: python sweeps/run.py --space exp_grid --cv --retry-failed" in file.getvalue()


def test_a_sweep_of_failures_has_a_summary_without_a_best(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, cv=False, command="python sweeps/run.py --space smoke")
    write_trial(tmp_path, 0, "failed", content={"error": "no space"})
    file = io.StringIO()
    show_summary(tmp_path, file)
    assert "search 1 trial (1 failed)" in file.getvalue()
    assert "next: python sweeps/run.py --space smoke --retry-failed" in file.getvalue()
    assert json.loads(summary_json(tmp_path, str(tmp_path / "report")))["best"] is None


def test_json_of_the_console_has_the_same_cross_validation_as_the_report(sweep: Path) -> None:
    summary = json.loads(summary_json(sweep, str(sweep / "report")), parse_constant=pytest.fail)
    assert [(t["label"], t["complete"]) for t in summary["cv"][:2]] == [("angle", 5), ("PP1", 5)]
    assert {json.dumps(t["mean"], sort_keys=True) for t in summary["cv"][-2:]} == {"{}"}
    assert [place["parameters"] for place in summary["leaderboard"]] == [400_000, 150_000, 150_000]
    assert summary["race"]["trial_epochs_saved"] == 21


def test_the_grid_of_an_earlier_best_is_shown_after_the_present_one(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, labels=["angle"], cv_configurations=[configuration(SMALL).text], cv_seeds=[42])
    for settings, behind in ((BEST, 1.0), (SMALL, 0.0), (HOPELESS, 0.5)):
        for cell in CELLS[: 2 if settings is HOPELESS else 5]:
            write_cell(tmp_path, settings, cell, behind)
    records = list(read_records(tmp_path).values())
    found = fold_findings(fold_results(records), records, read_sweep(tmp_path))
    assert list(found.tables) == [configuration(SMALL), configuration(BEST), configuration(HOPELESS)]
    assert found.incomplete == {configuration(HOPELESS): (2, 5)}


@pytest.mark.parametrize(("p", "text"), [(None, "–"), (0.0004, "< 0.001"), (0.0346, "0.035"), (1.0, "1.000")])
def test_p_values_are_never_zero(p: float | None, text: str) -> None:
    assert p_text(p) == text
