"""docs/generate.py: the pages are what it writes now, and every column and key that is written is described."""

import json
import re
from dataclasses import fields
from pathlib import Path

import generate
import numpy as np
import pytest
from written_contest import write_contest
from written_sweeps import rows, write_everything, write_trial

from deepdlt import CropOptions, load_patches, make_synthetic, read_source
from deepdlt.commands import find_commands
from deepdlt.config import TrainConfig, make_config
from deepdlt.dataset import Split, stratified_folds
from deepdlt.dataset.create_dataset import create_dataset
from deepdlt.dataset.fold_csv import write_folds
from deepdlt.images import audit
from deepdlt.training.fit import fit
from sweeps.reporting.write import make_report
from sweeps.store import Cell, SweepFile, TrialRecord

DOCS = Path(__file__).resolve().parents[2] / "docs"
VAE = {f"{part}_{name}": 1.0 for part in ("val", "test") for name in ("bits_per_dim", "kl_nats", "active_units")}


def described(file: str) -> set[str]:
    return set(generate.TABLES[file][1])


def columns(path: Path) -> set[str]:
    return set(rows(path)[0])


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> list[Path]:
    """Reports of sweeps that together have every table and every optional number."""
    root = tmp_path_factory.mktemp("sweeps")
    write_trial(write_everything(root / "all"), 9, model="cnn_vae", extra={**VAE, "val_loss_floor": 0.1})
    return [make_report(root / "all"), make_report(write_contest(root / "contest"))]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return read_source(make_synthetic(tmp_path_factory.mktemp("images"), "tiny"))


@pytest.mark.parametrize("name", generate.PAGES)
def test_the_page_is_what_the_script_writes_now(name):
    assert (DOCS / name).read_text(encoding="utf-8") == generate.PAGES[name](), "run `make docs`"


def test_check_finds_a_stale_page_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    monkeypatch.setattr(generate, "PAGES", {"page.md": lambda: "new\n"})
    (tmp_path / "page.md").write_text("old\n")
    assert generate.main(["--check"]) == 1
    assert (tmp_path / "page.md").read_text() == "old\n"
    assert generate.main([]) == 0
    assert (tmp_path / "page.md").read_text() == "new\n"
    assert generate.main(["--check"]) == 0
    assert "make docs" in capsys.readouterr().out


def test_every_hyperparameter_is_on_the_page():
    named = re.findall(r"^\| `(\w+)` \|", generate.hyperparameters(), re.MULTILINE)
    assert sorted(named) == sorted(field.name for field in fields(TrainConfig))


def test_the_studys_settings_are_settings():
    for settings in generate.STUDY.values():
        make_config("report", **settings)


def test_every_command_is_on_the_page():
    named = re.findall(r"^## deepdlt (\w+)$", generate.command_line(), re.MULTILINE)
    assert set(find_commands()) <= set(named)
    assert len(named) == len(set(named))


@pytest.mark.parametrize("name", ["trials", "cv", "leaderboard", "classes", "baselines"])
def test_every_column_of_a_report_is_described_and_every_described_one_written(name, reports):
    written = set().union(*(columns(path) for report in reports if (path := report / f"{name}.csv").exists()))
    known = described(f"report/{name}.csv")
    if name == "trials":
        known |= {field.name for field in fields(TrainConfig)}
    assert written == known


def test_every_table_of_a_report_is_described(reports):
    written = {path.name for report in reports for path in report.glob("*.csv")}
    assert written == {Path(file).name for file in generate.TABLES if file.startswith("report/")}


def test_every_column_of_metrics_csv_is_described_and_every_described_one_written(tmp_path):
    crops = np.random.default_rng(0).integers(0, 256, (12, 1, 64, 64), dtype=np.uint8)
    split = Split(np.arange(8), np.arange(8, 12), np.arange(0))
    (metrics,) = fit(make_config("report", model="cnn_vae", epochs=1, batch_size=4), crops, split, tmp_path)
    assert set(metrics) == described("metrics.csv")


def test_every_column_of_the_fold_tables_is_described_and_every_described_one_written(tmp_path, source):
    patches = load_patches(create_dataset(source, tmp_path / "patches", CropOptions(crops_per_image=2)))
    folds = stratified_folds(patches.images, patches.image_id, "PP1", 2)
    folder = write_folds(patches, folds, "PP1", tmp_path)
    labels = set(source.images.columns) - {"image_id", "condition", "file", "pixel_um"}
    written = columns(folder / "fold_1" / "PP1_train.csv") - labels
    assert {name.replace("PP1_bin", "LABEL_bin") for name in written} == described("Fold tables")


def test_every_column_of_the_audit_is_described_and_every_described_one_written(source):
    assert set(audit(source).columns) == described("audit.csv")


def test_every_key_of_sweep_json_and_trial_json_is_described_and_every_described_one_written(reports):
    assert set(generate.SWEEP_JSON) == {field.name for field in fields(SweepFile)}
    of_cell = {field.name for field in fields(Cell)}
    assert set(generate.TRIAL_JSON) == {f.name for f in fields(TrialRecord)} - {"cell"} | of_cell | {"sha256"}
    record = json.loads(next(reports[0].parent.glob("*/trial.json")).read_text(encoding="utf-8"))
    assert set(record) <= set(generate.TRIAL_JSON)
