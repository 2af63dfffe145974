"""The command to type next: the sweep's own, with what the answer lacks most; and that it would run something."""

import io
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from written_sweeps import write_sweep_json, write_trial

from deepdlt.config import config_dict, make_config
from sweeps.console.next_command import next_command, with_option
from sweeps.console.summary import show_summary
from sweeps.space.axis import Axis
from sweeps.space.configuration import Configuration
from sweeps.store.sweep_file import SweepFile, read_sweep
from sweeps.store.tally import Tally, tally_of
from sweeps.store.trial_record import read_records

RUN = "python sweeps/run.py --space exp_grid"


def tally(**changes: Any) -> Tally:
    """Everything is done; the space has 72 configurations."""
    usual = {"planned": (12, 0), "to_run": (0, 0), "done": (12, 0), "failed": (0, 0), "searched": 5, "compared": 0}
    return Tally(**{**usual, "space_size": 72, **changes})


@pytest.mark.parametrize(
    ("command", "state", "expected"),
    [
        (RUN, {}, f"{RUN} --cv"),
        (RUN, {"failed": (2, 0)}, f"{RUN} --retry-failed --cv"),
        (f"{RUN} --cv", {"failed": (0, 1), "compared": 1}, f"{RUN} --cv --retry-failed"),
        (f"{RUN} --cv --retry-failed", {"failed": (0, 1), "compared": 3}, ""),
        (f"{RUN} --cv", {"compared": 1}, f"{RUN} --cv --cv-top 3"),
        (f"{RUN} --cv", {"compared": 1, "searched": 2}, f"{RUN} --cv --cv-top 2"),
        (RUN, {"compared": 1}, f"{RUN} --cv --cv-top 3"),  # --cv-top alone would run nothing
        (f"{RUN} --cv --cv-top 3", {"compared": 3}, f"{RUN} --cv --cv-top 3 --trials 24"),
        (f"{RUN} --trials=16 --cv", {"compared": 3, "planned": (16, 60)}, f"{RUN} --cv --trials 32"),
        (f"{RUN} --trials 16 --cv", {"compared": 3, "planned": (16, 60)}, f"{RUN} --cv --trials 32"),
        (f"{RUN} --trials 72 --cv", {"compared": 3, "planned": (72, 60)}, ""),  # the space has no more
        (
            f"{RUN} --trials 72 --cv",
            {"compared": 3, "planned": (72, 60), "space_size": None},
            f"{RUN} --cv --trials 144",
        ),
        ("python sweeps/run.py --space cv_report", {"compared": 1, "searched": 0, "planned": (0, 20)}, ""),
        (f"{RUN} --cv", {"to_run": (0, 3), "compared": 1}, f"{RUN} --cv"),  # the same goes on
        (RUN, {"to_run": (3, 0), "failed": (1, 0)}, RUN),
        (RUN, {"searched": 0}, RUN),  # nothing to cross-validate
        (RUN, {"searched": 0, "failed": (12, 0)}, f"{RUN} --retry-failed"),
        (f"{RUN} --retry-failed", {"searched": 0, "failed": (12, 0)}, ""),
        ("", {"failed": (1, 0)}, ""),
    ],
)
def test_the_next_command_adds_what_is_missing(command: str, state: dict[str, Any], expected: str) -> None:
    assert next_command(command, tally(**state)) == expected


def test_paths_with_spaces_survive() -> None:
    command = f"{RUN} --data 'my images'"
    assert with_option(command, "--cv") == f"{RUN} --data 'my images' --cv"
    assert with_option(f"{command} --cv", "--cv") == f"{command} --cv"


def summary(sweep: Path, state: Tally | None = None) -> str:
    file = io.StringIO()
    show_summary(sweep, file, state)
    return file.getvalue()


@pytest.mark.parametrize("folder", ["/data/SEM [raw]", "/data/SEM[/raw]", "/data/:smile: [bold]x"])
def test_brackets_in_a_path_are_printed_as_they_are(tmp_path: Path, folder: str) -> None:
    command = f"{RUN} --data {shlex.quote(folder)}"
    write_sweep_json(tmp_path, command=command)
    write_trial(tmp_path, 0, lr=1e-3, kernel_size=3)
    assert f"next: {command} --cv\n" in summary(tmp_path, tally())


