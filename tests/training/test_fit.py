"""fit() and evaluate(): learning, resuming, refusing, and both protocols."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn.functional import mse_loss

from deepdlt.config import ConfigError, TrainConfig, make_config
from deepdlt.dataset.stratified_split import Split, plain_split
from deepdlt.models.checkpoint import load_checkpoint, load_model
from deepdlt.models.inference import reconstruct, resolve_precision
from deepdlt.training.evaluation import VAE_TERMS, evaluate
from deepdlt.training.fit import EPOCH_METRICS, fit

TIMES = ("epoch_s", "images_per_s")


@pytest.fixture(scope="module")
def split(patches):
    return plain_split(patches.images, patches.image_id, label="PP1")


def run(config, patches, split, directory):
    return list(fit(config, patches.crops, split, directory))


def without_times(metrics):
    return {key: value for key, value in metrics.items() if key not in TIMES}


def test_the_loss_falls_and_every_epoch_is_reported(patches, split, tmp_path):
    history = run(TrainConfig(epochs=3, lr=1e-3, batch_size=8), patches, split, tmp_path)
    assert [m["epoch"] for m in history] == [1, 2, 3]
    assert all(set(m) == set(EPOCH_METRICS) for m in history)
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]
    assert all(np.isfinite(list(m.values())).all() for m in history)


def test_best_pt_holds_the_epoch_with_the_lowest_validation_loss(patches, split, tmp_path):
    history = run(TrainConfig(epochs=4, lr=3e-2, batch_size=8), patches, split, tmp_path)
    best = min(history, key=lambda m: m["val_loss"])
    assert load_checkpoint(tmp_path / "best.pt")["epoch"] == best["epoch"] == history[-1]["best_epoch"]
    assert history[-1]["best_val_psnr_db"] == best["val_psnr_db"]


AUGMENTED = {"augment_symmetry": "dihedral", "augment_brightness": 0.2, "input_noise": 0.05}
VAE = {"model": "cnn_vae", "latent_dim": 8, "kl_warmup": 2, "free_bits": 0.1}
SCHEDULED = {"optimizer": "adamw", "schedule": "onecycle", "ema": 0.9}
PLATEAU = {"schedule": "plateau", "optimizer": "sgd"}
RESIDUAL_VAE = {"model": "res_vae", "width": 8, "latent_channels": 2, "ema": 0.9, "early_stopping": 2}
RESIDUAL = {"model": "res_ae", "width": 8, "schedule": "cosine", "warmup": 0.2}


def assert_same(a, b):
    """Nested dicts and lists of tensors and plain values, to the last bit."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.mark.parametrize("settings", [{}, AUGMENTED, VAE, SCHEDULED, PLATEAU, RESIDUAL, RESIDUAL_VAE])
def test_a_resumed_training_equals_the_uninterrupted_one_bit_for_bit(patches, split, tmp_path, settings):
    config = TrainConfig(epochs=3, batch_size=16, **settings)
    straight = run(config, patches, split, tmp_path / "straight")
    interrupted = fit(config, patches.crops, split, tmp_path / "resumed")
    next(interrupted)
    interrupted.close()
    torch.rand(100)  # whatever happens in between must not matter
    resumed = run(config, patches, split, tmp_path / "resumed")
    assert [without_times(m) for m in resumed] == [without_times(m) for m in straight]
    for name in ("best.pt", "previous.pt", "last.pt"):
        ends = [load_checkpoint(tmp_path / folder / name) for folder in ("straight", "resumed")]
        assert without_times(ends[0].pop("metrics")) == without_times(ends[1].pop("metrics"))
        assert_same(*ends)


def test_more_epochs_extend_a_finished_training(patches, split, tmp_path):
    run(TrainConfig(epochs=1, batch_size=16), patches, split, tmp_path / "extended")
    extended = run(TrainConfig(epochs=3, batch_size=16), patches, split, tmp_path / "extended")
    straight = run(TrainConfig(epochs=3, batch_size=16), patches, split, tmp_path / "straight")
    assert [m["finished"] for m in extended] == [0.0, 0.0, 1.0]
    assert without_times(extended[-1]) == without_times(straight[-1])


def test_fewer_epochs_than_are_done_are_refused(patches, split, tmp_path):
    run(TrainConfig(epochs=2, batch_size=16), patches, split, tmp_path)
    with pytest.raises(ConfigError, match="2 epochs are trained"):
        run(TrainConfig(epochs=1, batch_size=16), patches, split, tmp_path)


def test_another_split_in_the_same_directory_is_refused(patches, split, tmp_path):
    """Going on would test on crops that were trained on."""
    config = TrainConfig(epochs=1, batch_size=16)
    run(config, patches, split, tmp_path)
    with pytest.raises(ConfigError, match="other crops or another split"):
        run(config, patches, Split(split.test, split.val, split.train), tmp_path)


