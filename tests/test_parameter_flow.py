"""Every field of TrainConfig arrives where it acts: one witness each, and no field without one."""

import shutil
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from calling import parse
from torch import nn

from deepdlt.config import TrainConfig, config_dict, make_config
from deepdlt.dataset.prepare import crop_options
from deepdlt.dataset.stratified_split import plain_split
from deepdlt.models import build_model
from deepdlt.models.checkpoint import load_checkpoint
from deepdlt.models.inference import resolve_precision, scale
from deepdlt.training import fit as training
from deepdlt.training.evaluation import evaluate
from deepdlt.training.fit import fit
from deepdlt.training.objective import image_loss, training_loss
from deepdlt.training.optimization import make_optimizer, make_schedule
from sweeps.execution import trainable
from sweeps.identity.splits import make_splits
from sweeps.request.cells import search_cell
from sweeps.request.request import make_request
from sweeps.space import Configuration
from sweeps.store import trial_cell, trial_config

TINY = TrainConfig(epochs=1, batch_size=16)


def modules(config, kind):
    return [m for m in build_model(config).modules() if isinstance(m, kind)]


def optimizer(**settings):
    config = TrainConfig(**settings)
    return make_optimizer(config, build_model(config))


def rates(**settings):
    """The learning rate of each of 10 steps."""
    config = TrainConfig(epochs=1, lr=1.0, optimizer="sgd", **settings)
    weights = nn.Linear(1, 1)
    chosen = make_optimizer(config, weights)
    schedule, found = make_schedule(config, chosen, 10), []
    for _ in range(10):
        found.append(chosen.param_groups[0]["lr"])
        chosen.step()
        if schedule:
            schedule.step()
    return found


def ae_loss(**settings):
    x = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    return image_loss(x.flip(-1), x, TrainConfig(**settings))


def vae_loss(kl_factor=1.0, **settings):
    x = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    mu = torch.tensor([[0.0, 2.0]] * 4)
    return training_loss((x.flip(-1), mu, 0 * mu), x, TrainConfig(model="cnn_vae", **settings), kl_factor)


def evaluated(patches, **settings):
    config = replace(TINY, **settings)
    torch.manual_seed(0)
    model = build_model(config)
    return evaluate(model, config, torch.as_tensor(patches.crops), torch.arange(8))


def history(patches, tmp_path, **settings):
    split = plain_split(patches.images, patches.image_id)
    return list(fit(replace(TINY, **settings), patches.crops, split, tmp_path))


def model_arrives(patches, tmp_path):
    return type(build_model(TrainConfig(model="cnn_vae"))).__name__ == "CNNVariationalAutoencoder"


def activation_arrives(patches, tmp_path):
    leaky = modules(TrainConfig(activation="leaky_relu"), nn.LeakyReLU)
    kinds = {"relu": nn.ReLU, "selu": nn.SELU, "elu": nn.ELU}
    return leaky[0].negative_slope == 0.1 and all(
        len(modules(TrainConfig(activation=a), k)) == 5 for a, k in kinds.items()
    )


def dropout_arrives(patches, tmp_path):
    return [m.p for m in modules(TrainConfig(dropout=0.37), nn.Dropout2d)] == [0.37] * 3


def kernel_size_arrives(patches, tmp_path):
    return [m.kernel_size for m in modules(TrainConfig(kernel_size=7), nn.Conv2d)] == [(7, 7)] * 3


def latent_dim_arrives(patches, tmp_path):
    model = build_model(TrainConfig(model="cnn_vae", latent_dim=9))
    return model.encode(torch.rand(2, 1, 64, 64))[0].shape == (2, 9)


def init_arrives(patches, tmp_path):
    torch.manual_seed(0)
    matched = build_model(TrainConfig(init="matched", activation="selu")).encoder[5].weight
    return bool(abs(matched.std() * (32 * 9) ** 0.5 - 1) < 0.05)  # LeCun: variance 1 / fan-in


def decoder_kernel_size_arrives(patches, tmp_path):
    config = TrainConfig(decoder_kernel_size=3)
    return [m.kernel_size for m in modules(config, nn.ConvTranspose2d)] == [(3, 3)] * 3


