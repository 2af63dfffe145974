"""Spectra against Parseval's theorem and white noise, waves against gratings of known period and orientation."""

import numpy as np
import pytest
import torch

from deepdlt.analysis.baselines import lowpass_dct
from deepdlt.analysis.whole_images import blend_tiles
from deepdlt.metrics.spectra import BANDS, radial_spectrum_db, spectrum_distance_db
from deepdlt.metrics.waves import dominant_wave, wave_error

GRATINGS = [(8.3, 0.0), (8.3, 90.0), (20.0, 17.0), (37.5, 64.0), (50.0, 121.0), (11.1, 179.5), (3.1, 45.0)]


def grating(period, orientation, shape=(192, 256), contrast=0.2):
    """Wave whose vector points `orientation` degrees from x towards the rows."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    turn = np.radians(orientation)
    return 0.5 + contrast * np.cos(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / period + 1)


def noise(sd, shape=(192, 256), seed=0):
    return sd * np.random.default_rng(seed).normal(size=shape)


def folded(degrees):
    return abs((degrees + 90) % 180 - 90)


def white(n=64, side=64, sd=0.1):
    return 0.5 + sd * torch.randn(n, 1, side, side, generator=torch.Generator().manual_seed(2))


def test_white_noise_has_its_variance_at_every_scale():
    spectrum = radial_spectrum_db(white(256))
    assert spectrum.shape == (256, BANDS)
    mean_power = 10 * torch.log10((10 ** (spectrum / 10)).mean(0))
    torch.testing.assert_close(mean_power[2:], torch.full((BANDS - 2,), -20.0), atol=0.25, rtol=0)
    # Removing the mean under the window takes a share of the lowest coefficients with it.
    torch.testing.assert_close(mean_power[:2], torch.tensor([-22.3, -20.7]), atol=0.5, rtol=0)


@pytest.mark.parametrize("shape", [(64, 64), (63, 64), (64, 81), (128, 96)])
def test_the_bands_together_have_all_the_power_of_the_windowed_image(shape):
    x = torch.rand(3, 1, *shape, generator=torch.Generator().manual_seed(1))
    window = torch.outer(torch.hann_window(shape[0]), torch.hann_window(shape[1]))
    centred = x[:, 0] - (x[:, 0] * window).sum((1, 2), keepdim=True) / window.sum()
    expected = (centred * window).square().mean((1, 2)) / window.square().mean() * shape[0] * shape[1]
    radius = torch.hypot(torch.fft.fftfreq(shape[0])[:, None], torch.fft.fftfreq(shape[1]))
    edges = torch.logspace(np.log10(1 / max(shape)), np.log10(0.5**0.5), BANDS + 1)
    band = torch.bucketize(radius[radius > 0] * (1 + 1e-6), edges[1:-1], right=True)
    counts = torch.bincount(band, minlength=BANDS)
    total = (10 ** (radial_spectrum_db(x) / 10) * counts).sum(1)
    torch.testing.assert_close(total, expected, rtol=2e-3, atol=0)


def test_a_wave_is_in_the_band_of_its_frequency():
    edges = np.geomspace(1 / 64, 0.5**0.5, BANDS + 1)
    for band in range(3, BANDS):
        x = torch.from_numpy(grating(1 / np.sqrt(edges[band] * edges[band + 1]), 30, (64, 64)))[None, None]
        assert int(radial_spectrum_db(x).argmax()) == band


@pytest.mark.parametrize("side", [4, 5, 9, 16])
def test_every_band_of_a_small_image_has_a_coefficient(side):
    spectrum = radial_spectrum_db(white(2, side))
    assert torch.isfinite(spectrum).all()
    assert 1 <= spectrum.shape[1] < BANDS


def test_identical_images_are_no_distance_apart_and_constant_ones_have_a_spectrum():
    x = white(4)
    assert (spectrum_distance_db(x, x) == 0).all()
    flat = radial_spectrum_db(torch.full((1, 1, 64, 64), 0.3))
    torch.testing.assert_close(flat, torch.full_like(flat, -58.92), atol=0.01, rtol=0)


def test_half_the_contrast_is_six_decibels_away():
    x = white(4)
    expected = torch.full((4,), 20 * np.log10(2))
    torch.testing.assert_close(spectrum_distance_db(0.5 * x + 0.1, x), expected, atol=0.02, rtol=0)


def test_a_blurred_image_loses_its_finest_bands_only():
    x = white(8)
    blurred = torch.from_numpy(lowpass_dct(300)(x.numpy()))
    loss = (radial_spectrum_db(x) - radial_spectrum_db(blurred)).mean(0)
    assert loss[:6].abs().max() < 1
    assert loss[-2:].min() > 20
    assert (spectrum_distance_db(blurred, x) > spectrum_distance_db(x.flip(-1), x)).all()


@pytest.mark.parametrize("sd", [0.0, 0.2], ids=["clean", "as-much-noise-as-wave"])
@pytest.mark.parametrize(("period", "orientation"), GRATINGS)
def test_a_grating_is_measured(period, orientation, sd):
    wave = dominant_wave(grating(period, orientation) + noise(sd))
    assert wave.period_px == pytest.approx(period, rel=0.005)
    assert folded(wave.orientation_deg - orientation) < 0.3
    assert 0 <= wave.orientation_deg < 180


def test_crops_and_upright_images_are_measured_too():
    wave = dominant_wave(grating(9.7, 33, (64, 64)))
    assert wave.period_px == pytest.approx(9.7, rel=0.005)
    assert wave.orientation_deg == pytest.approx(33, abs=0.3)
    wave = dominant_wave(grating(40, 150, (300, 130)))
    assert wave.period_px == pytest.approx(40, rel=0.005)
    assert wave.orientation_deg == pytest.approx(150, abs=0.3)


def test_uneven_illumination_is_not_a_wave():
    y, x = np.mgrid[-1:1:192j, -1:1:256j]
    wave = dominant_wave(grating(25, 40, contrast=0.05) + 0.3 * x - 0.2 * y + 0.3 * x * x * y + 0.2 * y * y)
    assert wave.period_px == pytest.approx(25, rel=0.01)
    assert wave.orientation_deg == pytest.approx(40, abs=0.5)


@pytest.mark.parametrize("turn", [3.0, 60.0, 90.0])
@pytest.mark.parametrize("stretch", [1.0, 1.1, 0.7])
def test_the_error_of_a_wave_is_its_stretch_and_its_turn(stretch, turn):
    error = wave_error(grating(20 * stretch, 170 + turn), grating(20, 170))
    assert error.period_error_percent == pytest.approx(100 * abs(stretch - 1), abs=0.6)
    assert error.orientation_error_deg == pytest.approx(turn, abs=0.3)


def test_orientations_beside_the_seam_of_the_half_circle_are_close():
    assert wave_error(grating(20, 179), grating(20, 1)).orientation_error_deg == pytest.approx(2, abs=0.3)


def test_a_lattice_is_compared_along_the_same_of_its_equal_waves():
    lattice = (grating(20, 45) + grating(20, 135)) / 2
    for seed in range(4):
        error = wave_error(lattice + noise(0.05, seed=seed), lattice + noise(0.05, seed=seed + 4))
        assert error.period_error_percent < 0.5
        assert error.orientation_error_deg < 0.5


def test_a_reconstruction_that_lost_the_wave_is_not_excused():
    lost = 0.5 + noise(0.05)
    assert max(wave_error(lost, grating(20, 30))) > 5


def test_images_without_a_wave_have_no_error():
    flat = np.full((192, 256), 0.4)
    ramp = flat + np.linspace(0, 0.3, 256)
    assert np.isnan(dominant_wave(ramp)).all()
    assert np.isnan(wave_error(flat, grating(20, 30))).all()
    assert np.isnan(wave_error(grating(20, 30), flat)).all()


def test_images_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"at least 64x64 px, got \(63, 64\)"):
        dominant_wave(np.zeros((63, 64)))
    with pytest.raises(ValueError, match=r"one shape, got \(64, 64\) and \(64, 65\)"):
        wave_error(np.zeros((64, 64)), np.zeros((64, 65)))


@pytest.mark.parametrize("overlap", [0, 1, 20, 32, 50, 63])
@pytest.mark.parametrize("shape", [(64, 64), (65, 64), (100, 203), (97, 128)])
def test_tiles_that_are_kept_blend_into_the_image_itself(shape, overlap):
    image = np.random.default_rng(4).random(shape).astype(np.float32)
    blended = blend_tiles(image, lambda tiles: tiles, overlap=overlap)
    assert blended.dtype == np.float32
    np.testing.assert_allclose(blended, image, atol=1e-6)


def test_tiles_of_different_brightness_blend_without_a_step():
    def brighten_every_other(tiles):
        return tiles + 0.2 * (np.arange(len(tiles)) % 2)[:, None, None, None]

    image = np.full((96, 320), 0.4, np.float32)
    for overlap, largest in ((0, 0.2), (32, 0.2 * np.pi / 2 / 32)):
        steps = np.abs(np.diff(blend_tiles(image, brighten_every_other, overlap=overlap), axis=1))
        assert steps.max() == pytest.approx(largest, rel=0.01)


def test_tiles_have_the_shape_that_a_network_takes():
    shapes = set()

    def reconstruct(tiles):
        shapes.add((tiles.shape[1:], str(tiles.dtype)))
        return tiles

    blend_tiles(np.zeros((200, 150)), reconstruct, size=48, overlap=10)
    assert shapes == {((1, 48, 48), "float32")}


def test_tilings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"at least 64x64 px, got \(63, 80\)"):
        blend_tiles(np.zeros((63, 80)), lambda tiles: tiles)
    with pytest.raises(ValueError, match=r"`overlap` must be in \[0, 64\), got 64"):
        blend_tiles(np.zeros((80, 80)), lambda tiles: tiles, overlap=64)
    with pytest.raises(ValueError, match=r"must keep the shape \(2, 1, 64, 64\), got \(2, 64, 64\)"):
        blend_tiles(np.zeros((80, 80)), lambda tiles: tiles[:, 0])
