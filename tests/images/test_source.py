"""Reading an image folder: what it gives, and what it refuses with which words."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from calling import command
from PIL import Image

from deepdlt.errors import DataError
from deepdlt.images.source import read_source

main = command("check")


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


def test_fingerprint_changes_with_a_pixel_and_not_with_a_label_that_leaves_the_conditions(folder):
    before = read_source(folder).fingerprint
    first = read_source(folder).path(0)
    pixels = np.array(Image.open(first))
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(first)
    middle = read_source(folder).fingerprint
    table = sheet(folder)
    table.loc[0, "NP"] += 1
    save(table, folder)
    assert before != middle == read_source(folder).fingerprint


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
    assert "needs exactly one label table" in refusal(folder)


@pytest.mark.parametrize("content", [b"PK\x03\x04 cut short", b"just text"])
def test_an_unreadable_sheet_is_named(folder, content):
    (folder / "all_images.xlsx").write_bytes(content)
    message = refusal(folder)
    assert "all_images.xlsx: not a readable xlsx" in message


def test_a_sheet_without_names_lists_its_columns(folder):
    save(sheet(folder).rename(columns={"Names": "Pictures"}), folder)
    message = refusal(folder)
    assert "no column of file names; call it one of `Names`, `name`, `file`" in message
    assert "'Pictures', 'DimY', 'DimX', 'wavelength'" in message


def test_an_unknown_label_lists_the_known_ones(folder):
    message = refusal(folder, ("angel",))
    assert "unknown label 'angel'" in message
    assert "angle" in message


def test_a_missing_label_value_is_given_by_row(folder):
    table = sheet(folder)
    table.loc[3, "NP"] = None
    save(table, folder)
    assert "column 'NP' has no value in row(s) 5" in refusal(folder, ("NP",))


def test_all_missing_and_bad_images_are_listed_at_once(folder):
    paths = [read_source(folder).path(i) for i in range(4)]
    paths[0].unlink()
    table = sheet(folder)
    table.loc[1, "Names"] = "../../etc/passwd.bmp"
    save(table, folder)
    message = refusal(folder)
    assert "row 2: no such image" in message
    assert "row 3: '../../etc/passwd.bmp' is outside the image folder" in message


def test_an_image_that_cannot_be_used_is_named_with_the_reason(folder):
    path = read_source(folder).path(2)
    path.write_bytes(b"<html>not an image")
    message = refusal(folder)
    assert f"{path.name}: is HTML, not PNG" in message


def other_folder(tmp_path, table, size=(80, 70), suffix=".tif"):
    """Somebody else's folder: a CSV and TIFF images 0.tif, 1.tif, ..."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for i in range(len(table)):
        pixels = np.random.default_rng(i).integers(0, 256, size[::-1], dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}{suffix}")
    pd.DataFrame(table).to_csv(folder / "labels.csv", index=False)
    return folder


FOUR = [{"material": "steel", "power [W]": 1.5, "sample": "007", "condition": 3, "file": f"{i}.tif"} for i in range(4)]


def with_heading(heading, suffix=".tif"):
    return [{heading: f"{i}{suffix}", "x": i} for i in range(4)]


@pytest.mark.parametrize("heading", ["file", "Filename", "IMAGE", "path", "name", "File Name", "Names"])
def test_the_column_of_file_names_may_be_called_many_things(tmp_path, heading):
    source = read_source(other_folder(tmp_path, with_heading(heading)), ("x",))
    assert source.images["file"].tolist() == ["0.tif", "1.tif", "2.tif", "3.tif"]
    assert source.pixels(1).shape == (70, 80)


def test_of_two_candidates_the_one_that_names_files_is_used(tmp_path):
    table = [{"name": f"sample {i}", **row} for i, row in enumerate(with_heading("file"))]
    source = read_source(other_folder(tmp_path, table), ("name",))
    assert source.images["name"].tolist() == ["sample 0", "sample 1", "sample 2", "sample 3"]


