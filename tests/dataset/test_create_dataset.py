"""Crops: where they come from, what happened to them, how they are kept."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from calling import command
from PIL import Image

from deepdlt.dataset.create_dataset import CropOptions, create_dataset, draw_crops, load_patches
from deepdlt.dataset.dataset_loader import LaserDataset
from deepdlt.dataset.report_layout import write_report_layout
from deepdlt.dataset.stratified_split import evaluate_on_tiles, plain_split
from deepdlt.errors import DataError
from deepdlt.images.source import Source, read_source

main = command("crops")

TABLES = ("training", "validation", "testing")


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
    first, second = (draw_crops(source, options).crops for _ in range(2))
    other = draw_crops(source, CropOptions(crops_per_image=2, seed=7)).crops
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


def test_crops_without_their_description_are_not_made_beside_themselves(source, tmp_path):
    options = CropOptions(crops_per_image=2)
    target = create_dataset(source, tmp_path, options)
    (target / "meta.json").unlink()
    with pytest.raises(DataError, match=r"incomplete crops .*; delete the folder"):
        create_dataset(source, tmp_path, options)
    shutil.rmtree(target)
    assert create_dataset(source, tmp_path, options) == target


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


def test_text_labels_stay_text_in_both_layouts(source, tmp_path):
    labels = {
        "batch": ["007", "010"] * 6,
        "flat": ["True", "False"] * 6,
        "word": ["inf", "NA"] * 6,
        "blank": ["01", None] * 6,
        "number": [7, 10] * 6,
    }
    images = source.images.assign(**labels)
    packed = load_patches(
        create_dataset(replace(source, images=images, fingerprint="x"), tmp_path, CropOptions(crops_per_image=2))
    )
    report = load_patches(write_report_layout(packed, tmp_path / "report"))
    for read in (packed.images, report.images):
        for name in ("batch", "flat", "word", "number"):
            assert read[name].tolist() == labels[name]
        assert read["blank"].dropna().tolist() == ["01"] * 6
        assert read["angle"].dtype == source.images["angle"].dtype
    pd.testing.assert_frame_equal(report.images, packed.images)


def test_grid_crops_are_distinct_tiles_that_never_overlap(source):
    every = CropOptions(sampling="grid", crops_per_image=0, crop_size=40, brightness=0)
    drawn = draw_crops(source, every)
    crops, table = drawn.crops, drawn.table
    height, width = source.pixels(0).shape
    tiles = [(y, x) for y in range(0, height - 39, 40) for x in range(0, width - 39, 40)]
    for image_id, rows in table.groupby("image_id"):
        assert list(zip(rows["y"], rows["x"], strict=True)) == tiles
        pixels = source.pixels(image_id)
        expected = [pixels[y : y + 40, x : x + 40] for y, x in tiles]
        assert np.array_equal(crops[rows.index, 0], expected)
    some = draw_crops(source, CropOptions(sampling="grid", crops_per_image=3, crop_size=40)).table
    assert some.groupby("image_id").size().tolist() == [3] * 12
    assert not some.duplicated(["image_id", "x", "y"]).any()
    assert some.groupby("image_id")[["x", "y"]].apply(lambda r: tuple(r.to_numpy().ravel())).nunique() > 1


@pytest.mark.parametrize("size", [16, 64, 128])
def test_crops_have_the_size_asked_for(source, size):
    drawn = draw_crops(source, CropOptions(crop_size=size, crops_per_image=2))
    crops, table = drawn.crops, drawn.table
    assert crops.shape == (24, 1, size, size)
    row = table.iloc[-1]
    window = source.pixels(11)[int(row.y) : int(row.y) + size, int(row.x) : int(row.x) + size]
    assert np.abs(crops[-1, 0] - np.clip(window * row.brightness, 0, 255)).max() <= 1.01


def test_without_brightness_crops_are_the_images_own_pixels(source):
    drawn = draw_crops(source, CropOptions(crops_per_image=2, brightness=0))
    crops, table = drawn.crops, drawn.table
    assert (table["brightness"] == 1).all()
    x, y = (int(table[name][5]) for name in "xy")
    assert np.array_equal(crops[5, 0], source.pixels(2)[y : y + 64, x : x + 64])


def test_images_smaller_than_a_crop_are_named_with_the_size_that_fits(source, tmp_path):
    height, width = source.pixels(0).shape
    with pytest.raises(DataError, match=rf"12 image\(s\) cannot be cut.*\n.*is {width}x{height} px.*at most {height}"):
        create_dataset(source, tmp_path / "out", CropOptions(crop_size=1000))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"crops_per_image": 0}, "`crops_per_image` must be >= 1"),
        ({"crops_per_image": -1, "sampling": "grid"}, "`crops_per_image` must be >= 1"),
        ({"crop_size": 0}, "`crop_size` must be >= 1, got 0"),
        ({"brightness": 1.0}, r"`brightness` must be in \[0, 1\), got 1.0"),
        ({"brightness": float("nan")}, "`brightness` must be in"),
        ({"sampling": "spiral"}, "`sampling` must be random or grid or grid_eval, got 'spiral'"),
        ({"seed": -1}, "`seed` must be >= 0, got -1"),
    ],
)
def test_options_outside_their_range_are_refused(options, problem):
    with pytest.raises(DataError, match=problem):
        CropOptions(**options)


def test_every_wrong_option_is_listed_at_once():
    with pytest.raises(DataError) as refused:
        CropOptions(crop_size=0, seed=-1, brightness=7)
    assert len(str(refused.value).splitlines()) == 3


def test_the_studys_layout_is_the_studys_tree_and_splits_by_image(patches, tmp_path):
    write_report_layout(patches, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2023_im_dataset_64x64", "data_with_labels_csv"]
    assert len(list(tmp_path.glob("2023_im_dataset_64x64/*/*.bmp"))) == 96
    tables = [pd.read_csv(tmp_path / "data_with_labels_csv" / f"{name}_data.csv") for name in TABLES]
    assert [table["image_id"].nunique() for table in tables] == [10, 1, 1]
    assert sum(len(t) for t in tables) == len(patches.crops)
    assert not set(tables[0]["image_id"]) & set(tables[2]["image_id"])
    row = tables[2].iloc[0]
    k = patches.table.query("image_id == @row.image_id and x == @row.x and y == @row.y").index[0]
    assert np.array_equal(np.array(Image.open(tmp_path / row["path"])), patches.crops[k, 0])


def test_the_studys_layout_reads_back_as_the_packed_crops(patches, tmp_path):
    read = load_patches(write_report_layout(patches, tmp_path))
    assert np.array_equal(read.crops, patches.crops)
    assert read.crops.dtype == np.uint8
    pd.testing.assert_frame_equal(read.table, patches.table)
    pd.testing.assert_frame_equal(read.images, patches.images)
    for k in (0, 50, 95):
        (image, labels), (expected, theirs) = LaserDataset(read)[k], LaserDataset(patches)[k]
        assert torch.equal(image, expected)
        assert labels == theirs
    assert read.fingerprint == load_patches(tmp_path).fingerprint


def test_the_studys_layout_keeps_what_is_the_same_and_refuses_to_overwrite_the_rest(patches, tmp_path):
    write_report_layout(patches, tmp_path)
    bitmap = tmp_path / "2023_im_dataset_64x64" / "000" / "000.bmp"
    before = bitmap.stat().st_mtime_ns
    write_report_layout(patches, tmp_path)
    assert bitmap.stat().st_mtime_ns == before
    relabelled = replace(patches, images=patches.images.assign(NP=1))
    for other in (replace(patches, crops=255 - patches.crops), relabelled):
        with pytest.raises(DataError, match="already holds other crops"):
            write_report_layout(other, tmp_path)
    assert bitmap.stat().st_mtime_ns == before


def test_an_interrupted_report_layout_leaves_nothing(patches, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report_layout(patches, tmp_path, interrupt)
    assert list(tmp_path.iterdir()) == []


def damage_bitmap(root):
    (root / "2023_im_dataset_64x64" / "000" / "003.bmp").write_bytes(b"BM")


def remove_bitmap(root):
    (root / "2023_im_dataset_64x64" / "000" / "003.bmp").unlink()


def remove_table(root):
    (root / "data_with_labels_csv" / "testing_data.csv").unlink()


def empty_table(root):
    (root / "data_with_labels_csv" / "testing_data.csv").write_text("")


def lead_outside(root):
    table = root / "data_with_labels_csv" / "training_data.csv"
    table.write_text(table.read_text().replace("2023_im_dataset_64x64/", "../../", 1))


@pytest.mark.parametrize("damage", [damage_bitmap, remove_bitmap, remove_table, empty_table, lead_outside])
def test_a_damaged_report_layout_is_refused(patches, tmp_path, damage):
    write_report_layout(patches, tmp_path)
    damage(tmp_path)
    with pytest.raises(DataError, match="damaged crops or tables"):
        load_patches(tmp_path)


def test_a_label_with_the_name_of_a_crop_column_is_refused_where_the_two_meet(patches, tmp_path):
    with pytest.raises(DataError, match="label 'x' has the name of a crop column"):
        write_report_layout(replace(patches, images=patches.images.assign(x=1)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_real_images_are_packed(real_images, tmp_path):
    source = read_source(real_images)
    crops = load_patches(create_dataset(source, tmp_path, CropOptions())).crops
    assert crops.shape == (20_800, 1, 64, 64)
    assert 0.3 < crops.mean() / 255 < 0.42


def test_the_command_line_packs_a_folder(image_folder, tmp_path, capsys):
    assert main(["--data", str(image_folder), "--out", str(tmp_path), "--crops-per-image", "2"]) == 0
    target = capsys.readouterr().out.strip()
    assert (
        json.loads((tmp_path / target.rsplit("/", 1)[-1] / "meta.json").read_text())["options"]["crops_per_image"] == 2
    )


def test_the_command_line_refuses_a_missing_folder_with_exit_2(tmp_path, capsys):
    assert main(["--data", str(tmp_path / "no")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_the_command_line_takes_every_option(image_folder, tmp_path, capsys):
    options = ["--sampling", "grid", "--crop-size", "32", "--brightness", "0", "--seed", "3", "--crops-per-image", "0"]
    assert main(["--data", str(image_folder), "--out", str(tmp_path), *options]) == 0
    captured = capsys.readouterr()
    patches = load_patches(Path(captured.out.strip()))
    assert patches.crops.shape == (12 * 5 * 6, 1, 32, 32)
    assert "cropping: 12/12 images" in captured.err


def test_the_command_line_writes_the_studys_tree_and_nothing_else(image_folder, tmp_path, capsys):
    command = ["--data", str(image_folder), "--layout", "report", "--crops-per-image", "2", "--out", str(tmp_path)]
    assert main(command) == main(command) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2023_im_dataset_64x64", "data_with_labels_csv"]
    assert len(load_patches(tmp_path).crops) == 24
    assert main([*command, "--seed", "1"]) == 2
    assert "delete it or choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (["--crops-per-image", "0"], "`crops_per_image` must be >= 1"),
        (["--brightness", "2"], "`brightness` must be in [0, 1), got 2.0"),
        (["--crop-size", "500"], "smaller than one 500x500 crop"),
    ],
)
def test_the_command_line_refuses_wrong_options_and_writes_nothing(image_folder, tmp_path, capsys, wrong, problem):
    assert main(["--data", str(image_folder), "--out", str(tmp_path / "out"), *wrong]) == 2
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_a_message_and_exit_3(image_folder, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--data", str(image_folder), "--out", str(tmp_path / "file")]) == 3
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("brightness", [0.0, 0.2])
def test_downsampled_crops_are_means_of_squares(source, tmp_path, brightness):
    options = CropOptions(crops_per_image=3, crop_size=128, downsample=2, brightness=brightness)
    patches = load_patches(create_dataset(source, tmp_path, options))
    assert patches.crops.shape == (36, 1, 64, 64)
    assert (patches.crop_size, patches.downsample) == (128, 2)
    for row in (0, 20):
        image, x, y, factor = patches.table.loc[row, ["image_id", "x", "y", "brightness"]]
        window = source.pixels(int(image))[int(y) : int(y) + 128, int(x) : int(x) + 128]
        mean = torch.nn.functional.avg_pool2d(torch.as_tensor(window[None].astype(np.float32)), 2).numpy()[0]
        assert np.abs(patches.crops[row, 0] - np.clip(mean * factor, 0, 255)).max() <= 1


def test_crops_that_are_not_downsampled_keep_their_folder(source, tmp_path):
    assert "downsample" not in CropOptions().as_dict()
    assert create_dataset(source, tmp_path, CropOptions(crops_per_image=2)) == create_dataset(
        source, tmp_path, CropOptions(crops_per_image=2, downsample=1)
    )


def test_a_factor_that_does_not_divide_the_crop_is_refused():
    with pytest.raises(DataError, match="`downsample` must divide `crop_size` 64, got 3"):
        CropOptions(downsample=3)


def test_a_folder_without_crops_is_refused(tmp_path):
    with pytest.raises(DataError, match="make crops with `deepdlt crops`"):
        load_patches(tmp_path / "none")
    with pytest.raises(DataError, match="damaged crops"):
        load_patches(tmp_path)


def test_evaluation_tiles_cover_every_image_once_and_are_never_trained_on(source, tmp_path):
    options = CropOptions(crops_per_image=3, sampling="grid_eval")
    patches = load_patches(create_dataset(source, tmp_path, options))
    tiles = patches.table[patches.table["tile"]]
    assert (patches.table["tile"] == False).sum() == 3 * 12  # noqa: E712
    assert tiles.groupby("image_id").size().tolist() == [(160 // 64) * (200 // 64)] * 12
    assert (tiles["brightness"] == 1).all()
    row = tiles.iloc[7]
    pixels = source.pixels(int(row.image_id))
    window = pixels[int(row.y) : int(row.y) + 64, int(row.x) : int(row.x) + 64]
    assert np.array_equal(patches.crops[tiles.index[7], 0], window)
    split = evaluate_on_tiles(plain_split(patches.images, patches.image_id, label="PP1"), patches.table)
    tile = patches.table["tile"].to_numpy()
    assert not tile[split.train].any()
    assert tile[split.val].all()
    assert tile[split.test].all()
    assert len(split.test)
