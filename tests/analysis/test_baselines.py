"""Baselines against closed forms: variances, Parseval's theorem and the optimality of principal components."""

import math

import numpy as np
import pytest

from deepdlt.analysis.baselines import baseline_table, constant, lowpass_dct, patch_mean, pca
from deepdlt.images.source import read_source

SIDE = 16
EVERY = np.arange(60)


@pytest.fixture(scope="module")
def crops():
    """60 smooth random crops: a random walk in both directions."""
    walk = np.random.default_rng(5).normal(size=(60, 1, SIDE, SIDE)).cumsum(2).cumsum(3)
    return (128 + 110 * walk / np.abs(walk).max()).astype(np.uint8)


def unit(crops):
    return crops.astype(np.float32) / 255


def error(reconstruct, crops):
    return float(np.square(reconstruct(unit(crops)) - unit(crops)).mean())


def rows_of(table, baseline):
    return {row["numbers"]: row for row in table if row["baseline"] == baseline}


def cosines(n):
    """(n, n) orthonormal DCT-II matrix from its definition."""
    matrix = np.cos(np.pi * np.arange(n)[:, None] * (np.arange(n) + 0.5) / n) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    return matrix


def test_the_constant_loses_the_variance_and_the_distance_of_the_means(crops):
    train, test = crops[:40], crops[40:]
    expected = unit(test).var() + (unit(test).mean() - unit(train).mean()) ** 2
    assert error(constant(train), test) == pytest.approx(expected, rel=1e-4)


def test_the_patch_mean_loses_the_mean_variance_of_the_crops(crops):
    assert error(patch_mean, crops) == pytest.approx(unit(crops).var((1, 2, 3)).mean(), rel=1e-4)


def test_pca_of_data_of_rank_k_is_lossless_and_of_fewer_components_not():
    k, rng = 6, np.random.default_rng(1)
    stripes = np.eye(k, dtype=int)[np.arange(SIDE) * k // SIDE].T[:, :, None] * np.ones(SIDE, int)  # disjoint bands
    crops = np.einsum("nk,kij->nij", rng.integers(0, 256, (50, k)), stripes)[:, None].astype(np.uint8)
    assert error(pca(crops, k), crops) < 1e-10
    assert error(pca(crops, k - 1), crops) > 1e-4


def test_no_other_projection_on_k_directions_beats_pca_on_its_training_crops(crops):
    for k in (4, 16):
        best = error(pca(crops, k), crops)
        centred = unit(crops).reshape(60, -1)
        centred = centred - centred.mean(0)
        for seed in range(5):
            basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(SIDE**2, k)))
            assert best < np.square(centred - centred @ basis @ basis.T).mean()
        low = lowpass_dct(k)(centred.reshape(unit(crops).shape)).reshape(60, -1)
        assert best < np.square(centred - low).mean()


@pytest.mark.parametrize("k", [1, 7, 100, SIDE**2])
def test_the_dct_loses_the_power_of_the_coefficients_it_drops(crops, k):
    coefficients = cosines(SIDE) @ unit(crops) @ cosines(SIDE).T
    order = sorted(np.ndindex(SIDE, SIDE), key=lambda ij: (ij[0] ** 2 + ij[1] ** 2, ij[0]))
    dropped = sum(np.square(coefficients[:, 0, i, j]).sum() for i, j in order[k:])
    assert error(lowpass_dct(k), crops) == pytest.approx(dropped / crops.size, rel=1e-4, abs=1e-10)


def test_of_equal_frequencies_the_dct_keeps_the_one_of_the_first_row():
    across = 0.5 + 0.4 * np.broadcast_to(cosines(SIDE)[1], (1, 1, SIDE, SIDE))
    assert np.abs(lowpass_dct(2)(across) - across).max() < 1e-12
    down = across.swapaxes(2, 3)
    assert np.abs(lowpass_dct(2)(down) - down).max() > 0.05


def test_crops_that_are_not_square_keep_what_is_low_per_pixel():
    wide = 0.5 + 0.4 * np.broadcast_to(cosines(32)[2], (1, 1, 16, 32))  # as low as one cosine down 16 pixels
    assert np.abs(lowpass_dct(3)(wide) - wide).max() < 1e-12


