"""Ray's private names are where this version of Ray has them, and do what they are used for."""

import os
from types import SimpleNamespace

import pytest
import ray
from ray._private import worker
from ray.exceptions import GetTimeoutError, RayActorError
from ray.tune.execution.class_cache import _ActorClassCache
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import HyperBandScheduler, MedianStoppingRule, PopulationBasedTraining, TrialScheduler
from ray.tune.schedulers.pb2 import PB2

from sweeps.store.ranking import METRIC
from sweeps.tuning import ray_internals
from sweeps.tuning.ray_internals import Brackets, MedianRule, Points, Population, has_died, let_go_on

VERSION = f"Ray {ray.__version__}"
METHODS = {
    HyperBandScheduler: ("_create_bracket", "_process_bracket"),
    PopulationBasedTraining: ("_save_trial_state", "_quantiles", "_exploit", "_get_new_config"),
    PB2: ("_save_trial_state", "_get_new_config"),
    TuneController: ("_schedule_trial_train",),
}


@pytest.mark.parametrize(("owner", "name"), [(owner, name) for owner, names in METHODS.items() for name in names])
def test_a_method_that_is_used_or_replaced_is_there(owner, name):
    assert callable(vars(owner).get(name)), f"{VERSION} moved {owner.__name__}.{name}"


class OfBracket:
    """Of Tune's Trial what Ray's brackets ask for."""

    is_saving = False

    def __init__(self, name):
        self.trial_id, self.status = name, Trial.RUNNING


def trials(n):
    return [OfBracket(str(k)) for k in range(n)]


def test_brackets_are_filled_in_the_order_of_their_sizes_and_halve_when_all_have_come():
    scheduler, those = Brackets({1: 3, 0: 2}, epochs=3, eta=3), trials(5)
    for trial in those:
        scheduler.on_trial_add(None, trial)
    assert all(scheduler.knows(trial) for trial in those)
    assert not scheduler.knows(trials(1)[0])
    first, second = scheduler.brackets()
    assert (first.current_trials(), second.current_trials()) == (those[:3], those[3:])
    stopped = []
    controller = SimpleNamespace(stop_trial=stopped.append)
    actions = []
    for quality, trial in enumerate(those[:3]):
        actions.append(scheduler.on_trial_result(controller, trial, {"epoch": 1, METRIC: float(quality)}))
        trial.status = Trial.PAUSED if quality < 2 else Trial.RUNNING
    assert actions == [TrialScheduler.PAUSE, TrialScheduler.PAUSE, TrialScheduler.CONTINUE], VERSION
    assert stopped == those[:2]
    assert not first.is_being_processed


def test_a_bracket_waits_for_a_trial_whose_result_is_forgotten():
    scheduler, those = Brackets({1: 2}, epochs=3, eta=3), trials(2)
    for trial in those:
        scheduler.on_trial_add(None, trial)
    scheduler.on_trial_result(None, those[0], {"epoch": 1, METRIC: 1.0})
    scheduler.forget_result(those[0])
    assert scheduler.on_trial_result(None, those[1], {"epoch": 1, METRIC: 2.0}) == TrialScheduler.PAUSE


class Named(Population):
    def new_config(self, trial, donor):
        return {"x": donor.config["x"] + 1, "own": trial.config["own"]}


class Member:
    """Of Tune's Trial what Ray's scheduler asks for."""

    def __init__(self, name, x):
        self.trial_id, self.config, self.evaluated_params = name, {"x": x, "own": name}, {}
        self.status, self.checkpoint, self.experiment_tag = Trial.PAUSED, f"checkpoint of {name}", name
        config = SimpleNamespace(num_to_keep=None)
        manager = SimpleNamespace(checkpoint_config=config, _latest_checkpoint_result=None)
        self.run_metadata = SimpleNamespace(checkpoint_manager=manager)

    def is_finished(self):
        return False

    def set_experiment_tag(self, tag):
        self.experiment_tag = tag

    def set_config(self, config):
        self.config = config


