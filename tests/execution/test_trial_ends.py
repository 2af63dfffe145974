"""What the driver does when trials end: records, lines, and the end of the run when the disk is full."""

import errno
import io
from collections import namedtuple
from types import SimpleNamespace

import pytest

from sweeps import stopping
from sweeps.execution import trial_ends as progress
from sweeps.execution.trial_ends import Phase
from sweeps.execution.watchdog import HANG_FILE
from sweeps.identity.description import Provenance
from sweeps.space.configuration import Configuration
from sweeps.store import trial_record
from sweeps.store.cell import Cell, trial_config
from sweeps.store.ranking import METRIC
from sweeps.store.trial_record import COMPLETE, FAILED, PRUNED, TrialRecord, read_record, write_record

pytestmark = pytest.mark.usefixtures("nothing_asks_for_the_end")

CELL = Cell("search", Configuration.of(lr=1e-3, epochs=3), "angle", 0, 0, "d")
METRICS = {METRIC: 20.0, "epoch": 1, "val_loss": 0.1}
MADE_BY = Provenance("abc", {}, None)


@pytest.fixture
def shown(tmp_path):
    return progress.SweepProgress(tmp_path, Phase("trials", 2, 0), MADE_BY)


def trial(**last):
    """What the callbacks see of Tune's trial after its first death."""
    config, of_run = trial_config(CELL, CELL.name(1)), SimpleNamespace(num_failures=1)
    return SimpleNamespace(trial_id="t", config=config, last_result=last, num_failures=1, run_metadata=of_run)


def complete(tmp_path):
    return write_record(tmp_path / CELL.name(1), CELL, COMPLETE, metrics=METRICS, seconds=1.0)


def test_a_trial_that_the_scheduler_stopped_is_recorded_at_its_epoch(shown, tmp_path, capsys):
    shown.on_trial_complete(1, [], trial(**METRICS, config={}))
    record = read_record(tmp_path / CELL.name(1))
    assert (record.status, record.metrics, record.code) == (PRUNED, METRICS, "abc")
    assert "[1/2] s0001" in capsys.readouterr().err


def test_a_trial_that_ended_with_the_run_gets_no_record(shown, tmp_path, capsys):
    stopping.set_deadline(1e-9)
    shown.on_trial_complete(1, [], trial(**METRICS))
    assert read_record(tmp_path / CELL.name(1)) is None
    assert "interrupted after epoch 1" in capsys.readouterr().err


def test_a_finished_trial_whose_record_does_not_come_is_never_called_pruned(shown, tmp_path, monkeypatch):
    monkeypatch.setattr(trial_record, "SHARED_WITHIN_S", 0.0)
    shown.on_trial_complete(1, [], trial(**METRICS, finished=1.0))
    assert read_record(tmp_path / CELL.name(1)) is None
    with pytest.raises(OSError, match="must be shared by all nodes"):
        stopping.raise_storage_failure()


def test_a_full_disk_ends_the_run_and_not_the_trial(shown, tmp_path, monkeypatch):
    write_record(tmp_path / CELL.name(1), CELL, FAILED, error="No space left on device")
    usage = namedtuple("usage", "total used free")(1, 1, 1_000_000)
    monkeypatch.setattr(progress.shutil, "disk_usage", lambda path: usage)
    shown.on_trial_error(1, [], trial())  # raises nothing: Tune would run the trial again
    assert stopping.reason() == stopping.STORAGE_FAILED
    with pytest.raises(OSError, match="only 1 MB left") as raised:
        stopping.raise_storage_failure()
    assert raised.value.errno == errno.ENOSPC


def test_a_log_that_cannot_be_written_ends_the_run(shown, tmp_path, monkeypatch):
    complete(tmp_path)
    failing = OSError(errno.EIO, "I/O error")
    monkeypatch.setattr(progress, "end_session", lambda *_: (_ for _ in ()).throw(failing))
    shown.on_trial_complete(1, [], trial(**METRICS, finished=1.0))
    with pytest.raises(OSError, match="I/O error"):
        stopping.raise_storage_failure()
    assert read_record(tmp_path / CELL.name(1)).status == COMPLETE


