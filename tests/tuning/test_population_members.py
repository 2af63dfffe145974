"""Members of a population: their own names, other members' weights and settings, a history that survives restarts."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from deepdlt.config import TrainConfig, config_dict
from deepdlt.dataset.stratified_split import plain_split
from deepdlt.models.checkpoint import load_checkpoint
from deepdlt.training.fit import fit
from sweeps.space.configuration import Configuration
from sweeps.space.mutation import mutate, nearest_in
from sweeps.store.cell import Cell, trial_config, trial_name
from sweeps.store.ranking import METRIC
from sweeps.tuning import population_members as population
from sweeps.tuning.population_schedulers import Mutations

CONFIG = TrainConfig(epochs=6, lr=1e-3, batch_size=16, kernel_size=3)
AXES = ["lr", "dropout", "kernel_size"]
METRICS = {"epoch": 1, "finished": 0.0}


@pytest.fixture(scope="module")
def split(patches):
    return plain_split(patches.images, patches.image_id, label="PP1")


def trial(name, config=CONFIG):
    return trial_config(Cell("search", Configuration.of(config_dict(config)), "PP1", 0, 0, "data"), name)


def begin(sweep, name, config=CONFIG):
    return population.member(trial(name, config), sweep / name, AXES, config.epochs)


@pytest.fixture
def told(monkeypatch):
    """Say what Tune hands to the trainable: `told(checkpoint)`."""

    def set_checkpoint(checkpoint):
        monkeypatch.setattr(tune, "get_checkpoint", lambda: checkpoint)

    set_checkpoint(None)
    return set_checkpoint


class Member:
    """What the trainable does, epoch by epoch, without Ray."""

    def __init__(self, sweep, config, patches, split):
        self.config, self.directory = config, sweep / trial_name(config)
        self.to_train = population.train_config(config)
        self.told = population.take_over(config, self.directory, self.to_train)
        self.epochs = fit(self.to_train, patches.crops, split, self.directory)

    def train(self, n):
        return [next(self.epochs) for _ in range(n)]

    def mark(self, metrics):
        return population.checkpoint(self.config, self.directory, metrics)


@pytest.fixture
def two(tmp_path, patches, split, told):
    """A donor and a member of another kernel size, after one epoch each, and the donor's mark."""
    donor = Member(tmp_path, begin(tmp_path, "donor", replace(CONFIG, kernel_size=5, lr=2e-3)), patches, split)
    member = Member(tmp_path, begin(tmp_path, "member"), patches, split)
    (metrics,) = donor.train(1)
    member.train(1)
    return donor, member, donor.mark(metrics)


def test_a_trial_that_is_no_member_trains_its_cell_and_reports_no_checkpoint(tmp_path, told):
    config = trial("s0001")
    assert population.train_config(config) == CONFIG
    assert population.take_over(config, tmp_path, CONFIG) == 0
    assert population.checkpoint(config, tmp_path, METRICS) is None
    assert not list(tmp_path.iterdir())


def test_a_member_begins_with_the_settings_of_its_cell(tmp_path, told):
    config = begin(tmp_path, "member")
    assert (config["lr"], config["dropout"]) == (CONFIG.lr, CONFIG.dropout)
    assert "kernel_size" not in config  # it may not change
    assert population.train_config(config) == CONFIG


def test_inheriting_takes_the_donors_settings_and_keeps_the_own_name_cell_seed_and_epochs(tmp_path):
    own = begin(tmp_path, "member", replace(CONFIG, seed=1, epochs=8))
    donor = begin(tmp_path, "donor", replace(CONFIG, kernel_size=5, activation="elu", seed=2))
    now = population.inherit(own, donor, {"lr": 7e-4, "dropout": 0.25})
    assert now["trial"] == own["trial"]
    asked = replace(CONFIG, kernel_size=5, activation="elu", lr=7e-4, dropout=0.25, seed=1, epochs=8)
    assert population.train_config(now) == asked
    third = population.inherit(begin(tmp_path, "third"), now, {"lr": 7e-4, "dropout": 0.25})
    assert population.train_config(third) == replace(asked, seed=0, epochs=6)  # settings travel on
    back = population.inherit(now, begin(tmp_path, "other"), {"lr": 1e-3, "dropout": 0.2})
    assert population.train_config(back) == replace(CONFIG, seed=1, epochs=8)