def test_the_tally_of_sweep_json_leaves_out_what_older_requests_left(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, axes={"lr": [1e-3, 5e-4]}, labels=["angle"], cv_seeds=[42])
    write_trial(tmp_path, 0, lr=1e-3)
    write_trial(tmp_path, 1, "failed", lr=0.5, content={"error": "diverged"})  # outside the space
    write_trial(tmp_path, cv=("angle", 1), lr=1e-3, seed=42)
    write_trial(tmp_path, 2, "failed", cv=("PP1", 1), lr=1e-3, seed=42)  # of labels not asked for any more
    write_trial(tmp_path, 3, "failed", cv=("angle", 2), lr=1e-3, seed=43)  # of another seed
    write_trial(tmp_path, 4, "failed", cv=("angle", 2), lr=1e-3, seed=42, n_folds=3)
    records = list(read_records(tmp_path).values())
    found = tally_of(read_sweep(tmp_path), records)
    assert found.failed == (0, 0)
    assert (found.searched, found.compared, found.space_size) == (1, 1, 2)
    assert "--retry-failed" not in summary(tmp_path)
    write_trial(tmp_path, 5, "failed", cv=("angle", 3), lr=1e-3, seed=42)
    assert tally_of(read_sweep(tmp_path), read_records(tmp_path).values()).failed == (0, 1)
    assert "--cv --retry-failed" in summary(tmp_path)
    asked = read_sweep(tmp_path)
    for other in (replace(asked, command=RUN), replace(asked, cv_configurations=(Configuration.of(lr=5e-4),))):
        assert tally_of(other, read_records(tmp_path).values()).failed == (0, 0)  # no --cv; another one is chosen
    for option in ("--cv-top 2", "--cv-seeds=1", "--labels angle", "--folds 5", "--race-margin 0.1"):
        implied = replace(asked, command=f"{RUN} {option}")
        assert tally_of(implied, read_records(tmp_path).values()).failed == (0, 1)  # they ask for folds, too


def test_a_trial_of_an_axis_that_was_removed_is_outside_unless_it_has_what_is_left() -> None:
    settings = Configuration.of(dropout=0.3)
    asked = SweepFile(axes={"lr": Axis((1e-3,))}, settings=settings, epochs=3, seed=1, protocol="corrected")
    usual = {"lr": 1e-3, "dropout": 0.3, "epochs": 3, "seed": 1}
    inside = Configuration.of(config_dict(make_config("corrected", **usual)))
    assert asked.outside(inside) == []
    assert asked.outside(inside | {"kernel_size": 5}) == ["kernel_size"]
    assert asked.outside(inside | {"lr": 0.5}) == ["lr"]


def test_of_a_narrower_space_the_best_inside_is_shown_and_the_rest_is_counted(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, axes={"lr": [5e-4, 1e-4]})
    best = write_trial(tmp_path, 0, lr=1e-3)
    inside = write_trial(tmp_path, 1, lr=5e-4)
    text = summary(tmp_path)
    assert inside.name in text
    assert best.name not in text
    assert "outside the current search space: 1 complete (kept, not ranked)" in text


def test_folds_of_another_configuration_than_the_searchs_best_are_named(tmp_path: Path) -> None:
    write_sweep_json(tmp_path, axes={"lr": [1e-3, 5e-4]}, labels=["angle"])
    write_trial(tmp_path, 1, lr=5e-4)
    for fold in range(1, 6):
        write_trial(tmp_path, cv=("angle", fold), lr=5e-4)
    assert "configuration" not in summary(tmp_path)
    write_trial(tmp_path, 0, lr=1e-3)  # the search went on, without --cv
    line = next(line for line in summary(tmp_path).splitlines() if "angle" in line)
    assert line.split()[:3] == ["lr", "0.0005", "angle"]