def test_the_table_has_the_error_that_each_baseline_makes(crops):
    train, test = EVERY[:40], EVERY[40:]
    table = baseline_table(crops, train, test, (8, 32))
    methods = {"PCA": lambda k: pca(crops[train], k), "low-pass DCT": lowpass_dct}
    for name, method in methods.items():
        for k, row in rows_of(table, name).items():
            x = unit(crops[test])
            mse = np.square(method(k)(x).clip(0, 1) - x).mean((1, 2, 3))
            assert row["loss"] == pytest.approx(mse.mean(), rel=1e-3)  # of PCA: one random fit for both sizes
            assert row["pooled_psnr_db"] == pytest.approx(-10 * np.log10(mse.mean()), abs=0.01)
            assert row["psnr_db"] == pytest.approx(-10 * np.log10(mse).mean(), abs=0.01)
    named = [(row["baseline"], row["numbers"]) for row in table]
    both = [(name, k) for k in (8, 32) for name in ("PCA", "low-pass DCT")]
    assert named == [("constant", 0), ("patch mean", 1), *both]


def test_sizes_that_cannot_be_or_lose_nothing_have_no_row(crops):
    table = baseline_table(crops, EVERY[:20], EVERY[20:], (8, 8, 30, SIDE**2, 8192))
    assert list(rows_of(table, "PCA")) == [8]
    assert list(rows_of(table, "low-pass DCT")) == [8, 30]
    capped = baseline_table(crops, EVERY, EVERY, (8, 30), fit_crops=20)
    assert list(rows_of(capped, "PCA")) == [8]
    assert len(baseline_table(crops, EVERY, EVERY, ())) == 2


def test_crops_that_are_all_alike_are_reconstructed_without_a_warning():
    same = np.full((20, 1, SIDE, SIDE), 51, np.uint8)
    for row in baseline_table(same, np.arange(10), np.arange(10, 20), (4,)):
        assert row["loss"] < 1e-12
        assert row["ssim"] == pytest.approx(1, abs=1e-4)


def test_bad_arguments_are_named(crops):
    with pytest.raises(ValueError, match=r"`sizes` must be >= 1, got 0"):
        baseline_table(crops, EVERY, EVERY, (4, 0))
    with pytest.raises(ValueError, match=r"`test` must have at least one crop"):
        baseline_table(crops, EVERY, EVERY[:0], (4,))
    with pytest.raises(ValueError, match=r"`crops` must be \(n, 1, h, w\) uint8, got .* float32"):
        baseline_table(unit(crops), EVERY, EVERY, (4,))


def test_on_real_images_the_baselines_are_as_good_as_measured_elsewhere(real_images):
    source = read_source(real_images)
    tiles = np.concatenate([tiles_of(source.pixels(i)) for i in range(4, len(source.images), 9)])
    test = np.arange(len(tiles)) // 48 % 2 == 0  # every other image
    table = baseline_table(tiles, np.flatnonzero(~test), np.flatnonzero(test), (16, 128, 512))
    pooled = {(row["baseline"], row["numbers"]): row["pooled_psnr_db"] for row in table}
    known = {("constant", 0): 15.3, ("patch mean", 1): 15.9, ("PCA", 16): 18.3, ("low-pass DCT", 128): 22.1}
    known |= {("low-pass DCT", 512): 26.2}  # of all 208 images
    assert {key: pooled[key] for key in known} == pytest.approx(known, abs=1.5)
    assert pooled["constant", 0] < pooled["patch mean", 1] < pooled["PCA", 16] < pooled["PCA", 128]
    assert all(row["psnr_db"] > row["pooled_psnr_db"] for row in table)  # Jensen's inequality


def tiles_of(pixels):
    """48 tiles of 64x64 px from the middle rows of an image."""
    height, width = pixels.shape
    y, x = np.linspace(0, height - 64, 6).astype(int), np.linspace(0, width - 64, 8).astype(int)
    return np.lib.stride_tricks.sliding_window_view(pixels, (64, 64))[y[:, None], x].reshape(-1, 1, 64, 64)
