"""Event files: our writer against TensorBoard's reader, our reader against damage and resumption."""

import os
import time

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sweeps.store.event_files import END, HPARAMS_METRICS, VAE_METRICS, TrialLog, forget_end, read_trial

HPARAMS = {"lr": 1e-3, "activation": "relu", "kernel_size": 3}


def write(directory, steps, restart=None, offset=0.0):
    with TrialLog(directory) as log:
        log.session_start(directory.name, HPARAMS)
        if restart is not None:
            log.restart(restart)
        for step in steps:
            log.scalars({"val_loss": step + offset, "val_ssim": -step}, step)


def test_tensorboard_reads_what_we_write(tmp_path):
    write(tmp_path, range(1, 6))
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload()
    assert [(e.step, e.value) for e in accumulator.Scalars("val_loss")] == [(k, float(k)) for k in range(1, 6)]


def test_we_read_what_we_write(tmp_path):
    write(tmp_path, range(1, 6))
    with TrialLog(tmp_path) as log:
        log.image("pairs", np.arange(12, dtype=np.uint8).reshape(3, 4), 5)
        log.session_end("complete")
    trial = read_trial(tmp_path)
    assert trial.hparams == HPARAMS
    assert trial.scalars["val_ssim"] == {k: -k for k in range(1, 6)}
    assert trial.images["pairs"].startswith(b"\x89PNG")
    assert trial.damaged == []


def test_a_resumed_run_replaces_the_steps_it_repeats(tmp_path):
    write(tmp_path, range(1, 6))
    write(tmp_path, range(3, 5), restart=3, offset=100)
    assert read_trial(tmp_path).scalars["val_loss"] == {1: 1, 2: 2, 3: 103, 4: 104}


def test_tensorboard_too_forgets_the_steps_that_are_repeated(tmp_path):
    write(tmp_path, range(1, 6))
    write(tmp_path, range(3, 5), restart=3, offset=100)
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload()
    assert [e.value for e in accumulator.Scalars("val_loss")] == [1, 2, 103, 104]


NOON = 4_000_000_000.0  # in 2096: the files' own times, which are now, never decide
DAY = 86_400.0
CLOCKS = {
    "forwards": [NOON, NOON + 60, NOON + 120],
    "the same second": [NOON] * 12,  # 12: in names, 10 comes before 9
    "set back a day, again and again": [NOON, NOON - DAY, NOON - 2 * DAY],
    "a day ahead, then corrected": [NOON, NOON + DAY, NOON + 10, NOON + 20],
    "the other way after each run": [NOON, NOON - 3600, NOON + 1, NOON - 3600.5, NOON + 2],
    "without a battery": [NOON, 0.0, NOON],
}


@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS.keys())
def test_whatever_the_clock_does_the_later_run_comes_last(tmp_path, monkeypatch, clock):
    """Each run resumes one step further; TensorBoard's own reader watches all the time, or comes afterwards."""
    watching = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
    for run, now in enumerate(clock):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        write(tmp_path, range(run + 1, len(clock) + 3), restart=run + 1, offset=100 * run)
        watching.Reload()
    last = len(clock)
    expected = {step: step + 100.0 * min(step - 1, last - 1) for step in range(1, last + 3)}
    assert read_trial(tmp_path).scalars["val_loss"] == expected
    for accumulator in (watching, EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload()):
        assert {e.step: e.value for e in accumulator.Scalars("val_loss")} == expected
        assert len(accumulator.Scalars("val_loss")) == len(expected)
        times = [e.wall_time for e in accumulator.Scalars("val_loss")]
        assert times == sorted(times)


def test_a_clock_that_jumps_within_a_run_does_not_show(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOON)
    with TrialLog(tmp_path) as log:
        for step, now in enumerate([NOON, NOON - DAY, NOON + DAY, NOON - DAY], start=1):
            monkeypatch.setattr(time, "time", lambda now=now: now)
            log.scalars({"val_loss": 1.0}, step)
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("val_loss")
    times = [e.wall_time - NOON for e in events]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] < 60


def test_a_file_written_to_on_a_host_with_a_clock_ahead_still_comes_first(tmp_path, monkeypatch):
    """Its name is of this hour, its last event of tomorrow; the run after it begins behind that."""
    write(tmp_path, range(1, 4))
    first = next(tmp_path.glob("events*"))
    ahead = NOON + DAY
    os.utime(first, (ahead, ahead))
    write(tmp_path, range(3, 5), restart=3, offset=100)
    second = next(path for path in tmp_path.glob("events*") if path != first)
    assert int(second.name.split(".")[3]) > ahead
    assert read_trial(tmp_path).scalars["val_loss"] == {1: 1, 2: 2, 3: 103, 4: 104}