def count(**settings):
    return sum(p.numel() for p in build_model(TrainConfig(model="res_ae", **settings)).parameters())


def width_arrives(patches, tmp_path):
    return 3.3 < count(width=16) / count(width=8) < 4.1


def blocks_arrives(patches, tmp_path):
    return count(width=8, blocks=3) - count(width=8, blocks=2) == count(width=8, blocks=2) - count(width=8)


def latent_channels_arrives(patches, tmp_path):
    shapes = [
        build_model(TrainConfig(model="res_ae", width=8, latent_channels=c)).encode(torch.rand(2, 1, 64, 64)).shape
        for c in (5, 0)
    ]
    return shapes == [(2, 5, 8, 8), (2, 128)]


def loss_arrives(patches, tmp_path):
    a, b, c = (ae_loss(loss=name) for name in ("mse", "l1", "charbonnier"))
    return bool((a < b).all() and (b < c).all() and torch.allclose(b, c, atol=1e-3))


def ms_ssim_weight_arrives(patches, tmp_path):
    return bool((ae_loss(ms_ssim_weight=0.5) > ae_loss() + 0.1).all())


def focal_frequency_weight_arrives(patches, tmp_path):
    return bool((ae_loss(focal_frequency_weight=0.5) > ae_loss()).all())


def spectrum_weight_arrives(patches, tmp_path):
    x = torch.rand(4, 1, 64, 64)
    a, b = (image_loss(x / 2, x, TrainConfig(spectrum_weight=w)) for w in (0.0, 0.5))
    return bool((b > a).all())


def beta_arrives(patches, tmp_path):
    a, b = (evaluated(patches, model="cnn_vae", beta=beta)["loss"] for beta in (0.0, 5.0))
    return bool((b > a).all())


def decoder_sigma_arrives(patches, tmp_path):
    a, b = (vae_loss(vae_likelihood="gaussian", decoder_sigma=s) for s in (0.1, 0.2))
    return bool(a > b)


def kl_warmup_arrives(patches, tmp_path):
    a, b = (history(patches, tmp_path / str(w), model="cnn_vae", kl_warmup=w)[0]["val_kl_nats"] for w in (0, 5))
    return b > a


def free_bits_arrives(patches, tmp_path):
    free, bound = vae_loss(free_bits=0.5), vae_loss()
    return np.isclose(float(free - bound), 0.5)  # the first number's KL is 0, the second's 2 > 0.5


def vae_likelihood_arrives(patches, tmp_path):
    return len({round(float(vae_loss(vae_likelihood=k)), 2) for k in ("optimal", "gaussian", "squared_error")}) == 3


def train_loss_mode_arrives(patches, tmp_path):
    a, b = (history(patches, tmp_path / m, train_loss_mode=m)[0] for m in ("eval", "running"))
    return a["train_loss"] != b["train_loss"] and a["val_loss"] == b["val_loss"]


def schedule_arrives(patches, tmp_path):
    constant, cosine, onecycle = (rates(schedule=s) for s in ("constant", "cosine", "onecycle"))
    plateau = make_schedule(TrainConfig(schedule="plateau"), optimizer(), 10)
    return (
        constant == [1.0] * 10
        and cosine[0] == 1.0
        and cosine[-1] < 0.03
        and max(onecycle[1:-1]) > onecycle[0]
        and isinstance(plateau, torch.optim.lr_scheduler.ReduceLROnPlateau)
    )


def warmup_arrives(patches, tmp_path):
    return np.allclose(rates(warmup=0.4), [0.2, 0.4, 0.6, 0.8, *[1.0] * 6])


def ema_arrives(patches, tmp_path):
    history(patches, tmp_path, ema=0.9)
    state = load_checkpoint(tmp_path / "last.pt")
    raw, mean = (state[key]["encoder.0.weight"] for key in ("raw_state_dict", "model_state_dict"))
    return not torch.equal(raw, mean)


def early_stopping_arrives(patches, tmp_path):
    found = history(patches, tmp_path, epochs=30, early_stopping=1, lr=0.5, optimizer="sgd")
    return len(found) < 30 and found[-1]["finished"] == 1.0 and found[-1]["best_epoch"] == len(found) - 1


