"""Baselines, numbers of VAEs, loss floors and spectra in the report of a made-up sweep."""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_sweeps import LABELS, baselines, write_everything, write_sweep_json, write_trial

from sweeps import report
from sweeps.reporting.answers import verdict
from sweeps.reporting.baselines import fold_baselines
from sweeps.reporting.findings import find
from sweeps.reporting.logs import read_logs
from sweeps.reporting.write import make_report
from sweeps.store.baselines_file import Baselines, read_baselines, write_baselines

SEARCH = [("angle", 0, 0)]
VAE = {"model": "cnn_vae", "latent_dim": 32}
VAE_TERMS = {"val_bits_per_dim": 2.5, "val_kl_nats": 71.25, "val_active_units": 17.0}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_everything(tmp_path_factory.mktemp("ray_results") / "exp")


@pytest.fixture(scope="module")
def pages(sweep: Path) -> Path:
    return make_report(sweep)


@pytest.fixture
def one(tmp_path: Path) -> Callable[..., Path]:
    """Make a sweep of single trials, with the baselines of some splits."""

    def make(*trials: dict[str, Any], known: Baselines | None = None) -> Path:
        write_sweep_json(tmp_path / "s", labels=["angle"])
        for number, trial in enumerate(trials):
            write_trial(tmp_path / "s", **{"number": number, **trial})
        if known:
            write_baselines(tmp_path / "s", known)
        return tmp_path / "s"

    return make


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_split_and_baseline_is_in_the_csv(pages: Path) -> None:
    table = rows(pages / "baselines.csv")
    assert len(table) == (1 + len(LABELS) * 5) * 4
    first = {name: table[2][name] for name in ("label", "fold", "baseline", "numbers", "psnr_db")}
    assert first == {"label": "angle", "fold": "0", "baseline": "PCA", "numbers": "128", "psnr_db": "21.28"}


def test_baselines_stand_beside_the_ranking_with_the_best_trial_among_them(sweep: Path, pages: Path) -> None:
    html = (pages / "report.html").read_text()
    table = html[html.index("<b>Baselines</b>") :].partition("</table>")[0]
    best = find(read_logs(sweep)).best
    names = re.findall(r"<td>(.*?)</td>", table)
    assert names == [f"best autoencoder, {best.name}", "PCA", "low-pass DCT", "patch mean", "constant"]
    assert f"{best.numbers['test_psnr_db']:.2f}" in table
    assert "autoencoders with 8,192 latent dimensions" in html
    assert "| PCA | 128 | 21.28 | 0.500 |" in (pages / "report.md").read_text()


def test_baselines_of_a_label_are_averaged_over_its_complete_folds(sweep: Path, pages: Path) -> None:
    logs = read_logs(sweep)
    tables = {table.label: table for table in find(logs).leading}
    for label, folds in (("angle", [1, 2, 3, 4, 5]), ("PP1", [1, 2, 3, 5])):
        found = {b.name: b for b in fold_baselines(logs, tables[label])}
        assert list(found) == ["patch mean", "PCA-128", "DCT-128"]
        psnr = [21.28 + fold / 100 for fold in folds]
        assert found["PCA-128"].mean["test_psnr_db"] == pytest.approx(np.mean(psnr))
        assert found["PCA-128"].sd["test_psnr_db"] == pytest.approx(np.std(psnr, ddof=1))
        assert f"{np.mean(psnr):.2f}<br><small>± {np.std(psnr, ddof=1):.2f}" in (pages / "report.html").read_text()


@pytest.mark.parametrize(
    ("psnr_db", "settings", "sentence"),
    [
        (23.3, {}, r"2\.02 dB above PCA-128\. .* 8,192 dimensions for the 4,096 pixels"),
        (20.28, {}, r"1\.00 dB below PCA-128\. .* 8,192 dimensions for the 4,096 pixels"),
        (21.32, VAE, r"1\.00 dB above PCA-32\. .*PCA-32 20\.32 dB"),
        (
            20.0,
            VAE,
            r"0\.32 dB below PCA-32\. .*PCA-32 20\.32 dB",
        ),
        (14.5, VAE, r"5\.82 dB below PCA-32\. .* Even the mean grey value of each crop reaches 15\.00 dB\."),
    ],
)
def test_the_answer_says_whether_a_linear_baseline_is_better(
    one: Callable[..., Path], psnr_db: float, settings: dict[str, Any], sentence: str
) -> None:
    sweep = one({**settings, "extra": {"test_psnr_db": psnr_db}}, known=baselines(SEARCH, sizes=(32, 128)))
    found = verdict(find(read_logs(sweep)))
    assert re.search(sentence, f"{found.headline} {found.detail}")


def test_without_pca_the_low_pass_dct_is_the_linear_baseline(one: Callable[..., Path]) -> None:
    known = baselines(SEARCH)
    (split,) = known.splits
    split = replace(split, rows=tuple(row for row in split.rows if row["baseline"] != "PCA"))
    sweep = one({"extra": {"test_psnr_db": 21.0}}, known=replace(known, splits=(split,)))
    assert "0.22 dB above DCT-128" in verdict(find(read_logs(sweep))).headline
    assert "No PCA with 128 components" in (make_report(sweep) / "report.md").read_text()


