"""Latents are the network's own, maps keep neighbours, separations are what they claim; one line says what is wrong."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from calling import command

from deepdlt.analysis.latents import (
    encode_crops,
    folder_names,
    map_quality,
    per_image,
    project,
    separation,
    separation_of,
)
from deepdlt.config import TrainConfig
from deepdlt.models import build_model
from deepdlt.models.checkpoint import save_checkpoint

main = command("latents")

CROPS = np.random.default_rng(0).integers(0, 256, (7, 1, 64, 64), dtype=np.uint8)


def network(**settings):
    config = TrainConfig(precision="fp32", **settings)
    torch.manual_seed(1)
    return build_model(config), config


def groups(n: int = 20, apart: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of n points in 8 dimensions, and the cloud of each."""
    which = np.repeat([0, 1, 2], n)
    return np.random.default_rng(0).normal(size=(3 * n, 8)) + apart * np.eye(3, 8)[which], which


@pytest.mark.parametrize(
    ("settings", "pooled", "flat"),
    [
        ({"model": "cnn_ae"}, 128, 8192),
        ({"model": "cnn_vae", "latent_dim": 16}, 16, 16),
        ({"model": "res_ae", "width": 8, "latent_channels": 4}, 4, 256),
        ({"model": "res_vae", "width": 8, "latent_channels": 0, "latent_dim": 5}, 5, 5),
    ],
    ids=lambda value: value["model"] if isinstance(value, dict) else "",
)
def test_every_network_gives_one_vector_per_crop(settings, pooled, flat):
    model, config = network(**settings)
    assert encode_crops(model, config, CROPS).shape == (7, pooled)
    assert encode_crops(model, config, CROPS, pool=False).shape == (7, flat)


@pytest.mark.parametrize("input_range", ["unit", "symmetric"])
def test_a_latent_map_is_averaged_over_its_places_in_eval_mode_and_the_configured_range(input_range):
    model, config = network(dropout=0.5, input_range=input_range)
    model.train()
    x = torch.as_tensor(CROPS).float() / 255
    found = encode_crops(model, config, CROPS)
    with torch.inference_mode():
        expected = model.eval().encode(x * 2 - 1 if input_range == "symmetric" else x)
    np.testing.assert_allclose(found, expected.mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        encode_crops(model, config, CROPS, pool=False), expected.flatten(1), rtol=1e-4, atol=1e-5
    )


def test_of_a_vae_the_latent_is_its_mean():
    model, config = network(model="cnn_vae", latent_dim=6)
    found = encode_crops(model, config, CROPS)
    with torch.inference_mode():
        mu, _ = model.eval().encode(torch.as_tensor(CROPS).float() / 255)
    np.testing.assert_allclose(found, mu, rtol=1e-4, atol=1e-5)


def test_the_batch_size_changes_nothing_and_progress_arrives_at_the_end():
    model, config = network(model="res_ae", width=8)
    seen = []
    found = encode_crops(model, config, CROPS, batch_size=3, progress=lambda *done: seen.append(done))
    np.testing.assert_allclose(found, encode_crops(model, config, CROPS, batch_size=7), rtol=1e-4, atol=1e-5)
    assert seen == [(3, 7), (6, 7), (7, 7)]


@pytest.mark.parametrize("crops", [CROPS[:0], CROPS / 255])
def test_crops_that_are_none_or_already_scaled_are_refused(crops):
    model, config = network()
    with pytest.raises(ValueError, match="`crops` must be at least one crop of uint8"):
        encode_crops(model, config, crops)


def test_the_latent_of_an_image_is_the_mean_of_its_crops():
    values = np.array([[1.0, 0], [3, 4], [10, 20]])
    images, means = per_image(values, np.array([5, 5, 2]))
    np.testing.assert_array_equal(images, [2, 5])
    np.testing.assert_array_equal(means, [[10, 20], [2, 2]])


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_keeps_groups_apart_and_is_the_same_again(method):
    latents, which = groups()
    positions = project(latents, method, seed=3)
    assert positions.shape == (60, 2)
    assert separation(positions, which) > 0.6
    assert map_quality(latents, positions) > 0.8
    np.testing.assert_array_equal(positions, project(latents, method, seed=3))
    np.testing.assert_allclose(positions.mean(axis=0), 0, atol=1e-4)
    assert positions[:, 0].std() >= positions[:, 1].std()


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("latents", [groups()[0][:4], np.ones((6, 3)), groups()[0][:, :1]], ids=["4", "equal", "1d"])
def test_small_and_degenerate_latents_have_a_map_too(method, latents):
    positions = project(latents, method)
    assert positions.shape == (len(latents), 2)
    assert np.isfinite(positions).all()


def test_a_collapsed_encoder_has_one_place_and_no_separation():
    positions = project(np.ones((6, 3)), "tsne")
    np.testing.assert_array_equal(positions, 0)
    assert separation(np.ones((6, 3)), [0, 1] * 3) == 0
    assert 0 <= map_quality(np.ones((6, 3)), positions) <= 1


