"""Kills, I/O errors and torn records: what is committed stays, and what is not is known as such."""

import errno
import math
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from faulty_system import Fault, LightProcess, faulty_system, killed

from deepdlt.atomic import remove_unfinished, write_atomic
from sweeps.space.configuration import Configuration
from sweeps.store.baselines_file import Baselines, SplitBaselines, read_baselines, write_baselines
from sweeps.store.cell import Cell
from sweeps.store.event_files import TrialLog, read_trial
from sweeps.store.sweep_file import SweepFile, open_sweep, read_sweep
from sweeps.store.trial_record import COMPLETE, FAILED, forget_failure, read_record, read_records, write_record

ROOT = Path(__file__).parents[2]
CELL = Cell("search", Configuration.of(lr=1e-3, epochs=2), "angle", 0, 0, "data1")
LARGE = {"test_by_image": {str(i): {"loss": i / 7, "psnr_db": 20 + i / 3} for i in range(400)}}  # 30 kB: many writes


@pytest.fixture(scope="module")
def light():
    process = LightProcess()
    yield process
    process.close()


def commit_anew(folder):
    write_record(folder / "s0001-abc", CELL, COMPLETE, metrics={"val_loss": 0.5})


def commit_much(folder):
    write_record(folder / "s0001-abc", CELL, COMPLETE, metrics={"val_loss": 0.5}, **LARGE)


def commit_failure(folder):
    write_record(folder / "s0001-abc", CELL, FAILED, error="no luck")


def read_trial_record(folder):
    return read_record(folder / "s0001-abc")


def forget(folder):
    forget_failure(folder / "s0001-abc")


def ask_little(folder):
    open_sweep(folder, SweepFile(space="a", trials=2))


def ask_more(folder):
    open_sweep(folder, SweepFile(space="a", trials=9, codes=LARGE))


def save_baselines(folder):
    rows = tuple({"baseline": "PCA", "numbers": k, "psnr_db": 20 + k / 7} for k in range(400))
    write_baselines(folder, Baselines(4096, (32,), (SplitBaselines("angle", 0, 0, "key", rows),)))


COMMITS = {
    "a first record": (lambda _: None, commit_anew, read_trial_record),
    "a large record over one of a failure": (commit_failure, commit_much, read_trial_record),
    "a failure forgotten": (commit_failure, forget, read_trial_record),
    "a first sweep.json": (lambda _: None, ask_little, read_sweep),
    "a sweep.json that grows": (ask_little, ask_more, read_sweep),
    "baselines": (lambda _: None, save_baselines, read_baselines),
}
commits = pytest.mark.parametrize(("prepare", "commit", "read"), COMMITS.values(), ids=COMMITS.keys())


def old_and_new(folder, prepare, commit, read):
    """What is read before and after the commit where nothing goes wrong."""
    (folder / "well").mkdir()
    prepare(folder / "well")
    old = read(folder / "well")
    commit(folder / "well")
    return old, read(folder / "well")


@commits
def test_a_kill_at_every_call_of_a_commit_leaves_the_old_or_the_new(tmp_path, light, prepare, commit, read):
    old, new = old_and_new(tmp_path, prepare, commit, read)
    assert old != new
    n, seen = 0, []
    while not seen or seen[-1][0] == -signal.SIGKILL:
        n += 1
        folder = tmp_path / f"kill{n}"
        folder.mkdir()
        prepare(folder)
        seen.append((light(killed, commit, folder, n), read(folder)))
        assert seen[-1][1] in (old, new), f"killed at call {n}: neither the old nor the new is there"
        assert n < 100, "the commit never ends"
        for trial in folder.glob("*/"):
            remove_unfinished(trial)
        remove_unfinished(folder)
        assert not list(folder.rglob("*.tmp")), f"killed at call {n}: something is left"
        commit(folder)
        assert read(folder) == new, f"killed at call {n}: the same commit does not succeed afterwards"
    assert seen[-1] == (0, new), f"{n - 1} kills"
    assert n >= (1 if commit is forget else 9)
    contents = [content for _, content in seen]
    assert contents == sorted(contents, key=lambda content: content == new), "the new was there and gone again"


@commits
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_an_error_at_every_call_of_a_commit_is_told_and_leaves_the_old_or_the_new(
    tmp_path, prepare, commit, read, error
):
    old, new = old_and_new(tmp_path, prepare, commit, read)
    n, fired = 0, True
    while fired:
        n += 1
        folder, fault = tmp_path / f"error{n}", Fault(n, error)
        folder.mkdir()
        prepare(folder)
        told = None
        try:
            with faulty_system(fault):
                commit(folder)
        except OSError as raised:
            told = raised.errno
        fired = fault.fired
        needless = fired == "mkdir" and read(folder) == new  # of a folder that is there
        assert told == (error if fired and not needless else None), f"call {n}, {fired}: failed, and nobody was told"
        assert read(folder) in (old, new), f"call {n}, {fired}: neither the old nor the new is there"
        if fired not in ("unlink", "remove"):
            assert not list(folder.rglob("*.tmp")), f"call {n}, {fired}: something is left"
    assert read(folder) == new


