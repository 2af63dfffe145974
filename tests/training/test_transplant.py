"""A training that goes on with another one's weights: the same weights, the new settings, whole or not at all."""

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from deepdlt.config import CHANGEABLE, ConfigError, TrainConfig
from deepdlt.dataset.stratified_split import Split, plain_split
from deepdlt.models import build_model
from deepdlt.models.checkpoint import load_checkpoint, load_model
from deepdlt.training.fit import fit
from deepdlt.training.optimization import make_optimizer
from deepdlt.training.transplant import complete_transplant, transplant

CONFIG = TrainConfig(epochs=4, lr=2e-3, batch_size=8, dropout=0.1)
OTHER = replace(CONFIG, lr=1e-5)  # learns next to nothing


@pytest.fixture(scope="module")
def split(patches):
    return plain_split(patches.images, patches.image_id, label="PP1")


@pytest.fixture(scope="module")
def once(patches, split, tmp_path_factory):
    """Directories of a training that went well for 3 epochs and of one that went badly for 2."""
    root = tmp_path_factory.mktemp("trained")
    good = train(root / "good", CONFIG, 3, patches, split)
    bad = train(root / "bad", OTHER, 2, patches, split)
    assert good[-1]["best_val_loss"] < 0.8 * bad[-1]["best_val_loss"]
    return root


