"""The plan: resources, numbers of trials, splits, and what is refused."""

import numpy as np
import pytest

from deepdlt.config import TrainConfig
from deepdlt.models import build_model
from sweeps import plan
from sweeps.records import SweepRefused
from sweeps.run import make_parser


def request(*arguments):
    return plan.make_request(make_parser().parse_args(["--space", "exp_grid", *arguments]))


@pytest.mark.parametrize(
    ("cpus", "gpus", "per_cpu", "per_gpu", "expected"),
    [
        (2, 0, 1, 0, 2),
        (8, 0, 2, 0, 4),
        (2, 0, 0.5, 0, 4),
        (16, 1, 1, 0.25, 4),
        (16, 2, 1, 0.3, 6),  # a trial never spans two GPUs: 3 on each
        (3, 4, 1, 0.25, 3),
        (64, 4, 1, 2, 2),
    ],
)
def test_as_many_trials_at_a_time_as_fit(cpus, gpus, per_cpu, per_gpu, expected):
    resources = plan.Resources(per_cpu, per_gpu, max_concurrent=100)
    assert plan.fit_to(resources, cpus, gpus).max_concurrent == expected


def test_fewer_at_a_time_are_respected():
    assert plan.fit_to(plan.Resources(1, 0, max_concurrent=2), 16, 0).max_concurrent == 2


def test_a_cluster_is_not_measured_by_this_machine():
    resources = plan.check_resources(512, 4, None, address="auto")
    assert (resources.cpus_per_trial, resources.gpus_per_trial) == (512, 4)
    with pytest.raises(SweepRefused, match="--cpus-per-trial must be in"):
        plan.check_resources(-1, None, None, address="auto")


def test_a_finite_space_bounds_the_number_of_trials():
    assert plan.planned_trials(request("--trials", "500")) == (72, 0)
    assert plan.planned_trials(request("--trials", "5", "--cv", "--folds", "3")) == (5, 12)
    assert plan.planned_trials(request("--set", "lr=1e-3", "--trials", "500")) == (24, 0)


def test_setting_an_axis_fixes_it():
    fixed = request("--set", "optimizer=sgd", "--set", "momentum=0.5")
    assert "optimizer" not in plan.search.axes(fixed.domains)
    config = fixed.config({"lr": 1e-3, "dropout": 0.2, "activation": "elu", "kernel_size": 3})
    assert (config.optimizer, config.momentum) == ("sgd", 0.5)
    assert all("optimizer" not in point for point in fixed.points)


def test_the_protocol_reaches_the_configuration():
    assert request("--protocol", "report").config({}).protocol == "report"


def test_a_space_that_lacks_a_part_is_refused(tmp_path, monkeypatch):
    import search_spaces

    (tmp_path / "halfdone.py").write_text('"""x"""\nSPACE = {}\n')
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    with pytest.raises(SweepRefused, match="must define TRIALS, EPOCHS"):
        plan.make_request(make_parser().parse_args(["--space", "halfdone"]))


def test_every_label_gets_its_folds_and_the_search_the_plain_split(patches):
    asked = request("--cv", "--folds", "3", "--labels", "PP1,NP")
    splits = plan.make_splits(asked, patches)
    assert set(splits) == {("angle", 0), *((label, k) for label in ("PP1", "NP") for k in (1, 2, 3))}
    tested = np.concatenate([splits["NP", k].test for k in (1, 2, 3)])
    assert np.array_equal(np.sort(tested), np.arange(len(patches.crops)))


def test_classes_name_every_image_once_per_label(patches):
    members = plan.class_members(request("--labels", "angle,PP1"), patches)
    assert set(members["PP1"]) == {"V", "H", "D"}
    assert set(members["angle"]) == {"5.5", "8.5", "19.0"}
    assert sorted(i for ids in members["angle"].values() for i in ids) == list(range(12))


def test_the_searchs_split_does_not_depend_on_the_order_of_the_labels(patches):
    assert plan.search_label(patches.images, ("PP1", "angle")) == "angle"
    assert plan.search_label(patches.images.drop(columns=list(plan.LABELS)), ("Pol 1",)) == "Pol 1"
    assert plan.search_label(patches.images.drop(columns=list(plan.LABELS)), ()) == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('"epochs": 3', "use --epochs"),
        ('"metrics": tune.choice(["standard", "report"])', "cannot be swept"),
        ('"lr": tune.grid_search([1e-3])', "must be a value, tune.choice, or a range"),
        ('"lr": tune.sample_from(lambda spec: 1e-3)', "must be a value, tune.choice, or a range"),
        ('"lr": tune.choice([1e-3, -1])', "`lr` must be > 0"),
        ('"droput": tune.choice([0.1])', "did you mean `dropout`"),
    ],
)
def test_a_space_with_a_mistake_is_refused_with_the_remedy(tmp_path, monkeypatch, line, words):
    import search_spaces

    name = f"space_{abs(hash(line))}"
    (tmp_path / f"{name}.py").write_text(f'"""x"""\nfrom ray import tune\nTRIALS = EPOCHS = 1\nSPACE = {{{line}}}\n')
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    with pytest.raises(SweepRefused, match=words):
        plan.make_request(make_parser().parse_args(["--space", name]))


def test_a_point_outside_the_space_is_refused(tmp_path, monkeypatch):
    import search_spaces

    code = 'from ray import tune\nTRIALS = EPOCHS = 1\nSPACE = {"lr": tune.choice([1e-3])}\nPOINTS = [{"lr": 1e-2}]\n'
    (tmp_path / "offpoint.py").write_text(code)
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    with pytest.raises(SweepRefused, match="is not in the space"):
        plan.make_request(make_parser().parse_args(["--space", "offpoint"]))


def test_a_place_that_cannot_hold_the_sweep_is_refused(tmp_path):
    needs = {"search_trials": 10, "cv_trials": 0, "done_already": 0, "disk_mb": 80.0}
    plan.check_storage(tmp_path / "new" / "sweep", needs)
    with pytest.raises(SweepRefused, match="are free"):
        plan.check_storage(tmp_path, needs | {"disk_mb": 1e12})
    (tmp_path / "file").write_text("")
    with pytest.raises(SweepRefused, match="is a file"):
        plan.check_storage(tmp_path / "file" / "sweep", needs)


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
    assert plan.trial_mb(config) - 4 == pytest.approx(7 * 4e-6 * parameters, rel=0.3)