def test_taking_over_continues_the_donors_weights_under_the_own_name(two, patches, split, tmp_path, told):
    donor, member, mark = two
    now = population.inherit(member.config, donor.config, {"lr": 7e-4, "dropout": 0.25})
    told(mark)
    donor_weights = load_checkpoint(donor.directory / "last.pt")["model_state_dict"]
    donor.train(1)  # it goes on meanwhile; what was marked is what counts
    later = Member(tmp_path, now, patches, split)
    state = load_checkpoint(later.directory / "last.pt")
    assert all(torch.equal(value, donor_weights[name]) for name, value in state["model_state_dict"].items())
    assert state["optimizer_state_dict"]["param_groups"][0]["lr"] == 7e-4
    assert later.told == 1
    assert [m["epoch"] for m in later.train(2)] == [1, 2]
    assert later.directory.name == "member"


def test_a_donor_may_be_generations_ahead_before_its_weights_are_taken(two, patches, split, tmp_path, told):
    donor, member, mark = two
    now = population.inherit(member.config, donor.config, {"lr": 7e-4, "dropout": 0.25})
    marked = load_checkpoint(donor.directory / "last.pt")["model_state_dict"]
    mark = tune.Checkpoint.from_directory(shutil.copytree(mark.path, tmp_path / "ray"))  # as Tune keeps it
    population.set_aside(mark, member.config)
    for metrics in donor.train(3):
        donor.mark(metrics)
    assert not (donor.directory / ".generations" / "000001").exists()
    told(mark)
    later = Member(tmp_path, now, patches, split)
    weights = load_checkpoint(later.directory / "last.pt")["model_state_dict"]
    assert all(torch.equal(value, marked[name]) for name, value in weights.items())
    assert [m["epoch"] for m in later.train(2)] == [1, 2]
    population.set_aside(donor.mark(metrics), member.config)
    assert [kept.name for kept in (member.directory / ".set_aside").iterdir()] == ["donor-000004"]
    population.forget_generations(tmp_path)
    assert not (member.directory / ".set_aside").exists()


def test_a_state_that_is_gone_cannot_be_set_aside(two):
    donor, member, mark = two
    (donor.directory / ".generations" / "000001" / "last.pt").unlink()
    with pytest.raises(OSError, match=r"last\.pt"):
        population.set_aside(mark, member.config)


def test_a_paused_member_that_nobody_replaced_goes_on_with_its_own_weights(two, patches, split, tmp_path, told):
    donor, _, mark = two
    before = (donor.directory / "last.pt").read_bytes()
    told(mark)
    again = Member(tmp_path, donor.config, patches, split)
    assert again.told == 1
    assert (donor.directory / "last.pt").read_bytes() == before
    assert [entry["epoch"] for entry in population.history(donor.directory)] == [1]


def test_the_history_says_what_was_trained_with_when_and_whose_weights_these_were(two, patches, split, tmp_path, told):
    donor, member, mark = two
    told(mark)
    Member(tmp_path, population.inherit(member.config, donor.config, {"lr": 7e-4, "dropout": 0.25}), patches, split)
    assert population.history(member.directory) == [
        {"epoch": 1, "lr": 1e-3, "dropout": 0.2},
        {"epoch": 2, "lr": 7e-4, "dropout": 0.25, "kernel_size": 5, "from": "donor"},
    ]


def test_a_member_whose_driver_was_killed_goes_on_with_its_last_settings(two, patches, split, tmp_path, told):
    donor, member, mark = two
    told(mark)
    now = population.inherit(member.config, donor.config, {"lr": 7e-4, "dropout": 0.25})
    Member(tmp_path, now, patches, split).train(2)
    history = population.history(member.directory)
    told(None)  # another run, which knows the cell and the directory alone
    config = begin(tmp_path, "member")
    assert config == now
    again = Member(tmp_path, config, patches, split)
    assert again.told == 0
    assert [m["epoch"] for m in again.train(2)] == [2, 3]
    assert population.history(member.directory) == history


