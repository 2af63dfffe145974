"""The networks of the study's Tables 1 and 7 and their successors: parameter counts, shapes, keys, first weights."""

import math

import pytest
import scipy.fft
import torch
from torch import nn

from deepdlt.config import CHOICES, VAES, TrainConfig
from deepdlt.models import CNNAutoencoder, CNNVariationalAutoencoder, build_model
from deepdlt.models.initialisation import cosine_images, fan_in
from deepdlt.models.residual import LOGVAR_START, _channels_to_space, _resize_channels, _space_to_channels


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"kernel_size": 3}, 134_497),
        ({"kernel_size": 5}, 298_849),
        ({"kernel_size": 3, "decoder_kernel_size": 3}, 185_857),  # the study's Table 1 as printed
        ({"kernel_size": 5, "decoder_kernel_size": 3}, 350_209),
        ({"model": "cnn_vae", "kernel_size": 3, "latent_dim": 128}, 3_288_673),
    ],
)
def test_parameter_counts_are_the_original_ones(settings, parameters):
    model = build_model(TrainConfig(**settings))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_state_dict_keys_are_those_of_the_original_checkpoints():
    keys = {key.rsplit(".", 1)[0] for key in CNNAutoencoder(TrainConfig()).state_dict()}
    encoder = {f"encoder.{i}" for i in (0, 1, 5, 6, 10, 11)}
    assert keys == encoder | {f"decoder.{i}" for i in (0, 1, 3, 4, 6)}
    vae_keys = {key.rsplit(".", 1)[0] for key in CNNVariationalAutoencoder(TrainConfig()).state_dict()}
    assert vae_keys == keys | {"fc_mu", "fc_logvar", "fc_decoder"}


@pytest.mark.parametrize("decoder_kernel_size", [2, 3])
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_latent_is_128_by_8_by_8_for_every_kernel_size(kernel_size, decoder_kernel_size):
    config = TrainConfig(kernel_size=kernel_size, decoder_kernel_size=decoder_kernel_size)
    model = CNNAutoencoder(config).eval()
    x = torch.rand(2, 1, 64, 64)
    assert model.encode(x).shape == (2, 128, 8, 8)
    assert model(x).shape == x.shape


@pytest.mark.parametrize("latent_channels", [0, 4, 128])
@pytest.mark.parametrize("model", ["cnn_ae", "cnn_vae", "res_ae", "res_vae"])
def test_every_model_states_its_latent_shape(model, latent_channels):
    config = TrainConfig(model=model, latent_channels=latent_channels, latent_dim=16, width=16)
    network = build_model(config)
    z = network.encode(torch.rand(2, 1, 64, 64))
    for part in z if model in VAES else (z,):
        assert part.shape[1:] == network.latent_shape
    assert math.prod(network.latent_shape) == config.latent_size


@pytest.mark.parametrize("model", ["cnn_ae", "res_ae"])
def test_output_stays_in_the_unit_interval(model):
    network = _started(TrainConfig(model=model)).eval()
    out = network(100 * torch.randn(4, 1, 64, 64))
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize("settings", [{}, {"model": "res_vae"}, {"model": "res_vae", "latent_channels": 0}])
def test_vae_samples_in_training_and_uses_mu_in_evaluation(settings):
    model = build_model(TrainConfig(**{"model": "cnn_vae", "latent_dim": 16, "dropout": 0.0, **settings}))
    x = torch.rand(2, 1, 64, 64)
    assert not torch.equal(model(x)[0], model(x)[0])
    model.eval()
    assert torch.equal(model(x)[0], model(x)[0])
    assert model.sample(3).shape == (3, 1, 64, 64)


def test_activation_modules_are_not_shared():
    model = CNNAutoencoder(TrainConfig(activation="elu"))
    activations = [m for m in model.modules() if isinstance(m, torch.nn.ELU)]
    assert len({id(m) for m in activations}) == 5