def optimizer_arrives(patches, tmp_path):
    return isinstance(optimizer(optimizer="sgd"), torch.optim.SGD) and isinstance(optimizer(), torch.optim.Adam)


def lr_arrives(patches, tmp_path):
    return optimizer(lr=0.012).param_groups[0]["lr"] == 0.012


def weight_decay_arrives(patches, tmp_path):
    return optimizer(weight_decay=0.34).param_groups[0]["weight_decay"] == 0.34


def momentum_arrives(patches, tmp_path):
    return optimizer(optimizer="sgd", momentum=0.56).param_groups[0]["momentum"] == 0.56


def batch_size_arrives(patches, tmp_path):
    history(patches, tmp_path, batch_size=20)
    steps = load_checkpoint(tmp_path / "last.pt")["optimizer_state_dict"]["state"][0]["step"]
    n_train = len(plain_split(patches.images, patches.image_id).train)
    return int(steps) == -(-n_train // 20)


def epochs_arrives(patches, tmp_path):
    return len(history(patches, tmp_path, epochs=2)) == 2


def augment_symmetry_arrives(patches, tmp_path):
    x = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(64, 1, 1, 1)
    images = {s: len({tuple(i.flatten().tolist()) for i in training.augmentation(TrainConfig(augment_symmetry=s))(x)})
              for s in ("flips", "dihedral")}  # fmt: skip
    plain, turned = (history(patches, tmp_path / s, augment_symmetry=s)[0]["train_loss"] for s in ("none", "flips"))
    return images == {"flips": 4, "dihedral": 8} and plain != turned


def augment_brightness_arrives(patches, tmp_path):
    x = torch.full((500, 1, 2, 2), 0.5)
    factors = training.augmentation(TrainConfig(augment_brightness=0.4))(x)[:, 0, 0, 0] / 0.5
    return bool(0.6 <= factors.min() < 0.65 and 1.35 < factors.max() <= 1.4)


def input_noise_arrives(patches, tmp_path):
    clean, noisy = (history(patches, tmp_path / str(s), input_noise=s)[0]["train_loss"] for s in (0.0, 0.5))
    return noisy != clean


def eval_crops_arrives(patches, tmp_path):
    words = ["--space", "smoke", "--set", "eval_crops=grid", "--cv", "--labels", "PP1", "--folds", "3"]
    request = make_request(parse(words))
    half = np.arange(len(patches.crops)) % 2 == 1
    tiled = replace(patches, table=patches.table.assign(tile=half))
    split = make_splits(request, tiled)["PP1", 2]
    return request.config().eval_crops == "grid" and not half[split.train].any() and half[split.test].all()


def crop_size_arrives(patches, tmp_path):
    request = make_request(parse(["--space", "smoke", "--set", "crop_size=128"]))
    return (
        crop_options(request.config(), synthetic=False).crop_size == 128 and request.config().latent_size == 128 * 16**2
    )


def downsample_arrives(patches, tmp_path):
    request = make_request(parse(["--space", "smoke", "--crop-size", "256", "--downsample", "4"]))
    options = crop_options(request.config(), synthetic=False)
    return (options.side, options.crop_size, request.config().side) == (64, 256, 64)


def input_range_arrives(patches, tmp_path):
    target = torch.full((1, 1, 64, 64), 0.25)
    return float(scale(target, TrainConfig(input_range="symmetric"))[0, 0, 0, 0]) == -0.5


def metrics_arrives(patches, tmp_path):
    a, b = (evaluated(patches, metrics=m)["psnr_db"] for m in ("standard", "report"))
    return bool((a != b).all())


def split_of(patches, **settings):
    request = SimpleNamespace(
        config=lambda: make_config("report", **settings), labels=("PP1",), cv=True, folds=3, seed=1
    )
    return make_splits(request, patches)["PP1", 1]


def split_unit_arrives(patches, tmp_path):
    crop = split_of(patches)
    image = split_of(patches, split_unit="image", holdout="stratified")
    shared = [set(patches.image_id[s.train]) & set(patches.image_id[s.test]) for s in (crop, image)]
    return bool(shared[0]) and not shared[1]


def holdout_arrives(patches, tmp_path):
    halves, stratified = split_of(patches), split_of(patches, holdout="stratified")
    return halves.val.max() < halves.test.min() and stratified.val.max() > stratified.test.min()


def vae_reduction_arrives(patches, tmp_path):
    a, b = (evaluated(patches, model="cnn_vae", vae_reduction=r)["loss"] for r in ("mean", "batch_sum"))
    return bool(torch.allclose(b, 8 * a))


def evaluate_arrives(patches, tmp_path):
    split = plain_split(patches.images, patches.image_id)
    for name, epochs in (("early", 1), ("late", 3)):
        history(patches, tmp_path / name, epochs=epochs)
    shutil.copy(tmp_path / "early" / "last.pt", tmp_path / "late" / "best.pt")  # whatever epoch was the best
    best, last = (
        trainable._test(replace(TINY, evaluate=e), patches.crops, split, tmp_path / "late", "cpu")
        for e in ("best", "last")
    )
    return best.test != last.test


def precision_arrives(patches, tmp_path):
    return resolve_precision(TrainConfig(precision="bf16"), torch.device("cpu")) is torch.bfloat16


def seed_arrives(patches, tmp_path):
    losses = [history(patches, tmp_path / str(s), seed=s)[0]["val_loss"] for s in (1, 2)]
    return not np.isclose(*losses)


WITNESSES = {name.removesuffix("_arrives"): f for name, f in list(globals().items()) if name.endswith("_arrives")}


OTHER = {
    "model": "res_vae", "activation": "elu", "init": "matched", "dropout": 0.31, "kernel_size": 7,
    "decoder_kernel_size": 3, "width": 16, "blocks": 2, "latent_channels": 4, "latent_dim": 9, "beta": 0.3,
    "decoder_sigma": 0.07, "kl_warmup": 2, "free_bits": 0.1, "optimizer": "sgd", "lr": 0.017, "schedule": "cosine",
    "warmup": 0.1, "weight_decay": 0.02, "momentum": 0.4, "ema": 0.99, "batch_size": 48, "epochs": 3,
    "early_stopping": 4, "input_range": "symmetric", "metrics": "report", "split_unit": "image", "evaluate": "last",
    "train_loss_mode": "running", "vae_likelihood": "gaussian", "vae_reduction": "batch_sum", "precision": "fp32",
    "seed": 5, "augment_symmetry": "flips", "augment_brightness": 0.1, "input_noise": 0.05, "eval_crops": "grid",
    "crop_size": 128, "downsample": 2,
}  # fmt: skip
FOR_AUTOENCODERS = {
    "loss": "l1", "ms_ssim_weight": 0.2, "focal_frequency_weight": 0.3, "spectrum_weight": 0.4
}  # fmt: skip


@pytest.mark.parametrize("settings", [OTHER, FOR_AUTOENCODERS], ids=["most", "autoencoders"])
def test_every_field_travels_from_the_command_line_to_the_trial(settings):
    """`--set` and options -> Request -> Cell -> what Tune carries -> TrainConfig, each field unlike its default."""
    words = ["--space", "smoke", "--epochs", "3", "--seed", "5"]
    for name, value in settings.items():
        words += [] if name in ("epochs", "seed") else ["--set", f"{name}={value}"]
    request = make_request(parse(words))
    cell = trial_cell(trial_config(search_cell(request, Configuration(), "angle", "data"), "s0001"))
    arrived = TrainConfig(**cell.config)
    assert {name: getattr(arrived, name) for name in settings} == settings


def test_every_field_is_tried_with_a_value_unlike_its_default():
    default = config_dict(TrainConfig())
    tried = {name for name, value in {**OTHER, **FOR_AUTOENCODERS}.items() if value != default[name]}
    assert tried | {"holdout"} == set(default)  # holdout: halves needs split_unit crop


def test_no_field_is_without_a_witness():
    assert set(WITNESSES) == {field.name for field in fields(TrainConfig)}


@pytest.mark.parametrize("field", sorted(WITNESSES))
def test_the_value_arrives(field, patches, tmp_path):
    assert WITNESSES[field](patches, tmp_path)
