"""What a run that goes on with a sweep notices: other code, an edited space, another machine, other data."""

import json
import re
from dataclasses import replace

import pytest
import torch
from calling import parse
from ray import tune

from deepdlt.models import inference
from deepdlt.models.checkpoint import save_checkpoint
from deepdlt.models.inference import resolve_precision
from sweeps.errors import SweepRefused
from sweeps.execution.begun_trials import begin
from sweeps.identity import code as code_identity
from sweeps.identity import resuming
from sweeps.request.cells import search_cell
from sweeps.request.request import make_request
from sweeps.request.resources import Resources
from sweeps.space.axis import Axis
from sweeps.space.configuration import Configuration
from sweeps.space.tune_space import TuneSpace
from sweeps.store.cell import trial_config
from sweeps.store.sweep_file import SweepFile, check_sweep
from sweeps.store.trial_record import write_record

FILES = {"deepdlt/metrics/losses.py": "a" * 12, "deepdlt/metrics/similarity.py": "b" * 12}
EDITED = FILES | {"deepdlt/metrics/losses.py": "c" * 12}


@pytest.fixture
def asked():
    return make_request(parse(["--space", "exp_grid"]))


def commit(sweep, asked, number=1, status="complete", **content):
    settings = Configuration.of(
        lr=1e-3, dropout=0.2, activation="relu", kernel_size=3 if number == 1 else 5, optimizer="adam"
    )
    cell = search_cell(asked, settings, "angle", "d")
    return write_record(sweep / cell.name(number), cell, status, metrics={}, **content)


def test_trials_of_other_code_are_refused_with_the_files_that_changed(tmp_path, asked):
    commit(tmp_path, asked, code=code_identity.digest(FILES))
    (tmp_path / "sweep.json").write_text(json.dumps({"codes": {code_identity.digest(FILES): FILES}}))
    resuming.check_code(tmp_path, FILES, allowed=False)
    with pytest.raises(
        SweepRefused, match=r"1 trials .* other code.*\n  deepdlt/metrics/losses.py: changed\n.*--allow-code-change"
    ):
        resuming.check_code(tmp_path, EDITED, allowed=False)
    resuming.check_code(tmp_path, EDITED, allowed=True)


def test_what_was_not_finished_may_be_made_by_other_code(tmp_path, asked):
    commit(tmp_path, asked, status="failed", code=code_identity.digest(FILES), error="e")
    resuming.check_code(tmp_path, EDITED, allowed=False)
    resuming.check_code(tmp_path / "new", EDITED, allowed=False)


def test_every_version_of_the_code_stays_on_record(tmp_path):
    (tmp_path / "sweep.json").write_text(json.dumps({"codes": resuming.known_codes(tmp_path, FILES)}))
    assert resuming.known_codes(tmp_path, EDITED) == {code_identity.digest(f): f for f in (FILES, EDITED)}


def test_an_edited_space_is_told_in_exact_counts(tmp_path, asked):
    commit(tmp_path, asked, 1)
    commit(tmp_path, asked, 2)
    before = SweepFile(axes={"kernel_size": Axis((3, 5)), "lr": Axis((1e-3,))})
    (tmp_path / "sweep.json").write_text(json.dumps(before.to_json()))
    narrow = make_request(parse(["--space", "exp_grid", "--set", "optimizer=adam"]))
    fields = {**narrow.tune_space.fields, "kernel_size": tune.choice([3, 7])}
    narrow = replace(narrow, tune_space=TuneSpace(fields))
    now = SweepFile(axes={"kernel_size": Axis((3, 7)), "lr": Axis((1e-3,))})
    [line] = resuming.notes(narrow, Resources(1, 0, 1), tmp_path, now, on_cluster=True)
    assert "added: kernel_size=7; removed: kernel_size=5" in line
    assert "1 finished trial(s) are outside it now: kept, marked, not counted" in line
    assert not resuming.notes(narrow, Resources(1, 0, 1), tmp_path, before, on_cluster=True)


