"""A sweep that the version of November 2026 made is read, counted and reported; its files are beside this one.

Twelve search trials and five folds were run on the built-in images; kept are three complete search trials, a pruned one
and the folds of `angle`, without event files and checkpoints.
"""

import csv
import json
import shutil
from pathlib import Path

import pytest

from sweeps.reporting.write import make_report
from sweeps.store.baselines_file import read_baselines
from sweeps.store.ranking import METRIC, best_first
from sweeps.store.sweep_file import check_sweep, differences, read_sweep
from sweeps.store.tally import tally_of
from sweeps.store.trial_record import COMPLETE, PRUNED, read_records

OLD = Path(__file__).parent / "sweep_of_2026_11"


@pytest.fixture
def sweep(tmp_path):
    return Path(shutil.copytree(OLD, tmp_path / "sweep"))


def test_every_record_verifies_and_is_the_cell_that_it_says(sweep):
    records = read_records(sweep)
    assert len(records) == 9
    for identity, record in records.items():
        assert record.cell.identity == record.identity == identity
        assert record.name == record.cell.name(int(record.name[1:5]) if record.is_search else 0)


def test_what_is_written_of_it_now_is_what_stands_there(sweep):
    """To the last value: neither sha256 nor identity may change."""
    for name, record in ((record.name, record) for record in read_records(sweep).values()):
        stated = json.loads((sweep / name / "trial.json").read_text(encoding="utf-8"))
        del stated["sha256"]
        assert json.loads(json.dumps(record.to_json())) == stated
    stated = json.loads((sweep / "sweep.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(read_sweep(sweep).to_json())) == stated
    stated = json.loads((sweep / "baselines.json").read_text(encoding="utf-8"))
    del stated["sha256"]
    assert json.loads(json.dumps(read_baselines(sweep).to_json())) == stated


def test_a_changed_byte_of_a_record_leaves_it_out(sweep):
    path = sorted(sweep.glob("s*/trial.json"))[0]
    path.write_bytes(path.read_bytes().replace(b'"epochs"', b'"epocks"', 1))
    assert len(read_records(sweep)) == 8


def test_what_was_asked_is_read_and_the_same_question_goes_on(sweep):
    asked = read_sweep(sweep)
    assert (asked.space, asked.trials, asked.folds) == ("exp_grid", 12, 5)
    check_sweep(sweep, asked)
    assert differences(asked, asked) == []


def test_it_is_counted_and_ranked(sweep):
    asked, records = read_sweep(sweep), list(read_records(sweep).values())
    counted = tally_of(asked, records)
    assert counted.planned == (12, 5)
    assert counted.done == (4, 5)
    assert counted.failed == (0, 0)
    assert counted.searched == 3
    psnr = [record.metrics[METRIC] for record in best_first(records)]
    assert len(psnr) == 3
    assert psnr == sorted(psnr, reverse=True)


def test_its_report_has_the_numbers_of_the_records(sweep):
    pages = make_report(sweep)
    with (pages / "trials.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["trial"]: row for row in csv.DictReader(file)}
    records = {record.name: record for record in read_records(sweep).values()}
    assert set(rows) == set(records)
    assert {record.status for record in records.values()} == {COMPLETE, PRUNED}
    for name, record in records.items():
        if record.is_complete and record.is_search:
            assert float(rows[name]["val_psnr_db"]) == pytest.approx(record.metrics[METRIC])
    assert read_baselines(sweep).latent_sizes
