"""What changed in the pictures and labels behind a sweep is said by name."""

import json
import shutil

import openpyxl
import pytest
from PIL import Image

from deepdlt.images.source import read_source
from deepdlt.tables.sheet import find_sheet
from sweeps.identity.images import changed, image_digests

LABELS = ("angle", "PP1", "NP", "EP1")


@pytest.fixture
def folder(image_folder, tmp_path):
    """A copy of the images that a test may change."""
    return shutil.copytree(image_folder, tmp_path / "images")


def identity(folder):
    """As it comes back from sweep.json."""
    return json.loads(json.dumps(image_digests(read_source(folder, LABELS)), allow_nan=False))


def edit(folder, change):
    """Apply `change(sheet, column numbers by heading)` to the workbook."""
    book = openpyxl.load_workbook(find_sheet(folder))
    sheet = book.active
    change(sheet, {str(cell.value).split(" [")[0]: cell.column for cell in sheet[1]})
    book.save(find_sheet(folder))


def test_nothing_has_changed_in_the_same_folder(folder):
    assert changed(identity(folder), identity(folder)) == []


def test_a_sheet_saved_again_is_no_change_of_its_labels(folder):
    before, fingerprint = identity(folder), read_source(folder).fingerprint
    edit(folder, lambda sheet, columns: setattr(sheet.column_dimensions["A"], "width", 33))
    assert read_source(folder).fingerprint == fingerprint
    assert changed(before, identity(folder)) == []


def test_a_flipped_label_is_named_with_both_values(folder):
    before = identity(folder)
    files = list(before["images"])

    def change(sheet, columns):
        cell = sheet.cell(row=4, column=columns["NP"])
        cell.value = cell.value + 7

    edit(folder, change)
    old = before["images"][files[2]][1 + before["labels"].index("NP")]
    assert changed(before, identity(folder)) == [f"{files[2]}: label NP changed from {old} to {old + 7}"]


def test_text_and_blanks_are_told_apart(folder):
    edit(folder, lambda sheet, columns: setattr(sheet.cell(row=1, column=sheet.max_column + 1), "value", "remark"))
    edit(folder, lambda sheet, columns: setattr(sheet.cell(row=2, column=columns["remark"]), "value", "7"))
    before = identity(folder)
    edit(folder, lambda sheet, columns: setattr(sheet.cell(row=2, column=columns["remark"]), "value", None))
    edit(folder, lambda sheet, columns: setattr(sheet.cell(row=3, column=columns["remark"]), "value", "a\x85b"))
    first, second, *_ = before["images"]
    assert changed(before, identity(folder)) == [
        f"{first}: label remark changed from 7.0 to blank",
        f"{second}: label remark changed from blank to 'a\\x85b'",
    ]


def test_a_changed_picture_is_named(folder):
    before = identity(folder)
    file = list(before["images"])[5]
    with Image.open(folder / file) as image:
        pixels = image.copy()
    pixels.putpixel((3, 3), 255 - pixels.getpixel((3, 3)))
    pixels.save(folder / file)
    assert changed(before, identity(folder)) == [f"{file}: image changed"]


def test_one_image_less_does_not_make_the_others_change(folder):
    """Crops of the images behind it do change, with the images' numbers; the pictures do not."""
    before = identity(folder)
    file = list(before["images"])[1]
    edit(folder, lambda sheet, columns: sheet.delete_rows(3))
    now = identity(folder)
    assert changed(before, now) == [f"{file}: removed"]
    assert changed(now, before) == [f"{file}: added"]


def test_a_renamed_picture_is_called_so(folder):
    before = identity(folder)
    file = next(iter(before["images"]))
    new = "renamed" + file[file.rindex(".") :]
    (folder / file).rename(folder / new)
    name_column = next(cell.column for cell in openpyxl.load_workbook(find_sheet(folder)).active[2] if cell.value)
    edit(folder, lambda sheet, columns: setattr(sheet.cell(row=2, column=name_column), "value", new))
    assert changed(before, identity(folder)) == [f"{file}: renamed to {new}"]


def test_another_order_of_the_rows_is_told(folder):
    before = identity(folder)

    def change(sheet, columns):
        values = [cell.value for cell in sheet[2]]
        sheet.delete_rows(2)
        sheet.append(values)

    edit(folder, change)
    first, second, *_ = before["images"]
    order = f"label table: its rows are in another order ({second} where {first} was); sort them as before"
    assert changed(before, identity(folder)) == [order]


def test_labels_that_came_or_went_are_told_once(folder):
    before = identity(folder)

    def change(sheet, columns):
        for row, value in enumerate(["fluence", *range(len(before["images"]))], start=1):
            sheet.cell(row=row, column=sheet.max_column + (row == 1), value=value)

    edit(folder, change)
    now = identity(folder)
    assert changed(before, now) == ["label table: label fluence added"]
    assert changed(now, before) == ["label table: label fluence removed"]


def test_the_published_images_fit_into_sweep_json(real_images):
    content = json.dumps(image_digests(read_source(real_images, LABELS)))
    assert len(content) < 30_000