def test_cross_validation_without_a_search_is_compared_over_its_folds(one: Callable[..., Path]) -> None:
    folds = [{"number": 0, "cv": ("angle", fold), "extra": {"test_psnr_db": 22.0}} for fold in range(1, 6)]
    sweep = one(*folds, known=baselines([("angle", fold, 5) for fold in range(1, 6)]))
    found = verdict(find(read_logs(sweep)))
    assert "0.69 dB above PCA-128" in found.headline
    assert "PCA-128 21.31 dB" in found.detail


def test_numbers_by_the_reports_definition_are_never_ranked_against_baselines(one: Callable[..., Path]) -> None:
    settings = {"metrics": "report", "input_range": "symmetric"}
    known = baselines([*SEARCH, ("angle", 1, 5)])
    sweep = one(settings, {**settings, "number": 0, "cv": ("angle", 1)}, known=known)
    assert verdict(find(read_logs(sweep))).state == "open"
    pages = make_report(sweep)
    html, markdown = ((pages / name).read_text() for name in ("report.html", "report.md"))
    assert "best autoencoder" not in html
    assert html.lower().count("standard definition, inputs in [0, 1]") == 2
    assert markdown.lower().count(r"standard definition, inputs in \[0, 1\]") == 2
    assert "Linear baseline" not in html


def test_a_sweep_that_was_interrupted_before_its_baselines_says_that_they_are_missing(one: Callable[..., Path]) -> None:
    sweep = one({}, {"number": 0, "cv": ("angle", 1)})
    pages = make_report(sweep)
    assert (pages / "report.html").read_text().count("No baselines: baselines.json is missing") == 1
    assert (pages / "report.md").read_text().count("No baselines: baselines.json is missing") == 1
    assert not (pages / "baselines.csv").exists()
    assert read_logs(sweep).warnings == []


def test_damaged_baselines_are_a_warning_and_not_used(one: Callable[..., Path]) -> None:
    sweep = one({}, known=baselines(SEARCH))
    file = sweep / "baselines.json"
    file.write_text(file.read_text().replace("21.28", "11.28"))
    assert read_baselines(sweep) is None
    assert "baselines.json is damaged" in read_logs(sweep).warnings[0]
    assert "No baselines" in (make_report(sweep) / "report.html").read_text()


def test_the_numbers_of_a_vae_have_columns_and_an_autoencoder_beside_it_has_dashes(one: Callable[..., Path]) -> None:
    sweep = one({"extra": {**VAE_TERMS, "test_bits_per_dim": 2.75}, **VAE}, {"lr": 1e-4})
    pages = make_report(sweep)
    ranking = (pages / "report.md").read_text().partition("| # | Trial |")[2]
    assert "| Bits/dim | KL (nats) | Active units |" in ranking.splitlines()[0]
    assert "| 2.500 | 71.2 | 17 |" in ranking
    assert "| – | – | – |" in ranking
    table = {row["model"]: row for row in rows(pages / "trials.csv")}
    assert table["cnn_vae"]["test_bits_per_dim"] == "2.75"
    assert table["cnn_ae"]["val_kl_nats"] == ""


def test_the_loss_floor_of_inputs_that_outputs_cannot_reach_is_shown(one: Callable[..., Path]) -> None:
    extra = {"val_loss_floor": 0.0031}
    sweep = one({"extra": extra}, *({"number": 0, "cv": ("angle", k), "extra": extra} for k in range(1, 6)))
    pages = make_report(sweep)
    assert re.search(r">Floor</td>.*0\.00310</td>", (pages / "report.html").read_text())
    assert "| Loss floor |" in (pages / "report.md").read_text()


def test_spectra_are_averaged_over_folds(sweep: Path, pages: Path) -> None:
    table = next(table for table in find(read_logs(sweep)).leading if table.label == "angle")
    assert table.averages["test_spectrum_db"].mean == pytest.approx(np.mean([4, 5, 6, 7, 8]))
    assert "LSD (dB)" in (pages / "report.html").read_text()
    assert "test_spectrum_db" in rows(pages / "cv.csv")[0]


def test_sweeps_without_the_newer_numbers_have_no_columns_for_them(one: Callable[..., Path]) -> None:
    pages = make_report(one({}, {"number": 0, "cv": ("angle", 1)}))
    html = (pages / "report.html").read_text()
    assert not [word for word in ("LSD (dB)", "Bits/dim", "Active units", "Loss floor", "Floor") if word in html]
    names = {name for file in ("trials.csv", "cv.csv") for name in rows(pages / file)[0]}
    assert not {"test_spectrum_db", "val_bits_per_dim", "val_loss_floor"} & names


def test_a_record_stands_in_for_a_cut_event_file_in_the_newer_numbers_too(one: Callable[..., Path]) -> None:
    sweep = one({**VAE, "extra": {**VAE_TERMS, "test_spectrum_db": 4.5}})
    file = next(sweep.glob("s0000-*/events*"))
    file.write_bytes(file.read_bytes()[:-100])
    (trial,) = read_logs(sweep).trials
    assert trial.from_record
    assert (trial.numbers["test_spectrum_db"], trial.numbers["val_kl_nats"]) == (4.5, 71.25)


def test_json_has_the_baselines(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main([str(sweep), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["baselines"][0]["baseline"] == "constant"
    assert len(summary["baselines"]) == 44
