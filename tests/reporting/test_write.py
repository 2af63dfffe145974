"""sweeps/report.py and its parts: a made-up sweep on disk in, tables and pages out. No Ray, no training."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_sweeps import EVIL, HARD, image_psnr, rows, write_everything, write_sweep_json, write_trial

from deepdlt.config import config_dict, make_config
from sweeps import report
from sweeps.folds.tables import FoldResult
from sweeps.reporting.answers import BEST, HARD_AT, LOWEST, QUALITY, how_sure, which_autoencoder, which_surfaces
from sweeps.reporting.cross_validation import fold_note
from sweeps.reporting.findings import find
from sweeps.reporting.logs import read_logs
from sweeps.reporting.surfaces import ClassResult, bootstrap_interval, class_results
from sweeps.reporting.write import _csv, make_report
from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell
from sweeps.store.event_files import TrialLog
from sweeps.store.sweep_file import SweepFile
from sweeps.store.trial_record import write_record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_everything(tmp_path_factory.mktemp("ray_results") / "exp")


@pytest.fixture(scope="module")
def pages(sweep: Path) -> Path:
    return make_report(sweep)


def test_the_report_folder_holds_pages_tables_and_figures(pages: Path) -> None:
    names = {str(path.relative_to(pages)) for path in pages.rglob("*") if path.is_file()}
    figures = ("axis_effects", "class_errors", "extremes_test", "folds", "history", "importance", "parallel")
    files = [f"figures/{name}.{kind}" for name in (*figures, "training_curves") for kind in ("png", "svg", "pdf")]
    expected = {"report.html", "report.md", "trials.csv", "cv.csv", "classes.csv", "baselines.csv"}
    assert names == expected | set(files)


def test_search_trials_are_ranked_by_validation_psnr_and_only_the_complete_ones(sweep: Path) -> None:
    found = find(read_logs(sweep))
    psnr = [trial.numbers["val_psnr_db"] for trial in found.ranked]
    assert psnr == sorted(psnr, reverse=True)
    assert len(psnr) == 5
    assert {trial.status for trial in found.ranked} == {"complete"}
    assert found.counts == {"complete": 14, "pruned": 1, "failed": 1, "interrupted": 1}
    headline = which_autoencoder(found).headline
    assert headline == "lr 0.001, kernel_size 3, activation relu"


def test_of_a_narrower_space_the_best_inside_leads_and_the_rest_is_listed_without_a_place(tmp_path: Path) -> None:
    """The first of the ranking must be what cross-validation takes."""
    write_sweep_json(tmp_path, axes={"lr": [5e-4, 1e-4]}, cv=False)
    gone = write_trial(tmp_path, 0, lr=1e-3).name  # the best of all
    best, second = (write_trial(tmp_path, number, lr=lr).name for number, lr in ((1, 5e-4), (2, 1e-4)))
    found = find(read_logs(tmp_path))
    assert [trial.name for trial in found.ranked] == [best, second]
    assert [trial.name for trial in found.outside] == [gone]
    assert found.outside[0].numbers["val_psnr_db"] > found.ranked[0].numbers["val_psnr_db"]
    assert which_autoencoder(found).headline == "lr 0.0005"
    pages = make_report(tmp_path)
    html, markdown = ((pages / name).read_text() for name in ("report.html", "report.md"))
    places = re.findall(r'<td class="n">(\S+)</td><td class="name">([^\s<]+)', html.partition("All 2 complete")[2])
    assert places == [("1", best), ("2", second), ("–", gone)]
    assert f"| – | {gone} ‡ |" in markdown
    assert f"1 trial, {gone}; made with an earlier version of the space, kept, not ranked." in html
    assert {row["trial"]: row["rank"] for row in rows(pages / "trials.csv")} == {best: "1", second: "2", gone: ""}


def test_only_failures_that_a_retry_would_repeat_are_said_to_be_repeated(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, axes={"lr": [5e-4, 1e-4]}, labels=["angle"])
    write_trial(tmp_path, 0, lr=5e-4)
    write_trial(tmp_path, 1, "failed", lr=1e-3, content={"error": "diverged"})  # outside the space
    write_trial(tmp_path, 2, "failed", cv=("angle", 1), n_folds=3, lr=5e-4, content={"error": "killed"})  # older folds
    assert "--retry-failed" not in (make_report(tmp_path) / "report.html").read_text()
    write_trial(tmp_path, 3, "failed", cv=("angle", 1), lr=5e-4, content={"error": "killed"})
    assert "1 failed trial; after you fix the cause" in (make_report(tmp_path) / "report.html").read_text()


def test_fold_averages_are_those_of_numpy_and_name_the_missing_fold(sweep: Path, pages: Path) -> None:
    tables = {table.label: table for table in find(read_logs(sweep)).leading}
    for label, n_done in (("angle", 5), ("PP1", 4)):
        records = [json.loads(p.read_text()) for p in sweep.glob(f"cv-{label}-*/trial.json")]
        losses = [record["test"]["loss"] for record in records]
        assert tables[label].n_done == len(losses) == n_done
        if n_done == 5:
            assert tables[label].averages["test_loss"].mean == pytest.approx(np.mean(losses), rel=1e-12)
            assert tables[label].averages["test_loss"].sd == pytest.approx(np.std(losses, ddof=1), rel=1e-12)
    assert tables["PP1"].rows[3].state == "missing"
    assert tables["PP1"].averages == {}  # never the average of a part
    assert "incomplete, 4 of 5: no average" in (pages / "report.html").read_text()
    assert [row["state"] for row in rows(pages / "cv.csv")].count("missing") == 1


def test_the_loss_in_a_fold_table_is_of_the_weights_that_met_the_test_set(one: Callable[..., Path]) -> None:
    sweep = one()
    for fold, evaluate in ((1, "best"), (2, "last")):
        config = Configuration.of(config_dict(make_config("corrected", epochs=2, evaluate=evaluate)))
        cell = Cell("cv", config, "angle", fold, 2, "data")
        with TrialLog(sweep / cell.name()) as log:
            log.session_start(cell.name(), {**config, "kind": "cv", "label": "angle", "fold": fold})
            log.scalars({"val_loss": 0.25, "train_loss": 0.5, "val_psnr_db": 20, "val_ssim": 0.5}, 1)
            log.scalars({"val_loss": 0.75, "train_loss": 0.125, "val_psnr_db": 19, "val_ssim": 0.5}, 2)
        write_record(sweep / cell.name(), cell, "complete", metrics={"epoch": 2})
    trials = sorted(read_logs(sweep).trials, key=lambda trial: trial.record.cell.fold)
    assert [trial.numbers["used_val_loss"] for trial in trials] == [0.25, 0.75]
    assert [trial.numbers["used_train_loss"] for trial in trials] == [0.5, 0.125]
    assert [trial.numbers["best_epoch"] for trial in trials] == [1, 1]


def test_classes_are_averaged_over_images_of_the_folds_of_their_own_label(sweep: Path) -> None:
    table = {(row.label, row.name): row for row in find(read_logs(sweep)).classes.popitem()[1]}
    hard = table["angle", "12"]
    assert hard.psnr_db == pytest.approx(np.mean([image_psnr(i) for i in HARD]))
    assert (hard.n_images, hard.of) == (4, 4)
    untested = set(range(3, 30, 5))  # the missing fold of PP1
    tested = [i for i in range(15) if i not in untested]
    assert table["PP1", "H"].n_images == len(tested) == 12
    assert table["PP1", "H"].psnr_db == pytest.approx(np.mean([image_psnr(i) for i in tested]))


def test_the_hard_class_and_the_hardest_image_are_named(sweep: Path) -> None:
    found = find(read_logs(sweep))
    assert found.hardest[0].image_id == "20"
    assert found.hardest[0].classes == {"angle": "12", "PP1": EVIL}
    assert {row.image_id for row in found.hardest[:4]} == {str(i) for i in HARD}
    answer = which_surfaces(found)
    assert answer.headline == "angle = 12"
    assert "image 20" in answer.detail


def test_no_class_is_called_hard_when_its_interval_includes_the_average(one: Callable[..., Path]) -> None:
    split = {"angle": {"a": list(range(0, 30, 2)), "b": list(range(1, 30, 2))}}
    sweep = one(*({"number": 0, "cv": ("angle", fold)} for fold in range(1, 6)), classes=split, labels=["angle"])
    assert which_surfaces(find(read_logs(sweep))).headline == "No class is significantly worse than the others"


def _hardness(values: dict[int, float], classes: dict[str, list[int]], **asked: Any) -> list[ClassResult]:
    """Of images with these values."""
    tested = {str(image): {"psnr_db": value} for image, value in values.items()}
    cell = FoldResult(
        configuration=Configuration(), label="NP", fold=1, n_folds=1, seed=0, status="complete", test_by_image=tested
    )
    return class_results(SweepFile(classes={"NP": classes}, **asked), [cell])


def test_that_a_class_is_harder_is_welchs_t_test() -> None:
    from scipy.stats import ttest_ind

    draw = np.random.default_rng(0).normal(25, 1, 30)
    classes = {"1": list(range(8)), "2": list(range(8, 30))}
    easy = _hardness(dict(enumerate(draw)), classes)
    oracle = ttest_ind(draw[:8], draw[8:], equal_var=False, alternative="less").pvalue
    assert [row.p_harder for row in easy] == pytest.approx([oracle, 1 - oracle])


def test_one_of_many_equal_classes_rarely_stands_out() -> None:
    """Sizes as among the published micrographs, no difference between classes: at 5 % one sweep in twenty."""
    sizes = (3, 3, 4, 5, 6, 8, 10, 14, 20, 25, 30, 40, 40)
    ends = np.cumsum(sizes)
    classes = {str(k): list(range(end - size, end)) for k, (size, end) in enumerate(zip(sizes, ends, strict=True))}
    rng, out = np.random.default_rng(0), 0
    for _ in range(100):
        table = _hardness(dict(enumerate(rng.normal(25, 2, sum(sizes)))), classes)
        out += any(len(table) * row.p_harder < HARD_AT for row in table)
    assert out <= 11  # of a binomial with p = 0.05 in 99.5 % of cases


def test_repeated_images_of_a_surface_are_no_independent_evidence() -> None:
    rng = np.random.default_rng(0)
    surfaces = {**dict.fromkeys(range(10), "a"), **dict.fromkeys(range(10, 20), "b")}
    conditions = [surfaces.get(image, str(image)) for image in range(60)]
    values = {image: 25 + rng.normal() - 0.7 * (image < 20) for image in range(60)}
    classes = {"hard": list(range(20)), "rest": list(range(20, 60))}
    assert _hardness(values, classes)[0].p_harder < 0.01
    assert _hardness(values, classes, conditions_of_images=tuple(conditions))[0].p_harder > 0.01


def test_no_surface_is_called_hard_before_a_label_has_all_its_folds(one: Callable[..., Path]) -> None:
    sweep = one({"number": 0, "cv": ("angle", 1)}, labels=["angle"])
    answer = which_surfaces(find(read_logs(sweep)))
    assert answer.headline == "Not known yet"
    assert "Image with the lowest PSNR so far: image" in answer.detail


def test_the_bootstrap_interval_is_that_of_scipy() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(1).normal(25, 3, 40)
    oracle = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=2).confidence_interval
    low, high = bootstrap_interval(values)
    assert (low, high) == pytest.approx((oracle.low, oracle.high), abs=0.1)
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval(values[:2]) == (None, None)


def test_a_search_without_cross_validation_says_how_to_get_it(one: Callable[..., Path]) -> None:
    found = find(read_logs(one({}, {"lr": 1e-4}, cv=False, command="python sweeps/run.py --space smoke")))
    for answer in (how_sure(found), which_surfaces(found)):
        assert answer.headline == "Not known yet"
        assert "python sweeps/run.py --space smoke --cv" in answer.detail


def test_cross_validation_without_a_search_describes_its_configuration(one: Callable[..., Path]) -> None:
    sweep = one(*({"number": 0, "cv": ("angle", fold)} for fold in (1, 2)), axes={}, labels=["angle"])
    answer = which_autoencoder(find(read_logs(sweep)))
    assert "model cnn_ae, lr 0.0005, dropout 0.2" in answer.headline
    assert "the only configuration" in answer.detail


@pytest.mark.parametrize(
    ("settings", "note"),
    [({}, "never trained on"), ({"split_unit": "crop", "metrics": "report"}, "67 % of the test crops overlap")],
)
def test_the_report_says_whether_its_folds_leak(one: Callable[..., Path], settings: dict[str, str], note: str) -> None:
    found = find(read_logs(one({"cv": ("angle", 1), **settings})))
    assert note in fold_note(found)
    assert ("own formulas" in fold_note(found)) == bool(settings)


def test_the_report_tells_of_replicates_on_both_sides_and_calls_nothing_a_surface(one: Callable[..., Path]) -> None:
    shares = {"overlap_share": 0.0, "image_share": 0.0, "replicate_share": 0.25}
    leaked = {"angle": shares, "NP": {**shares, "replicate_share": None}}
    note = fold_note(find(read_logs(one({"cv": ("angle", 1)}, leakage=leaked, grouped_by=[]))))
    assert "Tested images were never trained on" in note
    assert "25% of the test crops come from a probable replicate" in note
    note = fold_note(find(read_logs(one({"cv": ("angle", 1)}, grouped_by=["angle", "NP"]))))
    assert "Tested surfaces (process conditions)" in note
    assert "replicate" not in note


def test_two_cross_validated_configurations_are_kept_apart_the_better_first(one: Callable[..., Path]) -> None:
    folds = [{"number": n, "cv": ("angle", fold), "lr": lr} for n, lr in ((3, 1e-4), (0, 1e-3)) for fold in (1, 2)]
    found = find(read_logs(one(*folds, labels=["angle"])))
    assert [configuration["lr"] for configuration in found.tables] == [1e-3, 1e-4]
    assert [tables[0].n_done for tables in found.tables.values()] == [2, 2]


def test_an_event_file_that_was_cut_is_a_warning_and_the_record_gives_the_numbers(one: Callable[..., Path]) -> None:
    sweep = one({})
    file = next(sweep.glob("s0000-*/events*"))
    (whole,) = read_logs(sweep).trials
    file.write_bytes(file.read_bytes()[:1900])
    logs = read_logs(sweep)
    (cut,) = logs.trials
    assert cut.from_record
    assert cut.numbers["val_psnr_db"] == pytest.approx(whole.numbers["val_psnr_db"], rel=1e-6)
    assert cut.numbers["test_loss"] == pytest.approx(whole.numbers["test_loss"], rel=1e-6)
    assert "event file damaged" in logs.warnings[0]


@pytest.mark.parametrize(
    ("trial", "problem"),
    [
        ({"logged_epochs": 2}, "2 of 3 epochs"),
        (
            {"content": {"test": {"loss": 0.5, "psnr_db": 3.0, "ssim": 0.1}}},
            "differ in test/loss, test/psnr_db, test/ssim",
        ),
        ({"content": {"test": {"other": 0.5}}}, "lacks test/other"),
    ],
)
def test_an_event_file_that_disagrees_with_the_record_is_a_warning(
    one: Callable[..., Path], trial: dict[str, Any], problem: str
) -> None:
    logs = read_logs(one(trial))
    assert problem in logs.warnings[0]
    assert logs.trials[0].from_record


def test_sound_files_give_no_warning(sweep: Path) -> None:
    logs = read_logs(sweep)
    assert logs.warnings == []
    assert not any(trial.from_record for trial in logs.trials)


def test_a_record_that_does_not_verify_leaves_the_trial_unranked(one: Callable[..., Path]) -> None:
    sweep = one({}, {"lr": 1e-4})
    record = next(sweep.glob("s0000-*/trial.json"))
    record.write_text(record.read_text().replace('"status": "complete"', '"status": "complete "'))
    found = find(read_logs(sweep))
    assert found.counts["interrupted"] == 1
    assert [trial.name[:6] for trial in found.ranked] == ["s0001-"]
    assert "does not verify" in found.logs.trials[0].record.error


def test_a_trial_that_lies_there_twice_counts_once(one: Callable[..., Path]) -> None:
    sweep = one({})
    write_trial(sweep, 9)  # the same cell under another number
    logs = read_logs(sweep)
    assert len(logs.trials) == 1
    assert "counted once" in logs.warnings[0]


def test_an_old_sweep_without_sweep_json_is_reported_from_its_trials(sweep: Path, tmp_path: Path) -> None:
    for folder in sweep.glob("s000*"):
        (tmp_path / folder.name).symlink_to(folder)
    found = find(read_logs(tmp_path))
    assert sorted(found.logs.axes) == ["activation", "kernel_size", "lr"]
    assert len(found.ranked) == 5
    assert "sweep.json" in found.logs.warnings[0]


def test_a_sweep_without_any_complete_trial_still_gets_a_report(one: Callable[..., Path]) -> None:
    sweep = one({"status": "failed", "content": {"error": "no space left"}}, {"status": "interrupted", "lr": 1e-4})
    text = (make_report(sweep) / "report.html").read_text()
    assert "no trial is complete" in text
    assert "no space left" in text


def test_the_report_of_an_empty_sweep_says_that_there_is_nothing(one: Callable[..., Path]) -> None:
    assert "no trials" in (make_report(one()) / "report.md").read_text()


def test_labels_and_errors_are_escaped_in_html_and_markdown(pages: Path) -> None:
    html, markdown = ((pages / name).read_text() for name in ("report.html", "report.md"))
    assert EVIL not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in markdown
    assert "a\\|b" in markdown


def test_report_html_needs_nothing_from_outside(pages: Path) -> None:
    html = (pages / "report.html").read_text()
    own = html.partition("<body>")[2].partition('<div id="picked"')[0]
    places = re.findall(r'(?:src|href)\s*=\s*"(?!data:|#)([^"]*)"', own)
    assert all((pages / place).is_file() for place in places)
    assert "url(" not in html.partition("<body>")[0]
    assert own.count('src="data:image/') == 12 + 7  # tiles, charts
    assert "default-src 'none'" in html


def test_the_order_is_which_then_how_sure_then_which_surfaces(pages: Path) -> None:
    headings = re.findall(r"<h2 [^>]*>(.*?)</h2>", (pages / "report.html").read_text())
    assert [text for text in headings if text in (BEST, QUALITY, LOWEST)] == [BEST, QUALITY, LOWEST]
    assert headings[0] == BEST
    assert headings[-2:] == ["Reproducibility", "Cite"]


def test_numbers_on_the_page_are_those_of_the_tables(sweep: Path, pages: Path) -> None:
    html = (pages / "report.html").read_text()
    found = find(read_logs(sweep))
    assert f"{found.ranked[0].numbers['val_psnr_db']:.2f} dB" in html
    average = found.leading[0].averages["test_loss"]
    assert f"{average.mean:.5f}<br><small>± {average.sd:.5f}</small>" in html
    assert f"{average.low:.5f}<br><small>{average.high:.5f}</small>" in html


def test_trials_csv_has_every_trial_with_its_settings_and_full_precision(sweep: Path, pages: Path) -> None:
    table = rows(pages / "trials.csv")
    assert len(table) == 17
    first = table[0]
    assert (first["rank"], first["lr"], first["kernel_size"]) == ("1", "0.001", "3")
    best = find(read_logs(sweep)).ranked[0]
    assert float(first["val_psnr_db"]) == best.numbers["val_psnr_db"]


def test_no_cell_of_a_csv_is_taken_for_a_formula(one: Callable[..., Path], tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame({"a": ["=1+1", "+2", "-x", "@b", "-3.5", "plain"], "b": [-1.5, 2, 3, 4, 5, 6]})
    _csv(table, tmp_path / "t.csv")
    cells = rows(tmp_path / "t.csv")
    assert [row["a"] for row in cells] == ["'=1+1", "+2", "'-x", "'@b", "-3.5", "plain"]
    assert cells[0]["b"] == "-1.5"


def test_a_failing_report_leaves_the_old_one(sweep: Path, pages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (pages / "report.html").read_bytes()
    monkeypatch.setattr("sweeps.reporting.write._write_csv", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        make_report(sweep)
    assert (pages / "report.html").read_bytes() == before
    assert [path.name for path in sweep.glob(".report*")] == []


def test_a_new_report_replaces_the_old_one_as_a_whole(one: Callable[..., Path]) -> None:
    sweep = one()
    (sweep / "report").mkdir()
    (sweep / "report" / "cv.csv").write_text("stale")
    make_report(sweep)
    assert not (sweep / "report" / "cv.csv").exists()
    assert (sweep / "report" / "report.html").exists()
    assert [path.name for path in sweep.glob(".report*")] == []


def test_json_has_the_numbers_and_no_nan(one: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    sweep = one({}, {"lr": 1e-3, "cv": ("angle", 1), "number": 0}, labels=["angle"])
    assert report.main([str(sweep), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert summary["best"]["lr"] == 5e-4
    assert summary["cv"][0]["complete"] == 1
    assert summary["cv"][0]["mean"] == summary["cv"][0]["low"] == {}  # one fold of five has no average
    assert summary["trials"]["complete"] == 2


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda root: root / "absent", "sweeps there: exp"),
        (lambda root: root, "choose one: exp"),
        (lambda root: root / "exp" / "sweep.json", "is a file"),
        (lambda root: next((root / "exp").glob("s0000-*")), "single trial"),
        (lambda root: root / "other", "neither sweep.json nor trial folders"),
    ],
)
def test_a_path_that_is_no_sweep_is_refused_in_one_line(
    make: Callable[[Path], Path], remedy: str, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep.parent / "other").mkdir(exist_ok=True)
    path = make(sweep.parent)
    assert report.main([str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert remedy in shown.err
    assert not (path / "report").exists()


def test_the_script_runs_from_anywhere_without_torch_and_ray(one: Callable[..., Path], tmp_path: Path) -> None:
    sweep = one({}, {"lr": 1e-4})
    script = ROOT / "sweeps" / "report.py"
    code = (
        "import atexit, runpy, sys\n"
        "heavy = ('torch', 'ray', 'optuna', 'matplotlib.pyplot')\n"
        "atexit.register(lambda: print([name for name in heavy if name in sys.modules]))\n"
        f"sys.argv = [{str(script)!r}, {str(sweep)!r}]\n"
        f"sys.path.insert(0, {str(script.parent)!r})\n"  # as Python does for a script
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    path, loaded = done.stdout.splitlines()
    assert Path(path) == sweep / "report" / "report.html"
    assert Path(path).is_file()
    assert loaded == "[]"


def test_help_shows_an_example_first_and_loads_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", str(ROOT / "sweeps" / "report.py"), "-h"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "python sweeps/report.py ray_results/my-sweep" in done.stdout
    heavy = [
        name for name in ("numpy", "pandas", "matplotlib", "tensorboard") if re.search(rf"\| +{name}\n", done.stderr)
    ]
    assert heavy == []


def test_a_path_of_any_bytes_is_reported(sweep: Path, tmp_path: Path) -> None:
    """As of a disk that was written in Latin-1; UTF-8 has no such characters."""
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller"))
    shutil.copytree(sweep, place, ignore=shutil.ignore_patterns("report"))
    make_report(place)
    for name in ("report.html", "report.md"):
        assert "M\\udcfcller" in (place / "report" / name).read_text(encoding="utf-8")
