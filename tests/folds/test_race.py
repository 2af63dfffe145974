"""The race of a sweep from its records: which cells count, and that asking is cheap."""

import subprocess
import sys

import numpy as np
import pytest

from sweeps.folds.race import grid_values, race_outcome, trial_epochs_saved
from sweeps.folds.race_rule import Race
from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell
from sweeps.store.trial_record import TrialRecord

CELLS = [(label, fold, seed) for seed in (42, 43) for label in ("angle", "PP1") for fold in range(1, 6)]
CONFIGS = [Configuration.of(lr=lr, dropout=0.0, epochs=4) for lr in (1e-3, 5e-4, 1e-4)]
BEHIND = (0.0, 0.02, 2.0)


def record(config, place, psnr_db=25.0, status="complete", kind="cv", n_folds=5, **changes):
    label, fold, seed = place
    draw = np.random.default_rng([fold, seed, len(label), round(1e6 * config["lr"])])
    values = psnr_db + 0.05 * draw.normal() + 0.05 * draw.normal(size=8)
    tested = {str(8 * fold + i): {"psnr_db": float(v), "loss": 0.003, "ssim": 0.6} for i, v in enumerate(values)}
    cell = Cell(kind, config | {"seed": seed}, label, fold, n_folds, "data")
    content = {"test_by_image": tested, **changes}
    return TrialRecord(name=cell.name(), status=status, cell=cell, identity=cell.identity, **content)


def grid(n=None):
    return [record(c, cell, 25 - b) for cell in CELLS[:n] for c, b in zip(CONFIGS, BEHIND, strict=True)]


def test_the_outcome_is_that_of_the_race_over_the_records_images():
    values = {
        config: {
            cell: {i: v["psnr_db"] for i, v in record(config, cell, 25 - behind).test_by_image.items()}
            for cell in CELLS
        }
        for config, behind in zip(CONFIGS, BEHIND, strict=True)
    }
    stops = race_outcome(grid(), CONFIGS, CELLS)
    assert stops == Race(3, CELLS).stops(values)
    assert next(iter(stops)) == CONFIGS[2]
    assert stops[CONFIGS[2]].cells <= 4


def test_a_configuration_is_the_same_however_its_numbers_are_spelled():
    spelled = [Configuration.of(epochs=4.0, dropout=0, lr=config["lr"]) for config in CONFIGS]
    assert race_outcome(grid(), spelled, CELLS) == race_outcome(grid(), CONFIGS, CELLS) != {}


@pytest.mark.parametrize(
    "stray",
    [
        record(CONFIGS[2], CELLS[0], 99.0, n_folds=3),
        record(CONFIGS[2], ("EP1", 1, 42), 99.0),
        record(CONFIGS[2], ("angle", 1, 7), 99.0),
        record(CONFIGS[2] | {"dropout": 0.1}, CELLS[0], 99.0),
        record(CONFIGS[2], CELLS[0], 99.0, kind="search"),
    ],
    ids=["other folds", "other label", "other seed", "other configuration", "search"],
)
def test_records_of_other_grids_stay_out(stray):
    assert race_outcome([*grid(), stray], CONFIGS, CELLS) == race_outcome(grid(), CONFIGS, CELLS)


@pytest.mark.parametrize(
    "change", [{"status": "failed"}, {"test_by_image": {}}], ids=["failed", "of a version that kept no images"]
)
def test_a_cell_without_images_is_finished_but_not_compared(change):
    failed = [record(CONFIGS[0], CELLS[0], **change)]
    assert grid_values(failed, CONFIGS, CELLS)[CONFIGS[0]] == {CELLS[0]: {}}
    rest = [r for r in grid() if not (r.config["lr"] == 1e-3 and r.place == CELLS[0])]
    assert CONFIGS[2] in race_outcome(failed + rest, CONFIGS, CELLS)


@pytest.mark.parametrize(("configurations", "cells"), [(CONFIGS[:1], CELLS), ([], CELLS), (CONFIGS, [])])
def test_who_is_alone_does_not_race(configurations, cells):
    assert race_outcome(grid(), configurations, cells) == {}


def test_saved_epochs_are_those_of_cells_that_were_never_run():
    stops = race_outcome(grid(), CONFIGS, CELLS)
    ran = [r for r in grid(10) if not (r.config["lr"] == 1e-4 and r.cell.fold > 3)]  # 6 cells
    assert trial_epochs_saved(ran, [CONFIGS[2]], CELLS) == 4 * (len(CELLS) - 6)
    assert trial_epochs_saved(grid(), stops, CELLS) == 0  # all of them ran beyond their stop


def test_the_race_the_tables_and_the_console_need_neither_ray_nor_torch():
    code = (
        "import sys, sweeps.folds.race, sweeps.folds.standings, sweeps.folds.texts, sweeps.console.summary\n"
        "print(*sorted({'ray', 'torch', 'optuna', 'pandas', 'tensorboard'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
