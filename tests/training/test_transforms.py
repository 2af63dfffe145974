"""Transforms: each against an oracle, alone and in batches, and labels that stay true when the picture is turned."""

import numpy as np
import pytest
import torch
from scipy.signal import wiener
from torchvision.transforms import v2

from deepdlt.dataset.dataset_loader import DIRECTION_CODES
from deepdlt.training.transforms import (
    Brightness,
    FourierMagnitude,
    GaussianNoise,
    RandomDihedral,
    WienerDenoise,
    noise_variance,
)

V, H, D, NONE = (DIRECTION_CODES[name] for name in ("V", "H", "D", "0"))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def stripes(n=64):
    """(n, 1, 16, 16) images of vertical lines, period 8."""
    line = 0.5 + 0.4 * torch.sin(torch.arange(16) * np.pi / 4)
    return line.expand(n, 1, 16, 16).clone()


def varies_along_columns(x):
    """True where an image has vertical lines: grey changes from column to column."""
    return (x.diff(dim=-1).abs().sum((-1, -2)) > x.diff(dim=-2).abs().sum((-1, -2)))[..., 0]


def test_wiener_denoise_equals_scipy():
    x = torch.rand(3, 1, 32, 32, dtype=torch.float64)
    for size in (3, 5):
        expected = [wiener(image[0].numpy(), mysize=size, noise=0.02) for image in x]
        np.testing.assert_allclose(WienerDenoise(size, 0.02)(x)[:, 0], expected, atol=1e-9)
    guessed = float(noise_variance(x[0]))
    np.testing.assert_allclose(WienerDenoise(3)(x[0])[0], wiener(x[0, 0].numpy(), 3, guessed), atol=1e-9)


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.2])
def test_noise_variance_finds_the_noise_and_not_the_texture(sigma):
    x = torch.arange(256.0)
    texture = 0.5 + 0.3 * torch.sin(2 * np.pi * x / 25).expand(1, 256, 256)
    found = noise_variance(texture + sigma * torch.randn(4, 1, 256, 256)).sqrt()
    assert found.shape == (4, 1, 1, 1)
    assert found.flatten().tolist() == pytest.approx([sigma] * 4, rel=0.1)


def test_denoising_brings_a_noisy_image_closer_to_the_clean_one():
    x = torch.arange(64)
    clean = (0.5 + 0.3 * torch.sin(2 * np.pi * x / 24)).expand(1, 64, 64)
    noisy = GaussianNoise(0.1)(clean)
    assert (WienerDenoise(5)(noisy) - clean).square().mean() < 0.5 * (noisy - clean).square().mean()
    torch.testing.assert_close(WienerDenoise(3)(clean)[:, 2:-2, 2:-2], clean[:, 2:-2, 2:-2], atol=0.005, rtol=0)


def test_denoising_textured_crops_beats_scipys_own_guess_of_the_noise(patches):
    clean = torch.from_numpy(patches.crops[:16]).float() / 255
    noisy = clean + 0.03 * torch.randn_like(clean)
    scipys = torch.stack([torch.from_numpy(wiener(image[0].numpy(), 5))[None] for image in noisy])
    errors = [(image - clean).square().mean() for image in (WienerDenoise(5)(noisy), scipys)]
    assert errors[0] < errors[1]


def test_gaussian_noise_has_its_sigma_and_stays_in_range():
    x = torch.full((200, 1, 16, 16), 0.5)
    assert (GaussianNoise(0.05)(x) - x).std() == pytest.approx(0.05, rel=0.02)
    noisy = GaussianNoise(1.0)(x)
    assert noisy.min() == 0
    assert noisy.max() == 1


def test_fourier_magnitude_peaks_at_the_period():
    x = torch.arange(64).float()
    image = (0.5 + 0.4 * torch.cos(2 * np.pi * x / 8)).expand(1, 64, 64)
    magnitude = FourierMagnitude()(image)[0]
    magnitude[32, 32] = 0  # zero frequency
    assert divmod(int(magnitude.argmax()), 64) in {(32, 32 - 8), (32, 32 + 8)}
    assert magnitude.max() <= 1


def test_fourier_magnitude_equals_numpy():
    x = torch.rand(2, 1, 16, 16, dtype=torch.float64)
    expected = np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(x.numpy()), axes=(-2, -1))))
    expected /= expected.max((-2, -1), keepdims=True)
    np.testing.assert_allclose(FourierMagnitude()(x), expected, atol=1e-12)


def test_brightness_gives_each_image_its_own_factor_from_its_range():
    x = torch.full((2000, 1, 2, 2), 0.5)
    factors = Brightness(0.2)(x) / x
    assert torch.equal(factors.amin((1, 2, 3)), factors.amax((1, 2, 3)))
    assert 0.8 <= factors.min() < 0.81
    assert 1.19 < factors.max() <= 1.2
    assert factors[:, 0, 0, 0].std() == pytest.approx(0.4 / np.sqrt(12), rel=0.05)
    assert Brightness(0.5)(torch.ones(100, 1, 2, 2)).max() == 1


