"""Every scheduler on real Ray: who is stopped, who waits for whom, who goes on from whom; and nobody for ever."""

import json
import math
import os
import signal
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from waiting import wait_for

from deepdlt.config import TrainConfig, config_dict
from deepdlt.dataset.stratified_split import plain_split
from deepdlt.models.checkpoint import load_checkpoint
from sweeps import stopping
from sweeps.space.configuration import Configuration
from sweeps.space.tune_space import TuneSpace
from sweeps.store.cell import Cell, trial_cell, trial_config, trial_name
from sweeps.store.ranking import METRIC
from sweeps.tuning import population_members as population
from sweeps.tuning import schedulers
from sweeps.tuning.hyperband import HyperBand, brackets
from sweeps.tuning.listed_search import ListedSearch
from sweeps.tuning.pruning import NOTHING
from sweeps.tuning.ray_internals import has_died
from sweeps.tuning.run_end import AtNextEpoch

EPOCHS = 9
CONFIG = TrainConfig(epochs=EPOCHS)
SPACE = {"lr": tune.loguniform(1e-5, 1e-2), "kernel_size": tune.choice([3, 5])}
DOMAINS = TuneSpace(SPACE).domains


def test_every_name_that_is_offered_makes_a_scheduler():
    made = {name: schedulers.make_scheduler(name, 9, 12, DOMAINS, 0) for name in schedulers.NAMES}
    assert isinstance(made.pop("none"), FIFOScheduler)
    assert len({type(scheduler) for scheduler in made.values()}) == 5


@pytest.mark.parametrize("name", schedulers.NAMES)
def test_a_usual_space_suits_every_scheduler(name):
    assert schedulers.problems(name, DOMAINS, CONFIG, epochs=9, trials=12) == []


@pytest.mark.parametrize(
    ("name", "changes", "epochs", "trials", "reason"),
    [
        ("bohb", {}, 9, 12, "--scheduler must be one of none, asha, median, hyperband, pbt, pb2, got 'bohb'"),
        ("hyperband", {}, 2, 12, "--scheduler hyperband needs --epochs 3 or more"),
        ("hyperband", {}, 9, 2, "--scheduler hyperband needs --trials 3 or more"),
        ("pbt", {}, 1, 12, "--scheduler pbt needs --epochs 2 or more"),
        ("pb2", {}, 9, 3, "--scheduler pb2 needs --trials 4 or more"),
        ("pbt", {"lr": None}, 9, 12, "may change while training (lr, dropout, "),
        ("pbt", {"schedule": tune.choice(["constant", "cosine"])}, 9, 12, "must be constant, got constant, cosine"),
        ("pb2", {"warmup": tune.uniform(0.0, 0.2)}, 9, 12, "`warmup` must be 0, got 0.0, 0.2"),
    ],
)
def test_what_cannot_work_is_refused_with_a_remedy(name, changes, epochs, trials, reason):
    space = {key: domain for key, domain in {**SPACE, **changes}.items() if domain is not None}
    (problem,) = schedulers.problems(name, TuneSpace(space).domains, CONFIG, epochs, trials)
    assert reason in problem


def test_a_schedule_that_is_not_swept_is_refused_too():
    config = replace(CONFIG, schedule="onecycle", warmup=0.1)
    problems = schedulers.problems("pbt", DOMAINS, config, 9, 12)
    assert len(problems) == 2
    assert "onecycle" in problems[0]


@pytest.mark.parametrize("trials", [3, 4, 7, 12, 17, 100])
@pytest.mark.parametrize("epochs", [3, 4, 9, 10, 27, 80, 81, 200])
def test_brackets_hold_every_trial_in_the_shares_of_the_paper(epochs, trials):
    found = brackets(epochs, trials)
    assert sum(found.values()) == trials
    deepest = max(s for s in range(6) if 3**s <= epochs)
    assert list(found) == sorted(found, reverse=True)
    total = sum((deepest + 1) / (s + 1) * 3**s for s in range(deepest + 1))
    assert all(abs(n - trials * (deepest + 1) / (s + 1) * 3**s / total) < 1 for s, n in found.items())
    assert brackets(9, 17) == {2: 9, 1: 5, 0: 3}  # the band of the paper itself