@pytest.mark.parametrize("part", ["train", "val"])
def test_no_crops_are_refused(patches, split, tmp_path, part):
    parts = {name: getattr(split, name) for name in ("train", "val", "test")} | {part: split.test[:0]}
    with pytest.raises(ConfigError, match="at least one crop each"):
        run(TrainConfig(epochs=1), patches, Split(**parts), tmp_path)


@pytest.mark.parametrize("settings", [{"schedule": "cosine"}, {"warmup": 0.5}])
def test_a_warm_up_or_schedule_made_for_fewer_epochs_is_not_extended(patches, split, tmp_path, settings):
    run(TrainConfig(epochs=1, batch_size=16, **settings), patches, split, tmp_path)
    with pytest.raises(ConfigError, match="`epochs` is 1 there, 2 here"):
        run(TrainConfig(epochs=2, batch_size=16, **settings), patches, split, tmp_path)


def test_the_train_loss_is_taken_in_eval_mode_of_the_weights_that_are_validated(patches, split, tmp_path):
    """With the training crops as validation crops both losses are the same number, dropout or not."""
    same = Split(split.train, split.train, split.test)
    settings = {"epochs": 1, "batch_size": 16, "dropout": 0.5, "ema": 0.9}
    honest = run(TrainConfig(**settings), patches, same, tmp_path / "eval")[0]
    running = run(TrainConfig(**settings, train_loss_mode="running"), patches, same, tmp_path / "running")[0]
    assert honest["train_loss"] == honest["val_loss"] == running["val_loss"]
    assert running["train_loss"] > 1.1 * honest["train_loss"]


def test_the_studys_loss_stands_beside_the_floor_it_cannot_fall_below(patches, split, tmp_path):
    metrics = run(make_config("report", epochs=2, batch_size=16), patches, split, tmp_path)[-1]
    target = torch.as_tensor(patches.crops[split.val]).float() / 255 * 2 - 1
    assert metrics["val_loss_floor"] == pytest.approx(float(target.clamp(max=0).square().mean()), rel=1e-5)
    assert metrics["val_loss_excess"] == pytest.approx(metrics["val_loss"] - metrics["val_loss_floor"])
    assert metrics["val_loss_excess"] > 0


@pytest.mark.parametrize("model", ["cnn_vae", "res_vae"])
def test_a_vae_says_what_its_elbo_is_made_of(patches, split, tmp_path, model):
    settings = {"epochs": 1, "batch_size": 16, "latent_dim": 8, "width": 8, "latent_channels": 0}
    metrics = run(TrainConfig(model=model, **settings), patches, split, tmp_path)[-1]
    assert {f"val_{name}" for name in VAE_TERMS} <= set(metrics)
    assert metrics["val_elbo_nats"] == pytest.approx(-metrics["val_nll_nats"] - metrics["val_kl_nats"], rel=1e-5)
    assert metrics["val_loss"] == pytest.approx(-metrics["val_elbo_nats"], rel=1e-5)  # beta 1
    assert metrics["val_bits_per_dim"] == pytest.approx(np.log2(255) + metrics["val_loss"] / 4096 / np.log(2), rel=1e-5)


def test_a_finished_training_yields_its_last_epoch_once_more(patches, split, tmp_path):
    config = TrainConfig(epochs=2, batch_size=16)
    history = run(config, patches, split, tmp_path)
    assert run(config, patches, split, tmp_path) == [history[-1]]


def test_another_configuration_in_the_same_directory_is_refused(patches, split, tmp_path):
    run(TrainConfig(epochs=1, batch_size=16), patches, split, tmp_path)
    with pytest.raises(ConfigError, match="another configuration"):
        run(TrainConfig(epochs=1, batch_size=16, lr=1e-2), patches, split, tmp_path)


def damage(path):
    path.write_bytes(path.read_bytes()[:1000])


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(patches, split, tmp_path):
    config = TrainConfig(epochs=3, batch_size=16)
    first = run(config, patches, split, tmp_path)
    damage(tmp_path / "last.pt")
    with pytest.warns(RuntimeWarning, match=r"last\.pt: .*the previous one is used"):
        again = run(config, patches, split, tmp_path)
    assert [without_times(m) for m in again] == [without_times(m) for m in first[1:]]


def test_with_all_checkpoints_damaged_the_training_starts_again(patches, split, tmp_path):
    config = TrainConfig(epochs=2, batch_size=16)
    first = run(config, patches, split, tmp_path)
    for name in ("last.pt", "previous.pt"):
        damage(tmp_path / name)
    with (
        pytest.warns(RuntimeWarning, match="starts from the beginning"),
        pytest.warns(RuntimeWarning, match="previous one"),
    ):
        again = run(config, patches, split, tmp_path)
    assert [without_times(m) for m in again] == [without_times(m) for m in first]


