"""TensorBoard on a finished sweep: the data that its pages ask for, and a page in a browser."""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from waiting import HANG_GUARD_S, wait_for
from written_files import TABLES

from sweeps.board.columns import BAND, code_of, end_session, start_session
from sweeps.board.pictures import ENLARGED, GAP, GREYS, LINE, MARGIN, RECONSTRUCTIONS
from sweeps.store.cell import Cell
from sweeps.store.event_files import HPARAMS_METRICS, VAE_METRICS, TrialLog, read_trial
from sweeps.store.sealed import read_sealed
from sweeps.store.trial_record import TrialRecord, read_records

pytestmark = pytest.mark.slow  # a sweep of its own, and a browser
ROOT = Path(__file__).parents[2]
RUN = [sys.executable, str(ROOT / "sweeps" / "run.py")]
NET = ["--set", "model=res_vae", "--set", "width=8", "--set", "latent_dim=8"]
ASKED = ["--space", "smoke", "--scheduler", "none", *NET, "--epochs", "2", "--name", "t"]
ASKED += ["--cv", "--labels", "PP1,angle", "--folds", "2"]
LIMIT = 2_000_000  # bytes of a trial's event files, as docs/tensorboard.md states
RUNNING, BROKEN = "s0098-running", "s0099-broken"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
QUIET += ["--virtual-time-budget=20000"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, image_folder):
    """2 search trials and 2 labels x 2 folds of the best, one more trial that runs and one that failed."""
    cwd = tmp_path_factory.mktemp("board")
    command = [*RUN, *ASKED, "--data", str(image_folder), "--quiet"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=HANG_GUARD_S, check=False)
    assert done.returncode == 0, done.stderr
    folder = cwd / "ray_results" / "t"
    cell = next(record.cell for record in read_records(folder).values() if record.is_search)
    for name, lr in ((RUNNING, 0.5), (BROKEN, 0.25)):
        other = Cell(cell.kind, cell.config | {"lr": lr}, cell.label, 0, 0, cell.data)
        with TrialLog(folder / name) as log:
            start_session(log, other, folder.name)
            log.scalars({"best/val_psnr_db": 10.0}, 1)
        if name == BROKEN:
            end_session(folder / name, TrialRecord(name=name, status="failed", cell=other, identity="", error="nan"))
    return folder