def test_two_columns_that_name_files_are_refused(tmp_path):
    table = [{"path": row["file"], **row} for row in with_heading("file")]
    assert "'path' and 'file' may each be the column of file names" in refusal(other_folder(tmp_path, table))


def test_each_image_is_its_own_group_unless_a_column_is_named(tmp_path):
    table = [{**row, "sample": "ab"[i // 2]} for i, row in enumerate(FOUR)]
    folder = other_folder(tmp_path, table)
    assert read_source(folder, ("material",)).images["condition"].tolist() == [0, 1, 2, 3]
    grouped = read_source(folder, ("material",), group_by="sample")
    assert grouped.images["condition"].tolist() == [0, 0, 1, 1]
    assert grouped.fingerprint != read_source(folder, ("material",)).fingerprint


def test_a_column_of_the_tools_own_name_can_group_but_not_be_a_label(tmp_path):
    folder = other_folder(tmp_path, [{**row, "condition": i // 3} for i, row in enumerate(FOUR)])
    assert read_source(folder, group_by="condition").images["condition"].tolist() == [0, 0, 0, 1]
    assert "'condition' is a reserved column name; rename the label" in refusal(folder, ("condition",))


def test_an_unknown_or_incomplete_group_column_is_refused(tmp_path):
    folder = other_folder(tmp_path, [{**row, "sample": "a" if i else None} for i, row in enumerate(FOUR)])
    with pytest.raises(DataError, match=r"unknown column 'sampel'.*did you mean 'sample'"):
        read_source(folder, group_by="sampel")
    with pytest.raises(DataError, match=r"column 'sample' has no value in row\(s\) 2"):
        read_source(folder, group_by="sample")


def test_the_sheets_own_columns_can_be_replaced_as_groups_on_the_published_kind_too(folder):
    assert read_source(folder, group_by="angle").images["condition"].nunique() == 3


def test_labels_that_are_not_used_may_be_incomplete_and_are_mentioned_when_none_is_named(tmp_path):
    folder = other_folder(tmp_path, [{**row, "remark": "1,5" if i else "2"} for i, row in enumerate(FOUR)])
    assert read_source(folder, ("material",)).images["remark"].tolist() == ["2", "1,5", "1,5", "1,5"]
    assert any("'remark' expected a number" in note for note in read_source(folder).notes)
    assert "'remark' expected a number, got row 3 '1,5'" in refusal(folder, ("remark",))


def test_copies_of_one_image_are_kept_in_one_condition(tmp_path):
    folder = other_folder(tmp_path, [{**row, "sample": f"s{i // 2}"} for i, row in enumerate(FOUR)])
    shutil.copy(folder / "0.tif", folder / "3.tif")
    source = read_source(folder)
    assert source.images["condition"].tolist() == [0, 1, 2, 0]
    assert any("identical files, kept in one condition: '0.tif' = '3.tif'" in note for note in source.notes)
    assert read_source(folder, group_by="sample").images["condition"].tolist() == [0, 0, 0, 0]


def zoomed(folder):
    """The first two images at a third of the pitch."""
    table = sheet(folder)
    table["DimX [μm]"] = table["DimX [μm]"].astype(float)
    table.loc[:1, "DimX [μm]"] /= 1.5
    save(table, folder)
    return table


def test_the_pixel_pitch_is_known_where_the_width_is(folder):
    table = zoomed(folder)
    source = read_source(folder)
    assert source.images["pixel_um"].tolist() == pytest.approx((table["DimX [μm]"] / 200).tolist())
    assert any("2 image(s) are not at 31.25 nm per pixel" in note for note in source.notes)


def test_images_of_another_pitch_can_be_left_out(folder):
    zoomed(folder)
    native, source = read_source(folder), read_source(folder, pixel_pitch="exclude")
    assert source.images["image_id"].tolist() == list(range(10))
    assert source.images["file"].tolist() == native.images["file"].tolist()[2:]
    assert np.array_equal(source.pixels(0), native.pixels(2))
    assert "2 image(s) are not at 31.25 nm per pixel and are left out" in source.notes


def test_images_can_be_resampled_to_one_pitch(folder):
    zoomed(folder)
    native, source = read_source(folder), read_source(folder, pixel_pitch="31.25")
    assert source.pixels(0).shape == (107, 133)
    assert source.pixels(0).mean() == pytest.approx(native.pixels(0).mean(), abs=1)
    assert np.array_equal(source.pixels(5), native.pixels(5))
    assert set(source.images["pixel_um"]) == {0.03125}
    assert len({native.fingerprint, source.fingerprint, read_source(folder, pixel_pitch="exclude").fingerprint}) == 3


def test_a_period_in_micrometres_survives_resampling(folder):
    path = read_source(folder).path(0)
    stripes = 128 + 100 * np.sin(2 * np.pi * np.arange(200) / 20)  # 20 px at 20.8 nm = 13.3 px at 31.25 nm
    Image.fromarray(np.tile(stripes, (160, 1)).astype(np.uint8)).save(path)
    zoomed(folder)
    line = read_source(folder, pixel_pitch="31.25").pixels(0)[50].astype(float)
    spectrum = np.abs(np.fft.rfft(line - line.mean(), 4000))
    assert 4000 / spectrum.argmax() == pytest.approx(20 / 1.5, rel=0.02)


@pytest.mark.parametrize(
    ("pitch", "words"),
    [
        ("fine", "must be native, exclude, or nm per pixel in 0.01..100000, got 'fine'"),
        ("-5", "got '-5'"),
        ("nan", "got 'nan'"),
        ("400", "would be 16x12 px at 400 nm per pixel"),
        ("0.05", "at 0.05 nm per pixel; choose another"),
    ],
)
def test_a_pitch_that_cannot_be_had_is_refused(folder, pitch, words):
    with pytest.raises(DataError) as caught:
        read_source(folder, pixel_pitch=pitch)
    assert words in str(caught.value)


def test_a_pitch_needs_the_width_of_every_image(tmp_path):
    folder = other_folder(tmp_path, [{**row, "DimX [nm]": 40} for row in FOUR])
    assert "pixel_um" not in read_source(folder).images
    with pytest.raises(DataError, match=r"--pixel-pitch exclude: the label table needs a column `DimX .um.`"):
        read_source(folder, pixel_pitch="exclude")


def test_a_worksheet_of_other_rows_is_another_data_set(folder):
    table = sheet(folder)
    rows = {"first": table, "again": table, "second": table[:-1]}
    with pd.ExcelWriter(folder / "all_images.xlsx") as writer:
        for name, content in rows.items():
            content.to_excel(writer, sheet_name=name, index=False)
    first, again, second = (read_source(folder, sheet=name).fingerprint for name in rows)
    assert first == again != second


def test_the_command_line_shows_what_was_read(tmp_path, capsys):
    folder = other_folder(tmp_path, [{**row, "material": "ab"[i % 2]} for i, row in enumerate(FOUR)])
    assert main(["--data", str(folder), "--labels", "material,power", "--group-by", "sample", "--verify"]) == 0
    shown = capsys.readouterr().out
    assert "images      4\nsizes       80x70 (4)\nconditions  1\n" in shown
    assert "  material  'a' (2), 'b' (2)\n  power     1.5 (4)\n" in shown
    assert "note: labels.csv: label 'power' has only one value, 1.5" in shown


def test_the_audit_is_one_flag_away(folder, capsys):
    assert main(["--data", str(folder), "--audit"]) == 0
    assert "12 unclear" in capsys.readouterr().out  # too small to measure


def test_the_real_images_are_complete(real_images):
    source = read_source(real_images, ("angle", "PP1", "NP", "EP1"))
    assert len(source.images) == 208
    assert source.images["PP1"].value_counts().to_dict() == {"V": 105, "H": 51, "D": 52}
    assert source.images["pixel_um"].round(6).value_counts().to_dict() == {0.03125: 196, 0.009375: 11, 0.046875: 1}
    assert source.verify() == ()
    assert [note for note in source.notes if "12 image(s) are not at 31.25" not in note] == []
