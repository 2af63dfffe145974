"""Optuna: the right configurations, none twice, the truth about early stops."""

import errno
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages.journal import JournalFileBackend
from ray import tune
from ray.tune.search import Searcher

from sweeps import stopping
from sweeps.space.axis import Axis
from sweeps.space.configuration import Configuration
from sweeps.space.tune_space import TuneSpace
from sweeps.store.cell import Cell
from sweeps.store.ranking import METRIC
from sweeps.store.trial_record import COMPLETE, FAILED, PRUNED, TrialRecord, write_record
from sweeps.tuning.optuna_search import DistinctOptunaSearch, close_study

pytestmark = pytest.mark.usefixtures("nothing_asks_for_the_end")

SPACE = TuneSpace({"lr": tune.choice([1e-3, 1e-4]), "kernel_size": tune.choice([3, 5, 7]), "model": "cnn_ae"})
POINT = Configuration.of(lr=1e-4, kernel_size=5)


@pytest.fixture
def searcher(tmp_path):
    return make_searcher(tmp_path)


def make_searcher(sweep, space=SPACE, **options):
    """A searcher whose trials are named after their settings."""
    return DistinctOptunaSearch(space, lambda s: {"trial": {"name": name(s), **s}}, sweep=sweep, seed=0, **options)


def name(settings):
    return "s" + "-".join(f"{key}{value}" for key, value in sorted(settings.items()))


def suggested(searcher, trial_id):
    found = searcher.suggest(trial_id)
    return found if found == Searcher.FINISHED else {k: v for k, v in found["trial"].items() if k != "name"}


def record(status, metrics):
    cell = Cell("search", Configuration(), "angle", 0, 0, "d")
    return TrialRecord(name="s0001", status=status, cell=cell, identity=cell.identity, metrics=metrics)


def ends(searcher, sweep, trial_id, status=COMPLETE, value=1.0, epoch=3, **content):
    """The trial commits its record, as the trainable does, and Tune tells the searcher."""
    metrics = {METRIC: value, "epoch": epoch}
    cell = Cell("search", Configuration.of(id=trial_id), "angle", 0, 0, "d")
    if status in (COMPLETE, FAILED):
        write_record(sweep / searcher._names[trial_id], cell, status, metrics=metrics, **content)
    searcher.on_trial_complete(trial_id, metrics)


def told(sweep):
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(sweep / "optuna.journal")))
    trials = optuna.load_study(study_name=sweep.name, storage=storage).trials
    return [trial for trial in trials if not trial.user_attrs.get("repeated")]


def test_no_configuration_is_suggested_twice_and_a_finite_space_ends(searcher, tmp_path):
    searcher.try_first([POINT])
    seen = []
    for k in range(6):
        seen.append(suggested(searcher, f"t{k}"))
        ends(searcher, tmp_path, f"t{k}", value=30.0 if seen[-1] == POINT else 1.0)  # a favourite invites repetition
    assert seen[0] == POINT
    assert len({Configuration.of(s) for s in seen}) == 6
    assert suggested(searcher, "t6") == Searcher.FINISHED


def test_optuna_learns_how_a_trial_really_ended(searcher, tmp_path):
    for k in range(4):
        searcher.suggest(f"t{k}")
    searcher.on_trial_result("t1", {METRIC: 12.0, "epoch": 1})
    ends(searcher, tmp_path, "t0", value=25.0)
    ends(searcher, tmp_path, "t1", PRUNED, value=13.0, epoch=2)
    ends(searcher, tmp_path, "t2", FAILED, value=99.0, error="non-finite loss")
    searcher.on_trial_complete("t3", error=True)
    trials = told(tmp_path)
    assert [t.state.name for t in trials] == ["COMPLETE", "PRUNED", "FAIL", "FAIL"]
    assert trials[0].value == 25.0
    assert trials[1].intermediate_values == {1: 12.0, 2: 13.0}
    assert trials[2].value is None