@pytest.fixture
def trained(once, tmp_path):
    """Copies of the two directories."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path / "good", tmp_path / "bad"


def train(directory, config, epochs, patches, split):
    steps = fit(config, patches.crops, split, directory)
    return [next(steps) for _ in range(epochs)]


def same_tensors(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_weights_are_the_donors_bit_for_bit_and_the_settings_are_new(trained):
    good, bad = trained
    config = replace(CONFIG, lr=7e-4, weight_decay=3e-4, dropout=0.3)
    assert transplant(good, bad, config) == 3
    theirs, ours = load_checkpoint(good / "last.pt"), load_checkpoint(bad / "last.pt")
    assert same_tensors(ours["model_state_dict"], theirs["model_state_dict"])
    moments = [s["optimizer_state_dict"]["state"] for s in (ours, theirs)]
    assert all(same_tensors(moments[0][k], moments[1][k]) for k in moments[1])
    (group,) = ours["optimizer_state_dict"]["param_groups"]
    assert (group["lr"], group["weight_decay"]) == (7e-4, 3e-4)
    assert TrainConfig(**ours["config"]) == config
    assert theirs["optimizer_state_dict"]["param_groups"][0]["lr"] == CONFIG.lr


def test_training_goes_on_from_the_donors_epoch_as_the_donor_would_have(trained, patches, split):
    good, bad = trained
    assert transplant(good, bad, CONFIG) == 3
    continued = list(fit(CONFIG, patches.crops, split, bad))
    donor = list(fit(CONFIG, patches.crops, split, good))
    assert [m["epoch"] for m in continued] == [3, 4]
    assert continued[-1]["val_loss"] == donor[-1]["val_loss"]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimizer_steps_with_the_new_settings(patches, split, tmp_path, optimizer):
    before = replace(CONFIG, optimizer=optimizer, momentum=0.0)
    after = replace(before, lr=3e-4, weight_decay=1e-3, momentum=0.8)
    train(tmp_path / "donor", before, 1, patches, split)
    transplant(tmp_path / "donor", tmp_path / "new", after)
    groups = load_checkpoint(tmp_path / "new" / "last.pt")["optimizer_state_dict"]["param_groups"]
    asked = make_optimizer(after, build_model(after)).state_dict()["param_groups"]
    assert groups == asked
    assert [m["epoch"] for m in train(tmp_path / "new", after, 2, patches, split)] == [1, 2]


CHANGES = {
    "lr": 1e-4,
    "dropout": 0.0,
    "weight_decay": 0.0,
    "momentum": 0.5,
    "free_bits": 0.2,
    "augment_brightness": 0.1,
    "input_noise": 0.05,
}


@pytest.mark.parametrize("model", ["cnn_ae", "cnn_vae", "res_ae", "res_vae"])
def test_what_may_change_changes_neither_the_network_nor_what_is_validated(model):
    assert set(CHANGES) == set(CHANGEABLE)
    config = replace(CONFIG, model=model, latent_dim=8, width=8, optimizer="sgd")
    changed = replace(config, **CHANGES)
    networks = [build_model(c) for c in (config, changed)]
    networks[1].load_state_dict(networks[0].state_dict())  # the same parameters, by name and shape
    x = torch.rand(2, 1, 64, 64)
    outputs = []
    for network in networks:
        torch.manual_seed(0)
        outputs.append(network.eval()(x)[0])
    assert torch.equal(*outputs)


def test_a_donor_of_before_a_field_was_added_has_its_default(trained, monkeypatch):
    def older(path):
        state = load_checkpoint(path)
        del state["config"]["ema"]
        return state

    monkeypatch.setattr("deepdlt.training.transplant.load_checkpoint", older)
    good, bad = trained
    assert transplant(good, bad, CONFIG) == 3


def test_the_donors_best_epoch_comes_along(trained):
    good, bad = trained
    transplant(good, bad, CONFIG)
    assert load_checkpoint(bad / "best.pt")["epoch"] == load_checkpoint(good / "best.pt")["epoch"]
    assert load_checkpoint(bad / "last.pt")["best"] == load_checkpoint(good / "last.pt")["best"]
    assert not (bad / "previous.pt").exists()


def test_a_better_epoch_of_its_own_is_kept_and_stays_the_one_to_beat(trained, patches, split):
    good, bad = trained
    mine = load_checkpoint(good / "best.pt")
    assert transplant(bad, good, OTHER) == 2
    last = load_checkpoint(good / "last.pt")
    assert last["best"] == mine["best"]
    assert last["metrics"]["best_val_psnr_db"] == mine["best"]["best_val_psnr_db"]
    assert load_checkpoint(good / "best.pt")["epoch"] == mine["epoch"]
    assert load_model(good / "best.pt")[1] == CONFIG
    history = list(fit(OTHER, patches.crops, split, good))
    assert history[-1]["best_val_loss"] == mine["best"]["best_val_loss"]


def test_losses_of_different_kinds_are_not_compared(trained, patches, split, tmp_path):
    good, _ = trained
    other = replace(CONFIG, loss="l1", lr=1e-5)  # a number far above any mean squared error
    train(tmp_path / "l1", other, 1, patches, split)
    assert load_checkpoint(tmp_path / "l1" / "last.pt")["best"]["best_val_loss"] > 0.05
    transplant(tmp_path / "l1", good, other)
    assert load_model(good / "best.pt")[1].loss == "l1"


def test_other_networks_schedules_and_data_are_refused(trained, patches, split, tmp_path):
    good, bad = trained
    with pytest.raises(ConfigError, match=r"`kernel_size` is 3 there, 5 here"):
        transplant(good, bad, replace(CONFIG, kernel_size=5))
    scheduled = replace(CONFIG, schedule="cosine")
    train(tmp_path / "cosine", scheduled, 1, patches, split)
    with pytest.raises(ConfigError, match="only with `schedule` constant"):
        transplant(tmp_path / "cosine", bad, scheduled)
    half = Split(split.train[::2], split.val, split.test)
    train(tmp_path / "half", CONFIG, 1, patches, half)
    with pytest.raises(ConfigError, match="other crops or another split"):
        transplant(tmp_path / "half", bad, CONFIG)
    assert load_checkpoint(bad / "last.pt")["epoch"] == 2  # nothing has happened


class Died(BaseException):
    pass


def test_a_crash_at_any_moment_leaves_the_old_training_or_the_new_one(once, tmp_path, monkeypatch):
    """Every rename and removal is a moment at which the process may die."""
    methods = {name: getattr(Path, name) for name in ("replace", "rename", "unlink", "rmdir")}
    epochs = []
    for moment in itertools.count():
        good, bad = tmp_path / f"good{moment}", tmp_path / f"bad{moment}"
        shutil.copytree(once / "good", good)
        shutil.copytree(once / "bad", bad)
        left = iter(range(moment))

        def mortal(method, left=left):
            def call(*args, **kwargs):
                if next(left, None) is None:  # dead: neither this nor anything after it is done
                    raise Died
                return method(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for name, method in methods.items():
                patch.setattr(Path, name, mortal(method))
            try:
                transplant(good, bad, CONFIG)
                break
            except Died:
                pass
        complete_transplant(bad)
        last, best = load_checkpoint(bad / "last.pt"), load_checkpoint(bad / "best.pt")
        epochs.append(last["epoch"])
        assert last["config"]["lr"] == {2: OTHER, 3: CONFIG}[last["epoch"]].lr == best["config"]["lr"]
        assert last["best"] == best["best"]
        assert not list(bad.glob(".*"))  # nothing is left lying about
    assert sorted(epochs) == epochs  # one point of no return
    assert set(epochs) == {2, 3}


def test_it_starts_where_nothing_has_begun(trained, tmp_path):
    good, _ = trained
    (tmp_path / "new").mkdir()
    assert transplant(good, tmp_path / "new", CONFIG) == 3
    assert load_checkpoint(tmp_path / "new" / "last.pt")["epoch"] == 3
