"""Early stopping: a sweep that was resumed stops the same trials at the same epochs as one that never stopped."""

import numpy as np
import pytest
from ray import cloudpickle
from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule, TrialScheduler

from deepdlt.config import config_dict, make_config
from sweeps.board.columns import epoch_scalars
from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell
from sweeps.store.event_files import TrialLog
from sweeps.store.ranking import METRIC, MODE
from sweeps.tuning import schedulers
from sweeps.tuning.pruning import NOTHING, TAG, Asha, Median, reached

EPOCHS = 10
STOP, CONTINUE = TrialScheduler.STOP, TrialScheduler.CONTINUE
MAKE = {
    name: lambda known, name=name: schedulers.make_scheduler(name, EPOCHS, 30, {}, 0, known=known)
    for name in schedulers.ANYTIME
}
RAYS = {
    "asha": lambda: ASHAScheduler("epoch", METRIC, MODE, max_t=EPOCHS, reduction_factor=3),
    "median": lambda: MedianStoppingRule("epoch", METRIC, MODE, grace_period=1),
}


def curves(seed, n=30):
    """Trial name -> METRIC after epochs 1 ... EPOCHS: they rise, at different rates to different heights."""
    rng = np.random.RandomState(seed)
    heights, rates = rng.uniform(15, 30, n), rng.uniform(0.3, 0.9, n)
    epochs = np.arange(1, EPOCHS + 1)
    noise = np.maximum.accumulate(rng.normal(0, 1, (n, EPOCHS)), axis=1)
    values = heights[:, None] * (1 - rates[:, None] ** epochs) + noise
    return {f"s{k:04d}": dict(zip(epochs.tolist(), row.tolist(), strict=True)) for k, row in enumerate(values)}


class StubTrial:
    """What a scheduler sees of Tune's trial."""

    def __init__(self, name):
        self.trial_id, self.status, self.config = name, "RUNNING", {"trial": {"name": name}}


class Run:
    """Tune with one worker: one trial after another reports to a scheduler, until the run is cut off."""

    def __init__(self, scheduler, cut_after=None):
        self.scheduler, self.left, self.logged = scheduler, cut_after, {}

    def report(self, trial, epoch, value):
        """The scheduler's word; None when the process dies before it is heard."""
        result = {"epoch": epoch, METRIC: value, "finished": 0.0}
        said = self.scheduler.on_trial_result(None, trial, result)
        self.logged.setdefault(trial.trial_id, {})[epoch] = float(np.float32(value))
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                return None
        return said

    def train(self, trials, first=NOTHING):
        """Last epochs of those that ended; `first`: the epoch at which a trial goes on."""
        ends = {}
        for name, curve in trials.items():
            trial = StubTrial(name)
            self.scheduler.on_trial_add(None, trial)
            for epoch in range(first.get(name, 1), EPOCHS + 1):
                said = self.report(trial, epoch, curve[epoch])
                if said is None:
                    return ends
                if said == STOP or epoch == EPOCHS:
                    self.scheduler.on_trial_complete(None, trial, {"epoch": epoch, METRIC: curve[epoch]})
                    ends[name] = epoch
                    break
        return ends


@pytest.mark.parametrize("name", schedulers.ANYTIME)
@pytest.mark.parametrize("seed", range(5))
def test_without_interruptions_the_rules_are_rays(name, seed):
    ends = Run(MAKE[name](NOTHING)).train(curves(seed))
    assert len(ends) == 30
    assert min(ends.values()) < EPOCHS == max(ends.values())
    if name == "asha":  # of Ray's median rule every trial's last epoch counts twice
        assert ends == Run(RAYS[name]()).train(curves(seed))


@pytest.mark.parametrize("name", schedulers.ANYTIME)
def test_a_resumed_sweep_stops_the_same_trials_as_one_that_never_stopped(name):
    trials = curves(seed=1)
    whole = Run(MAKE[name](NOTHING)).train(trials)
    for cut_after in range(sum(whole.values())):
        before = Run(MAKE[name](NOTHING), cut_after)
        ended = before.train(trials)
        left = {trial: values for trial, values in trials.items() if trial not in ended}
        first = {trial: max(epochs) for trial, epochs in before.logged.items()}
        ends = Run(MAKE[name](before.logged)).train(left, first)
        assert {**ended, **ends} == whole


def test_rays_own_would_stop_others():
    """The reason for all this: without it, the test above fails at most places."""
    trials = curves(seed=1)
    whole = Run(RAYS["asha"]()).train(trials)
    before = Run(RAYS["asha"](), 60)
    ended = before.train(trials)
    first = {trial: max(epochs) for trial, epochs in before.logged.items()}
    left = {trial: values for trial, values in trials.items() if trial not in ended}
    assert {**ended, **Run(RAYS["asha"]()).train(left, first)} != whole