def test_a_run_that_ends_leaves_nothing_running_in_the_study(searcher, tmp_path):
    for k in range(3):
        searcher.suggest(f"t{k}")
    stopping.set_deadline(1e-9)
    ends(searcher, tmp_path, "t0", PRUNED, epoch=1)  # ended with its epoch
    assert suggested(searcher, "t3") == Searcher.FINISHED
    close_study(tmp_path)
    trials = told(tmp_path)
    assert [t.state.name for t in trials] == ["FAIL"] * 3
    assert all(t.user_attrs["interrupted"] for t in trials)


def test_known_trials_are_in_the_study_and_not_suggested_again(searcher, tmp_path):
    known = SPACE.grid()[:5]
    for settings, status in zip(known, [COMPLETE, COMPLETE, PRUNED, FAILED, COMPLETE], strict=True):
        metrics = {} if status == FAILED else {METRIC: 20.0, "epoch": 2}
        searcher.add_known(settings, record(status, metrics))
    assert suggested(searcher, "t0") == SPACE.grid()[5]
    trials = told(tmp_path)[:5]
    assert [t.state.name for t in trials] == ["COMPLETE", "COMPLETE", "PRUNED", "FAIL", "COMPLETE"]
    assert trials[2].intermediate_values == {2: 20.0}


CONDITIONAL = TuneSpace(
    {
        "kernel_size": tune.choice([3, 5]),
        "latent_dim": tune.randint(8, 65),
        "lr": tune.loguniform(1e-4, 1e-2),
        "model": tune.choice(["cnn_ae", "cnn_vae"]),
    },
    conditions={"kernel_size": {"model": ["cnn_ae"]}, "latent_dim": {"model": ["cnn_vae"]}},
)


def test_conditional_axes_are_suggested_only_where_they_count(tmp_path):
    searcher = make_searcher(tmp_path, CONDITIONAL)
    known = Configuration.of(model="cnn_ae", kernel_size=5, lr=1e-3)
    searcher.add_known(known, record(COMPLETE, {METRIC: 1, "epoch": 3}))
    searcher.try_first([Configuration.of(model="cnn_vae", latent_dim=8, lr=2e-3)])
    seen = []
    for k in range(30):
        seen.append(suggested(searcher, f"t{k}"))
        ends(searcher, tmp_path, f"t{k}", value=25.0 - abs(seen[-1].get("latent_dim", 100) - 40) / 10)
    assert seen[0] == {"model": "cnn_vae", "latent_dim": 8, "lr": 2e-3}
    assert {s["model"] for s in seen} == {"cnn_ae", "cnn_vae"}
    assert all(CONDITIONAL.space.holds(s) for s in seen)
    late = [s["latent_dim"] for s in seen[15:] if s["model"] == "cnn_vae"]
    assert len(late) > 7  # it has found which model is better, and about where
    assert np.median(np.abs(np.array(late) - 40)) < 15


def test_two_objectives_make_a_pareto_front(tmp_path):
    searcher = make_searcher(tmp_path, minimize="parameters")
    for k, (psnr, parameters) in enumerate([(20.0, 100), (22.0, 300), (21.0, 400), (23.0, 900)]):
        searcher.suggest(f"t{k}")
        searcher.on_trial_result(f"t{k}", {METRIC: 5.0, "epoch": 1})
        ends(searcher, tmp_path, f"t{k}", value=psnr, parameters=parameters)
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "optuna.journal"))
    )
    study = optuna.load_study(study_name=tmp_path.name, storage=storage)
    assert sorted(t.values[1] for t in study.best_trials) == [100, 300, 900]
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_whole_numbers_without_their_upper_end_are_a_finite_space(tmp_path):
    space = TuneSpace({"latent_dim": tune.randint(8, 11)})
    assert [s["latent_dim"] for s in space.grid()] == [8, 9, 10]
    assert space.space.holds({"latent_dim": 10})
    assert not space.space.holds({"latent_dim": 11})
    assert space.axes["latent_dim"] == Axis(low=8, high=10, step=1, integer=True)
    searcher, seen = make_searcher(tmp_path, space), []
    while (found := suggested(searcher, f"t{len(seen)}")) != Searcher.FINISHED:
        ends(searcher, tmp_path, f"t{len(seen)}")
        seen.append(found["latent_dim"])
    assert sorted(seen) == [8, 9, 10]


