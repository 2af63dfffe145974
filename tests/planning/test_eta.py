"""The forecast: known seconds per epoch times what is left, what finished trials say, and how wide the range is."""

import json
import random
import threading

import numpy as np
import pytest
import ray
import torch
from calling import parse

from deepdlt.config import TrainConfig, config_dict
from deepdlt.models import build_model
from deepdlt.training.step_time import StepTime
from sweeps.identity.data import SweepData
from sweeps.identity.splits import make_splits
from sweeps.planning import eta
from sweeps.planning.eta import MOST_TIMED, REPORT_S, START_S, estimate, span, trial_mb
from sweeps.planning.plan import planned_trials, searched_settings
from sweeps.request.request import make_request
from sweeps.request.resources import Resources
from sweeps.space.configuration import Configuration
from sweeps.store.cell import CV, SEARCH, Cell
from sweeps.store.trial_record import COMPLETE, PRUNED, TrialRecord

ONE, TWO = (Resources(cpus_per_trial=1, gpus_per_trial=0, max_concurrent=n) for n in (1, 2))
LONG = ("--epochs", "1000")  # beside which the start of Ray is nothing
STEP_S = 1.0  # per side of the kernel


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Nobody else works on the machine."""
    monkeypatch.setattr(eta, "load_per_cpu", lambda: 0.0)


@pytest.fixture
def told(monkeypatch):
    """step_time() answers at once: a step takes as many seconds as the kernel is wide; the calls are kept."""
    calls = []

    def answer(config, crops, split, device, budget_s, beside):
        calls.append((config, device, budget_s, beside, torch.get_num_threads()))
        return StepTime(step_s=STEP_S * config.kernel_size, crop_s=0.0, memory_mb=1900.0)

    monkeypatch.setattr(eta, "step_time", answer)
    return calls


def request(*arguments):
    return make_request(parse([*arguments]))


def forecast(asked, patches, resources=ONE, records=(), to_run=None, listed=None):
    data = SweepData(patches, make_splits(asked, patches), "d", True, {})
    listed = searched_settings(asked) if listed is None else listed
    return estimate(asked, listed, resources, data, list(records), to_run or planned_trials(asked))


def epoch_s(asked, patches, kernel_size):
    """Of the search, as `told` times it."""
    crops = next(len(split.train) for (_, fold), split in make_splits(asked, patches).items() if not fold)
    return crops / 32 * STEP_S * kernel_size


def finished(seconds, *, kind=SEARCH, status=COMPLETE, device="cpu", threads=1, **settings):
    config = Configuration.of(config_dict(TrainConfig(**settings)))
    cell = Cell(kind, config, "PP1", 0 if kind == SEARCH else 1, 0 if kind == SEARCH else 2, "data")
    found = {"epoch_s": seconds, "device": device, "threads": threads, "metrics": {"best_val_psnr_db": 20.0}}
    return TrialRecord(name="s0001-abc", status=status, cell=cell, identity=cell.identity, **found)


def holds(eta_s, seconds, widest=2.5):
    low, high = eta_s
    assert low < seconds < high
    assert high / low <= widest


def test_a_listed_search_takes_its_epochs_one_after_the_other(patches, told):
    asked = request("--space", "smoke", "--search", "grid", "--trials", "4", "--scheduler", "none", *LONG)
    said = forecast(asked, patches)
    three, five = (epoch_s(asked, patches, side) for side in (3, 5))
    assert said.epoch_s == {
        "kernel_size 3": pytest.approx(three, rel=0.01),
        "kernel_size 5": pytest.approx(five, rel=0.01),
    }
    holds(said.eta_s, 1000 * (2 * three + 2 * five), 1.5)
    assert (said.trial_epochs, said.basis) == (4000, "timed: 2 configurations")
    assert [config.kernel_size for config, *_ in told] == [3, 5]
    assert sum(budget for _, _, budget, _, _ in told) == pytest.approx(3.0)


def test_trials_at_a_time_are_rounds(patches, told):
    asked = request("--space", "smoke", "--search", "grid", "--set", "kernel_size=3", "--set", "batch_size=32",
                    "--trials", "2", "--scheduler", "none", *LONG)  # fmt: skip
    each = 1000 * epoch_s(asked, patches, 3)
    for to_run, resources, rounds in [((2, 0), TWO, 1), ((1, 0), TWO, 1), ((2, 0), ONE, 2)]:
        said = forecast(asked, patches, resources, to_run=to_run)
        holds(said.eta_s, rounds * each, 1.5)
    low, high = forecast(asked, patches, TWO, to_run=(3, 0)).eta_s
    assert low < 1.5 * each < 2 * each < high


def test_folds_have_more_crops_than_the_search(patches, told):
    asked = request("--space", "cv_report", "--labels", "PP1", "--folds", "3", *LONG)
    crops = sum(len(split.train) for (_, fold), split in make_splits(asked, patches).items() if fold)
    holds(forecast(asked, patches).eta_s, 1000 * crops / 32 * STEP_S * 3, 1.5)


def test_of_many_kinds_a_few_are_timed(patches, told):
    asked = request("--space", "model_grid", "--search", "grid", "--trials", "27")
    said = forecast(asked, patches)
    assert len(told) == len(said.epoch_s) == MOST_TIMED
    assert not [words for words in said.epoch_s if "cnn_ae" in words and "latent_dim" in words]  # an idle axis


def test_what_changes_no_work_is_timed_once(tmp_path, monkeypatch, patches, told):
    import search_spaces

    axes = '"lr": tune.loguniform(1e-4, 1e-2), "optimizer": tune.choice(["adam", "sgd"])'
    (tmp_path / "endless.py").write_text(f"from ray import tune\nTRIALS, EPOCHS = 8, 1\nSPACE = {{{axes}}}\n")
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    said = forecast(request("--space", "endless"), patches)
    assert list(said.epoch_s) == ["all"]
    assert len(told) == 1
    assert said.trial_epochs == 8


def test_a_search_that_chooses_is_less_sure_than_a_listed_one(patches, told):
    smoke = ("--space", "smoke", "--trials", "2", "--scheduler", "none", *LONG)
    asked = request(*smoke, "--search", "optuna")
    chosen = forecast(asked, patches).eta_s
    listed = forecast(request(*smoke, "--search", "random"), patches).eta_s
    assert chosen[1] / chosen[0] > listed[1] / listed[0]
    holds(chosen, 1000 * (epoch_s(asked, patches, 3) + epoch_s(asked, patches, 5)))
    every = forecast(request("--space", "smoke", "--trials", "4", "--scheduler", "none", *LONG), patches).eta_s
    assert every[1] / every[0] == pytest.approx(listed[1] / listed[0], rel=0.02)  # all four: none is left to chance


@pytest.mark.parametrize("scheduler", ["asha", "median", "hyperband"])
def test_a_scheduler_widens_the_range_downwards(patches, told, scheduler):
    smoke = ("--space", "smoke", "--search", "grid", "--trials", "4", "--epochs", "9")
    none, stopping = (forecast(request(*smoke, "--scheduler", name), patches).eta_s for name in ("none", scheduler))
    assert stopping[0] < none[0]
    assert stopping[1] < none[1]
    assert stopping[1] / stopping[0] > none[1] / none[0]
    assert forecast(request(*smoke, "--scheduler", "pbt", "--search", "optuna"), patches).eta_s[1] >= none[1]


def test_early_stopping_and_a_race_may_save_most_of_it(patches, told):
    smoke = ("--space", "smoke", "--search", "grid", "--scheduler", "none", "--epochs", "100")
    plain = forecast(request(*smoke), patches).eta_s
    patient = forecast(request(*smoke, "--set", "early_stopping=19"), patches).eta_s
    assert patient[0] < plain[0] / 2
    assert plain[1] / 2 < patient[1] < plain[1]
    cv = (*smoke, "--cv", "--cv-top", "2", "--labels", "PP1", "--folds", "3")
    plain, raced = (forecast(request(*cv, *race), patches, to_run=(0, 6), records=[
        finished(9.0, epochs=100, seed=42, lr=1e-3), finished(9.0, epochs=100, seed=42, lr=5e-4)]).eta_s
        for race in ((), ("--race",)))  # fmt: skip
    assert raced[0] < plain[0] / 2
    assert plain[1] / 2 < raced[1] < plain[1]


def test_finished_trials_win_over_timing(patches, told):
    asked = request("--space", "smoke", "--search", "grid", "--trials", "4", "--scheduler", "none", *LONG)
    records = [finished(20.0, kernel_size=5, lr=1e-5), finished(40.0, kernel_size=5, lr=1e-4)]
    said = forecast(asked, patches, records=records)
    assert said.epoch_s["kernel_size 5"] == 30.0
    assert said.basis == "2 finished trials, timed: 1 configuration"
    assert [config.kernel_size for config, *_ in told] == [3]
    records.append(finished(10.0, kernel_size=3))
    said = forecast(asked, patches, records=records)
    assert (said.basis, len(told)) == ("3 finished trials", 1)
    holds(said.eta_s, 1000 * (2 * 30.0 + 2 * 10.0), 1.5)


@pytest.mark.parametrize(
    "other", [{"device": "cuda"}, {"threads": 2}, {"status": PRUNED}, {"activation": "elu"}, {"seconds": None}]
)
def test_trials_that_ran_otherwise_say_nothing(patches, told, other):
    asked = request("--space", "smoke", "--set", "kernel_size=3")
    assert forecast(asked, patches, records=[finished(**{"seconds": 1e6, **other})]).basis == "timed: 1 configuration"


def test_what_is_done_is_not_to_come(patches, told):
    asked = request("--space", "smoke", "--search", "grid", "--trials", "4")
    listed = searched_settings(asked)
    done = [finished(None, device="cuda", **config_dict(asked.config(point))) for point in listed[:3:2]]
    assert list(forecast(asked, patches, records=done, to_run=(2, 0)).epoch_s) == ["kernel_size 5"]


def test_the_folds_of_a_finished_search_are_those_of_its_best(patches, told):
    asked = request("--space", "smoke", "--cv", "--labels", "PP1", "--folds", "3", *LONG)
    best = finished(2.0, **config_dict(asked.config(Configuration.of(lr=1e-3, kernel_size=5))))
    said = forecast(asked, patches, records=[best], to_run=(0, 3))
    assert (said.basis, said.epoch_s, told) == ("1 finished trial", {"kernel_size 5": 2.0}, [])
    scale = [len(split.train) for split in make_splits(asked, patches).values()]
    holds(said.eta_s, 1000 * 2.0 * sum(scale[1:]) / scale[0], 1.5)
    fold = finished(4.0, kind=CV, **config_dict(asked.config(Configuration.of(lr=1e-3, kernel_size=5))))
    said = forecast(asked, patches, records=[best, fold], to_run=(0, 2))
    assert said.epoch_s["kernel_size 5"] == pytest.approx((2.0 + 4.0 * scale[0] / (sum(scale[1:]) / 3)) / 2)
    assert forecast(asked, patches, to_run=(0, 3)).basis == "unknown: no search trial is complete"


def test_trials_that_run_together_are_timed_together(patches, told, monkeypatch):
    monkeypatch.setattr(eta, "cpu_count", lambda: 8)
    asked = request("--space", "smoke", "--set", "kernel_size=3", "--search", "grid")
    for resources, to_run in [(ONE, (9, 0)), (Resources(2, 0, 8), (9, 0)), (Resources(2, 0, 8), (2, 0))]:
        forecast(asked, patches, resources, to_run=to_run)
    assert [(beside, threads) for _, _, _, beside, threads in told] == [(0, 1), (3, 2), (1, 2)]


def test_trials_on_one_gpu_take_turns_at_worst(patches, told, monkeypatch):
    class Properties:
        total_memory = 80_000_000_000

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties)
    asked = request("--space", "smoke", "--search", "grid", "--scheduler", "none", *LONG)
    whole, shared = (forecast(asked, patches, Resources(1, gpus, 1)) for gpus in (1, 0.25))
    assert {(device, beside) for _, device, _, beside, _ in told} == {("cuda", 0)}
    assert whole.eta_s[0] < shared.eta_s[0] < whole.eta_s[1] < shared.eta_s[1] < 4 * whole.eta_s[1]
    crops = patches.crops.nbytes / 1e9
    assert shared.memory == f"{1.9 + crops:.1f} GB of the 20.0 GB of GPU memory per trial"
    assert forecast(asked, patches).memory == ""


def test_what_does_not_fit_into_the_gpu_is_left_out(patches, monkeypatch):
    def full(config, *_):
        if config.kernel_size > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return StepTime(1.0, 0.0)

    monkeypatch.setattr(eta, "step_time", full)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    asked = request("--space", "smoke", "--search", "grid", "--trials", "4")
    assert list(forecast(asked, patches, Resources(1, 1, 1)).epoch_s) == ["kernel_size 3"]
    none = forecast(request("--space", "smoke", "--set", "kernel_size=5"), patches, Resources(1, 1, 1))
    assert (none.eta_s, none.basis) == (None, "unknown: no configuration fits into the GPU")


def test_nothing_left_is_nothing_but_the_report(patches, told):
    asked = request("--space", "smoke")
    said = forecast(asked, patches, to_run=(0, 0))
    assert (said.eta_s, said.basis, said.trial_epochs, told) == (REPORT_S, "nothing is left to train", 0, [])
    assert set(said.to_json()) == {"eta_s", "eta_basis", "epoch_s", "trial_epochs", "memory"}


def test_gpus_that_are_not_here_are_not_guessed(patches, told, monkeypatch):
    asked = request("--space", "smoke")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = forecast(asked, patches, Resources(1, 1, 2))
    assert (said.eta_s, told, said.trial_epochs) == (None, [], 2)
    assert "no GPU here" in said.basis
    assert said.to_json()["eta_s"] is None


def test_ray_has_to_start_first_and_takes_longer_on_a_busy_machine(patches, monkeypatch):
    monkeypatch.setattr(eta, "step_time", lambda *_: StepTime(1e-9, 0.0))
    ends = []
    for load in (0.0, 1.0, 3.0, 60.0):
        monkeypatch.setattr(eta, "load_per_cpu", lambda load=load: load)
        ends.append(forecast(request("--space", "smoke"), patches).eta_s)
    assert ends[0][0] >= START_S[0] + REPORT_S[0]
    assert ends[0] == ends[1]
    assert ends[2][1] - ends[1][1] >= 2 * (START_S[1] + REPORT_S[1])
    assert ends[2] == ends[3]  # a queue of short jobs does not last
    assert ends[0][0] < ends[2][0] < 2 * ends[0][0]  # nor may other long ones


@pytest.mark.parametrize("scheduler", ["none", "asha"])
def test_more_work_never_takes_less(patches, told, scheduler):
    for name, values in {"trials": (1, 2, 3, 4), "epochs": (1, 2, 3, 4, 9, 10)}.items():
        found = []
        for value in values:
            options = {"trials": 4, "epochs": 3, name: value}
            known = ["--trials", str(options["trials"]), "--epochs", str(options["epochs"])]
            arguments = ["--space", "smoke", "--set", "kernel_size=3", "--scheduler", scheduler]
            asked = request(*arguments, *known)
            found.append(forecast(asked, patches, TWO, to_run=(options["trials"], 0)).eta_s)
        assert found == sorted(found)
        assert [high for _, high in found] == sorted(high for _, high in found)


def test_a_real_measurement_leaves_everything_as_it_was(patches, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    threads, was_running = threading.active_count(), ray.is_initialized()  # other tests of this process share a Ray
    of_torch = torch.get_num_threads()
    said = forecast(request("--space", "smoke", "--set", "kernel_size=3", "--epochs", "2"), patches, TWO)
    assert ray.is_initialized() == was_running
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads
    assert torch.get_num_threads() == of_torch
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == states[1:]  # noqa: NPY002
    assert 0 < said.eta_s[0] < said.eta_s[1]
    assert said.epoch_s["all"] > 0
    assert json.loads(json.dumps(said.to_json())) == said.to_json()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"kernel_size": 5},
        {"model": "cnn_vae", "latent_dim": 512},
        {"model": "res_ae", "latent_channels": 16},
        {"model": "res_ae", "latent_channels": 0},
        {"model": "res_vae", "latent_channels": 0, "width": 64, "blocks": 3},
    ],
)
def test_the_disk_that_is_planned_is_that_of_the_checkpoints(settings):
    config = TrainConfig(**settings)
    parameters = sum(p.numel() for p in build_model(config).parameters())
    assert trial_mb(config) - 4 == pytest.approx(7 * 4e-6 * parameters, rel=0.3)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (40, 65, "40-65 s"),
        (719, 962, "12-16 min"),
        (85, 91, "1.4-1.5 min"),
        (3600, 9000, "1.0-2.5 h"),
        (67, 207, "1.1-3.5 min"),
        (500, 597.5, "8.3-10 min"),
        (30.2, 30.3, "30 s"),
        (20, 600, "0.3-10 min"),
        (600, 90_000, "0.2-25 h"),
    ],
)
def test_a_range_reads_well(low, high, text):
    assert span(low, high) == text


def test_without_timed_steps_finished_trials_alone_tell(patches, told):
    asked = request("--space", "smoke", "--search", "grid", "--trials", "4", "--scheduler", "none", *LONG)
    data = SweepData(patches, make_splits(asked, patches), "d", True, {})
    listed = searched_settings(asked)
    said = estimate(asked, listed, ONE, data, [], (4, 0), 0.0)
    assert (said.eta_s, said.epoch_s, said.trial_epochs, told) == (None, {}, 4000, [])
    assert "--plan" in said.basis
    done = [finished(30.0, kernel_size=3, epochs=1000, seed=42, lr=1.0)]
    said = estimate(asked, listed, ONE, data, done, (4, 0), 0.0)
    assert (said.basis, list(said.epoch_s), told) == ("1 finished trial", ["kernel_size 3"], [])