def test_pca_shows_true_distances_in_the_main_plane():
    plane = np.random.default_rng(0).normal(size=(30, 2)) * [5, 2]
    positions = project(plane @ np.linalg.qr(np.random.default_rng(1).normal(size=(9, 9)))[0][:2], "pca")
    np.testing.assert_allclose(np.linalg.norm(positions[3] - positions[8]), np.linalg.norm(plane[3] - plane[8]))


@pytest.mark.parametrize(
    ("latents", "method", "message"),
    [
        (groups()[0], "som", "`method` must be one of pca, tsne, umap"),
        (groups()[0][:3], "pca", "at least 4 points, got 3"),
        (np.full((5, 2), np.nan), "pca", "must be finite"),
    ],
)
def test_what_has_no_map_is_refused(latents, method, message):
    with pytest.raises(ValueError, match=message):
        project(latents, method)


def test_umap_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match="pip install umap-learn"):
        project(groups()[0], "umap")


def test_map_quality_tells_a_faithful_map_from_a_random_one():
    latents = np.random.default_rng(0).normal(size=(80, 2))
    assert map_quality(latents, latents) == 1
    assert map_quality(latents, np.random.default_rng(1).normal(size=(80, 2))) < 0.65
    assert map_quality(latents[:4], latents[:4], k=50) == 1


def test_separation_is_high_for_groups_low_for_chance_and_absent_without_two_classes():
    latents, which = groups()
    assert separation(latents, which) > 0.6
    assert separation(latents, np.array(["a", "b", "c"])[which]) == separation(latents, which)
    assert separation(latents, np.arange(60) % 3) < 0.05
    assert separation(latents, ["one"] * 60) is None
    assert separation(latents, np.arange(60)) is None
    assert separation(latents[:0], []) is None


def test_many_numbers_are_binned_and_missing_values_left_out():
    latents = np.arange(40.0)[:, None]
    values = pd.Series([*np.arange(38.0), np.nan, np.nan])
    assert separation_of(latents, values) == separation(latents[:38], pd.qcut(values[:38], 5, labels=False))
    assert separation_of(latents, pd.Series([None] * 40)) is None


def test_folders_are_shortened_where_that_leaves_them_distinct():
    files = pd.Series(["a/x/1.png", "b/x/2.png", "c/y/3.png", "4.png"])
    assert list(folder_names(files)) == ["a/x", "b/x", "y", "."]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "best.pt"
    model, config = network(model="res_ae", width=8, latent_channels=4)
    save_checkpoint(path, config, {"model_state_dict": model.state_dict()})
    return path


def test_the_command_writes_map_and_table_and_says_what_separates(checkpoint, image_folder, capsys):
    assert main([str(checkpoint), "--data", str(image_folder), "--method", "pca", "--crops-per-image", "3"]) == 0
    printed = capsys.readouterr().out
    for name in ("map: trustworthiness", "angle: silhouette", "PP1: silhouette", "folder: "):
        assert name in printed
    assert checkpoint.with_name("latent_map.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(checkpoint.with_name("latent_map.csv"))
    assert list(table)[:2] == ["image_id", "file"]
    assert list(table)[-3:] == ["folder", "map_x", "map_y"]
    assert len(table) == 12


def test_a_point_can_be_a_crop(checkpoint, image_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("deepdlt.commands.latents.MOST_POINTS", 20)
    options = ["--level", "crop", "--labels", "angle", "--method", "pca", "--crops-per-image", "2"]
    assert main([str(checkpoint), "--data", str(image_folder), *options, "--out", str(tmp_path / "new/map.png")]) == 0
    table = pd.read_csv(tmp_path / "new/map.csv")
    assert len(table) == 20
    assert list(table) == ["image_id", "file", "crop_x", "crop_y", "angle", "folder", "map_x", "map_y"]
    assert "20 of 24 crops" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checkpoint": "absent.pt"}, "cannot read"),
        ({"checkpoint": "sheet.txt"}, "not a checkpoint"),
        ({"data": "absent"}, "absent"),
        ({"labels": "angel"}, "did you mean 'angle'"),
        ({"crops": "-1"}, "crops_per_image"),
        ({"method": "umap"}, "pip install umap-learn"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_command_refuses_in_one_message(checkpoint, image_folder, tmp_path, monkeypatch, capsys, change, message):
    monkeypatch.setitem(sys.modules, "umap", None)
    (tmp_path / "sheet.txt").write_text("not a network")
    place = tmp_path / change["checkpoint"] if "checkpoint" in change else checkpoint
    folder = tmp_path / change["data"] if "data" in change else image_folder
    arguments = [str(place), "--data", str(folder), "--labels", change.get("labels", "angle")]
    arguments += ["--method", change.get("method", "pca"), "--crops-per-image", change.get("crops", "1")]
    assert main([*arguments, "--out", str(tmp_path / "map.png")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "map.png").exists()


def test_the_map_is_a_png_and_an_unwritable_place_is_named(checkpoint, image_folder, tmp_path, capsys):
    arguments = [str(checkpoint), "--data", str(image_folder), "--method", "pca", "--crops-per-image", "1", "--out"]
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "map.csv"])
    assert "must end in .png" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main([*arguments, str(tmp_path / "file" / "map.png")]) == 3
    assert "error: cannot write" in capsys.readouterr().err
