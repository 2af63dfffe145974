"""Reading an image folder: what it gives, and what it refuses with which words."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepdlt.source_images import DataError, read_source


@pytest.fixture
def folder(image_folder, tmp_path):
    """A copy that may be broken."""
    return Path(shutil.copytree(image_folder, tmp_path / "images"))


def sheet(folder):
    return pd.read_excel(folder / "all_images.xlsx")


def save(table, folder):
    table.to_excel(folder / "all_images.xlsx", index=False)


def test_labels_lose_their_units_and_keep_their_values(source, image_folder):
    table = sheet(image_folder)
    assert source.images["angle"].tolist() == table["angle [deg]"].tolist()
    assert source.images["EP1"].tolist() == table["EP1 [μJ]"].tolist()
    assert source.images["image_id"].tolist() == list(range(len(table)))
    assert all(source.path(i).is_file() for i in range(len(table)))


def test_the_second_pulses_pattern_replaces_a_missing_first_one(folder):
    table = sheet(folder)
    table[["PP1", "PP2"]] = table[["PP1", "PP2"]].astype(object)
    table.loc[0, ["PP1", "PP2"]] = [0, "H"]
    save(table, folder)
    assert read_source(folder).images.loc[0, "PP1"] == "H"


def test_images_of_one_process_share_a_condition_whatever_their_magnification(folder):
    table = sheet(folder)
    columns = [c for c in table.columns if c not in ("Names", "DimX [μm]", "DimY [μm]") and not c.startswith("true_")]
    table.loc[1, columns] = table.loc[0, columns]
    table.loc[1, "DimX [μm]"] = 12
    save(table, folder)
    condition = read_source(folder).images["condition"]
    assert condition[0] == condition[1]
    assert condition.nunique() == len(table) - 1


def test_fingerprint_changes_with_a_pixel_and_with_a_label(folder):
    before = read_source(folder).fingerprint
    first = read_source(folder).path(0)
    pixels = np.array(Image.open(first))
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(first)
    middle = read_source(folder).fingerprint
    table = sheet(folder)
    table.loc[0, "NP"] += 1
    save(table, folder)
    assert len({before, middle, read_source(folder).fingerprint}) == 3


def test_rows_without_a_name_are_dropped(folder):
    table = sheet(folder)
    table.loc[len(table)] = [None] * len(table.columns)
    save(table, folder)
    assert len(read_source(folder).images) == len(table) - 1


def refusal(folder, labels=()):
    with pytest.raises(DataError) as caught:
        read_source(folder, labels)
    return str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    assert "no such folder" in refusal(tmp_path / "nowhere")


def test_a_file_instead_of_a_folder_is_refused(folder):
    assert "is a file" in refusal(folder / "all_images.xlsx")


def test_a_folder_without_a_sheet_is_refused(folder):
    (folder / "all_images.xlsx").unlink()
    assert "needs exactly one label sheet" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"just text"])
def test_an_unreadable_sheet_is_named(folder, content):
    (folder / "all_images.xlsx").write_bytes(content)
    message = refusal(folder)
    assert "all_images.xlsx: not a readable xlsx" in message


def test_a_sheet_without_names_lists_its_columns(folder):
    save(sheet(folder).rename(columns={"Names": "File"}), folder)
    assert "no column `Names`" in refusal(folder)


def test_an_unknown_label_lists_the_known_ones(folder):
    message = refusal(folder, ("angel",))
    assert "unknown label 'angel'" in message
    assert "angle" in message


def test_a_missing_label_value_is_given_by_row(folder):
    table = sheet(folder)
    table.loc[3, "NP"] = None
    save(table, folder)
    assert "no value of 'NP' in row(s) 5" in refusal(folder, ("NP",))


def test_all_missing_and_bad_images_are_listed_at_once(folder):
    paths = [read_source(folder).path(i) for i in range(4)]
    paths[0].unlink()
    table = sheet(folder)
    table.loc[1, "Names"] = "../../etc/passwd.bmp"
    save(table, folder)
    message = refusal(folder)
    assert "row 2: no such image" in message
    assert "row 3: '../../etc/passwd.bmp' leads out of the image folder" in message


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_bytes(b"<html>not an image"), "is not a readable PNG"),
        (lambda path: Image.new("RGB", (200, 160)).save(path), "8-bit grey"),
        (lambda path: Image.new("I;16", (200, 160)).save(path), "8-bit grey"),
        (lambda path: Image.new("L", (200, 40)).save(path), "smaller than one 64x64 crop"),
    ],
)
def test_an_image_that_cannot_be_used_is_named_with_the_reason(folder, make, words):
    path = read_source(folder).path(2)
    make(path)
    message = refusal(folder)
    assert path.name in message
    assert words in message


def test_the_real_images_are_complete(real_images):
    source = read_source(real_images, ("angle", "PP1", "NP", "EP1"))
    assert len(source.images) == 208
    assert source.images["PP1"].value_counts().to_dict() == {"V": 105, "H": 51, "D": 52}
