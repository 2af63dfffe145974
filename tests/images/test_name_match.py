"""File names that are no path as they stand: completed where one image fits, else refused with the files meant."""

import openpyxl
import pytest

from deepdlt.images.file_names import find_files, named_twice
from deepdlt.tables.sheet import read_sheet


@pytest.fixture
def folder(tmp_path):
    """An image folder; matching looks at names only."""
    return tmp_path


def images(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def table(folder, text):
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return read_sheet(folder / "labels.csv")


def found(folder, *names, heading="file"):
    """(paths, problems, notes) of a column of file names."""
    sheet = table(folder, "\n".join([f"{heading};x", *(f"{name};{i}" for i, name in enumerate(names))]))
    _, files, problems = find_files(folder, sheet)
    return files, problems, [note for note in sheet.notes if "separated" not in note]


@pytest.mark.parametrize("heading", ["file", "Names"])
def test_a_missing_ending_is_added_where_one_file_fits(folder, heading):
    images(folder, "A1_00.tif", "A1_01.TIF", "s/b.v2.png")
    files, problems, notes = found(folder, "A1_00", "A1_01", "s/b.v2", heading=heading)
    assert (files, problems) == (["A1_00.tif", "A1_01.TIF", "s/b.v2.png"], [])
    assert notes == ["labels.csv: 3 file name(s) lack their ending: row 2 'A1_00' is 'A1_00.tif', …"]


def test_two_files_of_one_name_are_both_named(folder):
    images(folder, "a.tif", "a.png", "b.png")
    files, (problem,), _ = found(folder, "a", "b.png")
    assert files == ["", "b.png"]
    assert problem.startswith("labels.csv row 2: no such image: 'a'; it may be 'a.png', 'a.tif': write the whole name")


def test_the_special_rule_of_the_published_table_names_no_file_that_nobody_wrote(folder):
    images(folder, "a/1-1.png", "A.png", "A1_04.png")
    files, problems, _ = found(folder, "a/1-1.bmp", "A1_03", "b/1-2.bmp", heading="Names")
    assert files == ["a/1-1.png", "", ""]
    assert problems[0].startswith("labels.csv row 3: no such image: 'A1_03' (did you mean 'A1_04'?)")
    assert "row 4: no such image: 'b/1-2.bmp', nor with the ending .png" in problems[1]


@pytest.mark.parametrize("disk", ["{}.png", "{:03d}.tif"])
def test_numbers_are_names_of_numbered_files(folder, disk):
    expected = [disk.format(i) for i in (1, 2, 10)]
    images(folder, *expected)
    book = openpyxl.Workbook()
    for row in [["image", "x"], [1, 0], [2.0, 0], ["10.0", 0]]:
        book.active.append(row)
    book.save(folder / "labels.xlsx")
    _, files, problems = find_files(folder, read_sheet(folder / "labels.xlsx"))
    assert (files, problems) == (expected, [])


def test_a_number_that_fits_two_files_is_refused(folder):
    images(folder, "01.png", "001.png")
    _, (problem,), _ = found(folder, "1")
    assert "no such image: '1'; it may be '001.png', '01.png'" in problem


def test_a_missing_folder_is_added_where_the_name_is_unique(folder):
    images(folder, "series A/img_00.png", "series B/img_01.png")
    files, problems, notes = found(folder, "img_00.png", "img_01")
    assert (files, problems) == (["series A/img_00.png", "series B/img_01.png"], [])
    assert notes[0] == "labels.csv: 1 file name(s) lack their folder: row 2 'img_00.png' is 'series A/img_00.png'"
    assert "lack their folder and ending: row 3 'img_01' is 'series B/img_01.png'" in notes[1]


def test_a_name_in_two_folders_is_refused_with_both_paths(folder):
    images(folder, "a/0.png", "b/0.png", "c/1.png")
    files, (problem,), _ = found(folder, "0.png", "1.png")
    assert files == ["", "c/1.png"]
    assert "no such image: '0.png'; it may be 'a/0.png', 'b/0.png': write the path from the folder, in one" in problem


def test_a_column_of_files_with_another_heading_is_to_be_renamed(folder):
    images(folder, "a.png", "b.png")
    assert (
        "no column of file names (rename 'Bild'); call it one of" in found(folder, "a.png", "b", heading="Bild")[1][0]
    )


def test_another_folder_than_the_typed_one_is_only_a_hint(folder):
    images(folder, "new/a.png")
    _, (problem,), _ = found(folder, "old/a.png")
    assert "no such image: 'old/a.png' (there is 'new/a.png'); add it or delete the row" in problem


def test_a_path_of_another_computer_names_the_file_here(folder):
    images(folder, "a.png", "s/b.png")
    files, problems, _ = found(folder, '"""a.png"""', '"""C:\\SEM\\b.png"""', "/home/x/c.png")
    assert files == ["a.png", "", ""]
    assert r"row 3: 'C:\\SEM\\b.png' is outside the image folder" in problems[0]
    assert problems[0].endswith("(there is 's/b.png')")
    assert problems[1].endswith("give its path from there")


def test_a_wrong_ending_is_hinted_at(folder):
    images(folder, "a.tif")
    assert "no such image: 'a.png' (there is 'a.tif')" in found(folder, "a.png")[1][0]


def test_a_file_that_another_row_names_is_not_guessed(folder):
    images(folder, "s/a.png")
    files, (problem,), _ = found(folder, "s/a.png", "a.png")
    assert files == ["s/a.png", ""]
    assert "row 3: no such image: 'a.png'" in problem


def test_two_names_for_one_file_are_listed_twice(folder):
    images(folder, "1.png")
    files, problems, _ = found(folder, "1", "1.0")
    assert problems == []
    assert "rows 2, 3: '1.png' is listed twice" in named_twice(folder, read_sheet(folder / "labels.csv"), files)[0]


@pytest.mark.parametrize("heading", ["folder", "Series", "path", "material"])
def test_a_folder_in_a_column_of_its_own_is_joined(folder, heading):
    images(folder, "steel/00.png", "steel/01.png", "copper/00.png")
    sheet = table(folder, f"{heading},file,power\nsteel,00.png,1\nsteel/,01,2\n.\\copper,00.png,3\n")
    assert find_files(folder, sheet) == ("file", ["steel/00.png", "steel/01.png", "copper/00.png"], [])
    assert sheet.notes == [f"labels.csv: paths are made of the columns '{heading}' and 'file': row 2 is 'steel/00.png'"]


def test_two_columns_of_folders_are_joined(folder):
    images(folder, "may/A/0.png", "may/B/0.png", "june/A/0.png")
    sheet = table(folder, "series,month,file\nA,may,0.png\nB,may,0.png\nA,june,0.png\n")
    assert find_files(folder, sheet)[1] == ["may/A/0.png", "may/B/0.png", "june/A/0.png"]
    assert "columns 'month' and 'series' and 'file'" in sheet.notes[0]


def test_a_wrong_row_of_a_joined_table_is_named_with_its_columns(folder):
    images(folder, "steel/00.png", "steel/01.png", "copper/00.png")
    sheet = table(folder, "folder,file\nsteel,00.png\nsteel,01.png\ncopper,00.png\ncopper,07.png\n")
    _, files, (problem,) = find_files(folder, sheet)
    assert files == ["steel/00.png", "steel/01.png", "copper/00.png", ""]
    assert "row 5: no such image: 'copper/07.png', of the columns 'folder' and 'file'; correct the row" in problem


def test_a_file_in_another_folder_than_its_column_says_is_not_guessed(folder):
    images(folder, "steel/0.png", "copper/1.png", "copper/2.png")
    sheet = table(folder, "folder,file\ncopper,0.png\nsteel,1.png\nsteel,2.png\n")
    _, files, problems = find_files(folder, sheet)
    assert files == ["", "", ""]
    assert "row 2: no such image: '0.png' (there is 'steel/0.png')" in problems[0]


def test_characters_that_nobody_sees_are_left_out_and_the_files_are_found(folder):
    images(folder, "a.png", "b.png", "c.png", "d e.png", "f\u202fg.png")
    names = ["\u202aa.png", "b.png\u200b", "c.png\u00a0", "d\u00a0e.png", "f g.png"]
    files, problems, notes = found(folder, *names)
    assert (files, problems) == (["a.png", "b.png", "c.png", "d e.png", "f\u202fg.png"], [])
    assert "left out invisible characters (U+00A0, U+200B, U+202A) in rows 2, 3, 4" in notes[0]
    assert "2 file name(s) have another kind of space" in notes[1]


def test_a_name_as_it_is_on_disk_needs_no_match(folder):
    images(folder, "f\u202fg.png")
    assert found(folder, "f\u202fg.png")[:2] == (["f\u202fg.png"], [])


def test_a_file_with_an_invisible_character_is_to_be_renamed_and_a_bad_cell_to_be_retyped(folder):
    images(folder, "a\u200b.png", "b.png")
    _, problems, _ = found(folder, "a.png", '"b\n.png"')
    assert r"(there is 'a\u200b.png', with an invisible character: rename the file)" in problems[0]
    assert r"'b\n.png' has a control character; retype the cell" in problems[1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("file,a.png,b.png\npower,1,2\nmaterial,steel,gold\n", "'a.png', 'b.png' stand side by side"),
        ("sample,a,b\npower,1,2\n", "'a', 'b' stand side by side"),
        ("a.png,0.8\nb.png,1.2\n", "the first row names the image 'a.png'; write the headings into a row"),
    ],
)
def test_images_in_the_row_of_headings_are_one_problem_with_its_remedy(folder, text, problem):
    images(folder, "a.png", "b.png")
    heading, _, problems = find_files(folder, table(folder, text))
    assert heading == ""
    [found_problem] = problems
    assert problem in found_problem


def test_a_path_has_one_spelling(folder):
    """What makes a sweep the same one is the file, not a dot before it."""
    images(folder, "a.png", "s/b.png")
    assert found(folder, "./a.png", "s//b.png") == (["a.png", "s/b.png"], [], [])


def test_a_path_of_windows_is_the_path_it_is_elsewhere(folder):
    images(folder, "s/b.png", "s/c.png")
    files, problems, _ = found(folder, "s\\b.png", ".\\s\\c.png", "s\\d.png")
    assert files == ["s/b.png", "s/c.png", ""]
    assert "no such image: 's\\\\d.png'" in problems[0]
