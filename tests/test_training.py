"""fit() and evaluate(): learning, resuming, refusing, and both protocols."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn.functional import mse_loss

from deepdlt.checkpoint import load_checkpoint, load_model
from deepdlt.config import ConfigError, TrainConfig, make_config
from deepdlt.stratified_split import plain_split
from deepdlt.training import EPOCH_METRICS, evaluate, fit, reconstruct, resolve_precision

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


@pytest.mark.parametrize("settings", [{}, {"optimizer": "sgd"}, {"model": "cnn_vae", "latent_dim": 8}, AUGMENTED])
def test_a_resumed_training_equals_the_uninterrupted_one_bit_for_bit(patches, split, tmp_path, settings):
    config = TrainConfig(epochs=3, batch_size=16, **settings)
    straight = run(config, patches, split, tmp_path / "straight")
    interrupted = fit(config, patches.crops, split, tmp_path / "resumed")
    next(interrupted)
    interrupted.close()
    torch.rand(100)  # whatever happens in between must not matter
    resumed = run(config, patches, split, tmp_path / "resumed")
    assert [without_times(m) for m in resumed] == [without_times(m) for m in straight]
    ends = [load_checkpoint(tmp_path / name / "last.pt") for name in ("straight", "resumed")]
    for key in ("model_state_dict", "optimizer_state_dict"):
        torch.testing.assert_close(ends[0][key], ends[1][key], rtol=0, atol=0)


def test_a_finished_training_yields_its_last_epoch_once_more(patches, split, tmp_path):
    config = TrainConfig(epochs=2, batch_size=16)
    history = run(config, patches, split, tmp_path)
    assert run(config, patches, split, tmp_path) == [history[-1]]


def test_another_configuration_in_the_same_directory_is_refused(patches, split, tmp_path):
    run(TrainConfig(epochs=1, batch_size=16), patches, split, tmp_path)
    with pytest.raises(ConfigError, match="another configuration"):
        run(TrainConfig(epochs=1, batch_size=16, lr=1e-2), patches, split, tmp_path)


def test_a_damaged_checkpoint_starts_again_with_a_warning(patches, split, tmp_path):
    config = TrainConfig(epochs=1, batch_size=16)
    first = run(config, patches, split, tmp_path)
    (tmp_path / "last.pt").write_bytes((tmp_path / "last.pt").read_bytes()[:1000])
    with pytest.warns(RuntimeWarning, match="starts again"):
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


def test_the_reports_loss_compares_a_sigmoid_with_targets_in_minus_one_to_one(patches, split, tmp_path):
    values, x, x_recon, _ = trained("report", patches, split, tmp_path)
    target = 2 * x - 1
    assert float(values["loss"].mean()) == pytest.approx(float(mse_loss(x_recon, target)), rel=1e-5)
    floor = target.clamp(max=0).square().mean()
    assert values["loss"].mean() > floor  # what a sigmoid cannot represent
    assert values["psnr_db"].mean() < 13


def test_the_reports_vae_loss_is_a_batch_sum(patches, split, tmp_path):
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