@pytest.mark.parametrize(
    ("asked", "concurrent", "there", "running"),
    [
        (1, 2, 2, 2),
        (1, 1, 2, 1),
        (0.25, 3, 1, 3),
        (1, 2, 3, 2),
        (1, 5, 8, 5),
        (1, 3, 8, 3),
        (1, 6, 16, 6),
        (2, 3, 7, 3),
    ],
)
def test_the_reserved_cpus_let_as_many_run_as_were_asked_for(asked, concurrent, there, running):
    assert schedulers.cpus_per_trial("asha", asked, concurrent, there) == asked
    assert asked <= schedulers.cpus_per_trial("pbt", asked, concurrent, there) <= there / concurrent
    assert int(there / schedulers.cpus_per_trial("pbt", asked, concurrent, there) + 1e-9) == running


@pytest.mark.parametrize("concurrent", range(1, 20))
def test_as_many_trials_run_as_were_asked_for_and_fit(concurrent):
    cpus = schedulers.cpus_per_trial("hyperband", 1.0, concurrent, 16)
    assert int(16 / cpus + 1e-9) == min(16, concurrent)
    assert cpus * 1e4 == pytest.approx(round(cpus * 1e4), abs=1e-6)  # Ray counts in these


def test_a_share_that_is_larger_than_a_node_would_wait_for_ever():
    assert schedulers.cpus_per_trial("pbt", 1.0, 1, 8, node=4) == 4
    assert schedulers.cpus_per_trial("pbt", 1.0, 4, 8, node=4) == 2


@pytest.mark.parametrize("name", schedulers.PAUSING)
def test_a_trial_that_is_finished_waits_for_nobody(name):
    scheduler = schedulers.make_scheduler(name, 9, 12, DOMAINS, 0)
    result = {"epoch": 3, "finished": 1.0, METRIC: 20.0}  # early stopping; 3 is a rung
    assert scheduler.on_trial_result(None, object(), result) == TrialScheduler.STOP


class StubTrial:
    """What HyperBand sees of Tune's trial."""

    def __init__(self, name):
        self.trial_id, self.status, self.is_saving = name, Trial.RUNNING, False

    def __repr__(self):
        return self.trial_id


class StubController:
    """Tune, as far as HyperBand asks it for something."""

    def __init__(self, scheduler):
        self.scheduler, self.stopped = scheduler, []

    def stop_trial(self, trial):
        self.stopped.append(trial)
        self.scheduler.on_trial_remove(self, trial)
        trial.status = Trial.TERMINATED

    def retry(self, trial):
        """What Tune does with a trial whose process died, in this order."""
        trial.status = Trial.ERROR
        self.scheduler.on_trial_error(self, trial)
        trial.status = Trial.PENDING
        self.scheduler.on_trial_add(self, trial)
        trial.status = Trial.RUNNING

    def tell(self, trial, epoch, value):
        said = self.scheduler.on_trial_result(self, trial, {"epoch": epoch, METRIC: value, "finished": 0.0})
        if said == TrialScheduler.PAUSE:
            trial.status = Trial.PAUSED
        return said


@pytest.mark.parametrize("dies_at", [0, 1])
def test_hyperband_puts_a_trial_that_is_retried_where_it_was(dies_at):
    scheduler = HyperBand(3, 6)  # brackets of 4 and 2 trials; of the first go on 2 after one epoch
    assert brackets(3, 6) == {1: 4, 0: 2}
    controller, trials = StubController(scheduler), [StubTrial(f"t{k}") for k in range(6)]
    for trial in trials:
        scheduler.on_trial_add(controller, trial)
    worst, *others = trials[:4]
    if dies_at:
        assert controller.tell(worst, 1, 10.0) == TrialScheduler.PAUSE
    controller.retry(worst)  # before its first report, or in the middle of its pause
    for k, trial in enumerate(others):
        assert controller.tell(trial, 1, 11.0 + k) == TrialScheduler.PAUSE  # they wait for it
    assert controller.tell(worst, 1, 10.0) == TrialScheduler.STOP
    assert controller.stopped == others[:1]
    first, second = scheduler.brackets()
    assert [trial for trial in others if trial in first.trials_to_unpause] == others[1:]
    assert second.current_trials() == trials[4:]


