"""What the plan says about time, for requests as they are made; nothing is started and nothing written."""

import json
import os
import threading

import pytest
import ray
import torch

from deepdlt.config import TrainConfig, config_dict
from deepdlt.training.step_time import StepTime
from sweeps.identity.data import SweepData
from sweeps.identity.splits import make_splits
from sweeps.planning import cost as measuring
from sweeps.planning.cost import OF_MEASURED, Cost
from sweeps.planning.forecast import REPORT_S, START_S, estimate, memory_note
from sweeps.planning.plan import planned_trials, searched_settings
from sweeps.request.options import make_parser
from sweeps.request.request import make_request
from sweeps.request.resources import CLUSTER_CONCURRENCY, Resources
from sweeps.store.trial_records import COMPLETE

TWO = Resources(cpus_per_trial=1, gpus_per_trial=0, max_concurrent=2)


@pytest.fixture
def told_times(monkeypatch):
    """A step takes as many seconds as the kernel is wide, nobody else works; the configurations asked are kept."""
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    asked = []

    def told(config, *_, **__):
        asked.append(config)
        return StepTime(step_s=float(config.kernel_size), crop_s=0.0)

    monkeypatch.setattr(measuring, "step_time", told)
    return asked


def request(*arguments):
    return make_request(make_parser().parse_args([*arguments]))


def say(asked, patches, resources=TWO, records=(), to_run=None):
    data = SweepData(patches, make_splits(asked, patches), "d", True, {})
    return estimate(asked, searched_settings(asked), resources, data, list(records), to_run or planned_trials(asked))


def finished(epoch_s, **settings):
    config = config_dict(TrainConfig(**settings))
    content = {"kind": "search", "status": COMPLETE, "device": "cpu", "threads": 1, "epoch_s": epoch_s}
    return content | {"config": config, "name": "s0001-abc", "metrics": {"best_val_psnr_db": 20.0}}


