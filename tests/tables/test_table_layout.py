"""Where a table stands in its file: separators, comments, titles, units, worksheets, and the parts of a workbook."""

import os
import unicodedata
import zipfile
from datetime import datetime

import openpyxl
import pytest

from deepdlt.command_line import label_list
from deepdlt.errors import DataError
from deepdlt.headings import as_heading, join_headings, split_headings
from deepdlt.images.file_names import find_files
from deepdlt.tables.columns import read_columns
from deepdlt.tables.sheet import read_sheet

ROWS = [["file", "material", "power"], ["a.png", "steel", "0.8"], ["b.png", "copper", "1.2"]]


def csv_sheet(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8", newline="")
    return read_sheet(tmp_path / "labels.csv")


def workbook(tmp_path, change=lambda book: None, rows=ROWS):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    change(book)
    book.save(tmp_path / "labels.xlsx")
    return tmp_path / "labels.xlsx"


def rewritten(path, change):
    """The parts of the workbook, changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in change(parts).items():
            archive.writestr(name, body)
    return path


def add_sheet(title, rows, state="visible"):
    def change(book):
        sheet = book.create_sheet(title)
        sheet.sheet_state = state
        for row in rows:
            sheet.append(row)

    return change


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("sep=;\r\nfile;x\r\na.png;1\r\n", ["file", "x"]),
        ("\ufeffSEP=;\nfile;x (a, b, c)\na.png;1\n", ["file", "x (a, b, c)"]),
        ("sep=|\nfile|x\na.png|1,5\n", ["file", "x"]),
        ('"sep=\t"\nfile\tx;y\na.png\t1\n', ["file", "x;y"]),
        ("sep=,\nfile;x\na.png;1\n", ["file", "x"]),  # the line is wrong
        (
            "file;position (x, y, z);power (W, mean)\na.png;1;2\nb.png;3;4\n",
            ["file", "position (x, y, z)", "power (W, mean)"],
        ),
        ("file;x;y\na.png;0,8;1,2\nb.png;0,9;1,3\n", ["file", "x", "y"]),
        ("file\tx, y; z\na.png\t1\n", ["file", "x, y; z"]),
        ("file|x\na.png|1\n", ["file", "x"]),
        ("file,a;b;c;d\na.png,1\n", ["file", "a;b;c;d"]),
        ("file,note\na.png,1;2;3;4\nb.png,5;6;7;8\n", ["file", "note"]),
    ],
)
def test_the_separator_is_the_one_that_divides_all_rows_alike(tmp_path, text, headings):
    table = csv_sheet(tmp_path, text)
    assert table.headings == headings
    assert table.problems == []
    assert table.rows[0][0] == "a.png"


@pytest.mark.parametrize(
    ("above", "first"),
    [
        ("# exported 2024-03-07\n# by x, y; z\n", 3),
        ("// exported\n", 2),
        ("; exported\n", 2),
        ('% 5" wide, "open\n\n', 3),
        ("sep=,\n# exported\n", 3),
        ("SEM overview\n\n", 3),
        ("Date,2024\nOperator,x\n", 3),
        ("Name,Smith\n", 2),
    ],
)
def test_what_stands_above_the_headings_is_skipped_and_mentioned(tmp_path, above, first):
    table = csv_sheet(tmp_path, above + "file,material,power\na.png,steel,0.8\nb.png,copper,1.2\n")
    assert table.headings == ["file", "material", "power"]
    assert table.row_numbers == [first + 1, first + 2]
    assert table.problems == []
    assert f"above the headings in row {first}: '{above.split(chr(10))[0].split(',')[0]}" in table.notes[0]


def test_headings_behind_a_comment_sign_are_headings(tmp_path):
    table = csv_sheet(tmp_path, "# made by a program\n# file,power\na.png,1\nb.png,2\n")
    assert table.headings == ["file", "power"]
    assert table.row_numbers == [3, 4]


@pytest.mark.parametrize("text", ["#,file,x\n1,a.png,2\n", ";file;x\n0;a.png;2\n"])
def test_a_first_column_that_only_counts_makes_no_comment(tmp_path, text):
    assert csv_sheet(tmp_path, text).headings[-2:] == ["file", "x"]


def test_a_title_and_units_of_a_workbook_are_skipped(tmp_path):
    rows = [["SEM overview"], [], ["file", "material", "power", "DimX"], [None, None, "W", "[nm]"], *ROWS[1:]]
    rows = [*rows[:4], ["a.png", "steel", 0.8, 40], ["b.png", "copper", 1.2, 40]]
    path = workbook(tmp_path, lambda book: book.active.merge_cells("A1:D1"), rows)
    table = read_sheet(path)
    assert table.headings == ["file", "material", "power", "DimX"]
    assert table.row_numbers == [5, 6]
    assert table.units == {"power": "W", "DimX": "nm"}
    assert table.problems == []
    assert "labels.xlsx: ignored row 1 above the headings in row 3: 'SEM overview'" in table.notes
    assert "labels.xlsx: row 4 has the units: power [W], DimX [nm]" in table.notes


@pytest.mark.parametrize("row", [",V,H", ",steel,1.0", "x,W,W"])
def test_a_row_that_may_be_an_image_is_no_row_of_units(tmp_path, row):
    table = csv_sheet(tmp_path, f"file,PP1,Pol\n{row}\na.png,D,H\nb.png,V,V\n")
    assert table.row_numbers == [2, 3, 4]


def test_rows_above_that_may_be_images_are_not_skipped(tmp_path):
    table = csv_sheet(tmp_path, "a.png,steel,1\nb.png,copper,2\nfile,material,power\nc.png,steel,3\n")
    assert table.problems == [
        f"{tmp_path / 'labels.csv'}: row 3 with 'file' may have the headings; delete the rows above it"
    ]


def test_a_word_in_the_table_is_no_heading(tmp_path):
    table = csv_sheet(tmp_path, "picture,kind,x\na.png,image,1\nb.png,image,2\nc.png,image,3\n")
    assert table.headings == ["picture", "kind", "x"]


def test_a_remark_beside_the_table_does_not_move_the_headings(tmp_path):
    rows = [["file", "kind"], ["a.png", "SEM", "blurred"], ["b.png", "image", "sharp"], ["c.png", "SEM", "sharp"]]
    table = read_sheet(workbook(tmp_path, rows=rows))
    assert (table.headings, table.problems) == (["file", "kind"], [])


def test_a_hidden_worksheet_is_no_table_unless_it_is_named(tmp_path):
    path = workbook(tmp_path, add_sheet("Lists", [["material"], ["steel"]], "hidden"))
    assert read_sheet(path).headings == ROWS[0]
    assert read_sheet(path, "Lists").headings == ["material"]
    path = workbook(tmp_path, add_sheet("Lists", [["file"], ["x.png"]], "veryHidden"))
    assert read_sheet(path).rows[0][0] == "a.png"


def test_the_only_worksheet_with_file_names_is_read_and_a_note_says_so(tmp_path):
    path = workbook(tmp_path, add_sheet("Legend", [["material", "meaning"], ["steel", "1.4301"]]))
    table = read_sheet(path)
    assert table.headings == ROWS[0]
    note = "labels.xlsx: read worksheet 'Sheet', the only one with a column of file names, not 'Legend'"
    assert note in table.notes


def test_two_worksheets_with_file_names_are_refused_until_one_is_named(tmp_path):
    path = workbook(tmp_path, add_sheet("older", ROWS))
    with pytest.raises(DataError, match=r"several worksheets with data \('Sheet', 'older'\); name one with --sheet"):
        read_sheet(path)
    assert read_sheet(path, "older").headings == ROWS[0]


def test_a_workbook_with_nothing_to_see_names_its_hidden_worksheet(tmp_path):
    def change(book):
        book.active.sheet_state = "hidden"
        book.create_sheet("empty")
        book.active = 1

    with pytest.raises(DataError, match=r"only hidden worksheets have the data \('Sheet'\); name one with --sheet"):
        read_sheet(workbook(tmp_path, change))


def test_a_page_of_words_before_a_hidden_table_is_no_table(tmp_path):
    def change(book):
        book.active.title = "Größe"
        book.active.sheet_state = "hidden"
        add_sheet("Readme", [["About this table"]])(book)
        book.active = 1

    path = workbook(tmp_path, change)
    with pytest.raises(DataError, match=r"only hidden worksheets have the data \('Größe'\); name one with --sheet"):
        read_sheet(path)
    assert read_sheet(path, unicodedata.normalize("NFD", "Größe")).headings == ROWS[0]


def test_line_ends_that_a_workbook_spells_out_are_line_ends(tmp_path):
    assert read_sheet(workbook(tmp_path, rows=[["file", "x"], ["a.png_x000D_", "b_x0041_"]])).rows == [
        ["a.png\r", "b_x0041_"]
    ]


def test_comments_below_the_headings_are_skipped_too(tmp_path):
    table = csv_sheet(tmp_path, "file,x\n# by hand from here on\na.png,1\nb.png,#2\n# end\n")
    assert (table.problems, table.row_numbers) == ([], [3, 4])
    assert table.texts("x") == ["1", "#2"]
    assert "labels.csv: ignored comment rows 2, 5" in table.notes


def test_strict_workbooks_are_read(tmp_path):
    usual, strict = b"http://schemas.openxmlformats.org/", b"http://purl.oclc.org/ooxml/"
    path = rewritten(
        workbook(tmp_path),
        lambda parts: {
            name: body.replace(usual + b"spreadsheetml/2006/", strict + b"spreadsheetml/").replace(
                usual + b"officeDocument/2006/", strict + b"officeDocument/"
            )
            for name, body in parts.items()
        },
    )
    with zipfile.ZipFile(path) as archive:
        assert strict in archive.read("xl/workbook.xml")
    assert read_sheet(path).rows == ROWS[1:]


@pytest.mark.parametrize("place", ["xl/media/image1.png", "xl/drawings/drawing1.xml", "docProps/thumbnail.jpeg"])
def test_pictures_in_a_workbook_are_not_read_and_do_not_count(tmp_path, place, monkeypatch):
    monkeypatch.setattr("deepdlt.tables.excel.MAX_BYTES", 1_000_000)
    monkeypatch.setattr("deepdlt.tables.sheet.MAX_BYTES", 1_000_000)
    path = rewritten(workbook(tmp_path), lambda parts: parts | {place: os.urandom(1_100_000)})
    assert read_sheet(path).rows == ROWS[1:]


def test_a_workbook_with_too_many_pictures_says_what_to_delete(tmp_path, monkeypatch):
    path = workbook(tmp_path)
    monkeypatch.setattr("deepdlt.tables.sheet.MAX_PACKED", 60_000_000)
    os.truncate(path, 60_000_001)
    with pytest.raises(DataError, match=r"60,000,001 bytes.*: delete the pictures in it, or save the table as \.csv"):
        read_sheet(path)


def test_merged_cells_of_the_table_are_a_problem_and_the_rest_is_read(tmp_path):
    rows = [*ROWS, ["c.png", None, "2"]]
    table = read_sheet(workbook(tmp_path, lambda book: book.active.merge_cells("B3:B4"), rows))
    assert table.problems == [f"{tmp_path / 'labels.xlsx'}: merged cells 'B3:B4'; unmerge them and fill every cell"]
    assert table.texts("material") == ["steel", "copper", "copper"]


def test_all_problems_of_a_table_are_told_at_once(tmp_path):
    table = csv_sheet(tmp_path, "picture,x,x\na.png,1,2\nb.png,1\nc.png,1,2,3\n")
    heading, files, problems = find_files(tmp_path, table)
    assert (heading, files) == ("", ["", "", ""])
    assert [
        word in "\n".join(problems) for word in ("row 3 has 2 fields", "row 4 has 4", "two columns", "no column of")
    ]
    assert len(problems) == 3


@pytest.mark.parametrize(
    ("heading", "typed"),
    [
        (unicodedata.normalize("NFD", "Größe"), "Größe"),
        ("Größe", unicodedata.normalize("NFD", "Größe")),
        ("power\u00a0 mean", "power mean"),
        ("material\n(Probe)", "material (Probe)"),
        ("\ufeffpower", "power"),
        ("µ-hardness", "μ-hardness"),
        ("∆τ [ps]", "Δτ"),
    ],
)
def test_a_heading_is_found_by_what_it_looks_like(tmp_path, heading, typed):
    table = csv_sheet(tmp_path, f'file,"{heading}"\na.png,1\nb.png,2\n')
    labels = label_list(typed)
    columns, problems, _ = read_columns(table, "file", labels)
    assert problems == []
    assert columns[labels[0]].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("angle, PP1", ("angle", "PP1")),
        ('"Leistung, W",material', ("Leistung, W", "material")),
        ('material, "Leistung, W"', ("material", "Leistung, W")),
        (r"Leistung\, W,material", ("Leistung, W", "material")),
        ('5" wafer,x', ('5" wafer', "x")),
        ("Pol  1", ("Pol 1",)),
    ],
)
def test_a_name_with_a_comma_is_typed_in_quotes(text, names):
    assert label_list(text) == names
    assert split_headings(join_headings(names)) == tuple(map(as_heading, names))


def test_a_comma_in_a_heading_that_was_typed_bare_is_explained(tmp_path):
    table = csv_sheet(tmp_path, 'file,"Leistung, W"\na.png,1\n')
    _, problems, _ = read_columns(table, "file", label_list("Leistung, W"))
    assert """(the name 'Leistung, W' has a comma: type it in quotes, as in --labels '"Leistung, W"')""" in problems[0]


def test_empty_and_repeated_names_are_refused():
    for text in ("", "a,,b", "a,a", "a,"):
        with pytest.raises(DataError, match="--labels must be distinct names separated by commas"):
            label_list(text)


@pytest.mark.parametrize(
    ("days", "problem"),
    [
        (["2024-05-01", "01.05.2024"], "'2024-05-01' and '01.05.2024'"),
        (["1.5.2024", "01.05.2024"], "'1.5.2024' and '01.05.2024'"),
        (["1/5/24", "1/5/2024"], "'1/5/24' and '1/5/2024'"),
        (["1.5.2024", "12.5.2024"], ""),
        (["2024-05-01", "2024-05-10 10:30:00"], ""),
        (["1-1-10", "1-1-1"], ""),
        (["v1.0.2", "1-2-3"], ""),
    ],
)
def test_one_day_written_in_several_ways_is_refused_as_a_label_or_group(tmp_path, days, problem):
    sheet = csv_sheet(tmp_path, "file,day\n" + "".join(f"{i}.png,{day}\n" for i, day in enumerate(days)))
    for asked in ({"labels": ("day",)}, {"labels": (), "group_by": ("day",)}):
        problems = read_columns(sheet, "file", **asked)[1]
        assert [problem in text and "dates in several ways" in text for text in problems] == [True] * bool(problem)


def test_a_workbook_gives_dates_as_it_shows_them(tmp_path):
    """A date column with a hidden time of day has one value a day."""
    times = [datetime(2024, 5, 1, 10, 30), datetime(2024, 5, 1, 11, 45)]
    path = workbook(tmp_path, rows=[["file", "day", "time"], *([f"{i}.png", t, t] for i, t in enumerate(times))])
    book = openpyxl.load_workbook(path)
    for row in (2, 3):
        book.active.cell(row, 2).number_format = 'dd/mm/yyyy "h"'
        book.active.cell(row, 3).number_format = "yyyy-mm-dd hh:mm"
    book.save(path)
    sheet = read_sheet(path)
    assert sheet.texts("day") == ["2024-05-01"] * 2
    assert sheet.texts("time") == ["2024-05-01 10:30:00", "2024-05-01 11:45:00"]