@pytest.fixture(scope="module")
def address(sweep):
    """TensorBoard without a flag but where."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(sweep), "--port", "0"]
    log = sweep.parent / "tensorboard.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        found = wait_for(lambda: re.search(r"http://\S+?:\d+", log.read_text()), lambda: process.poll() is None)
        wait_for(
            lambda: len(json.loads(get(f"{found[0]}/data/runs"))) >= len(runs(sweep)), lambda: process.poll() is None
        )
        yield found[0]
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its data server is a process of its own
        process.wait()


def runs(sweep):
    return {str(path.parent.relative_to(sweep)) for path in sweep.rglob("events.out.tfevents.*")}


def get(address):
    with urllib.request.urlopen(address, timeout=HANG_GUARD_S) as answer:
        return answer.read()


@pytest.fixture(scope="module")
def ask(address):
    """What a page asks for, as JSON (or as bytes)."""

    def asked(path, body=None, *, raw=False, **query):
        url = f"{address}/data/plugin/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        if body is not None:
            url = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        answer = get(url)
        return answer if raw else json.loads(answer)

    return asked


@pytest.fixture(scope="module")
def groups(ask):
    """The rows of the HPARAMS tab with some statuses: those that the table, its charts and its filter show."""
    metrics = ask("hparams/experiment", {})["metricInfos"]

    def of(*statuses):
        request = {
            "allowedStatuses": [f"STATUS_{status}" for status in statuses],
            "colParams": [{"metric": metric["name"], "includeInResult": True} for metric in metrics],
            "startIndex": 0,
            "sliceSize": 100,
            "includeMetrics": True,
        }
        return ask("hparams/session_groups", request).get("sessionGroups", [])

    return of


@pytest.fixture(scope="module")
def records(sweep):
    return {record.name: record for record in read_records(sweep).values()}


def test_the_columns_are_the_swept_settings_and_the_metrics_each_once(ask):
    found = ask("hparams/experiment", {})
    domains = {info["name"]: info["domainDiscrete"] for info in found["hparamInfos"]}
    assert domains == {"lr": [0.0005, 0.001], "kernel_size": [3.0, 5.0]}
    titles = {info["name"]["tag"]: info["displayName"] for info in found["metricInfos"]}
    assert titles == HPARAMS_METRICS | VAE_METRICS
    assert len(found["metricInfos"]) == len(titles)


def test_a_configuration_is_one_row_and_its_fold_runs_are_sessions_of_it(groups, records):
    found = {row["name"].split()[0]: row for row in groups("SUCCESS")}
    assert set(found) == {code_of(record.config) for record in records.values()}
    for code, row in found.items():
        mine = {name for name, record in records.items() if code_of(record.config) == code}
        assert {session["name"] for session in row["sessions"]} == mine
        assert not {"kind", "label", "fold", "n_folds", "seed"} & set(row["hparams"])
        for session in row["sessions"]:
            cell, place = records[session["name"]].cell, json.loads(session["modelUri"])
            assert place == {**{n: getattr(cell, n) for n in ("kind", "label", "fold", "n_folds")}, "seed": 42}


def test_metrics_of_a_row_are_of_its_search_trial_or_the_means_of_its_folds(groups, records, sweep):
    for row in groups("SUCCESS"):
        shown = {metric["name"]["tag"]: metric["value"] for metric in row["metricValues"]}
        mine = [records[session["name"]] for session in row["sessions"]]
        (search,) = (record for record in mine if record.is_search)
        folds = [record.test["psnr_db"] for record in mine if record.is_fold]
        assert shown["best/val_psnr_db"] == pytest.approx(search.metrics["best_val_psnr_db"], rel=1e-6)
        assert shown["last/val_psnr_db"] == pytest.approx(search.metrics["val_psnr_db"], rel=1e-6)
        assert shown["last/val_kl_nats"] == read_trial(sweep / search.name).scalars["val_kl_nats"][2]
        assert shown.get("folds/test_psnr_db") == (pytest.approx(np.mean(folds), rel=1e-6) if folds else None)
        assert "pruned/epoch" not in shown


def test_the_filter_by_status_tells_running_and_failed_trials_from_complete_ones(groups):
    def names(*statuses):
        return {session["name"] for row in groups(*statuses) for session in row["sessions"]}

    assert names("FAILURE") == {BROKEN}
    assert names("UNKNOWN") == {RUNNING}
    assert names("RUNNING") == set()
    assert len(names("SUCCESS")) == 6


def test_a_chart_has_train_and_validation_loss_of_a_trial(ask, records):
    layout = ask("custom_scalars/layout")
    charts = {chart["title"]: chart for category in layout["category"] for chart in category["chart"]}
    pattern = "|".join(charts["loss"]["multiline"]["tag"])
    for name in records:
        found = ask("custom_scalars/scalars", tag=pattern, run=name)
        assert found["regex_valid"]
        assert set(found["tag_to_events"]) == {"train_loss", "val_loss"}
        assert [step for _, step, _ in found["tag_to_events"]["val_loss"]] == [1, 2]


def test_a_band_is_what_the_folds_of_a_label_are(ask, sweep, records):
    (run,) = (run for run in runs(sweep) if run.startswith("bands/PP1-2-folds-"))
    curves = [
        read_trial(sweep / r.name).scalars["val_psnr_db"] for r in records.values() if r.is_fold and r.label == "PP1"
    ]
    for part, rule in (("mean", np.mean), ("lowest", np.min), ("highest", np.max)):
        points = ask("scalars/scalars", run=run, tag=f"{BAND}/val_psnr_db/{part}")
        assert [value for *_, value in points] == pytest.approx(
            [rule([curve[epoch] for curve in curves]) for epoch in (1, 2)], rel=1e-6
        )


def test_all_charts_of_the_layout_have_data(ask, sweep):
    tags = {tag for run in ask("scalars/tags").values() for tag in run}
    for category in ask("custom_scalars/layout")["category"]:
        for chart in category["chart"]:
            wanted = chart.get("multiline", {}).get("tag", [])
            wanted += [f"^{tag}$" for series in chart.get("margin", {}).get("series", []) for tag in series.values()]
            for pattern in wanted:
                assert any(re.match(pattern, tag) for tag in tags), pattern


def picture(ask, run, sample, tag=RECONSTRUCTIONS):
    content = ask("images/images", run=run, tag=tag, sample=0)
    data = ask(f"images/individualImage?{content[sample]['query']}", raw=True)
    return content, Image.open(io.BytesIO(data))


def test_all_trials_show_the_same_crops_at_every_epoch(ask, sweep, records, image_folder):
    shown = read_sealed(sweep / "shown_crops.json")["crops"]
    classes = {pair for crop in shown for pair in crop["classes"].items()}
    assert {name for label, name in classes if label == "PP1"} == {"D", "H", "V"}
    assert {crop["image"] for crop in shown} <= {
        str(path.relative_to(image_folder)) for path in image_folder.rglob("*.png")
    }
    head = MARGIN + 3 * LINE + 2  # file, two labels, PSNR
    originals, reconstructions = set(), set()
    for name in records:
        for sample in (0, 1):
            content, found = picture(ask, name, sample)
            assert [each["step"] for each in content] == [1, 2]
            assert found.mode == "P"
            pixels = np.asarray(found)
            rows = [pixels[head + k * (ENLARGED + GAP) :][:ENLARGED, MARGIN : MARGIN + ENLARGED] for k in range(3)]
            assert rows[0].max() < GREYS
            assert rows[2].min() >= GREYS
            originals.add(rows[0].tobytes())
            reconstructions.add(rows[1].tobytes())
    assert len(originals) == 1
    assert len(reconstructions) > len(records)


def test_a_vae_shows_samples_and_traversals(ask, records):
    for name in records:
        for tag, size in (("vae/samples", (8 * 64, 4 * 64)), ("vae/traversals", (7 * 64, 8 * 64))):
            content, found = picture(ask, name, 0, tag)
            assert ([each["step"] for each in content], found.size) == ([2], size)


def test_the_projector_has_the_latents_of_the_best_trials(ask, records, sweep):
    search = {name for name, record in records.items() if record.is_search}
    assert set(ask("projector/runs")) == search
    run = min(search)
    (embedding,) = ask("projector/info", run=run)["embeddings"]
    points, dimensions = embedding["tensorShape"]
    latents = np.frombuffer(ask("projector/tensor", raw=True, run=run, name="latents"), np.float32)
    assert latents.reshape(points, dimensions).std(0).min() > 0
    table = ask("projector/metadata", raw=True, run=run, name="latents").decode().splitlines()
    columns, *rows = (line.split("\t") for line in table)
    assert columns[:2] == ["image", "folder"]
    assert {"angle", "pattern", "NP", "EP1", "PSNR (dB)", "part"} <= set(columns)
    assert len(rows) == points
    assert {len(row) for row in rows} == {len(columns)}
    assert {row[columns.index("part")] for row in rows} == {"train", "val", "test"}
    sprite = Image.open(io.BytesIO(ask("projector/sprite_image", raw=True, run=run, name="latents")))
    side = embedding["sprite"]["singleImageDim"][0]
    assert (sprite.width // side) * (sprite.height // side) >= points


def test_a_trial_has_a_page_with_its_settings_command_and_environment(ask, sweep, records):
    for name in records:
        page, end = ask("text/text", run=name, tag="trial")
        assert (page["step"], end["step"]) == (0, 2)
        for text in ("kernel_size", "latent_dim", "--space smoke", "torch", "seed 42"):
            assert text in page["text"], text
        assert "complete" in end["text"]
    assert "failed" in ask("text/text", run=BROKEN, tag="trial")[-1]["text"]


def test_the_event_files_of_a_trial_are_small(sweep, records):
    for name in records:
        assert sum(path.stat().st_size for path in (sweep / name).glob("events*")) < LIMIT


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_browser_shows_the_tabs_and_the_trials(address, sweep, records, tmp_path):
    command = [CHROMIUM, *QUIET, f"--user-data-dir={tmp_path}", "--dump-dom", f"{address}/#timeseries"]
    page = subprocess.run(command, capture_output=True, text=True, timeout=HANG_GUARD_S, check=True).stdout
    for tab in ("Time Series", "scalars", "Custom Scalars", "images", "text", "hparams", "Projector"):
        assert re.search(tab, page, re.IGNORECASE), tab
    for name in (*records, RUNNING, BROKEN):
        assert name in page
    assert "val_psnr_db" in page or "best/val_psnr_db" in page


def test_optunas_dashboard_shows_the_study(sweep, tmp_path):
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from optuna_dashboard._cli import main; main()", str(sweep / "optuna.journal")]
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=file, stderr=file)
    address = f"http://127.0.0.1:{port}/api/studies"
    try:
        (study,) = json.loads(wait_for(lambda: answered(address), lambda: process.poll() is None))["study_summaries"]
        found = json.loads(get(f"{address}/{study['study_id']}?after=0"))
    finally:
        process.terminate()
        process.wait()
    assert study["directions"] == ["maximize"]
    assert [trial["state"] for trial in found["trials"]] == ["Complete", "Complete"]
    searched = [record.metrics["best_val_psnr_db"] for record in read_records(sweep).values() if record.is_search]
    assert sorted(trial["values"][0] for trial in found["trials"]) == pytest.approx(sorted(searched))
    assert {each["name"] for each in found["union_search_space"]} == {"lr", "kernel_size"}


def answered(address):
    try:
        return get(address)
    except urllib.error.URLError:
        return None


SUFFIXES = {"dB": "_db", "s": ("_s", "seconds"), "nats": "_nats", "bits per pixel": "bits_per_dim"}
COUNTS = ("images", "epochs")


def test_pandas_reads_every_table_with_units_in_its_headings(sweep):
    tables = {path.name: pd.read_csv(path) for path in (sweep / "report").glob("*.csv")}
    assert set(tables) >= {"trials.csv", "cv.csv", "classes.csv", "baselines.csv"}
    for name, table in tables.items():
        assert len(table)
        described = TABLES[f"report/{name}"][1]
        for column, (unit, _) in described.items():
            assert not unit or unit in COUNTS or column.endswith(SUFFIXES[unit]), (name, column, unit)
        numbers = table.select_dtypes("number").columns
        assert {"test_psnr_db", "psnr_db"} & set(numbers)
