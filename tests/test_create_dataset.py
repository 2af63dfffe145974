"""Crops: where they come from, what happened to them, how they are kept."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepdlt.create_dataset import CropOptions, create_dataset, draw_crops, load_patches, main, write_report_layout
from deepdlt.source_images import DataError, Source


def test_a_crop_is_its_window_times_its_brightness(source, patches):
    for k in (0, 41, 95):
        row = patches.table.iloc[k]
        pixels = np.array(Image.open(source.path(int(row.image_id))), float)
        window = pixels[int(row.y) : int(row.y) + 64, int(row.x) : int(row.x) + 64]
        expected = np.clip(window * row.brightness, 0, 255)
        assert np.abs(patches.crops[k, 0] - expected).max() <= 1.01  # truncation, and brightness kept to 6 digits


def test_brightness_stays_within_its_range_and_uses_it(patches):
    factors = patches.table["brightness"]
    assert factors.between(0.8, 1.2).all()
    assert factors.std() == pytest.approx(0.4 / np.sqrt(12), rel=0.2)


def test_every_image_gives_the_same_number_of_crops(patches):
    assert patches.table["image_id"].value_counts().unique().tolist() == [8]
    assert patches.crops.shape == (96, 1, 64, 64)


def test_same_seed_same_crops_and_another_seed_other_crops(source):
    options = CropOptions(crops_per_image=2)
    first, second = (draw_crops(source, options)[0] for _ in range(2))
    other = draw_crops(source, CropOptions(crops_per_image=2, seed=7))[0]
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_packed_crops_are_made_once_and_found_again(source, tmp_path):
    options = CropOptions(crops_per_image=2)
    target = create_dataset(source, tmp_path, options)
    before = (target / "crops.npy").stat().st_mtime_ns
    assert create_dataset(source, tmp_path, options) == target
    assert (target / "crops.npy").stat().st_mtime_ns == before
    assert create_dataset(source, tmp_path, CropOptions(crops_per_image=3)) != target
    assert not list(tmp_path.glob(".making-*"))


def test_damaged_packed_crops_are_named(source, tmp_path):
    target = create_dataset(source, tmp_path, CropOptions(crops_per_image=2))
    raw = (target / "crops.npy").read_bytes()
    (target / "crops.npy").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match="delete the folder"):
        load_patches(target)


def test_an_image_that_cannot_be_decoded_is_named(source, tmp_path):
    broken = tmp_path / "broken.png"
    raw = source.path(0).read_bytes()
    broken.write_bytes(raw[: len(raw) // 2])
    images = source.images.assign(file="broken.png")[:1]
    with pytest.raises(DataError, match=r"broken\.png: cannot be decoded"):
        create_dataset(Source(tmp_path, images, "x"), tmp_path / "out", CropOptions())
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_labels_survive_the_round_trip(source, patches):
    for label in ("angle", "PP1", "NP", "EP1"):
        assert patches.images[label].tolist() == source.images[label].tolist()


def test_the_reports_layout_holds_the_same_pixels_and_splits_by_image(patches, tmp_path):
    write_report_layout(patches, tmp_path)
    tables = [
        pd.read_csv(tmp_path / "data_with_labels_csv" / f"{name}_data.csv")
        for name in ("training", "validation", "testing")
    ]
    assert sum(len(t) for t in tables) == len(patches.crops)
    assert not set(tables[0]["image_id"]) & set(tables[2]["image_id"])
    row = tables[2].iloc[0]
    k = patches.table.query("image_id == @row.image_id and x == @row.x and y == @row.y").index[0]
    assert np.array_equal(np.array(Image.open(tmp_path / row["path"])), patches.crops[k, 0])


def test_the_command_line_packs_a_folder(image_folder, tmp_path, capsys):
    assert main(["--data", str(image_folder), "--out", str(tmp_path), "--crops-per-image", "2"]) == 0
    target = capsys.readouterr().out.strip()
    assert (
        json.loads((tmp_path / target.rsplit("/", 1)[-1] / "meta.json").read_text())["options"]["crops_per_image"] == 2
    )


def test_the_command_line_refuses_a_missing_folder_with_exit_2(tmp_path, capsys):
    assert main(["--data", str(tmp_path / "no")]) == 2
    assert "no such folder" in capsys.readouterr().err
