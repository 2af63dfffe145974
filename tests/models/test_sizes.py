"""Crops of 128 and 256 pixels: every network keeps its promises, and at 64 pixels nothing has changed."""

import math

import pytest
import torch

from deepdlt.config import CROP_SIZES, VAES, ConfigError, TrainConfig
from deepdlt.models import build_model

MODELS = ("cnn_ae", "cnn_vae", "res_ae", "res_vae")


def parameters(**settings):
    return sum(p.numel() for p in build_model(TrainConfig(**settings)).parameters())


@pytest.mark.parametrize("size", CROP_SIZES)
@pytest.mark.parametrize("latent_channels", [0, 4])
@pytest.mark.parametrize("model", MODELS)
def test_every_network_gives_back_the_shape_it_is_given(model, latent_channels, size):
    config = TrainConfig(model=model, latent_channels=latent_channels, latent_dim=8, width=8, crop_size=size)
    network = build_model(config).eval()
    x = torch.rand(1, 1, size, size)
    z = network.encode(x)
    z = z[0] if model in VAES else z
    assert z.shape[1:] == network.latent_shape
    assert math.prod(network.latent_shape) == config.latent_size
    assert network.decode(z).shape == x.shape


@pytest.mark.parametrize("model", ["cnn_ae", "res_ae"])
def test_a_convolutional_network_has_the_same_weights_at_every_size(model):
    assert len({parameters(model=model, width=8, crop_size=size) for size in CROP_SIZES}) == 1


def test_a_latent_vector_grows_with_the_area():
    """Three linear layers of 128 features per latent pixel and 128 dimensions, two of them with 128 biases."""
    convolutions = parameters(model="cnn_ae")
    for size in (64, 128):
        features = 128 * (size // 8) ** 2
        linear = 2 * (features * 128 + 128) + (128 * features + features)
        assert parameters(model="cnn_vae", crop_size=size) == convolutions + linear


@pytest.mark.parametrize("latent_channels", [0, 16])
def test_an_untrained_residual_network_is_a_low_pass_at_every_size(latent_channels):
    """The slowest waves pass it unchanged: a cosine of half a period over the side, as DCT-II has it."""
    size = 128
    config = TrainConfig(model="res_ae", latent_channels=latent_channels, crop_size=size)
    wave = torch.cos(math.pi / size * (torch.arange(size) + 0.5))
    x = (0.5 + 0.2 * wave).expand(1, 1, size, size)
    with torch.no_grad():
        assert (build_model(config).eval()(x) - x).abs().max() < 0.01


def test_sizes_that_a_network_cannot_see_are_refused():
    assert TrainConfig(crop_size=256, downsample=4).side == 64
    with pytest.raises(ConfigError, match="`downsample` 4 leaves 32 px of `crop_size` 128; the networks need 64"):
        TrainConfig(crop_size=128, downsample=4)
    with pytest.raises(ConfigError, match="`crop_size` must be 64, 128 or 256, got 100"):
        TrainConfig(crop_size=100)
    with pytest.raises(ConfigError, match="`downsample` must be 1, 2 or 4, got 3"):
        TrainConfig(crop_size=256, downsample=3)
