"""Whole images from tiles, and the waves in them."""

import numpy as np
import pytest
import torch

from deepdlt.analysis.whole_images import reconstruct_image, seen_by, wave_fidelity
from deepdlt.config import TrainConfig, make_config
from deepdlt.models import build_model


def grating(period, degrees=0.0, shape=(150, 200)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    along = x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))
    return (0.5 + 0.3 * np.sin(2 * np.pi * along / period)).astype(np.float32)


def test_a_downsampling_network_sees_means():
    """A network that changes nothing gives back the image as it is seen."""
    config = TrainConfig(model="res_ae", latent_channels=64, width=16, crop_size=128, downsample=2)
    image = np.random.default_rng(0).integers(0, 256, (190, 261)).astype(np.uint8)
    seen = seen_by(config, image)
    assert seen.shape == (95, 130)
    np.testing.assert_allclose(seen[3, 5], image[6:8, 10:12].mean(), atol=0.5)
    np.testing.assert_allclose(reconstruct_image(build_model(config), config, image), seen / 255, atol=0.01)


@pytest.mark.parametrize("protocol", ["corrected", "report"])
def test_a_network_that_returns_its_input_returns_the_image(protocol):
    config = make_config(protocol)
    model = build_model(config)
    model.forward = lambda x: x
    image = (255 * grating(12, 30)).astype(np.uint8)
    expected = image / 255 if protocol == "corrected" else (image / 127.5 - 1).clip(0, 1)
    np.testing.assert_allclose(reconstruct_image(model, config, image), expected, atol=1e-5)


def test_the_network_is_in_eval_mode_and_sees_tiles_of_64():
    config, seen = TrainConfig(precision="fp32"), []
    model = build_model(config).train()
    model.register_forward_pre_hook(lambda module, args: seen.append((module.training, tuple(args[0].shape[1:]))))
    reconstruct_image(model, config, np.zeros((70, 90), np.uint8))
    assert set(seen) == {(False, (1, 64, 64))}
    assert not torch.is_inference_mode_enabled()


def test_waves_that_are_off_are_counted_and_not_averaged():
    original = grating(12, 20)
    found = wave_fidelity([(original, original), (grating(12.3, 21), original), (grating(17, 20), original)])
    assert (found["images"], found["lost"]) == (3, 1)
    assert found["period_error_percent"] == pytest.approx(2.5 / 2, abs=0.2)
    assert found["orientation_error_deg"] == pytest.approx(0.5, abs=0.1)


def test_without_waves_there_is_no_mean():
    flat = np.full((100, 100), 0.4, np.float32)
    found = wave_fidelity([(flat, flat)])
    assert (found["images"], found["lost"]) == (1, 1)
    assert np.isnan(found["period_error_percent"])