@pytest.mark.parametrize("activation", CHOICES["activation"])
def test_pooling_before_the_activation_changes_neither_output_nor_gradients(activation):
    torch.manual_seed(0)
    encoder = CNNAutoencoder(TrainConfig(activation=activation, dropout=0.4)).encoder
    x = torch.rand(4, 1, 64, 64)
    results = []
    for forward in (encoder, torch.nn.Sequential(*encoder)):  # ours, and layer by layer
        torch.manual_seed(1)
        encoder.zero_grad()
        out = forward(x)
        out.square().mean().backward()
        results.append((out.detach(), [p.grad.clone() for p in encoder.parameters()]))
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("activation", CHOICES["activation"])
@pytest.mark.parametrize("model", ["res_ae", "res_vae"])
def test_residual_models_train_in_every_activation(model, activation):
    config = TrainConfig(model=model, activation=activation, width=16, latent_channels=4)
    network = _started(config)
    x = torch.rand(4, 1, 64, 64)
    out = network(x)
    (out[0] if model in VAES else out).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for n, p in network.named_parameters())


@pytest.mark.parametrize("latent", [(1, 64), (2, 128)])
def test_moving_pixels_into_channels_can_be_undone(latent):
    copies, channels = latent
    x = torch.rand(2, channels, 8, 8)
    assert torch.equal(_channels_to_space(_space_to_channels(x, copies), copies), x)
    one = torch.rand(2, 8, 8, 8)
    many = _space_to_channels(_resize_channels(one, 8 * copies), copies)
    torch.testing.assert_close(_resize_channels(many, 32), _space_to_channels(one))  # copies stay copies


def test_moving_pixels_loses_none_of_them_where_a_stride_would():
    x = torch.arange(64.0).view(1, 1, 8, 8)
    moved = _space_to_channels(x)
    assert [moved[0, place].flatten()[0] for place in range(4)] == [0, 1, 8, 9]


def test_untrained_latent_map_of_128_channels_is_lossless():
    model = build_model(TrainConfig(model="res_ae", latent_channels=128, dropout=0.0)).eval()
    x = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(model(x), x, rtol=0, atol=1e-6)