def tell(scheduler, name, epoch, value):
    return scheduler.on_trial_result(None, StubTrial(name), {"epoch": epoch, METRIC: value})


def test_a_trial_that_goes_on_is_entered_at_no_rung_below_its_epoch():
    asha = Asha(9)
    for epoch in (6, 7, 8):
        assert tell(asha, "old", epoch, 27.0 + epoch) == CONTINUE
    assert tell(asha, "new", 1, 21.0) == CONTINUE
    assert tell(asha, "new", 3, 25.0) == CONTINUE
    assert tell(asha, "worse", 1, 20.9) == STOP


def test_a_trial_that_goes_on_is_not_its_own_rival():
    known = {"a": {1: 10.0}, "b": {1: 20.0, 2: 30.0, 3: 40.0}}
    assert tell(Asha(9, {"a": {1: 10.0}}), "a", 1, 10.0) == CONTINUE
    asha = Asha(9, known)
    assert tell(asha, "a", 1, 10.0) == STOP  # it was left before it was compared
    assert tell(Asha(9, known), "b", 3, 40.0) == CONTINUE
    assert tell(asha, "c", 1, 16.5) == STOP  # below 2/3 of the way from 10 to 20: each counts once
    assert tell(asha, "d", 1, 18.0) == CONTINUE


def test_an_epoch_that_is_reported_again_decides_nothing_new():
    asha = Asha(9)
    assert tell(asha, "a", 3, 10.0) == CONTINUE
    assert tell(asha, "b", 3, 20.0) == CONTINUE
    assert tell(asha, "a", 3, 10.0) == CONTINUE  # after a retry
    assert tell(asha, "a", 9, 11.0) == STOP


def test_a_training_that_is_begun_again_loses_what_it_had_reached():
    known = {"again": {1: 30.0, 2: 31.0, 3: 32.0}}
    asha, median = Asha(9, known), Median({**known, "b": {1: 1.0, 3: 1.0}, "c": {1: 1.0, 3: 1.0}})
    for scheduler in (asha, median):
        assert tell(scheduler, "again", 1, 5.0) == CONTINUE
        assert tell(scheduler, "new", 1, 6.0) == CONTINUE
        assert tell(scheduler, "new", 3, 8.0) == CONTINUE
    assert tell(Median({**known, "b": {1: 9.0}, "c": {1: 9.0}}), "new", 1, 6.0) == STOP


def test_values_that_are_not_finite_stop_nobody():
    asha = Asha(9)
    assert tell(asha, "nan", 1, float("nan")) == CONTINUE
    assert tell(asha, "a", 1, 1.0) == CONTINUE
    assert tell(asha, "b", 1, 0.9) == STOP
    assert asha.on_trial_result(None, StubTrial("c"), {"epoch": 1}) == CONTINUE


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(1, [1]), (3, [1]), (9, [1, 3]), (10, [1, 3, 9]), (244, [1, 3, 9, 27, 81, 243])]
)
def test_rungs_are_powers_of_three_before_the_end(epochs, rungs):
    assert list(Asha(epochs)._rungs) == rungs


@pytest.mark.parametrize("name", schedulers.ANYTIME)
def test_schedulers_can_be_pickled_with_what_they_know(name):
    scheduler = MAKE[name]({"a": {1: 10.0}, "b": {1: 10.0}, "c": {1: 10.0}})
    assert tell(cloudpickle.loads(cloudpickle.dumps(scheduler)), "new", 1, 9.0) == STOP


def test_what_trials_reached_is_read_from_their_event_files(tmp_path):
    """The tag is the one under which a trial logs the metric that it reports."""
    cell = Cell("search", Configuration.of(config_dict(make_config("corrected"))), "angle", 0, 0, "d")
    with TrialLog(tmp_path / "s0001-a") as log:
        for epoch, value in enumerate([20.123456789, 21.0, float("nan")], 1):
            log.scalars(epoch_scalars(cell, {"epoch": epoch, METRIC: value, "val_psnr_db": 1.0}), epoch)
    with TrialLog(tmp_path / "s0002-b") as log:
        log.session_start("s0002-b", {"lr": 1e-3})  # interrupted in its first epoch
    found = reached(tmp_path, ["s0001-a", "s0002-b", "s0003-c"])
    assert found == {"s0001-a": {1: float(np.float32(20.123456789)), 2: 21.0}}
    assert TAG == "best/val_psnr_db"


def test_what_a_restart_has_made_void_is_not_reached(tmp_path):
    with TrialLog(tmp_path / "s0001-a") as log:
        for epoch in (1, 2, 3):
            log.scalars({TAG: 20.0 + epoch}, epoch)
        log.restart(2)
        log.scalars({TAG: 25.0}, 2)
    assert reached(tmp_path, ["s0001-a"]) == {"s0001-a": {1: 21.0, 2: 25.0}}