def test_a_real_measurement_starts_and_writes_nothing(patches, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads, was_running = threading.active_count(), ray.is_initialized()  # other tests of this process share a Ray
    said = say(request("--space", "smoke", "--epochs", "2"), patches)
    assert ray.is_initialized() == was_running
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads
    assert said["eta_s"][0] < said["eta_s"][1]
    assert said["trial_epochs"] == 4
    assert said["eta_basis"] == "measured: kernel_size 3; kernel_size 5"
    assert 0 < said["epoch_s"]["kernel_size 3"] < said["epoch_s"]["kernel_size 5"]
    assert json.loads(json.dumps(said)) == said


def test_trials_folds_and_the_rest_add_up(patches, told_times):
    asked = request("--space", "cv_report", "--labels", "PP1", "--folds", "3", "--epochs", "100")
    said = say(asked, patches)
    crops = sum(len(split.train) for (_, fold), split in make_splits(asked, patches).items() if fold)
    trained_s = 100 * crops / 32 * 3.0  # all folds; a step of 32 crops takes as many seconds as the kernel is wide
    low, high = said["eta_s"]
    assert said["trial_epochs"] == 300
    assert trained_s / 2 * OF_MEASURED[0] < low < trained_s / 2
    assert trained_s * 2 / 3 * OF_MEASURED[1] < high < trained_s * OF_MEASURED[1]  # two rounds of two at a time
    assert said["eta_basis"] == "measured: all"


def test_a_listed_search_is_known_and_a_search_that_chooses_is_not(patches, told_times):
    listed, chosen = (
        say(request("--space", "smoke", "--search", name, "--trials", "4", "--scheduler", "none"), patches)["eta_s"]
        for name in ("grid", "optuna")
    )
    assert chosen[0] < listed[0] < listed[1] < chosen[1]


def test_a_scheduler_can_only_make_it_shorter(patches, told_times):
    none, asha = (
        say(request("--space", "smoke", "--trials", "4", "--epochs", "9", "--scheduler", name), patches)["eta_s"]
        for name in ("none", "asha")
    )
    assert asha[0] < none[0]
    assert asha[1] == none[1]


def test_the_folds_of_a_finished_search_are_those_of_its_best(patches, told_times):
    asked = request("--space", "smoke", "--cv", "--labels", "PP1", "--folds", "3")
    best = finished(2.0) | {"config": config_dict(asked.config({"lr": 1e-3, "kernel_size": 5}))}
    said = say(asked, patches, records=[best], to_run=(0, 3))
    assert said["eta_basis"] == "1 finished trials"
    assert said["epoch_s"] == {"all": pytest.approx(2.0, rel=0.1)}
    assert told_times == []


def test_conditional_axes_are_no_classes_of_their_own(patches, told_times):
    classes = say(request("--space", "model_grid"), patches)["epoch_s"]
    assert classes
    assert not [words for words in classes if "cnn_ae" in words and "latent_dim" in words]


def test_an_infinite_space_is_judged_by_draws(tmp_path, monkeypatch, patches, told_times):
    import search_spaces

    code = (
        'from ray import tune\nTRIALS, EPOCHS = 8, 1\nSPACE = {"lr": tune.loguniform(1e-4, 1e-2), "kernel_size": 5}\n'
    )
    (tmp_path / "endless.py").write_text(code)
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    said = say(request("--space", "endless"), patches)
    assert list(said["epoch_s"]) == ["all"]
    assert len(told_times) == 2  # alone and with another
    assert said["trial_epochs"] == 8


def test_nothing_left_is_nothing_but_the_report(patches, told_times):
    said = say(request("--space", "smoke"), patches, to_run=(0, 0))
    assert said["eta_s"] == list(REPORT_S)
    assert (said["trial_epochs"], told_times) == (0, [])
    assert set(said) == set(say(request("--space", "smoke"), patches))  # scripts find the same keys


def test_ray_has_to_start_first(patches, told_times, monkeypatch):
    monkeypatch.setattr(measuring, "step_time", lambda *_, **__: StepTime(1e-9, 0.0))
    low, _ = say(request("--space", "smoke"), patches)["eta_s"]
    assert low >= START_S[0] + REPORT_S[0]


def test_on_a_busy_machine_ray_may_take_longer(patches, told_times, monkeypatch):
    ends = []
    for load in (0.0, 1.0, 3.0):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load * (os.cpu_count() or 1), 0.0, 0.0))
        ends.append(say(request("--space", "smoke"), patches)["eta_s"])
    assert ends[0] == ends[1]
    assert ends[2][0] == ends[1][0]
    assert ends[2][1] - ends[1][1] > 2 * (START_S[1] + REPORT_S[1]) - 0.2  # rounded


def test_a_queue_of_short_jobs_does_not_make_a_sweep_of_seconds_one_of_minutes(patches, told_times, monkeypatch):
    ends = []
    for load in (3.0, 60.0):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load * (os.cpu_count() or 1), 0.0, 0.0))
        ends.append(say(request("--space", "smoke"), patches)["eta_s"])
    assert ends[0] == ends[1]


def test_a_cluster_is_not_guessed(patches, told_times):
    unknown = Resources(1, 0, CLUSTER_CONCURRENCY)
    said = say(request("--space", "smoke"), patches, unknown)
    assert (said["eta_s"], told_times) == (None, [])
    assert "cluster" in said["eta_basis"]
    if not torch.cuda.is_available():
        assert say(request("--space", "smoke"), patches, Resources(1, 1, 2))["eta_s"] is None


def test_the_memory_of_a_gpu_is_compared_with_the_share(monkeypatch):
    class Properties:
        total_memory = 80_000_000_000

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties)
    costs = [Cost("all", 1.0, (1.0, 2.0), (0.0, 0.0), memory_mb=mb) for mb in (900.0, 1900.0)]
    assert memory_note(costs, 100.0, 0.25) == "2.0 GB of the 20.0 GB of GPU memory per trial"
    assert memory_note(costs, 100.0, 0) == ""