def test_a_history_that_was_lost_between_two_writes_is_completed(two, patches, split, tmp_path, told, monkeypatch):
    donor, member, mark = two
    told(mark)
    now = population.inherit(member.config, donor.config, {"lr": 7e-4, "dropout": 0.25})
    with monkeypatch.context() as patch:
        patch.setattr(population, "note", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            Member(tmp_path, now, patches, split)
    told(None)
    Member(tmp_path, begin(tmp_path, "member"), patches, split)
    assert [(e["epoch"], e["lr"]) for e in population.history(member.directory)] == [(1, 1e-3), (2, 7e-4)]


def test_a_member_that_died_after_taking_over_keeps_what_it_has_trained_since(two, patches, split, tmp_path, told):
    donor, member, mark = two
    told(mark)
    now = population.inherit(member.config, donor.config, {"lr": 7e-4, "dropout": 0.25})
    Member(tmp_path, now, patches, split).train(3)
    again = Member(tmp_path, now, patches, split)  # Tune's retry: the same mark
    assert again.told == 1
    assert [m["epoch"] for m in again.train(2)] == [3, 4]


def test_marks_are_made_at_the_end_of_a_generation_and_two_are_kept(tmp_path, patches, split, told):
    config = begin(tmp_path, "member", replace(CONFIG, epochs=12))
    member = Member(tmp_path, config, patches, split)
    marks = {m["epoch"]: member.mark(m) for m in member.epochs}
    assert [epoch for epoch, mark in marks.items() if mark] == [2, 4, 6, 8, 10]  # not with the last
    kept = sorted((member.directory / ".generations").iterdir())
    assert [path.name for path in kept] == ["000008", "000010"]
    assert [load_checkpoint(path / "last.pt")["epoch"] for path in kept] == [8, 10]
    with marks[10].as_directory() as folder:
        (file,) = (tmp_path / folder).iterdir()
        assert file.stat().st_size < 1000  # what Ray copies
        assert json.loads(file.read_text())["state"] == str(kept[1])
    population.forget_generations(tmp_path)
    assert not (member.directory / ".generations").exists()


def test_a_training_that_starts_again_replaces_its_history(tmp_path):
    for epoch, lr in [(1, 1e-3), (3, 5e-4), (5, 2e-4)]:
        population.note(tmp_path, epoch, {"lr": lr})
    population.note(tmp_path, 6, {"lr": 2e-4})  # nothing new
    assert [e["epoch"] for e in population.history(tmp_path)] == [1, 3, 5]
    population.note(tmp_path, 3, {"lr": 7e-4})
    assert population.history(tmp_path) == [{"epoch": 1, "lr": 1e-3}, {"epoch": 3, "lr": 7e-4}]


DOMAINS = {
    "lr": tune.loguniform(1e-4, 1e-2),
    "dropout": tune.quniform(0.0, 0.5, 0.1),
    "momentum": tune.choice([0.9, 0.5, 0.99]),
}


@pytest.mark.parametrize("is_there", [True, False])
def test_the_worst_are_replaced_by_states_that_are_there(monkeypatch, is_there):
    class Scored(Waiting):
        def __init__(self, score):
            super().__init__(score)
            self.score, self.config = score, {"name": score}

    aside, replaced = [], []

    def set_aside(mark, config):
        if not is_there:
            raise FileNotFoundError
        aside.append((mark, config["name"]))

    monkeypatch.setattr("sweeps.tuning.population_schedulers.set_aside", set_aside)
    generations = Mutations(6, DOMAINS, seed=0)
    monkeypatch.setattr(generations, "exploit", lambda _, worst, best: replaced.append((best.score, worst.score)))
    for score in (3, 1, 4, 2):
        member = Scored(score)
        generations.on_trial_add(None, member)
        generations.state(member).last_score = score
    generations._replace_the_worst(None)
    assert replaced == [(4, 1)] * is_there
    assert aside == [("mark of 4", 1)] * is_there


class Waiting:
    """A member, as the scheduler sees it."""

    def __init__(self, name):
        self.trial_id, self.status, self.config, self.is_saving = name, Trial.RUNNING, {"lr": 1e-3}, False
        self.checkpoint, self.evaluated_params, self.experiment_tag = f"mark of {name}", {}, ""
        kept = SimpleNamespace(checkpoint_config=SimpleNamespace(num_to_keep=None))
        self.run_metadata = SimpleNamespace(checkpoint_manager=kept)

    def is_finished(self):
        return self.status in (Trial.TERMINATED, Trial.ERROR)

    def __str__(self):
        return str(self.trial_id)


class Controller:
    """Tune, as far as a population asks it for something."""

    def __init__(self, trials):
        self.trials, self.paused, self.went_on = trials, [], []

    def get_trials(self):
        return self.trials

    def pause_trial(self, trial, should_checkpoint):
        assert not should_checkpoint  # its process would have to answer; what it reported is enough
        self.paused.append(trial.trial_id)
        trial.status = Trial.PAUSED

    def _schedule_trial_train(self, trial):
        self.went_on.append(trial.trial_id)


@pytest.fixture
def three(monkeypatch):
    """A scheduler, its controller and members A, B, C: A and B wait in their processes for C, whose node is lost."""
    dead = set()
    monkeypatch.setattr("sweeps.tuning.population_schedulers.has_died", lambda trial: trial.trial_id in dead)
    generations, controller = Mutations(6, DOMAINS, seed=0), Controller([Waiting(name) for name in "ABC"])
    for trial in controller.trials:
        generations.on_trial_add(controller, trial)
    for trial in controller.trials[:2]:
        assert come(generations, controller, trial) == TrialScheduler.NOOP
    assert generations.choose_trial_to_run(controller) is None
    assert not controller.paused
    retry(generations, controller, controller.trials[2])
    return generations, controller, dead


def come(generations, controller, trial, epoch=1, score=20.0):
    result = {"epoch": epoch, METRIC: score, "finished": 0.0, "training_iteration": epoch, "time_total_s": 1.0}
    return generations.on_trial_result(controller, trial, result)


def retry(generations, controller, trial):
    trial.status = Trial.ERROR
    generations.on_trial_error(controller, trial)
    trial.status = Trial.PENDING
    generations.on_trial_add(controller, trial)


def test_members_that_wait_give_their_processes_to_one_that_has_lost_its_own(three):
    generations, controller, _ = three
    assert generations.choose_trial_to_run(controller) is None
    assert controller.paused == ["A", "B"]
    a, b, c = controller.trials
    c.status = Trial.RUNNING  # in the place of one of them
    assert generations.choose_trial_to_run(controller) is None  # they wait for it, but not in its way
    assert come(generations, controller, c) == TrialScheduler.NOOP
    assert generations.choose_trial_to_run(controller) in (a, b)
    assert controller.paused == ["A", "B"]
    assert controller.went_on == []  # C waits until those that are behind have started
    a.status = b.status = Trial.PENDING
    assert generations.choose_trial_to_run(controller) is None
    assert controller.went_on == ["C"]


def test_a_member_gives_way_when_its_checkpoint_is_known(three):
    generations, controller, _ = three
    controller.trials[0].is_saving = True
    generations.choose_trial_to_run(controller)
    assert controller.paused == ["B"]
    controller.trials[0].is_saving = False
    generations.choose_trial_to_run(controller)
    assert controller.paused == ["B", "A"]


def test_a_process_that_has_died_is_handed_to_nobody(three):
    generations, controller, dead = three
    dead.add("A")
    generations.choose_trial_to_run(controller)
    assert (controller.paused, controller.went_on) == (["B"], ["A"])  # Tune finds A dead, and tries it again


@pytest.mark.parametrize("has_died", [False, True])
def test_a_member_whose_process_has_died_is_not_replaced(monkeypatch, has_died):
    replaced = []
    monkeypatch.setattr("sweeps.tuning.population_schedulers.set_aside", lambda mark, config: None)
    monkeypatch.setattr(
        "sweeps.tuning.population_schedulers.has_died", lambda trial: has_died and trial.trial_id == "A"
    )
    generations, controller = Mutations(6, DOMAINS, seed=0), Controller([Waiting(name) for name in "ABCD"])
    monkeypatch.setattr(generations, "exploit", lambda _, trial, donor: replaced.append((str(trial), str(donor))))
    for trial in controller.trials:
        generations.on_trial_add(controller, trial)
    for score, trial in enumerate(controller.trials):
        come(generations, controller, trial, score=20.0 + score)
    generations.choose_trial_to_run(controller)
    assert replaced == ([] if has_died else [("A", "D")])
    assert sorted(controller.went_on) == (["A"] if has_died else []) + ["B", "C", "D"]


def test_mutated_values_stay_in_their_range_on_their_grid_or_among_their_choices():
    rng = np.random.RandomState(0)
    values = {"lr": 9e-3, "dropout": 0.5, "momentum": 0.99}
    seen = []
    for _ in range(300):
        values = mutate(values | {"kernel_size": 3}, DOMAINS, rng)
        seen.append(values)
        assert 1e-4 <= values["lr"] <= 1e-2
        assert values["dropout"] == pytest.approx(round(values["dropout"], 1))
        assert 0 <= values["dropout"] <= 0.5
        assert values["momentum"] in (0.5, 0.9, 0.99)
    assert {type(v) for values in seen for v in values.values()} == {float}
    assert len({v["lr"] for v in seen}) > 200
    assert {round(v["dropout"], 1) for v in seen} == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}