def test_the_worst_of_a_population_goes_on_from_the_best_with_a_config_of_ours():
    population = Named(2, hyperparam_mutations={"x": [1, 2, 3]})
    members = [Member(name, x) for x, name in enumerate("abcd")]
    for quality, member in enumerate(members):
        population.on_trial_add(SimpleNamespace(search_alg=None), member)
        population.remember(member, 2, {"epoch": 2, METRIC: float(quality)})
    assert population.meeting == population.generation_epochs == 2
    population.meeting = 4
    worst, best = population.quantiles()
    assert (worst, best) == ([members[0]], [members[3]]), VERSION
    assert [population.state(member).last_score for member in members] == [0.0, 1.0, 2.0, 3.0]
    population.state(best[0]).last_checkpoint = "its best"
    population.exploit(None, worst[0], best[0])
    assert worst[0].config == {"x": 4, "own": "a"}
    assert worst[0].run_metadata.checkpoint_manager._latest_checkpoint_result.checkpoint == "its best"


class Numbers(Named, Points, PB2):
    def point(self, trial):
        return trial


@pytest.mark.filterwarnings("ignore")
def test_pb2_proposes_a_point_between_the_bounds_from_what_was_remembered():
    population = Numbers(2, hyperparam_bounds={"x": [0.0, 10.0]})
    members = [Member(name, float(x)) for x, name in enumerate("abcd")]
    for epoch in (2, 4):
        for quality, member in enumerate(members):
            if epoch == 2:
                population.on_trial_add(SimpleNamespace(search_alg=None), member)
            population.remember(member, epoch, {"epoch": epoch, METRIC: quality + epoch})
    assert len(population.data) == 8, VERSION
    assert 0.0 <= population.proposed(members[0], members[3])["x"] <= 10.0


def test_results_of_the_median_rule_are_what_it_compares_with():
    rule = MedianRule(time_attr="epoch", metric=METRIC, mode="max", grace_period=1, min_samples_required=3)
    for name in "abc":
        rule.results[name] = [{"epoch": 1, METRIC: 20.0}]
    assert isinstance(rule, MedianStoppingRule)
    [trial] = trials(1)
    controller = SimpleNamespace(get_trials=lambda: [trial])
    assert rule.on_trial_result(controller, trial, {"epoch": 1, METRIC: 1.0}) != TrialScheduler.CONTINUE, VERSION
    assert trial in rule.results


def test_a_trial_that_was_told_to_do_nothing_goes_on():
    told = []
    controller = SimpleNamespace(_schedule_trial_train=told.append)
    let_go_on(controller, "one")
    let_go_on(SimpleNamespace(_tune_controller=controller), "other")  # what Tune hands to schedulers
    assert told == ["one", "other"]


@pytest.mark.parametrize(("answer", "dead"), [(None, False), (GetTimeoutError(), False), (RayActorError(), True)])
def test_whether_the_process_of_a_trial_is_gone(monkeypatch, answer, dead):
    def get(reference, timeout):
        if answer is not None:
            raise answer

    monkeypatch.setattr(ray, "get", get)
    trial = Trial("x", stub=True)
    assert hasattr(trial.temporary_state, "ray_actor"), f"{VERSION} moved the actor of a trial"
    trial.temporary_state.ray_actor = SimpleNamespace(__ray_ready__=SimpleNamespace(remote=lambda: None))
    assert has_died(trial) == dead


def test_what_prints_the_errors_of_workers_is_silenced(monkeypatch, capsys):
    assert callable(worker.print_to_stdstream), f"{VERSION} moved what prints errors"
    monkeypatch.setattr(worker, "print_to_stdstream", worker.print_to_stdstream)
    ray_internals.silence_errors()
    worker.print_to_stdstream({"lines": ["a paragraph"]}, ignore_prefix=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("shared_ray")
def test_trials_run_in_workers_that_were_there():
    assert ray_internals.started_workers() >= 1

    class Trainable:
        def pid(self):
            return os.getpid()

    made = _ActorClassCache().get(Trainable)
    assert made._default_options.get("runtime_env") is None, f"{VERSION} gives trials an environment of their own"
    assert ray.get(made.remote().pid.remote()) > 0