def test_a_trial_that_was_stopped_while_it_waited_is_pruned(searcher, tmp_path):
    searcher.suggest("t0")
    searcher.on_trial_result("t0", {METRIC: 12.0, "epoch": 1})
    searcher.on_trial_result("t0", {METRIC: 12.0, "epoch": 1})  # it went on, and told its last epoch again
    searcher.on_trial_complete("t0", None)
    [trial] = told(tmp_path)
    assert (trial.state.name, trial.intermediate_values) == ("PRUNED", {1: 12.0})


@pytest.fixture
def full_disk(monkeypatch):
    """Call it to fill the disk: half of a journal's next line fits."""

    def append(backend, logs):
        with Path(backend._file_path).open("ab") as file:
            file.write(b'{"op_code":')
        raise OSError(errno.ENOSPC, "No space left on device")

    return lambda: monkeypatch.setattr(JournalFileBackend, "append_logs", append)


@pytest.mark.parametrize("hook", ["suggest", "result", "complete", "complete without a result"])
def test_a_full_disk_ends_the_run_and_no_hook_raises(searcher, tmp_path, full_disk, hook):
    searcher.suggest("t0")
    searcher.on_trial_result("t0", {METRIC: 11.0, "epoch": 1})
    full_disk()
    journal = (tmp_path / "optuna.journal").read_bytes().count(b'{"op_code":')
    if hook == "suggest":
        assert searcher.suggest("t1") == Searcher.FINISHED
    elif hook == "result":
        searcher.on_trial_result("t0", {METRIC: 12.0, "epoch": 2})
    elif hook == "complete":
        ends(searcher, tmp_path, "t0")
    else:
        searcher.on_trial_complete("t0")
    assert stopping.reason() == stopping.STORAGE_FAILED
    searcher.on_trial_result("t0", {METRIC: 12.0, "epoch": 3})
    searcher.on_trial_complete("t0", {METRIC: 12.0, "epoch": 3})
    assert searcher.suggest("t2") == Searcher.FINISHED
    assert (tmp_path / "optuna.journal").read_bytes().count(b'{"op_code":') == journal + 1  # not behind a torn line
    with pytest.raises(OSError, match="No space left"):
        stopping.raise_storage_failure()


@pytest.mark.parametrize("end", [b'{"op_code":', b'{"op_code":\n{}\n', None])
def test_a_damaged_journal_is_closed_without_a_word_and_made_anew(searcher, tmp_path, end):
    searcher.suggest("t0")
    journal = tmp_path / "optuna.journal"
    journal.write_bytes(b"" if end is None else journal.read_bytes() + end)
    close_study(tmp_path)
    again = make_searcher(tmp_path)
    again.suggest("t0")
    assert [t.state.name for t in told(tmp_path)] == ["RUNNING"]


def test_a_full_disk_does_not_disturb_the_closing(searcher, tmp_path, full_disk):
    searcher.suggest("t0")
    full_disk()
    close_study(tmp_path)


def test_a_share_without_links_is_searched_like_a_disk(tmp_path, monkeypatch):
    """Neither symbolic nor hard ones, as on SMB and exFAT."""

    def no_links(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    for call in ("symlink", "link"):
        monkeypatch.setattr(f"os.{call}", no_links)
    searcher = make_searcher(tmp_path)
    suggested(searcher, "t0")
    ends(searcher, tmp_path, "t0", value=3.0)
    suggested(searcher, "t1")
    close_study(tmp_path)
    assert [trial.value for trial in searcher._study.trials] == [3.0, None]
    assert [path.name for path in tmp_path.glob("optuna.journal*")] == ["optuna.journal"]  # no lock is left


def test_others_that_write_the_journal_are_kept_off(tmp_path, monkeypatch):
    """Optuna's usual lock, which its dashboard takes, and ours are one."""
    searcher, lock = make_searcher(tmp_path), Path(f"{tmp_path}/optuna.journal.lock")
    waited = []

    def sleep(_):
        waited.append(1)
        lock.unlink(missing_ok=True)

    lock.symlink_to(tmp_path / "optuna.journal")
    monkeypatch.setattr("time.sleep", sleep)
    suggested(searcher, "t0")
    assert waited