COMMIT = """
import secrets, sys
from pathlib import Path
from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell
from sweeps.store.trial_record import COMPLETE, write_record

secrets.token_hex = lambda count: "known"  # strace is told the names to watch
cell = Cell("search", Configuration.of(lr=1e-3, epochs=2), "angle", 0, 0, "data1")
write_record(Path(sys.argv[1]), cell, COMPLETE, metrics={"val_loss": 0.5})
"""


@pytest.fixture
def strace(tmp_path):
    """The program, where it is there and may trace."""
    found = shutil.which("strace")
    if found is None or subprocess.run([found, "-qq", "-o", tmp_path / "try", "true"], capture_output=True).returncode:
        pytest.skip("strace is not there or not allowed")
    return found


@pytest.mark.parametrize(
    ("call", "times"),
    [("mkdir", 1), ("openat", 2), ("write", 1), ("fsync", 2), ("rename", 1), ("close", 2), ("unlink", 1)],
)
def test_a_kill_at_every_system_call_of_a_commit_leaves_the_old_or_the_new(tmp_path, strace, call, times):
    """The same with the kernel's own calls, of which strace counts each kind by itself."""
    trial = tmp_path / "s0001-abc"
    watched = [trial, trial / "trial.json", trial / ".trial.json.known.tmp"]
    filters = [word for path in watched for word in ("-P", str(path))]
    for n in range(1, times + 2):
        shutil.rmtree(trial, ignore_errors=True)
        commit_failure(tmp_path)
        inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={n}"]
        command = [strace, "-qq", "-o", os.devnull, *filters, *inject, sys.executable, "-S", "-c", COMMIT, str(trial)]
        done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
        assert done.returncode == (-signal.SIGKILL if n <= times else 0), f"{call} {n}: {done.stderr}"
        record = read_record(trial)
        assert record is not None, f"killed at {call} {n}: neither the old nor the new is there"
        assert record.status == FAILED or record.metrics == {"val_loss": 0.5}
    assert record.status == COMPLETE


def test_every_length_of_a_torn_record_is_no_record(tmp_path):
    commit_anew(tmp_path)
    commit_much(tmp_path / "other")
    path = tmp_path / "s0001-abc" / "trial.json"
    raw = path.read_bytes()
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        assert read_trial_record(tmp_path) is None, length
        assert read_records(tmp_path) == {}, length


@pytest.mark.parametrize(("commit", "flips"), [(commit_anew, 500), (commit_much, 100)])
def test_a_flipped_bit_is_no_record_or_the_same_one(tmp_path, commit, flips):
    commit(tmp_path)
    record = read_trial_record(tmp_path)
    path = tmp_path / "s0001-abc" / "trial.json"
    raw = path.read_bytes()
    rng = np.random.default_rng(24)
    lost = 0
    for position, bit in zip(rng.integers(0, len(raw), flips), rng.integers(0, 8, flips), strict=True):
        damaged = bytearray(raw)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        found = read_trial_record(tmp_path)
        assert found is None or found == record, f"bit {bit} of byte {position}"
        lost += found is None
    assert lost > 0.98 * flips  # 1e-05 and 1E-05 are the same number


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"{}", b"null", b"7", b'"x"', b"\0" * 4096, b"[1]", b"[" * 200_000]
)
def test_a_foreign_record_is_no_record(tmp_path, content):
    commit_anew(tmp_path)
    (tmp_path / "s0002-def").mkdir()
    (tmp_path / "s0002-def" / "trial.json").write_bytes(content)
    (tmp_path / "s0003-fed" / "trial.json").mkdir(parents=True)
    assert list(read_records(tmp_path)) == [CELL.identity]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_comes_back_from_a_record(tmp_path, value):
    write_record(tmp_path, CELL, FAILED, metrics={"val_loss": value})
    assert repr(read_record(tmp_path).metrics["val_loss"]) == repr(value)