def test_random_dihedral_draws_each_of_the_eight_symmetries_of_a_square_equally_often():
    image = torch.arange(9.0).reshape(1, 3, 3)
    turned = RandomDihedral()(image.expand(4000, 1, 3, 3))
    grid = image[0].numpy()
    symmetries = [np.rot90(side, k) for side in (grid, grid.T) for k in range(4)]
    counts = [int((turned[:, 0] == torch.from_numpy(s.copy())).all((1, 2)).sum()) for s in symmetries]
    assert sum(counts) == 4000
    assert counts == pytest.approx([500] * 8, rel=0.2)


def test_without_turns_only_the_flips_and_the_half_turn_are_drawn():
    image = torch.arange(12.0).reshape(1, 3, 4)
    flipped = RandomDihedral(turns=False)(image.expand(200, 1, 3, 4))
    assert {tuple(f.flatten().tolist()) for f in flipped} == {
        tuple(image.flip(dims).flatten().tolist()) for dims in ([], [-1], [-2], [-1, -2])
    }


def test_a_turned_picture_keeps_labels_that_describe_it():
    x, labels = (
        stripes(),
        {"PP1": torch.full((64,), V), "Pol 1": torch.full((64,), H), "angle": torch.full((64,), 19.0)},
    )
    turned, after = RandomDihedral()(x, labels)
    vertical = varies_along_columns(turned)
    assert 10 < int(vertical.sum()) < 54
    assert torch.equal(after["PP1"] == V, vertical)
    assert torch.equal(after["PP1"] == H, ~vertical)
    assert torch.equal(after["Pol 1"] == H, vertical)
    assert torch.equal(after["angle"], labels["angle"])
    assert set(labels["PP1"].tolist()) == {V}  # what came in is as it was


def test_a_turn_leaves_lattices_and_absent_pulses_as_they_are_and_flips_change_no_label():
    labels = {"PP1": torch.tensor([D, NONE] * 32)}
    _, after = RandomDihedral()(stripes(), labels)
    assert torch.equal(after["PP1"], labels["PP1"])
    labels = {"PP2": torch.tensor([V, H] * 32), "Pol 2": torch.tensor([H, V] * 32)}
    flipped, after = RandomDihedral(turns=False)(stripes(), labels)
    assert all(torch.equal(after[name], labels[name]) for name in labels)
    assert varies_along_columns(flipped).all()


def test_one_image_with_its_labels_is_turned_like_a_batch():
    image = stripes(1)[0]
    seen = set()
    for _ in range(40):
        turned, labels = RandomDihedral()(image, {"PP1": torch.tensor(V)})
        assert (int(labels["PP1"]) == V) == bool(varies_along_columns(turned))
        seen.add(int(labels["PP1"]))
    assert seen == {V, H}


def test_labels_that_a_turn_may_falsify_are_refused_by_name_unless_declared():
    labels = {"ripple angle": torch.zeros(4), "angle": torch.zeros(4)}
    for turns in (True, False):
        with pytest.raises(ValueError, match=r"may falsify 'ripple angle'; leave them out, or pass invariant="):
            RandomDihedral(turns=turns)(stripes(4), labels)
    assert RandomDihedral(invariant=("ripple angle",))(stripes(4), labels)[1].keys() == labels.keys()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: WienerDenoise(4), "`size` must be odd"),
        (lambda: GaussianNoise(-1), "`sigma` must be >= 0"),
        (lambda: GaussianNoise(float("nan")), "`sigma` must be >= 0"),
        (lambda: Brightness(1.0), r"`amount` must be in \[0, 1\)"),
        (lambda: RandomDihedral()(torch.zeros(1, 4, 5)), "needs square images"),
    ],
)
def test_what_cannot_be_done_is_refused(make, problem):
    with pytest.raises(ValueError, match=problem):
        make()


@pytest.mark.parametrize("transform", [FourierMagnitude(), WienerDenoise(3), WienerDenoise(5, 0.01)])
def test_a_batch_gives_the_numbers_of_its_images(transform):
    x = torch.rand(5, 1, 32, 32)
    torch.testing.assert_close(transform(x), torch.stack([transform(image) for image in x]))


def test_all_compose_with_torchvisions_own_with_and_without_labels():
    chain = v2.Compose(
        [RandomDihedral(), Brightness(), v2.RandomHorizontalFlip(), GaussianNoise(0.02), WienerDenoise()]
    )
    x, labels = stripes(8), {"PP1": torch.full((8,), V)}
    alone = chain(x)
    images, after = chain(x, labels)
    assert alone.shape == images.shape == x.shape
    assert torch.equal(after["PP1"] == V, varies_along_columns(images))