def test_another_number_of_threads_is_noticed(tmp_path, asked):
    precision = str(resolve_precision(asked.config(), torch.device("cpu"))).removeprefix("torch.")
    commit(tmp_path, asked, environment=code_identity.environment(1, "cpu", precision))
    assert not resuming.notes(asked, Resources(1, 0, 1), tmp_path, SweepFile(), on_cluster=False)
    [line] = resuming.notes(asked, Resources(2, 0, 1), tmp_path, SweepFile(), on_cluster=False)
    assert re.match(r"1 finished trial\(s\) are not comparable to the last bit: threads: 1 before, 2 now", line)


def test_changed_labels_are_named_in_the_refusal(tmp_path):
    before = {"labels": ["NP"], "images": {"a.png": ["s1", 10], "b.png": ["s2", 20]}}
    now = {"labels": ["NP"], "images": {"a.png": ["s1", 20], "b.png": ["s2", 20]}}
    (tmp_path / "sweep.json").write_text(json.dumps({"data_fingerprint": "x", "images": before}))
    with pytest.raises(SweepRefused, match=r"a\.png: label NP changed from 10 to 20"):
        check_sweep(tmp_path, SweepFile(data_fingerprint="y", images=now), resuming.data_changes)


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        ({}, {}, "an older version compared more than these: its trials are not counted"),
        ({"grouped_by": ["NP"]}, {"grouped_by": ()}, r"grouped by 'NP' in the sweep, by no column now \(--group-by\)"),
        ({"grouped_by": []}, {"grouped_by": ("NP",)}, "grouped by no column in the sweep, by 'NP' now"),
        ({"grouped_by": ["NP"]}, {"grouped_by": ("NP",)}, "crops are cut in another way"),
    ],
)
def test_other_data_of_the_same_images_are_explained(tmp_path, before, now, text):
    images = {"labels": ["NP"], "images": {"a.png": ["s1", 10], "b.png": ["s2", 20]}}
    (tmp_path / "sweep.json").write_text(json.dumps({"data_fingerprint": "x", "images": images, **before}))
    with pytest.raises(SweepRefused, match=text):
        check_sweep(tmp_path, SweepFile(data_fingerprint="y", images=images, **now), resuming.data_changes)


def test_a_trial_that_other_code_has_begun_starts_again_and_that_is_said(tmp_path, asked):
    folder = tmp_path / "s0001-abc"
    config = trial_config(search_cell(asked, Configuration(), "angle", "d"), folder.name)
    begin(config, folder, "old")
    save_checkpoint(folder / "last.pt", asked.config(), {"epoch": 1})
    begin(config, folder, "old")
    assert (folder / "last.pt").exists()
    [line] = resuming.notes(asked, Resources(1, 0, 1), tmp_path, SweepFile(), on_cluster=True)
    assert line == "s0001-abc: begun by other code; it starts again"
    begin(config, folder, "new")
    assert not (folder / "last.pt").exists()


def test_a_damaged_record_is_named(tmp_path, asked):
    (tmp_path / "s0001-abc").mkdir()
    (tmp_path / "s0001-abc" / "trial.json").write_text("{")
    [line] = resuming.notes(asked, Resources(1, 0, 1), tmp_path, SweepFile(), on_cluster=True)
    assert line == "s0001-abc: trial.json is damaged; the trial is repeated"


@pytest.mark.parametrize(
    ("options", "native", "said"),
    [
        (("--set", "precision=bf16"), False, 1),
        (("--set", "precision=bf16"), True, 0),
        (("--set", "precision=fp32"), False, 0),
        ((), False, 0),
    ],
)
def test_a_precision_that_this_machine_only_emulates_is_noted(tmp_path, monkeypatch, options, native, said):
    monkeypatch.setattr(inference, "has_bfloat16", lambda device: native)
    request = make_request(parse(["--space", "exp_grid", *options]))
    notes = resuming.notes(request, Resources(1, 0, 1), tmp_path, SweepFile(), False)
    assert len([note for note in notes if "no bfloat16" in note and "times as slow" in note]) == said
    assert resuming.notes(request, Resources(1, 0, 1), tmp_path, SweepFile(), True) == []  # other nodes have others
