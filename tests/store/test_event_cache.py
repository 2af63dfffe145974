"""What was read from event files is kept: a report that is made again reads what has changed, and nothing stale."""

import json
import os
import time

import numpy as np
import pytest

from sweeps.store.event_cache import CACHE_FILE, SETTLED_S, EventCache
from sweeps.store.event_files import END, TrialLog, read_trial

TRIALS = 5


def write(folder, steps=range(1, 8), factor=1.0):
    with TrialLog(folder) as log:
        log.session_start("g", {"lr": 1e-3, "model": "cnn_ae"}, {"kind": "cv", "label": "Δτ", "fold": 2, "seed": 7})
        for step in steps:
            log.scalars({"val_loss": factor / 3 / step, "train_loss": np.nan if step == 2 else np.inf}, step)
        log.scalars({"test/loss": 0.1}, 7)
        log.image("crops", np.zeros((4, 4), np.uint8), 7)


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Five trials, long ago."""
    for k in range(TRIALS):
        write(tmp_path / f"s{k}")
    later(monkeypatch)
    return tmp_path


def later(monkeypatch):
    now = time.time() + 10 * SETTLED_S
    monkeypatch.setattr(time, "time", lambda: now)


def read(sweep):
    """All trials, and how many were read from their files."""
    cache = EventCache(sweep)
    found = {path.name: cache.read(path) for path in sorted(sweep.iterdir()) if path.is_dir()}
    cache.save()
    return found, cache.read_anew


def same(a, b):
    return repr(vars(a)) == repr(vars(b))  # nan is not nan


def test_the_second_time_nothing_is_read_and_all_is_the_same(sweep):
    first, anew = read(sweep)
    assert anew == TRIALS
    second, anew = read(sweep)
    assert anew == 0
    for name, trial in second.items():
        assert same(trial, first[name])
        assert same(trial, read_trial(sweep / name, images=False))
        assert trial.hparams["label"] == "Δτ"


def test_one_more_trial_costs_one(sweep, monkeypatch):
    read(sweep)
    write(sweep / "s9")
    later(monkeypatch)
    found, anew = read(sweep)
    assert (len(found), anew) == (TRIALS + 1, 1)


def flipped(path):
    raw = bytearray(path.read_bytes())
    raw[-30] ^= 1
    path.write_bytes(raw)


def flipped_in_secret(path):
    """With the size and the time of modification that it had, as a restored backup has."""
    before = path.stat()
    flipped(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def ended(path):
    with TrialLog(path.parent, END) as log:
        log.session_end("failed")


@pytest.mark.parametrize("change", [flipped, flipped_in_secret, ended, lambda path: path.unlink()])
def test_whatever_changes_in_a_trial_is_read(sweep, monkeypatch, change):
    before, _ = read(sweep)
    change(next((sweep / "s3").glob("events*")))
    later(monkeypatch)
    after, anew = read(sweep)
    assert anew == 1
    assert not same(after["s3"], before["s3"])
    assert same(after["s3"], read_trial(sweep / "s3", images=False))


def test_a_file_that_may_still_be_written_to_is_not_kept(tmp_path):
    write(tmp_path / "s0")
    assert read(tmp_path)[1] == 1
    assert read(tmp_path)[1] == 1


@pytest.mark.parametrize("damage", ["flip", "cut", "other version", "text", "list", "gone"])
def test_a_damaged_cache_is_not_used(sweep, damage):
    first, _ = read(sweep)
    path = sweep / CACHE_FILE
    head, _, body = path.read_bytes().partition(b"\n")
    other = json.dumps({**json.loads(head), "version": 0}).encode()
    damaged = {
        "flip": head + b"\n" + body.replace(b'"val_loss"', b'"val_lost"'),
        "cut": path.read_bytes()[:-9],
        "other version": other + b"\n" + body,
        "text": b"hello",
        "list": b"[]\n[]",
        "gone": b"",
    }
    path.write_bytes(damaged[damage])
    again, anew = read(sweep)
    assert anew == TRIALS
    assert all(same(again[name], trial) for name, trial in first.items())


def test_a_folder_that_cannot_be_written_costs_time_only(sweep, monkeypatch):
    monkeypatch.setattr("sweeps.store.event_cache.write_atomic", refuse)
    found, anew = read(sweep)
    assert (len(found), anew) == (TRIALS, TRIALS)
    assert not (sweep / CACHE_FILE).exists()


def refuse(*_):
    raise PermissionError(13, "read-only file system")
