"""The real command line: a whole sweep, its tables, its resumption after SIGTERM, its refusals."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageOps
from running_sweep import NET
from waiting import HANG_GUARD_S, wait_for

from sweeps.execution import session as ray_session
from sweeps.execution import sweep_run as ray_runs
from sweeps.run import main
from sweeps.store.baselines_file import read_baselines
from sweeps.store.event_files import read_trial
from sweeps.store.trial_record import COMPLETE, read_records

ROOT = Path(__file__).parents[2]
RUN = [sys.executable, str(ROOT / "sweeps" / "run.py")]
HEAVY = {"ray", "torch", "pandas", "numpy", "optuna"}
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
SMALL = ["--space", "smoke", *NET, "--cv", "--labels", "PP1,angle", "--folds", "2", "--name", "t"]


def call(arguments, cwd):
    command = [*RUN, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=HANG_GUARD_S, check=False)


@pytest.fixture
def call_here(monkeypatch, capsys):
    """The same in this process, with the Ray of the test session where one is asked for: seconds less each."""

    def run(arguments, cwd):
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", [RUN[1], *arguments])
        before = signal.getsignal(signal.SIGTERM)
        try:
            code = main(arguments)
        finally:
            signal.signal(signal.SIGTERM, before)
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return run


@pytest.fixture(scope="module")
def watched(tmp_path_factory, image_folder):
    """One sweep through the real command line: 2 search trials, then 2 labels x 2 folds. Its folder, what it printed,
    the mark of Ray's processes, and whether they were seen.

    Ray's processes name its session folder, whose name ends with the driver's process number.
    """
    cwd = tmp_path_factory.mktemp("sweep")
    process = subprocess.Popen([*RUN, *SMALL, "--data", str(image_folder)], cwd=cwd, text=True, **PIPES)
    mark, seen = re.compile(rf"session_[-_0-9]+_{process.pid}\b"), False
    while process.poll() is None:
        seen = seen or bool(mark.search(processes()))
        time.sleep(1)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return cwd, SimpleNamespace(stdout=out, stderr=err), mark, seen


@pytest.fixture(scope="module")
def finished(watched):
    return watched[:2]


@pytest.fixture(scope="module")
def sweep(finished):
    return finished[0] / "ray_results" / "t"


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_planned_trial_is_there_and_complete(sweep):
    records = list(read_records(sweep).values())
    assert sorted((r.cell.kind, r.label, r.cell.fold) for r in records) == [
        ("cv", "PP1", 1),
        ("cv", "PP1", 2),
        ("cv", "angle", 1),
        ("cv", "angle", 2),
        ("search", "angle", 0),
        ("search", "angle", 0),
    ]
    assert {r.status for r in records} == {COMPLETE}


def test_the_tables_hold_the_numbers_of_the_event_files(sweep):
    rows = {row["trial"]: row for row in table(sweep / "report" / "trials.csv")}
    assert len(rows) == 6
    for name, row in rows.items():
        scalars = read_trial(sweep / name).scalars
        assert float(row["test_loss"]) == pytest.approx(scalars["test/loss"][1], rel=1e-6)
        assert float(row["val_psnr_db"]) == pytest.approx(scalars["val_psnr_db"][1], rel=1e-6)


def test_the_folds_average_is_the_mean_of_the_folds(sweep, finished):
    records = [r for r in read_records(sweep).values() if r.is_fold and r.label == "PP1"]
    losses = [r.test["loss"] for r in records]
    line = next(line for line in finished[1].stdout.splitlines() if line.startswith("PP1"))
    mean, sd = (float(x) for x in re.search(r"(\d\.\d+) ± (\d\.\d+)", line).groups())
    assert mean == pytest.approx(np.mean(losses), abs=6e-5)
    assert sd == pytest.approx(np.std(losses, ddof=1), abs=6e-5)


def test_cross_validation_is_of_the_best_configuration(sweep):
    records = list(read_records(sweep).values())
    search = [r for r in records if r.is_search]
    best = max(search, key=lambda r: r.metrics["best_val_psnr_db"])
    assert all(r.config == best.config for r in records if r.is_fold)
    assert search[0].config != search[1].config


def test_every_split_has_baselines_that_the_report_shows(sweep):
    found = read_baselines(sweep)
    places = {split.split for split in found.splits}
    assert places == {("angle", 0, 0), *((label, fold, 2) for label in ("PP1", "angle") for fold in (1, 2))}
    assert found.latent_sizes == (4096,)
    html = (sweep / "report" / "report.html").read_text(encoding="utf-8")
    assert "<b>Baselines</b>" in html
    assert html.count(">DCT-128</td>") == 2
    assert "DCT-128: the 128 lowest cosine frequencies" in html
    assert {row["baseline"] for row in table(sweep / "report" / "baselines.csv")} >= {"constant", "low-pass DCT"}


def test_spectra_of_the_test_crops_are_in_the_tables(sweep):
    records = [r for r in read_records(sweep).values() if r.is_fold and r.label == "PP1"]
    rows = {r["fold"]: float(r["test_spectrum_db"]) for r in table(sweep / "report" / "cv.csv") if r["label"] == "PP1"}
    spectra = [r.test["spectrum_db"] for r in records]
    assert [rows["1"], rows["2"], rows["mean"]] == pytest.approx([*spectra, np.mean(spectra)], rel=1e-6)


def test_every_image_is_tested_once_per_label(sweep):
    records = [r for r in read_records(sweep).values() if r.is_fold and r.label == "angle"]
    tested = [int(image) for r in records for image in r.test_by_image]
    assert sorted(tested) == list(range(12))


def test_the_answer_names_report_and_tensorboard_on_stdout(finished, sweep):
    out = finished[1].stdout
    assert "report: ray_results/t/report/report.html" in out
    assert re.search(r"tensorboard --logdir ray_results$", out, re.MULTILINE)
    assert (sweep / "report" / "report.html").stat().st_size > 20_000


def test_progress_is_a_line_per_trial_without_a_terminal_and_ray_is_silent(finished):
    lines = finished[1].stderr.splitlines()
    assert len([line for line in lines if re.match(r"\[\d/\d\] \S+ complete", line)]) == 6
    assert not [line for line in lines if "ray" in line.lower() and "ray_results" not in line]
    assert "Warning" not in finished[1].stderr


def test_nothing_is_left_running(watched):
    *_, mark, seen = watched
    assert seen
    wait_for(lambda: not mark.search(processes()))


def test_the_terms_of_a_vaes_elbo_are_in_the_ranking_and_in_the_hparams_tab(
    tmp_path, image_folder, call_here, shared_ray
):
    command = ["--space", "smoke", "--set", "model=cnn_vae", "--trials", "1", "--name", "t"]
    assert call_here([*command, "--data", str(image_folder)], tmp_path).returncode == 0
    sweep = tmp_path / "ray_results" / "t"
    [row] = table(sweep / "report" / "trials.csv")
    scalars = read_trial(sweep / row["trial"]).scalars
    for name in ("val_bits_per_dim", "val_kl_nats", "val_active_units"):
        assert float(row[name]) == scalars[name][1]
        assert name.encode() in next(sweep.glob("events*")).read_bytes()
    assert "| Bits/dim | KL (nats) | Active units |" in (sweep / "report" / "report.md").read_text(encoding="utf-8")
    assert read_baselines(sweep).latent_sizes == (128,)


def processes():
    return subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout


def test_the_same_command_again_runs_nothing_and_starts_no_ray(finished, sweep, image_folder, call_here, monkeypatch):
    monkeypatch.setattr(ray_session, "_start", lambda **_: pytest.fail("Ray is started"))
    monkeypatch.setattr(ray_runs.tune, "Tuner", lambda *_, **__: pytest.fail("Tune is started"))
    kept = [*sweep.glob("*/trial.json"), sweep / "baselines.json"]
    before = {path: path.stat().st_mtime_ns for path in kept}
    again = call_here([*SMALL, "--data", str(image_folder)], finished[0])
    assert again.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert "baselines" not in again.stderr
    assert again.stdout == finished[1].stdout


@pytest.fixture
def extended(finished, image_folder, tmp_path, call_here, shared_ray):
    """The sweep with a damaged record, after a command that asks for one more trial and for three folds instead of two.

    What the record held, what the command printed, and the sweep's folder.
    """
    copied = shutil.copytree(finished[0], tmp_path / "copy")
    sweep = copied / "ray_results" / "t"
    record = next(sweep.glob("s0001-*")) / "trial.json"
    whole = json.loads(record.read_text())
    record.write_bytes(record.read_bytes()[:300])
    command = ["--space", "smoke", *NET, "--name", "t", "--trials", "3", "--cv", "--labels", "PP1", "--folds", "3"]
    done = call_here([*command, "--data", str(image_folder), "--json"], copied)
    assert done.returncode == 0, done.stderr
    return whole, done, sweep


def test_wider_options_extend_a_sweep_and_what_is_damaged_is_run_again(extended):
    """More trials; a trial whose record was damaged under its old name; folds of another number, averaged alone."""
    whole, done, sweep = extended
    records = read_records(sweep)
    search = [r for r in records.values() if r.is_search]
    assert len({r.identity for r in search}) == len(search) == 3
    assert len(list(sweep.glob("s0*"))) == 3
    assert records[whole["identity"]].metrics["val_loss"] == whole["metrics"]["val_loss"]
    assert "trial.json is damaged; the trial is repeated" in done.stderr
    assert "to run: 2 search trials + 3 fold runs; 1 done already" in done.stderr
    assert len(re.findall(r"complete, epoch", done.stderr)) == 5
    found = [r for r in records.values() if (r.cell.kind, r.label, r.cell.n_folds) == ("cv", "PP1", 3)]
    folds = [r.test["loss"] for r in found]
    row = json.loads(done.stdout)["cv"][0]
    assert (row["folds"], row["complete"], len(folds)) == (3, 3, 3)
    assert row["mean"]["test_loss"] == pytest.approx(np.mean(folds))
    shown = [r for r in table(sweep / "report" / "cv.csv") if (r["label"], r["n_folds"]) == ("PP1", "3")]
    losses = [float(r["test_loss"]) for r in shown if r["fold"].isdigit()]
    assert [loss for loss in losses if loss in folds] == losses


def test_other_data_under_the_same_name_are_refused(finished, image_folder, tmp_path, call_here):
    other = Path(shutil.copytree(image_folder, tmp_path / "other"))
    png = next(other.rglob("*.png"))
    ImageOps.invert(Image.open(png)).save(png)
    done = call_here([*SMALL, "--data", str(other)], finished[0])
    assert done.returncode == 2
    assert "made with other settings; choose another --name" in done.stderr
    assert "data_fingerprint" in done.stderr


def test_a_plan_starts_nothing_and_is_json_on_request(tmp_path, image_folder, call_here):
    done = call_here([*SMALL, "--data", str(image_folder), "--plan", "--json"], tmp_path)
    plan = json.loads(done.stdout)
    assert (plan["search_trials"], plan["cv_trials"], plan["images"]) == (2, 4, 12)
    assert not (tmp_path / "ray_results").exists()


@pytest.mark.slow
def test_a_terminated_sweep_goes_on_where_it_was(tmp_path, image_folder):
    command = ["--space", "exp_grid", "--epochs", "2", "--trials", "3", "--scheduler", "none", "--name", "t"]
    command += [*NET, "--data", str(image_folder), "--set", "kernel_size=3", "--max-concurrent", "1"]
    sweep = tmp_path / "ray_results" / "t"
    process = subprocess.Popen([*RUN, *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    complete, begun = lambda: list(sweep.glob("*/trial.json")), lambda: list(sweep.glob("s0*"))
    wait_for(lambda: complete() and len(begun()) > 1, lambda: process.poll() is None)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=HANG_GUARD_S)
    before = {path: path.read_bytes() for path in sweep.glob("*/trial.json")}
    begun = {path.name for path in sweep.glob("s0*")}
    assert 1 <= len(before) < 3
    assert process.returncode == 130
    assert "Completed trials are saved. Resume with:" in stderr
    done = call(command, tmp_path)
    assert done.returncode == 0, done.stderr
    records = read_records(sweep)
    assert len(records) == 3
    assert {r.status for r in records.values()} == {COMPLETE}
    assert all(path.read_bytes() == raw for path, raw in before.items())
    assert begun <= {r.name for r in records.values()}  # the begun trial was finished, not replaced
    for record in records.values():
        assert sorted(read_trial(sweep / record.name).scalars["val_loss"]) == [1, 2]


def test_a_trial_that_diverges_fails_alone_and_is_never_ranked(tmp_path, image_folder, call_here, shared_ray):
    command = ["--space", "smoke", *NET, "--set", "optimizer=sgd", "--set", "lr=1e30", "--trials", "1", "--name", "t"]
    done = call_here([*command, "--data", str(image_folder), "--json"], tmp_path)
    assert done.returncode == 1
    assert "non-finite loss at epoch 1, batch" in done.stderr
    summary = json.loads(done.stdout)
    assert summary["best"] is None
    assert summary["trials"]["failed"] == 1
    assert "Traceback" not in done.stderr
    assert (tmp_path / "ray_results" / "t" / "report" / "report.html").is_file()


REFUSALS = [
    (["--space", "exp_gird"], "unknown space 'exp_gird' (did you mean 'exp_grid'?); spaces: cv_report, exp_grid"),
    (["--space", "../x"], "unknown space"),
    ([], "--space is missing"),
    (["--space", "smoke", "--data", "nowhere"], "no such folder: nowhere"),
    (["--space", "smoke", "--data", "IMAGES", "--labels", "angel"], "unknown label 'angel'"),
    (["--space", "smoke", "--data", "IMAGES", "--labels", "angle,angle"], "--labels must be distinct"),
    (["--space", "smoke", "--data", "IMAGES", "--cv", "--folds", "1"], "--folds must be at least 2, got 1"),
    (["--space", "smoke", "--data", "IMAGES", "--cv", "--folds", "5"], "use --folds 4 or fewer"),
    (["--space", "smoke", "--cpus-per-trial", "1000"], "--cpus-per-trial must be in"),
    (["--space", "smoke", "--gpus-per-trial", "99"], "--gpus-per-trial"),
    (["--space", "smoke", "--max-concurrent", "0"], "--max-concurrent must be >= 1"),
    (["--space", "smoke", "--trials", "0"], "--trials must be in"),
    (["--space", "smoke", "--epochs", "0"], "`epochs` must be >= 1"),
    (["--space", "smoke", "--set", "droput=0.1"], "did you mean `dropout`"),
    (["--space", "smoke", "--set", "lr=fast"], "`lr` must be a number, got 'fast'"),
    (["--space", "smoke", "--set", "lr"], "--set takes KEY=VALUE"),
    (["--space", "smoke", "--name", "../escape", "--data", "IMAGES"], "--name"),
    (["--space", "smoke", "--set", "epochs=3"], "use --epochs"),
    (["--space", "smoke", "--data", "IMAGES", "--group-by", "batch"], "batch"),
    (["--space", "smoke", "--data", "IMAGES", "--pixel-pitch", "wide"], "wide"),
    (["--space", "smoke", "--address", "127.0.0.1:1", "--data", "IMAGES"], "no Ray cluster answers"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), REFUSALS, ids=lambda v: " ".join(v)[:60] if isinstance(v, list) else ""
)
def test_bad_input_gets_one_message_and_exit_2_before_anything_is_made(
    arguments, words, image_folder, tmp_path, call_here, monkeypatch
):
    monkeypatch.setattr(ray_session, "_start", lambda **_: pytest.fail("Ray is started"))
    done = call_here([str(image_folder) if word == "IMAGES" else word for word in arguments], tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_a_refusal_is_the_exit_code_of_the_process_too(tmp_path):
    done = call(["--space", "exp_gird"], tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown space 'exp_gird'")


def test_an_unreadable_sheet_is_refused(image_folder, tmp_path, call_here):
    broken = Path(shutil.copytree(image_folder, tmp_path / "broken"))
    (broken / "all_images.xlsx").write_bytes(b"PK not a workbook")
    done = call_here(["--space", "smoke", "--data", str(broken)], tmp_path)
    assert done.returncode == 2
    assert "all_images.xlsx: not a readable xlsx" in done.stderr


def test_a_second_run_of_the_same_sweep_exits_75(finished, sweep, image_folder, call_here):
    from sweeps.store.lock import sweep_lock

    with sweep_lock(sweep):
        done = call_here([*SMALL, "--data", str(image_folder)], finished[0])
    assert done.returncode == 75
    assert "running already" in done.stderr


def imported_by(arguments):
    """What the command prints, and the modules that it imports."""
    command = [sys.executable, "-X", "importtime", RUN[1], *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout, set(re.findall(r"^import time:.*\|\s+(\S+)$", done.stderr, re.MULTILINE))


def test_help_imports_nothing_heavy_and_has_examples_first():
    out, modules = imported_by(["--help"])
    assert "argparse" in modules
    assert not modules & HEAVY
    assert out.index("examples:") < out.index("options:")
    for flag in ("--space", "--list-spaces", "--cv", "--gpus-per-trial", "--plan", "--json"):
        assert flag in out


def test_the_spaces_are_listed_without_importing_ray():
    out, modules = imported_by(["--list-spaces"])
    names = [line.split()[0] for line in out.splitlines()]
    assert names == ["cv_report", "exp_grid", "model_grid", "res_grid", "smoke", "vae_grid"]
    assert not modules & HEAVY
