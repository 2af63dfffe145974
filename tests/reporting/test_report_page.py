"""The page as a whole: verdict, charts, pictures, traceability, hostile names, comparison of two sweeps."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_sweeps import EVIL, baselines, rows, write_everything, write_sweep_json, write_trial

from sweeps import report
from sweeps.reporting.answers import how_sure, verdict
from sweeps.reporting.charts.importance import importances
from sweeps.reporting.charts.plot import plain
from sweeps.reporting.comparison import write_comparison
from sweeps.reporting.figures import search_rows
from sweeps.reporting.findings import find
from sweeps.reporting.logs import read_logs
from sweeps.reporting.paper.study import LOSSES, study_losses
from sweeps.reporting.write import make_report
from sweeps.store.baselines_file import write_baselines
from sweeps.store.event_files import TrialLog
from sweeps.store.sweep_file import DataSummary, SweepFile
from sweeps.store.trial_record import write_record

SEARCH = [("angle", 0, 0)]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report(write_everything(tmp_path_factory.mktemp("ray_results") / "exp"))


def specs(page: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="spec-(\w+)">(.*?)</script>', page, re.S)
    return {name: json.loads(text) for name, text in found}


def test_every_figure_is_there_as_picture_and_print(pages: Path) -> None:
    names = {path.stem for path in (pages / "figures").glob("*.png")}
    assert {"history", "parallel", "importance", "axis_effects", "training_curves", "folds", "class_errors"} < names
    for name in names:
        assert (pages / "figures" / f"{name}.svg").read_text(encoding="utf-8").startswith("<?xml")
        assert (pages / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_only_the_pages_own_scripts_may_run(pages: Path) -> None:
    page = (pages / "report.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    allowed = re.findall(r"'sha256-([^']*)'", html.unescape(policy[1]))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert digests == allowed
    assert len(digests) == 2
    assert "default-src 'none'" in policy[1]
    assert EVIL not in page.replace(json.dumps(EVIL), "")


def test_charts_show_every_trial_with_its_name(pages: Path) -> None:
    charts = specs((pages / "report.html").read_text(encoding="utf-8"))
    found = find(read_logs(pages.parent))
    for name in ("history", "axis_effects", "training_curves", "parallel"):
        shown = {trial for trace in charts[name]["data"] for trial in trace.get("customdata") or () if trial}
        assert {trial.name for trial in found.ranked} <= shown
    hollow = [trace for trace in charts["history"]["data"] if trace["name"] == "pruned"]
    assert len(hollow[0]["x"]) == 1
    assert "circle-open" in hollow[0]["marker"]["symbol"]


def test_texts_of_charts_are_no_markup() -> None:
    assert plain("<b>x</b> & <a href='javascript:1'>") == "&lt;b&gt;x&lt;/b&gt; &amp; &lt;a href='javascript:1'&gt;"


def test_every_number_comes_from_the_event_file(tmp_path: Path) -> None:
    """Written here, read back from the tables: a value that an event file holds and no other file does."""
    write_sweep_json(tmp_path, cv=False)
    written = {}
    for number, base in enumerate((24.125, 25.625, 23.875)):
        folder = write_trial(tmp_path, number, lr=(1e-3, 5e-4, 1e-4)[number], kernel_size=3)
        for path in folder.iterdir():
            path.unlink()
        losses = [0.5 / (k + 1 + number) for k in range(3)]
        with TrialLog(folder) as log:
            log.session_start(
                folder.name, {"lr": (1e-3, 5e-4, 1e-4)[number], "kernel_size": 3, "kind": "search", "label": "angle"}
            )
            for epoch, loss in enumerate(losses, 1):
                log.scalars(
                    {"train_loss": loss + 1, "val_loss": loss, "val_psnr_db": base + epoch, "val_ssim": 0.25}, epoch
                )
            log.scalars({"test/loss": 0.125, "test/psnr_db": base, "test/ssim": 0.75}, 3)
        cell = next(t.record.cell for t in read_logs(tmp_path).trials if t.name == folder.name)
        write_record(folder, cell, "complete")
        written[folder.name] = (base + 3, losses[-1], base)
    table = {row["trial"]: row for row in rows(make_report(tmp_path) / "trials.csv")}
    for name, (psnr, loss, test) in written.items():
        assert float(table[name]["val_psnr_db"]) == psnr
        assert float(table[name]["val_loss"]) == pytest.approx(loss, rel=1e-6)
        assert float(table[name]["test_psnr_db"]) == test
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    for psnr, _, _ in written.values():
        assert f'<td class="n">{psnr:.2f}</td>' in page
    chart = specs(page)["history"]["data"][0]
    assert sorted(chart["y"]) == sorted(psnr for psnr, _, _ in written.values())


@pytest.mark.parametrize(
    ("psnr_db", "state", "words"),
    [(23.3, "above", "Beats"), (20.0, "below", "Does not beat"), (14.0, "below", "mean grey value of each crop")],
)
def test_the_verdict_names_the_gap_the_reason_and_the_next_command(
    one: Callable[..., Path], psnr_db: float, state: str, words: str
) -> None:
    sweep = one({"extra": {"test_psnr_db": psnr_db}, "content": {"n_train": 24, "n_test": 3, "units": "images"}})
    write_baselines(sweep, baselines(SEARCH))
    found = verdict(find(read_logs(sweep)))
    assert found.state == state
    assert words in f"{found.headline} {found.detail}"
    assert "8,192 dimensions for the 4,096 pixels" in found.detail
    assert ("--epochs 30" in found.command) == (state == "below")
    assert ("optimiser steps" in found.detail) == (state == "below")


def test_folds_decide_the_verdict_with_their_interval(one: Callable[..., Path]) -> None:
    folds = [{"number": 0, "cv": ("angle", k), "extra": {"test_psnr_db": 21.3 + (-1) ** k}} for k in range(1, 6)]
    sweep = one(*folds, labels=["angle"])
    write_baselines(sweep, baselines([("angle", k, 5) for k in range(1, 6)]))
    assert verdict(find(read_logs(sweep))).state == "tie"


def test_an_interval_of_two_folds_is_called_rough(one: Callable[..., Path]) -> None:
    folds = [{"number": 0, "cv": ("angle", k), "n_folds": 2} for k in (1, 2)]
    sweep = one(*folds, labels=["angle"], folds=2)
    assert "Only 2 folds" in how_sure(find(read_logs(sweep))).detail


def test_importance_finds_the_setting_that_matters(one: Callable[..., Path]) -> None:
    trials = [
        {"number": k, "lr": lr, "kernel_size": size}
        for k, (lr, size) in enumerate([(lr, size) for lr in (1e-3, 5e-4, 1e-4) for size in (3, 5)])
    ]
    logs = read_logs(one(*trials))
    for trial in logs.trials:
        dict.__setitem__(trial.numbers, "val_psnr_db", 20.0 + 1000 * trial.config["lr"])  # type: ignore[arg-type]
    found = find(logs)
    shares = importances(found.ranked, logs.axes, logs.sweep_file.current_space)
    assert max(shares, key=lambda name: shares[name]) == "lr"
    assert sum(shares.values()) == pytest.approx(1)
    assert importances(found.ranked[:3], logs.axes, logs.sweep_file.current_space) == {}
    assert len(search_rows(found)) == 6


def test_the_studys_numbers_stand_beside_a_repetition_alone() -> None:
    same = SweepFile(protocol="report", data=DataSummary(images=208))
    assert np.mean([test for _, _, test in study_losses(same, "NP", 5)]) == pytest.approx(0.1838, abs=1e-4)
    assert study_losses(SweepFile(protocol="corrected", data=DataSummary(images=208)), "NP", 5) == ()
    assert study_losses(SweepFile(protocol="report", data=DataSummary(images=30, synthetic=True)), "NP", 5) == ()
    assert set(LOSSES) == {"angle", "EP1", "NP", "PP1"}


def test_two_sweeps_are_compared_on_the_images_that_both_tested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, lr in (("a", 1e-3), ("b", 5e-4)):
        data = {"images": 30, "crops": 960, "fingerprint": "f" * 16}
        write_sweep_json(tmp_path / name, labels=["angle"], epochs=3 if name == "a" else 7, data=data)
        for fold in range(1, 6):
            write_trial(tmp_path / name, cv=("angle", fold), lr=lr)
    assert report.main([str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    page = Path(capsys.readouterr().out.strip())
    assert page == tmp_path / "a" / "comparison-b.html"
    text = page.read_text(encoding="utf-8")
    assert (
        '<td class="n">3</td><td class="n">7</td>' in text.replace(' class="name"', ' class="n"')
        or "<td>7</td>" in text
    )
    assert '<td class="n">30</td><td class="n">0.00</td>' in text  # written_sweeps gives an image one PSNR


def test_two_sweeps_of_other_images_are_not_paired(tmp_path: Path) -> None:
    for name in "ab":
        write_sweep_json(tmp_path / name, data={"images": 30, "crops": 960, "fingerprint": name * 16})
        write_trial(tmp_path / name, 0)
    text = write_comparison(tmp_path / "a", tmp_path / "b").read_text(encoding="utf-8")
    assert "no paired comparison" in text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium here")
def test_a_browser_draws_the_charts_and_runs_nothing_of_a_hostile_name(pages: Path, tmp_path: Path) -> None:
    page = (pages / "report.html").resolve().as_uri()
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    more = ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path}", "--window-size=1280,9000"]
    command = ["chromium", *flags.split(), *more, "--virtual-time-budget=20000", "--dump-dom", page]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
    assert 'data-ready="' in dom
    assert dom.count('class="main-svg"') >= 2
    assert "<script>alert(1)</script>" not in dom.partition("<body>")[2].partition("<script>")[0]