def test_a_hang_is_told_from_another_death(shown, tmp_path, capsys):
    shown.on_trial_recover(1, [], trial(epoch=2))
    assert "its process died (killed, or out of memory); retry 1 of 3 from epoch 2" in capsys.readouterr().err
    (tmp_path / CELL.name(1)).mkdir()
    (tmp_path / CELL.name(1) / HANG_FILE).write_text("Timeout!")
    shown.on_trial_recover(1, [], trial(epoch=2))
    assert "it hung and was stopped (stack trace:" in capsys.readouterr().err


def test_only_a_trial_that_died_as_often_as_it_may_has_failed(shown, tmp_path, capsys):
    died = trial(epoch=2)
    shown.on_trial_error(1, [], died)  # with the process that it was handed
    assert read_record(tmp_path / CELL.name(1)) is None
    assert "before it began; run the command again to repeat it" in capsys.readouterr().err
    died.num_failures = progress.RETRIES + 1
    shown.on_trial_error(1, [], died)
    record = read_record(tmp_path / CELL.name(1))
    assert record.status == FAILED
    assert "its process died (killed, or out of memory), 4 times" in record.error


def test_the_live_line_says_how_far_it_is(shown, tmp_path):
    complete(tmp_path)
    shown.on_trial_start(1, [], trial())
    shown.on_trial_result(1, [], trial(), METRICS)
    assert shown.line() == "trials 0/2 · running 1 · best val_psnr_db 20.00 (" + CELL.name(1) + ")"
    shown.on_trial_complete(1, [], trial(**METRICS, finished=1.0))
    assert shown.line().startswith("trials 1/2 · running 0 · best val_psnr_db 20.00")
    assert "ETA" in shown.line()


def test_the_live_line_names_its_phase_and_what_follows(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = progress.SweepProgress(tmp_path, Phase("search", 12, 10, then=20), MADE_BY)
    assert shown.line() == "search 10/12 · running 0 · then 20 fold runs"  # no pace yet
    complete(tmp_path)
    now[0] = 6.0  # one trial of one epoch
    shown.on_trial_complete(1, [], trial(**METRICS, finished=1.0))
    assert shown.line() == "search 11/12 · running 0 · then 20 fold runs · ETA 1.7-2.7 min"  # 21 of these
    shown.epochs = [1, 3]  # the second was stopped after a third of its epochs
    shown.counts[COMPLETE] = 12
    assert shown.line().endswith(f"ETA {progress.span(0.8 * 90, 1.3 * 90)}")  # 20 folds of 3 epochs of 1.5 s
    folds = progress.SweepProgress(tmp_path, Phase("folds", 20, 3), MADE_BY)
    assert folds.line() == "folds 3/20 · running 0"


def test_a_resumed_search_knows_its_best(tmp_path):
    best = TrialRecord(name="s0003-abc", status=COMPLETE, cell=CELL, identity=CELL.identity, metrics={METRIC: 27.5})
    shown = progress.SweepProgress(tmp_path, Phase("search", 4, 3), MADE_BY, best=best)
    shown.on_trial_result(1, [], trial(), METRICS)
    assert "best val_psnr_db 27.50 (s0003-abc)" in shown.line()
    shown.on_trial_result(1, [], trial(), METRICS | {METRIC: 28.0})
    assert f"best val_psnr_db 28.00 ({CELL.name(1)})" in shown.line()


def test_the_live_line_prints_texts_as_they_are(shown, tmp_path, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    shown.best = (20.0, "SEM[/raw] [bold]x")
    shown.setup()
    shown._say("failed: /data/SEM[/raw] [red]y")
    shown.close()
    assert "SEM[/raw] [bold]x" in terminal.getvalue()
    assert "failed: /data/SEM[/raw] [red]y" in terminal.getvalue()