def test_hyperband_no_longer_waits_for_a_trial_that_has_failed():
    scheduler = HyperBand(3, 6)
    controller, trials = StubController(scheduler), [StubTrial(f"t{k}") for k in range(6)]
    for trial in trials:
        scheduler.on_trial_add(controller, trial)
    for k, trial in enumerate(trials[:3]):
        assert controller.tell(trial, 1, 10.0 + k) == TrialScheduler.PAUSE
    scheduler.on_trial_error(controller, trials[3])
    assert controller.stopped == trials[:1]


# --- on Ray ------------------------------------------------------------------------------------------------------


class EndAfter(AtNextEpoch):
    """Asks for the end of the run, as Ctrl-C does, when this epoch of any trial is done."""

    def __init__(self, epoch):
        self.epoch = epoch

    def __call__(self, trial_id, result):
        if result.get("epoch", 0) >= self.epoch:
            stopping.set_deadline(0)
        return super().__call__(trial_id, result)


def run(name, trainable, trials, root, epochs=EPOCHS, end_after=math.inf, known=NOTHING):
    """Let Tune run trials as a sweep does."""
    stopping.set_deadline(None)
    n = len(trials)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": schedulers.cpus_per_trial(name, 1, 2, 2)}),
        tune_config=tune.TuneConfig(
            search_alg=ListedSearch(trials),
            num_samples=n,
            scheduler=schedulers.make_scheduler(name, epochs, n, DOMAINS, seed=0, known=known),
            max_concurrent_trials=schedulers.max_concurrent_trials(name, n, 2),
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial_name(trial.config),
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(root / ".ray"),
            verbose=0,
            stop=EndAfter(end_after),
            failure_config=tune.FailureConfig(max_failures=2),
        ),
    )
    results = tuner.fit()
    stopping.set_deadline(None)
    assert not results.errors  # whoever dies is retried


def simulate(name, cells, root, end_after=math.inf, known=NOTHING):
    """Epochs done of each of these trials, which keep their epoch on disk as ours do and are as good as they say."""

    def train(config):
        cell, done = config["trial"]["cell"], root / config["trial"]["name"]
        first = int(done.read_text()) if done.exists() else 0
        for epoch in range(max(1, first), EPOCHS + 1):  # the last epoch once more, as fit() does
            if cell.get("fails") == epoch:
                return  # ours commits the reason and ends like that
            time.sleep(cell.get("epoch_s", 0))
            done.write_text(str(epoch))
            if cell.get("dies") == epoch and epoch > first:
                os._exit(1)
            finished = epoch == cell.get("finishes", EPOCHS)
            value = cell["quality"] * (1 - 0.5**epoch)
            tune.report({"epoch": epoch, "finished": float(finished), METRIC: value})
            if finished:
                return

    trials = [{"trial": {"name": f"t{k:02d}", "cell": cell}} for k, cell in enumerate(cells)]
    run(name, train, trials, root, end_after=end_after, known=known)
    files = [root / trial["trial"]["name"] for trial in trials]
    return [int(file.read_text()) if file.exists() else 0 for file in files]


QUALITIES = [14, 23, 11, 30, 20, 17, 26, 12, 29, 15, 21, 18]
LEARNERS = [{"quality": quality} for quality in QUALITIES]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["none", "asha", "median"])
def test_losers_are_stopped_early_and_the_best_trains_to_its_end(shared_ray, tmp_path, name):
    epochs = simulate(name, LEARNERS, tmp_path)
    assert epochs[QUALITIES.index(30)] == EPOCHS
    if name == "none":
        assert epochs == [EPOCHS] * 12
        return
    assert sum(epochs) <= 0.8 * 12 * EPOCHS
    assert epochs[QUALITIES.index(12)] < EPOCHS  # neither among the first nor any good


