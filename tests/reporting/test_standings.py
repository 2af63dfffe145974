"""Several cross-validated configurations in the report: leaderboard, ties, race, seeds, cost, and marks of trials."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_contest import BEHIND, BEST, CELLS, HOPELESS, LABELS, SMALL, configuration, write_cell, write_contest
from written_sweeps import write_sweep_json, write_trial

from sweeps import report
from sweeps.folds.statistics import corrected_interval, paired_image_test
from sweeps.reporting.answers import how_sure, which_autoencoder, which_surfaces
from sweeps.reporting.findings import Findings, find
from sweeps.reporting.logs import read_logs
from sweeps.reporting.write import make_report
from sweeps.space.configuration import Configuration
from sweeps.store.trial_record import read_records


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_contest(tmp_path_factory.mktemp("ray_results") / "contest")


@pytest.fixture(scope="module")
def found(sweep: Path) -> Findings:
    return find(read_logs(sweep))


@pytest.fixture(scope="module")
def pages(sweep: Path) -> Path:
    return make_report(sweep)


def image_values(sweep: Path, settings: dict[str, Any]) -> dict[str, float]:
    """Image -> mean over the cells that tested it, straight from the records."""
    values: dict[str, list[float]] = {}
    for record in read_records(sweep).values():
        if record.is_fold and record.configuration == configuration(settings):
            for image, numbers in record.test_by_image.items():
                values.setdefault(image, []).append(numbers["psnr_db"])
    return {image: float(np.mean(found)) for image, found in values.items()}


def test_the_leaderboard_ranks_by_mean_test_psnr_over_images_and_marks_ties(sweep: Path, found: Findings) -> None:
    places = found.folds.places
    assert [place.configuration for place in places] == [configuration(s) for s in (BEST, SMALL, BEHIND)]
    assert [place.standing.tied for place in places] == [True, True, False]
    for place, settings in zip(places, (BEST, SMALL, BEHIND), strict=True):
        assert place.standing.mean == pytest.approx(np.mean(list(image_values(sweep, settings).values())))
        assert place.low < place.standing.mean < place.high
    test = paired_image_test(image_values(sweep, BEHIND), image_values(sweep, BEST))
    assert places[2].standing.difference == pytest.approx(test.mean_difference)
    assert (places[2].standing.low, places[2].standing.high) == pytest.approx((test.low, test.high))


def test_the_difference_over_folds_has_the_corrected_interval_of_fold_differences(sweep: Path, found: Findings) -> None:
    means: dict[Configuration, list[float]] = {}
    for label, fold, _ in CELLS:
        for record in read_records(sweep).values():
            if record.is_fold and (record.label, record.cell.fold) == (label, fold):
                means.setdefault(record.configuration, []).append(record.test["psnr_db"])
    differences = np.subtract(means[configuration(BEHIND)], means[configuration(BEST)])
    apart = found.folds.places[2].over_folds
    assert (apart.mean, apart.low, apart.high) == pytest.approx(corrected_interval(differences, 24, 6))


def test_the_smallest_tied_configuration_is_suggested(found: Findings, pages: Path) -> None:
    smallest = found.folds.smallest_tied
    assert smallest.configuration == configuration(SMALL)
    assert "with 150,000 instead of 400,000 parameters" in which_autoencoder(found).detail
    assert "tied with the best, smallest</b>" in (pages / "report.html").read_text()


def test_no_smaller_one_is_suggested_where_the_tied_have_one_size(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, labels=["angle"])
    for settings in (SMALL, {**SMALL, "activation": "elu"}):
        for cell in CELLS[:5]:
            write_cell(tmp_path, settings, cell, 0.0)
    found = find(read_logs(tmp_path))
    assert len(found.folds.tied) == 2
    assert found.folds.smallest_tied is None
    assert "No tied configuration has fewer parameters" in which_autoencoder(found).detail


def test_the_leaderboards_first_leads_the_report_and_its_luck_is_named(tmp_path: Path) -> None:
    # In the search SMALL is better, over folds BEST is.
    sweep = write_contest(tmp_path / "s")
    found = find(read_logs(sweep))
    assert found.ranked[0].configuration == configuration(BEST)
    write_trial(sweep, 0, content={"parameters": 150_000}, **SMALL, batch_size=16)
    for cell in CELLS:
        write_cell(sweep, {**SMALL, "batch_size": 16}, cell, -0.5)
    found = find(read_logs(sweep))
    assert next(iter(found.tables)) == configuration({**SMALL, "batch_size": 16})
    answer = which_autoencoder(found)
    assert "slightly optimistic" in answer.detail
    assert found.best.configuration == next(iter(found.tables))
    assert found.hardest[0].psnr_db > 25
    assert "lr 0.001" in answer.headline


def test_who_was_stopped_is_listed_with_rival_lead_and_cells_and_what_it_saved(found: Findings, pages: Path) -> None:
    stop = found.folds.stops[configuration(HOPELESS)]
    assert found.folds.epochs_saved == 3 * (len(CELLS) - 3)
    for name in ("report.html", "report.md"):
        text = (pages / name).read_text()
        assert re.search(
            rf"eliminated after {stop.cells} of 10 fold runs: behind lr 0.001, kernel_size \d, activation", text
        )
        assert f"by {stop.difference:.2f} dB (p" in text
        assert "21 of 120 trial-epochs saved" in text
        assert "at most 0.1 % of such races" in text


def test_cells_that_ran_beyond_the_stop_do_not_count(sweep: Path, tmp_path: Path) -> None:
    beyond = write_contest(tmp_path / "s")
    for cell in CELLS[3:7]:
        write_cell(beyond, HOPELESS, cell, -9.0)
    one, other = (find(read_logs(folder)) for folder in (sweep, beyond))
    assert one.folds.stops == other.folds.stops
    table = other.tables[configuration(HOPELESS)][0]
    stop = one.folds.stops[configuration(HOPELESS)]
    assert [row.state for row in table.rows] == ["complete"] * stop.cells + ["stopped"] * (5 - stop.cells)
    assert [place.configuration for place in one.folds.places] == [place.configuration for place in other.folds.places]
    assert other.folds.epochs_saved == 3 * 3  # what ran was not saved


def test_an_incomplete_configuration_is_listed_below_the_leaderboard_without_an_average(tmp_path: Path) -> None:
    sweep = write_contest(tmp_path / "s", race=None)
    found = find(read_logs(sweep))
    assert found.folds.incomplete == {configuration(HOPELESS): (3, 10)}
    assert configuration(HOPELESS) not in [place.configuration for place in found.folds.places]
    html = (make_report(sweep) / "report.html").read_text()
    assert "incomplete: 3 of 10 fold runs are complete" in html
    assert "Fold racing" not in html


def test_without_any_complete_configuration_nobody_is_ranked(tmp_path: Path) -> None:
    write_sweep_json(tmp_path)
    for settings in (BEST, SMALL):
        write_cell(tmp_path, settings, CELLS[0], 0.0)
    found = find(read_logs(tmp_path))
    assert found.folds.places == []
    assert how_sure(found).headline == "Not known yet"
    html = (make_report(tmp_path) / "report.html").read_text()
    assert "can be ranked yet" in html
    assert "incomplete: 1 of 10 fold runs are complete" in html


def test_a_better_one_that_lost_a_fold_is_named_beside_the_first(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, cv_configurations=[configuration(BEST).text, configuration(BEHIND).text])
    for settings, behind, cells in ((BEST, 0.0, CELLS[:9]), (BEHIND, 2.0, CELLS)):
        for cell in cells:
            write_cell(tmp_path, settings, cell, behind)
    answer = which_autoencoder(find(read_logs(tmp_path)))
    assert "the only completely cross-validated configuration" in answer.detail
    assert "Not ranked: 1 incomplete (lr 0.001, kernel_size 5, activation relu: 9 of 10 fold runs)" in answer.detail


def test_configurations_of_an_earlier_number_of_folds_are_shown_and_not_compared(tmp_path: Path) -> None:
    """Five folds train on more images than three."""
    write_sweep_json(tmp_path, folds=3, cv_configurations=[configuration(BEHIND).text, configuration(SMALL).text])
    for cell in CELLS:
        write_cell(tmp_path, BEST, cell, 0.0)
    for settings, behind in ((BEHIND, 0.06), (SMALL, 0.005)):
        for label in LABELS:
            for fold in (1, 2, 3):
                write_cell(tmp_path, settings, (label, fold, 42), behind, n_folds=3)
    found = find(read_logs(tmp_path))
    assert {place.configuration for place in found.folds.places} == {configuration(BEHIND), configuration(SMALL)}
    assert list(found.tables)[-1] == configuration(BEST)
    assert found.folds.earlier == [configuration(BEST)]
    assert configuration(BEST) not in found.folds.incomplete
    html = (make_report(tmp_path) / "report.html").read_text()
    assert "not compared: from an earlier cross-validation (5 folds)" in html


def test_labels_that_are_no_longer_asked_for_neither_count_nor_compare(tmp_path: Path) -> None:
    """The better one on PP1 has whole folds of angle that are 2 dB harder, and two of NP: none of them is asked for."""
    write_sweep_json(tmp_path, labels=["PP1"], cv_configurations=[configuration(BEST).text, configuration(BEHIND).text])
    cells = [cell for cell in CELLS if cell[0] == "PP1"]
    for settings, behind in ((BEST, 0.0), (BEHIND, 0.2)):
        for cell in cells:
            write_cell(tmp_path, settings, cell, behind)
    for cell in [c for c in CELLS if c[0] == "angle"] + [["NP", 1, 42], ["NP", 2, 42]]:
        write_cell(tmp_path, BEST, cell, 2.0)
    found = find(read_logs(tmp_path))
    assert [place.configuration for place in found.folds.places] == [configuration(BEST), configuration(BEHIND)]
    assert found.folds.places[1].standing.difference == pytest.approx(-0.2, abs=0.1)
    assert found.folds.incomplete == {}
    assert [(table.label, table.current) for table in found.leading] == [("PP1", True), ("NP", False), ("angle", False)]
    assert how_sure(found).detail.startswith("Mean test PSNR over 5 folds")


def test_whose_interval_it_is_when_the_searchs_best_was_not_cross_validated(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, labels=["angle"], cv_configurations=[configuration(SMALL).text])
    write_trial(tmp_path, 0, **BEST)
    for cell in CELLS[:5]:
        write_cell(tmp_path, SMALL, cell, 0.0)
    found = find(read_logs(tmp_path))
    assert which_autoencoder(found).headline == "lr 0.001, kernel_size 5, activation relu"
    answer = how_sure(found)
    assert answer.headline.endswith("dB) for lr 0.001, kernel_size 3, activation relu")
    assert "The search's best configuration is not cross-validated yet. Run: " in answer.detail
    assert "These results are for lr 0.001, kernel_size 3" in which_surfaces(found).detail


def test_a_single_configuration_has_no_leaderboard(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, labels=["angle"])
    for cell in CELLS[:5]:
        write_cell(tmp_path, BEST, cell, 0.0)
    pages = make_report(tmp_path)
    assert not (pages / "leaderboard.csv").exists()
    assert "Leaderboard" not in (pages / "report.html").read_text()


def test_process_conditions_are_the_units_of_the_test_when_the_sweep_knows_them(tmp_path: Path) -> None:
    found = find(read_logs(write_contest(tmp_path / "s", conditions_of_images=[i // 3 for i in range(30)])))
    assert [place.standing.n for place in found.folds.places] == [10, 10, 10]
    assert found.folds.by_condition
    found = find(read_logs(write_contest(tmp_path / "t", conditions_of_images=[0, 1])))  # not of all images
    assert found.folds.places[0].standing.n == 30


def test_how_sure_is_the_corrected_interval_over_all_folds_of_the_leader(sweep: Path, found: Findings) -> None:
    records = [r for r in read_records(sweep).values() if r.is_fold]
    psnr = [r.test["psnr_db"] for r in records if r.configuration == configuration(BEST)]
    mean, low, high = corrected_interval(psnr, 24, 6)
    assert how_sure(found).headline == f"{mean:.2f} dB (95 % CI {low:.2f} to {high:.2f} dB)"


def test_a_failed_fold_leaves_its_label_out_of_the_interval_and_says_so(tmp_path: Path) -> None:
    write_sweep_json(tmp_path)
    for cell in CELLS[:-1]:
        write_cell(tmp_path, BEST, cell, 0.0)
    write_trial(tmp_path, 0, "failed", cv=("PP1", 5), content={"error": "no space"}, seed=42, **BEST)
    found = find(read_logs(tmp_path))
    assert found.leading[1].rows[4].state == "failed"
    assert "Not included: PP1 (incomplete, 4 of 5)" in how_sure(found).detail
    html = (make_report(tmp_path) / "report.html").read_text()
    assert "--retry-failed" in html
    assert "incomplete, 4 of 5: no average" in html


def test_seeds_of_a_fold_are_averaged_first_and_each_is_shown(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, labels=["angle"], cv_seeds=[1, 2])
    for fold in range(1, 6):
        for seed in (1, 2):
            write_cell(tmp_path, BEST, ("angle", fold, seed), 0.2 * seed)
    found = find(read_logs(tmp_path))
    (table,) = found.leading
    assert [(row.fold, row.seed) for row in table.rows[:3]] == [(1, 1), (1, 2), (2, 1)]
    tests: dict[int, list[float]] = {}
    for record in read_records(tmp_path).values():
        tests.setdefault(record.cell.fold, []).append(record.test["psnr_db"])
    means = [np.mean(tests[fold]) for fold in sorted(tests)]
    average = table.averages["test_psnr_db"]
    assert (average.mean, average.sd) == pytest.approx((np.mean(means), np.std(means, ddof=1)))
    assert (average.low, average.high) == pytest.approx(corrected_interval(means, 24, 6)[1:])
    assert "2 runs of a fold (seeds) are averaged first" in (make_report(tmp_path) / "report.html").read_text()


def test_trials_that_do_not_say_their_sizes_get_the_widest_interval_and_a_note(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, labels=["angle"])
    for fold in range(1, 6):
        write_cell(tmp_path, BEST, ("angle", fold, 42), 0.0, content={"n_train": None, "n_test": None})
    table = find(read_logs(tmp_path)).leading[0]
    assert table.assumed
    average = table.averages["test_psnr_db"]
    expected = corrected_interval(table.folds["test_psnr_db"], 4, 1)
    assert (average.mean, average.low, average.high) == pytest.approx(expected)
    assert "1 / (folds - 1)" in (make_report(tmp_path) / "report.html").read_text()


def test_a_training_loss_that_was_lost_with_its_event_file_has_no_average(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, labels=["angle"])
    best = {"best_epoch": 1, "best_val_loss": 0.006, "best_val_psnr_db": 22.0, "best_val_ssim": 0.6}
    for cell in CELLS[:5]:
        content = {"metrics": {"epoch": 3, "train_loss": 0.008, "val_loss": 0.007, **best}} if cell[1] == 5 else {}
        folder = write_cell(tmp_path, BEST, cell, 0.0, content=content)
    file = next(folder.glob("events*"))
    file.write_bytes(file.read_bytes()[:100])
    table = find(read_logs(tmp_path)).leading[0]
    assert table.rows[4].from_record
    assert table.complete
    assert set(table.averages) >= {"val_loss", "test_loss", "test_psnr_db"}
    assert "train_loss" not in table.averages
    html = (make_report(tmp_path) / "report.html").read_text()
    assert re.search(r'<td class="n">–<br><small>± –</small></td>', html)


def test_a_loss_that_is_no_number_leaves_its_average_out_of_the_page(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, labels=["angle"])
    for cell in CELLS[:5]:
        write_cell(tmp_path, BEST, cell, 0.0, content={"test": {"psnr_db": 25.0, "ssim": 0.6}})
    table = find(read_logs(tmp_path)).leading[0]
    assert set(table.averages) >= {"test_psnr_db"}
    assert "test_loss" not in table.averages
    make_report(tmp_path)


def test_csv_and_json_have_the_intervals_and_the_leaderboard(
    sweep: Path, pages: Path, found: Findings, capsys: pytest.CaptureFixture[str]
) -> None:
    with (pages / "cv.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    first = {row["fold"]: row for row in table[:9]}
    average = found.leading[0].averages["test_psnr_db"]
    for name, value in (("mean", average.mean), ("95 % low", average.low), ("95 % high", average.high)):
        assert float(first[name]["test_psnr_db"]) == pytest.approx(value)
    with (pages / "leaderboard.csv").open(newline="") as file:
        assert [row["mark"] for row in csv.DictReader(file)] == ["best", "tied with the best", "behind"]
    assert report.main([str(sweep), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert [row["tied"] for row in summary["leaderboard"]] == [True, True, False]
    assert summary["cv"][0]["low"]["test_psnr_db"] == pytest.approx(average.low)
    assert summary["race"]["stopped"][0]["configuration"]["lr"] == 1e-4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"code": "b2"}, "different code (a1: "),
        ({"threads": 4}, "different threads (1: "),
        ({"device": "cuda"}, "different device (cpu: "),
        ({"versions": {"torch": "2.12.0"}}, "different versions of torch (2.11.0: "),
        ({"environment": {"torch": "2.12.0"}}, "different versions of torch (2.11.0: "),
    ],
)
def test_trials_made_under_other_circumstances_are_not_bit_comparable(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    write_sweep_json(tmp_path)
    usual = {"code": "a1", "threads": 1, "device": "cpu", "versions": {"torch": "2.11.0"}}
    for number in range(4):
        write_trial(tmp_path, number, lr=1e-3, batch_size=16 + number, content=usual)
    assert find(read_logs(tmp_path)).warnings == []
    odd = write_trial(tmp_path, 4, lr=5e-4, content={**usual, **change})
    (warning,) = (w for w in find(read_logs(tmp_path)).warnings if words in w)
    assert "4 trials" in warning
    assert f"1 trial, {odd.name}" in warning


def test_trials_outside_the_current_space_are_kept_and_marked_but_not_ranked(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, axes={"lr": {"low": 1e-4, "high": 1e-3}, "kernel_size": [3, 5]})
    write_trial(tmp_path, 0, lr=1e-2, kernel_size=3)
    write_trial(tmp_path, 1, lr=1e-3, kernel_size=5)
    write_trial(tmp_path, 2, lr=5e-4, kernel_size=7)
    found = find(read_logs(tmp_path))
    assert (len(found.ranked), len(found.outside)) == (1, 2)
    html = (make_report(tmp_path) / "report.html").read_text()
    assert [f"{name} ‡</td>" in html for name in (t.name for t in (*found.outside, *found.ranked))] == [
        True,
        True,
        False,
    ]
    assert "‡ Outside the current search space (kernel_size, lr): 2 trials" in html


def test_a_field_that_a_trial_does_not_sweep_is_a_dash(tmp_path: Path) -> None:
    axes = {"model": ["cnn_ae", "cnn_vae"], "kernel_size": [3, 5], "latent_dim": [16, 32]}
    conditions = {"kernel_size": {"model": ["cnn_ae"]}, "latent_dim": {"model": ["cnn_vae"]}}
    write_sweep_json(tmp_path, axes=axes, conditions=conditions)
    write_trial(tmp_path, 0, model="cnn_ae", kernel_size=5)
    write_trial(tmp_path, 1, model="cnn_vae", latent_dim=32)
    pages = make_report(tmp_path)
    text = (pages / "report.md").read_text()
    assert re.search(r"\| 1 \| \*\*s0000-\w+\*\* \| cnn_ae \| 5 \| – \|", text)
    assert re.search(r"\| 2 \| s0001-\w+ \| cnn_vae \| – \| 32 \|", text)
    answer = which_autoencoder(find(read_logs(tmp_path)))
    assert answer.headline == "model cnn_ae, kernel_size 5"
    assert "‡" not in text  # an idle field's default is not outside the space


def test_a_schedule_shows_its_last_settings_and_says_that_it_is_one(tmp_path: Path) -> None:
    write_sweep_json(tmp_path)
    steps = [{"epoch": 1, "lr": 1e-3, "dropout": 0.2}, {"epoch": 3, "lr": 5e-4, "dropout": 0.1}]
    trial = write_trial(tmp_path, 0, lr=1e-3, dropout=0.2, content={"schedule": steps})
    logs = read_logs(tmp_path)
    assert (logs.trials[0].config["lr"], logs.trials[0].config["dropout"]) == (5e-4, 0.1)
    html = (make_report(tmp_path) / "report.html").read_text()
    assert f"{trial.name} §</td>" in html
    assert "epoch 1: dropout 0.2, lr 0.001; epoch 3: dropout 0.1, lr 0.0005" in html


def test_which_surfaces_is_asked_of_the_leader(found: Findings) -> None:
    assert which_surfaces(found).detail.startswith(("Lowest", "2"))


@pytest.fixture
def sized(tmp_path: Path) -> Callable[..., Path]:
    """A search whose trials have these parameters and seconds per epoch; the later ones are a little worse."""

    def make(*sizes: tuple[int | None, float | None], **asked: Any) -> Path:
        write_sweep_json(tmp_path / "s", **asked)
        for number, (parameters, epoch_s) in enumerate(sizes):
            content = {"parameters": parameters, "epoch_s": epoch_s}
            write_trial(tmp_path / "s", number, lr=1e-3, batch_size=16 + number, content=content)
        return tmp_path / "s"

    return make


def test_small_against_good_is_shown_where_sizes_vary(sized: Callable[..., Path]) -> None:
    pages = make_report(sized((400_000, 4.0), (100_000, 3.0), (200_000, 2.0)))
    text = (pages / "report.md").read_text()
    part = text[text.index("## Quality versus parameters") :].partition("## ")[2]
    assert "s0000" in part
    assert "s0001" in part
    assert (pages / "figures" / "pareto.png").exists()


def test_sizes_that_hardly_vary_are_no_question(sized: Callable[..., Path]) -> None:
    sweep = sized((120_000, 4.0), (100_000, 3.0))
    assert not (make_report(sweep) / "figures" / "pareto.png").exists()


def test_what_the_search_was_asked_to_minimise_is_the_cost(sized: Callable[..., Path]) -> None:
    sweep = sized((100_000, 4.0), (100_000, 3.9), (100_000, 3.8), (100_000, None), minimize="epoch_s")
    text = (make_report(sweep) / "report.md").read_text()
    assert "| Seconds per epoch | Val PSNR (dB) |" in text
    assert "Pareto-optimal: 3 of 3" in text
