"""The networks of the report's Tables 1 and 7: parameter counts, shapes, checkpoint keys."""

import pytest
import torch

from deepdlt.config import TrainConfig
from deepdlt.models import CNNAutoencoder, CNNVariationalAutoencoder, build_model


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"kernel_size": 3}, 134_497),
        ({"kernel_size": 5}, 298_849),
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


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_latent_is_128_by_8_by_8_for_every_kernel_size(kernel_size):
    model = CNNAutoencoder(TrainConfig(kernel_size=kernel_size)).eval()
    x = torch.rand(2, 1, 64, 64)
    assert model.encode(x).shape == (2, 128, 8, 8)
    assert model(x).shape == x.shape


def test_output_stays_in_the_unit_interval():
    model = CNNAutoencoder(TrainConfig()).eval()
    out = model(100 * torch.randn(4, 1, 64, 64))
    assert out.min() >= 0
    assert out.max() <= 1


def test_vae_samples_in_training_and_uses_mu_in_evaluation():
    model = CNNVariationalAutoencoder(TrainConfig(latent_dim=16, dropout=0.0))
    x = torch.rand(2, 1, 64, 64)
    assert not torch.equal(model(x)[0], model(x)[0])
    model.eval()
    assert torch.equal(model(x)[0], model(x)[0])
    assert model.sample(3).shape == (3, 1, 64, 64)


def test_activation_modules_are_not_shared():
    model = CNNAutoencoder(TrainConfig(activation="elu"))
    activations = [m for m in model.modules() if isinstance(m, torch.nn.ELU)]
    assert len({id(m) for m in activations}) == 5


@pytest.mark.parametrize("activation", ["relu", "selu", "elu", "leaky_relu"])
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