@pytest.mark.parametrize("input_range", ["unit", "symmetric"])
@pytest.mark.parametrize("model", ["res_ae", "res_vae"])
def test_untrained_latent_vector_holds_the_lowest_cosine_coefficients(model, input_range):
    network = build_model(TrainConfig(model=model, latent_channels=0, latent_dim=50, input_range=input_range)).eval()
    grey = 0.5 if input_range == "unit" else 0.0
    patterns = cosine_images(50, 64).flatten(1)
    x = 0.2 * torch.rand(3, 1, 64, 64) + grey
    z = network.encode(x)
    mu = z[0] if model == "res_vae" else z
    torch.testing.assert_close(mu, (x - grey).flatten(1) @ patterns.T, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(network.decode(mu).flatten(1), mu @ patterns + grey, rtol=0, atol=1e-5)
    if model == "res_vae":
        assert (z[1] == LOGVAR_START).all()


def test_cosine_patterns_are_scipys_orthonormal_transform():
    patterns = cosine_images(40, 8).flatten(1)
    torch.testing.assert_close(patterns @ patterns.T, torch.eye(40), rtol=0, atol=1e-6)
    assert patterns[0].std() < 1e-7  # the mean first
    coefficients = torch.tensor(scipy.fft.dctn(patterns.view(-1, 8, 8).numpy(), axes=(1, 2), norm="ortho"))
    assert ((coefficients.abs() > 1e-5).sum((1, 2)) == 1).all()


@pytest.mark.parametrize("latent_channels", [0, 16])
def test_first_steps_do_not_drown_the_cosine_start(latent_channels):
    torch.manual_seed(0)
    model = build_model(TrainConfig(model="res_ae", activation="silu", latent_channels=latent_channels, dropout=0.0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    blurred = nn.functional.avg_pool2d(torch.rand(8, 1, 70, 70), 7, stride=1)  # as smooth as a surface, 64x64
    x = (blurred - 0.5) * 4 + 0.5
    errors = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = (model(x) - x).square().mean()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert max(errors) < 1.3 * errors[0]
    assert errors[-1] < errors[0]


def test_residual_model_keeps_the_range_of_the_studys_protocol():
    model = _started(TrainConfig(model="res_ae", input_range="symmetric")).eval()
    out = model(10 * torch.randn(4, 1, 64, 64))
    assert (out.min(), out.max()) == (-1, 1)


def test_default_initialisation_is_pytorchs():
    for model in ("cnn_ae", "cnn_vae"):
        torch.manual_seed(3)
        network = build_model(TrainConfig(model=model))
        torch.manual_seed(3)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                fresh = layer.weight.clone()
                layer.reset_parameters()
                assert torch.equal(layer.weight, fresh)


@pytest.mark.parametrize("decoder_kernel_size", [2, 3])
@pytest.mark.parametrize(
    ("activation", "gain_squared"), [("selu", 1), ("relu", 2), ("elu", 2), ("silu", 2), ("leaky_relu", 2 / 1.01)]
)
def test_matched_weights_have_the_standard_deviation_of_lecun_and_he(activation, gain_squared, decoder_kernel_size):
    torch.manual_seed(0)
    config = TrainConfig(activation=activation, init="matched", decoder_kernel_size=decoder_kernel_size)
    model = build_model(config)
    encoder, decoder = model.encoder, model.decoder
    reach = (decoder_kernel_size / 2) ** 2  # of the kernel's taps that meet one pixel of the output
    expected = {encoder[5]: gain_squared / (9 * 32), encoder[10]: gain_squared / (9 * 64)}
    expected |= {decoder[0]: gain_squared / (128 * reach), decoder[6]: 1 / (32 * reach)}
    for layer, variance in expected.items():
        assert layer.weight.var().item() == pytest.approx(variance, rel=0.35 if layer is decoder[6] else 0.05)
        assert not layer.bias.any()


def test_matched_transposed_convolution_keeps_the_variance():
    torch.manual_seed(0)
    for kernel_size in (2, 3):
        config = TrainConfig(activation="selu", init="matched", decoder_kernel_size=kernel_size)
        layer = build_model(config).decoder[0]
        out = layer(torch.randn(64, 128, 8, 8))
        assert out.var().item() == pytest.approx(1, rel=0.1)
        assert fan_in(layer) == 128 * (kernel_size / 2) ** 2


def test_selu_with_matched_weights_carries_unit_variance_through_the_encoder():
    torch.manual_seed(0)
    encoder = build_model(TrainConfig(activation="selu", init="matched", kernel_size=5)).encoder
    x = torch.randn(64, 1, 32, 32)
    for layer in encoder:
        if isinstance(layer, nn.Conv2d | nn.SELU):  # without batch norm, which would hide the weights' scale
            inner = layer(x)
            x = inner[..., 4:-4, 4:-4] if isinstance(layer, nn.Conv2d) else inner  # without the padded border
    assert x.var().item() == pytest.approx(1, rel=0.25)
    assert x.mean().item() == pytest.approx(0, abs=0.15)


def test_matched_weights_leave_the_zero_and_cosine_starts_alone():
    model = build_model(
        TrainConfig(model="res_ae", latent_channels=128, init="matched", activation="selu", dropout=0.0)
    ).eval()
    x = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(model(x), x, rtol=0, atol=1e-6)
    variance = model.encoder[0].branch[2].weight.var().item()
    assert variance == pytest.approx(1 / (9 * 32), rel=0.05)


def _started(config: TrainConfig) -> nn.Module:
    """A model whose zero weights are no longer zero, as after training."""
    model = build_model(config)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1) if not parameter.any() else None
    return model