@pytest.mark.slow
@pytest.mark.parametrize("name", schedulers.ANYTIME)
def test_new_trials_are_compared_with_what_earlier_runs_reached_at_the_same_epoch(shared_ray, tmp_path, name):
    """Two trials go on behind epoch 6, four are new: three are better than those that were, one is worse."""
    reached = {f"t{k:02d}": {e: q * (1 - 0.5**e) for e in range(1, 7)} for k, q in enumerate([14, 15])}
    reached["t90"] = {1: 5.0}  # stopped by then
    for earlier in ("t00", "t01"):
        (tmp_path / earlier).write_text("6")
    cells = [{"quality": quality} for quality in (14, 15, 20, 20, 20, 2)]
    assert simulate(name, cells, tmp_path, known=reached) == [EPOCHS] * 5 + [1]


@pytest.mark.slow
def test_hyperband_compares_whole_brackets(shared_ray, tmp_path):
    """Brackets of 7, 3 and 2 trials: of 7 go on 3 after one epoch and 1 after three, of 3 goes on 1, then both."""
    epochs = simulate("hyperband", LEARNERS, tmp_path)
    assert brackets(EPOCHS, 12) == {2: 7, 1: 3, 0: 2}
    expected = []
    for rungs, qualities in [([1, 3], QUALITIES[:7]), ([3], QUALITIES[7:10]), ([], QUALITIES[10:])]:
        left = dict.fromkeys(qualities, EPOCHS)
        going = sorted(qualities)
        for rung in rungs:
            keep = -(-len(going) // 3)
            left |= dict.fromkeys(going[:-keep], rung)
            going = going[-keep:]
        expected += left.values()
    assert epochs == expected


FAULTS = {"fails at once": {"fails": 1}, "fails later": {"fails": 4}, "dies": {"dies": 2}, "is done": {"finishes": 2}}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["median", "hyperband"])
def test_trials_that_fail_die_or_end_early_keep_nobody_waiting(shared_ray, tmp_path, name):
    faults = [{"quality": 27 + k / 10, **fault} for k, fault in enumerate(FAULTS.values())]
    epochs = simulate(name, [*LEARNERS[:4], *faults, *LEARNERS[4:]], tmp_path)
    assert epochs[QUALITIES.index(30)] == EPOCHS
    assert all(epochs[:4])
    assert all(epochs[8:])
    assert epochs[4] == 0
    assert epochs[5] in (0, 1, 3)
    assert epochs[7] <= 2


@pytest.mark.slow
@pytest.mark.parametrize("left_at", [[9, 4, 1, 3, 8, 2], [5] * 12])  # 5: behind the first two rungs
def test_trials_that_earlier_runs_left_at_any_epoch_come_to_their_end(shared_ray, tmp_path, left_at):
    for k, epoch in enumerate(left_at):
        (tmp_path / f"t{k:02d}").write_text(str(epoch))
    epochs = simulate("hyperband", sorted(LEARNERS, key=lambda learner: learner["quality"]), tmp_path)
    assert epochs[-1] == EPOCHS
    assert all(now >= before for now, before in zip(epochs, left_at, strict=False))
    assert all(epochs)


@pytest.mark.slow
def test_a_run_that_is_to_end_begins_nothing_new(shared_ray, tmp_path):
    epochs = simulate(
        "hyperband", [{"quality": quality, "epoch_s": 0.4} for quality in QUALITIES], tmp_path, end_after=1
    )
    assert 1 <= sum(epochs) <= 3  # one ended, the other one ran


def members(root, lrs, config):
    """Trials of a population that is spread over learning rates."""
    for k, lr in enumerate(lrs):
        cell = Cell("search", Configuration.of(config_dict(replace(config, lr=lr))), "PP1", 0, 0, "data")
        yield population.member(trial_config(cell, f"t{k}"), root / f"t{k}", list(SPACE), config.epochs)