def test_a_name_that_another_process_takes_is_not_written_over(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOON)
    with TrialLog(tmp_path) as log:
        log.scalars({"val_loss": 1.0}, 1)
    (taken,) = tmp_path.glob("events*")
    before = taken.read_bytes()
    monkeypatch.setattr(type(tmp_path), "glob", lambda *_: iter(()))  # as if it had come a moment later
    write(tmp_path, [2])
    monkeypatch.undo()
    assert taken.read_bytes() == before
    assert read_trial(tmp_path).scalars["val_loss"] == {1: 1, 2: 2}


def test_a_full_disk_is_told_at_the_latest_by_flush(tmp_path):
    log = TrialLog(tmp_path)
    kept, full = os.dup(log._file.fileno()), os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._file.fileno())
    log.scalars({"val_loss": 1.0}, 1)
    with pytest.raises(OSError, match="No space left"):
        log.flush()
    os.dup2(kept, log._file.fileno())  # there is space again
    with log:
        log.flush()
    os.close(kept), os.close(full)
    assert read_trial(tmp_path).scalars["val_loss"] == {1: 1}


@pytest.mark.parametrize("share", [0.3, 0.7, 0.999])
def test_a_truncated_file_is_reported_and_read_up_to_there(tmp_path, share):
    write(tmp_path, range(1, 101))
    path = next(tmp_path.glob("events*"))
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    trial = read_trial(tmp_path)
    assert trial.damaged == [path.name]
    assert 0 < len(trial.scalars["val_loss"]) <= 100


def test_what_distinguishes_the_sessions_of_a_group_is_read_with_the_hyperparameters(tmp_path):
    place = {"kind": "cv", "label": "Δτ", "fold": 3, "n_folds": 5, "seed": 43}
    with TrialLog(tmp_path) as log:
        log.session_start("3fa2c1 sweep", HPARAMS, place)
    assert read_trial(tmp_path).hparams == {**HPARAMS, **place}


@pytest.mark.parametrize("status", ["complete", "pruned", "failed"])
def test_how_a_trial_ended_is_read(tmp_path, status):
    write(tmp_path, range(1, 4))
    assert read_trial(tmp_path).status == ""
    with TrialLog(tmp_path, END) as log:
        if status == "pruned":
            log.scalars({"pruned/epoch": 3}, 3)
        log.session_end(status)
    assert read_trial(tmp_path).status == status


def test_a_trial_that_is_tried_again_has_not_ended(tmp_path):
    write(tmp_path, range(1, 4))
    with TrialLog(tmp_path, END) as log:
        log.session_end("failed")
    forget_end(tmp_path)
    write(tmp_path, range(4, 6), restart=4)
    trial = read_trial(tmp_path)
    assert trial.status == ""
    assert list(trial.scalars["val_loss"]) == [1, 2, 3, 4, 5]


def test_hparams_of_all_trials_show_with_their_metrics(tmp_path):
    """The HPARAMS tab, asked through TensorBoard's own backend."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

    with TrialLog(tmp_path) as log:
        domains = {"lr": [1e-3, 1e-4], "activation": ["relu", "elu"]}, {"kernel_size": (3.0, 5.0)}
        log.hparams_experiment(*domains, HPARAMS_METRICS | VAE_METRICS)
    for k, status in enumerate(("complete", "pruned", "failed")):
        with TrialLog(tmp_path / f"t{k}") as log:
            log.session_start(f"t{k}", {**HPARAMS, "lr": 10.0 ** -(k + 3)})
            log.scalars({"best/val_psnr_db": 20.0 + k, "best/val_loss": 0.1 * k, "last/val_kl_nats": 7.0 + k}, 1)
            log.session_end(status)
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    context = backend_context.Context(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(tmp_path))))
    request = RequestContext()
    experiment = get_experiment.Handler(request, context, "", api_pb2.GetExperimentRequest(hparams_limit=99)).run()
    assert {i.name: i.differs for i in experiment.hparam_infos} == {
        "lr": True,
        "activation": True,
        "kernel_size": False,
    }
    asked = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=10,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_UNKNOWN],
        col_params=[api_pb2.ColParams(metric=m.name) for m in experiment.metric_infos],
        include_metrics=True,
    )
    groups = list_session_groups.Handler(request, context, "", asked).run().session_groups
    found = {
        g.name: (
            g.hparams["lr"].number_value,
            {m.name.tag: round(m.value, 3) for m in g.metric_values},
            g.sessions[0].status,
        )
        for g in groups
    }
    assert set(found) == {"t0", "t1", "t2"}
    assert found["t1"][0] == 1e-4
    assert found["t1"][1]["best/val_psnr_db"] == 21.0
    assert found["t1"][1]["last/val_kl_nats"] == 8.0
    assert found["t2"][2] == api_pb2.STATUS_FAILURE