class Store:
    """A sweep folder that everything happens to, and what must be in it."""

    def __init__(self, sweep, seed, light):
        self.sweep, self.rng, self.light = sweep, np.random.default_rng(seed), light
        self.cells = [Cell("search", Configuration.of(lr=1 / (k + 1)), "angle", 0, 0, "data1") for k in range(12)]
        self.expected, self.damaged = {}, set()

    def directory(self, cell):
        return self.sweep / cell.name(1)

    def some_cell(self):
        return self.cells[self.rng.integers(len(self.cells))]

    def content(self, cell):
        return {"metrics": {"val_loss": cell.config["lr"]}, **(LARGE if self.rng.random() < 0.3 else {})}

    def commit(self):
        self._commit(self.some_cell(), lambda commit, folder: commit(folder))

    def commit_killed(self):
        n = int(self.rng.integers(1, 14))
        self._commit(self.some_cell(), lambda commit, folder: self.light(killed, commit, folder, n))

    def commit_without_space(self):
        def attempt(commit, folder):
            fault = Fault(int(self.rng.integers(1, 14)), errno.ENOSPC)
            try:
                with faulty_system(fault):
                    commit(folder)
            except OSError:
                assert fault.fired

        self._commit(self.some_cell(), attempt)

    def _commit(self, cell, attempt):
        """As a trial does: only where no complete record is."""
        old = read_record(self.directory(cell))
        if old is not None:
            return
        content = self.content(cell)
        attempt(partial(write_record, cell=cell, status=COMPLETE, **content), self.directory(cell))
        found = read_record(self.directory(cell))
        assert found is None or found.metrics == content["metrics"]
        if found is not None:
            self.expected[cell.identity] = found
            self.damaged.discard(cell.identity)

    def tear(self):
        cell = self.some_cell()
        path = self.directory(cell) / "trial.json"
        if not path.is_file():
            return
        raw = bytearray(path.read_bytes())
        position = int(self.rng.integers(len(raw)))
        if self.rng.random() < 0.5:
            raw = raw[:position]
        else:
            raw[position] ^= 1 << int(self.rng.integers(8))
        path.write_bytes(raw)
        found = read_record(path.parent)
        assert found is None or found == self.expected[cell.identity]
        if found is None:
            self.expected.pop(cell.identity, None)

    def scan(self):
        """What a resumed sweep does first: what is complete is exactly what was committed and not torn."""
        found = read_records(self.sweep)
        assert found == self.expected
        directories = [path.parent for path in self.sweep.glob("*/trial.json") if read_record(path.parent)]
        assert sorted(read_record(directory).identity for directory in directories) == sorted(found)
        if self.rng.random() < 0.3:
            for directory in self.sweep.glob("*/"):
                remove_unfinished(directory)
            assert read_records(self.sweep) == found


@pytest.mark.parametrize("seed", range(6))
def test_commits_only_grow_whatever_happens_to_a_sweep(tmp_path, light, seed):
    store = Store(tmp_path, seed, light)
    actions = [store.commit, store.commit_killed, store.commit_killed, store.commit_without_space, store.tear]
    for _ in range(60):
        before = set(store.expected)
        action = actions[store.rng.integers(len(actions))]
        action()
        if action != store.tear:
            assert before <= set(store.expected), action.__name__
        store.scan()
    for cell in store.cells:  # resumed to its end
        store._commit(cell, lambda commit, folder: commit(folder))
    store.scan()
    assert len(store.expected) == len(store.cells)


def write_file(folder):
    write_atomic(folder / "a.json", b"x" * 100)


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path, light):
    statuses = {light(killed, write_file, tmp_path, n) for n in range(1, 6)}
    assert statuses == {-signal.SIGKILL}
    (tmp_path / "kept.tmp").write_text("a person's")
    (tmp_path / ".folder.tmp").mkdir()
    write_atomic(tmp_path / "b.json", b"whole")
    assert len(list(tmp_path.glob(".a.json.*.tmp"))) == 4
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".folder.tmp", "b.json", "kept.tmp"]


def answers(number, monkeypatch, call="fsync", *, folders=True):
    """Let a call of the system fail for folders, or for files."""
    kept = getattr(os, call)

    def fails(target, *more, **options):
        path = Path(f"/proc/self/fd/{target}").resolve() if isinstance(target, int) else Path(target)
        if path.is_dir() == folders:
            raise OSError(number, os.strerror(number), str(path))
        return kept(target, *more, **options)

    monkeypatch.setattr(os, call, fails)


@pytest.mark.parametrize("name", ["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EBADF", "EPERM", "EACCES"])
@pytest.mark.parametrize("folders", [True, False])
def test_a_share_that_does_not_sync_keeps_files_all_the_same(tmp_path, monkeypatch, name, folders):
    answers(getattr(errno, name), monkeypatch, folders=folders)
    for content in (b"old", b"new"):
        write_atomic(tmp_path / "a.json", content)
    assert (tmp_path / "a.json").read_bytes() == b"new"
    with TrialLog(tmp_path / "s0001") as log:
        log.scalars({"val_loss": 0.5}, 1)
        log.flush()
    assert list(read_trial(tmp_path / "s0001").scalars["val_loss"]) == [1]


@pytest.mark.parametrize("name", ["EIO", "ENOSPC", "EDQUOT"])
@pytest.mark.parametrize("folders", [True, False])
def test_a_disk_that_fails_is_no_share(tmp_path, monkeypatch, name, folders):
    answers(getattr(errno, name), monkeypatch, folders=folders)
    with pytest.raises(OSError, match=os.strerror(getattr(errno, name))):
        write_atomic(tmp_path / "a.json", b"new")


def test_a_folder_that_may_not_be_listed_can_be_written_to(tmp_path, monkeypatch):
    answers(errno.EACCES, monkeypatch, "open")
    write_atomic(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"