def train_members(name, trials, patches, root, faults=None, end_after=math.inf):
    """Run a population on real crops. What was trained: member -> [(epoch, val_psnr_db, lr), ...]."""
    split, crops, faults = plain_split(patches.images, patches.image_id, label="PP1"), patches.crops, faults or {}

    def train(config):
        from deepdlt.training.fit import fit

        directory, to_train = root / trial_name(config), population.train_config(config)
        told = population.take_over(config, directory, to_train)
        for metrics in fit(to_train, crops, split, directory):
            epoch, fault = int(metrics["epoch"]), faults.get(directory.name, (None, None))
            if fault == ("fails", epoch):
                return
            if epoch <= told and not metrics["finished"]:
                continue
            with (directory / "log").open("a") as log:
                print(json.dumps([epoch, metrics["val_psnr_db"], metrics["lr"]]), file=log)
            if fault == ("dies", epoch) and not (directory / "died").exists():
                (directory / "died").touch()
                os._exit(1)
            tune.report({**metrics, "epoch": epoch}, checkpoint=population.checkpoint(config, directory, metrics))

    run(name, train, trials, root, trial_cell(trials[0]).config["epochs"], end_after)
    logs = {path.parent.name: path.read_text().splitlines() for path in sorted(root.glob("t*/log"))}
    return {member: [json.loads(line) for line in lines] for member, lines in logs.items()}


POPULATION = TrainConfig(epochs=3, batch_size=16, dropout=0.0)
LRS = (1e-5, 2e-5, 3e-5, 5e-3, 2e-3)  # the last one is the best


@pytest.mark.slow
@pytest.mark.timeout(600)  # seconds on a free machine; processes that import PyTorch start slowly on a busy one
@pytest.mark.parametrize("name", schedulers.POPULATIONS)
def test_members_adopt_the_weights_of_better_ones(shared_ray, patches, tmp_path, name):
    trained = train_members(name, list(members(tmp_path, LRS, POPULATION)), patches, tmp_path)
    adopted = []
    for member, rows in trained.items():
        assert [epoch for epoch, *_ in rows] == [1, 2, 3]  # each once, under the own name
        history = population.history(tmp_path / member)
        assert history[0] == {"epoch": 1, "lr": LRS[int(member[1:])]}
        for entry in history[1:]:
            donor, epoch = entry["from"], entry["epoch"]
            assert donor != member
            assert best_so_far(trained[donor], epoch - 1) > 9.5
            adopted.append((member, donor))
        for epoch, _, lr in rows:
            assert lr == pytest.approx([e["lr"] for e in history if e["epoch"] <= epoch][-1])
            assert 1e-5 <= lr <= 1e-2
    assert len(adopted) >= 3
    assert ("t0", "t4") in adopted  # the worst from the best, at the first opportunity
    last = {member: rows[-1][1] for member, rows in trained.items()}
    assert last["t0"] > trained["t4"][1][1]  # what 1e-5 alone never reaches
    weights = load_checkpoint(tmp_path / "t0" / "last.pt")
    assert weights["config"]["lr"] == population.history(tmp_path / "t0")[-1]["lr"]


@pytest.mark.slow
def test_a_waiting_process_that_was_killed_is_noticed(shared_ray):
    @ray.remote(num_cpus=0)
    class Worker:
        def process(self):
            return os.getpid()

    actor = Worker.remote()
    trial = SimpleNamespace(temporary_state=SimpleNamespace(ray_actor=actor))
    process = ray.get(actor.process.remote())
    assert not has_died(trial)
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: has_died(trial))


def best_so_far(rows, epoch):
    return max(psnr for done, psnr, _ in rows if done <= epoch)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_population_survives_failures_deaths_and_a_run_that_ended_early(shared_ray, patches, tmp_path):
    config = replace(POPULATION, epochs=6)
    before = train_members("pbt", list(members(tmp_path, LRS, config)), patches, tmp_path, end_after=3)
    assert {rows[-1][0] for rows in before.values()} <= {2, 3}
    faults = {"t1": ("fails", 4), "t2": ("dies", 5)}
    trained = train_members("pbt", list(members(tmp_path, LRS, config)), patches, tmp_path, faults)
    ends = {member: rows[-1][0] for member, rows in trained.items()}
    assert {member: end for member, end in ends.items() if member != "t1"} == dict.fromkeys(("t0", "t2", "t3", "t4"), 6)
    assert ends["t1"] < 4
    assert (tmp_path / "t2" / "died").exists()
    for member in trained:
        assert TrainConfig(**load_checkpoint(tmp_path / member / "last.pt")["config"]).epochs == 6