def test_mutated_values_have_none_of_floating_points_dust():
    rng, domains = np.random.RandomState(0), {"dropout": tune.quniform(0.0, 0.3, 0.1)}
    drawn = {mutate({"dropout": 0.2}, domains, rng)["dropout"] for _ in range(200)}
    assert drawn == {0.0, 0.1, 0.2, 0.3}


def test_three_of_four_mutations_are_a_step_and_the_others_a_new_draw():
    rng = np.random.RandomState(1)
    ratios = [mutate({"lr": 1e-3}, {"lr": DOMAINS["lr"]}, rng)["lr"] / 1e-3 for _ in range(1000)]
    steps = np.isclose(ratios, 0.8) | np.isclose(ratios, 1.2)
    assert 0.7 < steps.mean() < 0.8
    jumps = [mutate({"momentum": 0.5}, {"momentum": DOMAINS["momentum"]}, rng)["momentum"] for _ in range(1000)]
    assert 0.05 < np.mean(np.array(jumps) == 0.99) < 0.12  # two places away: a third of the draws


def test_mutations_are_those_of_the_seed():
    values = {"lr": 1e-3, "dropout": 0.2, "momentum": 0.9}
    first, second, other = (
        [mutate(values, DOMAINS, r) for _ in range(9)] for r in map(np.random.RandomState, (3, 3, 4))
    )
    assert first == second != other


@pytest.mark.parametrize(
    ("domain", "value", "nearest"),
    [
        (tune.loguniform(1e-4, 1e-2), 1.0, 1e-2),
        (tune.uniform(0.1, 0.4), -3.0, 0.1),
        (tune.quniform(0.1, 0.4, 0.1), 0.34, 0.3),
        (tune.choice([1e-4, 1e-3, 1e-2]), 2e-3, 1e-3),
        (tune.choice([1e-4, 1e-2]), 1.1e-3, 1e-2),  # nearer in decades
        (tune.choice([0, 0.9]), 0.4, 0),
    ],
)
def test_the_nearest_value_of_a_domain(domain, value, nearest):
    assert nearest_in(domain, value) == pytest.approx(nearest)