def test_a_damaged_checkpoint_never_replaces_the_good_one(patches, split, tmp_path):
    config = TrainConfig(epochs=3, batch_size=16)
    first = run(TrainConfig(epochs=2, batch_size=16), patches, split, tmp_path)
    damage(tmp_path / "last.pt")
    interrupted = fit(config, patches.crops, split, tmp_path)
    with pytest.warns(RuntimeWarning, match="previous one"):
        again = next(interrupted)
    assert without_times(again) | {"finished": 0.0} == without_times(first[0])
    interrupted.close()  # before anything was saved
    assert load_checkpoint(tmp_path / "previous.pt")["epoch"] == 1
    assert not (tmp_path / "last.pt").exists()


def test_a_crash_between_the_two_writes_loses_one_epoch(patches, split, tmp_path):
    config = TrainConfig(epochs=2, batch_size=16)
    first = run(config, patches, split, tmp_path)
    (tmp_path / "last.pt").unlink()
    again = run(config, patches, split, tmp_path)
    assert [without_times(m) for m in again] == [without_times(m) for m in first]


def test_a_loss_that_is_not_finite_stops_with_epoch_and_batch(patches, split, tmp_path):
    with pytest.raises(FloatingPointError, match=r"non-finite loss at epoch 1, batch \d+"):
        run(TrainConfig(epochs=2, lr=1e30, optimizer="sgd", batch_size=8), patches, split, tmp_path)
    assert not (tmp_path / "best.pt").exists()


def trained(protocol, patches, split, directory, **settings):
    config = make_config(protocol, epochs=1, batch_size=16, precision="fp32", **settings)
    run(config, patches, split, directory)
    model, _ = load_model(directory / "best.pt")
    indices = torch.as_tensor(split.test)
    values = evaluate(model, config, torch.as_tensor(patches.crops), indices)
    x = torch.as_tensor(patches.crops[split.test]).float() / 255
    return values, x, reconstruct(model, config, torch.as_tensor(patches.crops[split.test])), model


def test_corrected_metrics_are_those_of_scikit_image_on_unit_images(patches, split, tmp_path):
    values, x, x_recon, _ = trained("corrected", patches, split, tmp_path)
    pairs = [(a[0].numpy(), b[0].numpy()) for a, b in zip(x, x_recon, strict=True)]
    psnr = [peak_signal_noise_ratio(a, b, data_range=1) for a, b in pairs]
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    ssim = [structural_similarity(a, b, **options) for a, b in pairs]
    np.testing.assert_allclose(values["psnr_db"], psnr, atol=1e-3)
    np.testing.assert_allclose(values["ssim"], ssim, atol=1e-4)
    assert float(values["loss"].mean()) == pytest.approx(float(mse_loss(x_recon, x)), rel=1e-5)


def test_the_studys_loss_compares_a_sigmoid_with_targets_in_minus_one_to_one(patches, split, tmp_path):
    values, x, x_recon, _ = trained("report", patches, split, tmp_path)
    target = 2 * x - 1
    assert float(values["loss"].mean()) == pytest.approx(float(mse_loss(x_recon, target)), rel=1e-5)
    floor = target.clamp(max=0).square().mean()
    assert values["loss"].mean() > floor  # what a sigmoid cannot represent
    assert values["psnr_db"].mean() < 13


def test_the_studys_vae_loss_is_a_batch_sum(patches, split, tmp_path):
    values, x, x_recon, model = trained("report", patches, split, tmp_path, model="cnn_vae", latent_dim=8)
    target = 2 * x - 1
    with torch.inference_mode():
        mu, logvar = model.encode(target)
    kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
    expected = (x_recon - target).square().sum() + kl
    assert len(x) <= 16  # one batch
    assert float(values["loss"].mean()) == pytest.approx(float(expected), rel=1e-4)


def test_bfloat16_agrees_with_float32_within_its_precision(patches, split, tmp_path):
    results = {}
    for precision in ("fp32", "bf16"):
        config = TrainConfig(epochs=2, batch_size=16, precision=precision)
        results[precision] = run(config, patches, split, tmp_path / precision)[-1]
    assert results["bf16"]["val_loss"] == pytest.approx(results["fp32"]["val_loss"], rel=0.05)
    assert resolve_precision(TrainConfig(precision="fp32"), torch.device("cpu")) is torch.float32
    assert resolve_precision(TrainConfig(precision="bf16"), torch.device("cpu")) is torch.bfloat16
