"""Reading tables: what each cell becomes, in csv and in xlsx alike."""

import datetime
import zipfile

import numpy as np
import openpyxl
import pytest

from deepdlt.errors import DataError, hint
from deepdlt.tables.columns import read_column
from deepdlt.tables.sheet import find_sheet, read_sheet


def csv_sheet(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8", newline="")
    return read_sheet(tmp_path / "labels.csv")


def xlsx_sheet(tmp_path, rows, worksheet=None):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.create_sheet("notes")
    book.save(tmp_path / "labels.xlsx")
    return read_sheet(tmp_path / "labels.xlsx", worksheet)


def column(tmp_path, *values):
    return read_column(csv_sheet(tmp_path, "\n".join(["file,x", *(f'a,"{v}"' for v in values)])), "x")


@pytest.mark.parametrize(
    ("values", "expected", "dtype"),
    [
        (("1", "-2", "+3"), [1, -2, 3], "int64"),
        (("1", "2.5", ".5", "1e3"), [1, 2.5, 0.5, 1000], "float64"),
        ((" 1 ", "2"), [1, 2], "int64"),
        (("9007199254740992",), [9007199254740992], "int64"),
        (("0", "V", "H"), ["0", "V", "H"], "str"),
        (("NA", "None", "null", "nan"), ["NA", "None", "null", "nan"], "str"),
        (("007", "12"), ["007", "12"], "str"),
        (("9007199254740993", "1"), ["9007199254740993", "1"], "str"),
        (("-", "n/a"), ["-", "n/a"], "str"),
        (("TRUE", "true"), ["True", "True"], "str"),
        (("2024-01-02", "2024-01-03"), ["2024-01-02", "2024-01-03"], "str"),
        (("５", "6"), ["５", "6"], "str"),  # a digit of another script is a sign, not a number
    ],
)
def test_a_column_has_the_type_of_all_its_cells(tmp_path, values, expected, dtype):
    found = column(tmp_path, *values)
    assert found.values.tolist() == expected
    assert found.values.dtype == dtype
    assert found.problems == []


def test_a_blank_cell_is_missing_and_named_and_does_not_change_the_others(tmp_path):
    found = column(tmp_path, "1", " ", "3")
    assert found.problems == ["labels.csv: column 'x' has no value in row(s) 3; fill them in"]
    assert np.array_equal(found.values, [1, np.nan, 3], equal_nan=True)
    assert column(tmp_path, "a", "", "b").values.isna().tolist() == [False, True, False]


@pytest.mark.parametrize("bad", ["1,5", "1.234,5", "1e400", "-inf", "NaN", "-", "−5", "?"])
def test_almost_numbers_are_refused_among_numbers(tmp_path, bad):
    (problem,) = column(tmp_path, "1", "2", bad).problems
    assert problem.startswith(f"labels.csv: 'x' expected a number, got row 4 {bad!r}")


def test_a_column_of_decimal_commas_is_refused_as_a_whole(tmp_path):
    (problem,) = column(tmp_path, "1,5", "2,5").problems
    assert "row 2 '1,5', row 3 '2,5'; decimals need a point" in problem


def test_a_word_is_a_class_among_few_numbers_and_a_mistake_among_many(tmp_path):
    few = column(tmp_path, "1", "2", "one")
    assert few.problems == []
    assert "mixes numbers and words; all its values are read as text: '1', '2', 'one'" in few.notes[0]
    many = column(tmp_path, *map(str, range(9)), "one")
    assert "expected a number, got row 11 'one'" in many.problems[0]


def test_zero_among_letters_is_how_the_published_sheet_says_none(tmp_path):
    assert column(tmp_path, "0", "V").notes == []


def test_spreadsheet_cells_become_what_a_csv_would_have(tmp_path):
    rows = [
        ["file", "whole", "float", "text", "date", "flag", "code"],
        ["a", 10.0, 0.1, "7", datetime.datetime(2024, 1, 2), True, "007"],
        ["b", 20, 2.5, "8", datetime.datetime(2024, 1, 3, 4, 5), False, "008"],
    ]
    sheet = xlsx_sheet(tmp_path, rows)
    assert sheet.rows[0] == ["a", "10", "0.1", "7", "2024-01-02", "True", "007"]
    assert sheet.rows[1][4] == "2024-01-03 04:05:00"
    assert read_column(sheet, "whole").values.dtype == "int64"
    assert read_column(sheet, "float").values.tolist() == [0.1, 2.5]
    assert read_column(sheet, "code").values.tolist() == ["007", "008"]


def test_a_worksheet_can_be_named_and_a_wrong_name_lists_them(tmp_path):
    rows = [["file", "x"], ["a", 1]]
    assert xlsx_sheet(tmp_path, rows, "Sheet").rows == [["a", "1"]]
    with pytest.raises(DataError, match=r"no worksheet 'Shet' \(did you mean 'Sheet'\?\); it has 'Sheet', 'notes'"):
        xlsx_sheet(tmp_path, rows, "Shet")


@pytest.mark.parametrize("claim", [b"A1:A1", b"A1:XFD1048576"])
def test_what_a_workbook_claims_about_its_size_is_not_believed(tmp_path, claim):
    path = xlsx_sheet(tmp_path, [["file", "x"], ["a", 1]]).path
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in parts.items():
            archive.writestr(name, body.replace(b'<dimension ref="A1:B2"', b'<dimension ref="%b"' % claim))
    assert read_sheet(path).rows == [["a", "1"]]


def test_cells_far_below_the_table_are_refused(tmp_path):
    sheet = xlsx_sheet(tmp_path, [["file", "x"], ["a", 1]])
    assert sheet.row_numbers == [2]
    book = openpyxl.load_workbook(sheet.path)
    book.active["B60001"] = 1
    book.save(sheet.path)
    with pytest.raises(DataError, match="more than 50,000 rows"):
        read_sheet(sheet.path)


def test_units_in_brackets_leave_the_heading(tmp_path):
    sheet = csv_sheet(tmp_path, "file,EP1 [μJ],NP\na,1,2\n")
    assert sheet.headings == ["file", "EP1", "NP"]
    assert sheet.units == {"EP1": "μJ"}


def test_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path):
    sheet = csv_sheet(tmp_path, 'file,x\na,1\n\n"b",2\n,\nc,3\n\n')
    assert sheet.row_numbers == [2, 4, 6]
    assert "labels.csv: skipped blank rows 3, 5" in sheet.notes


def test_a_column_without_a_heading_is_left_out_and_mentioned(tmp_path):
    sheet = csv_sheet(tmp_path, ",file,x\n0,a,1\n1,b,2\n")
    assert sheet.headings == ["file", "x"]
    assert sheet.rows[1] == ["b", "2"]
    assert "column(s) 1 have no heading and are ignored" in sheet.notes[0]


def test_separators_inside_quotes_do_not_count(tmp_path):
    sheet = csv_sheet(tmp_path, 'file;"x, y, z";w\na;1;2\n')
    assert sheet.headings == ["file", "x, y, z", "w"]


def test_lock_files_and_hidden_files_are_no_sheets(tmp_path):
    for name in ("labels.csv", "~$labels.xlsx", "._labels.csv"):
        (tmp_path / name).touch()
    assert find_sheet(tmp_path).name == "labels.csv"


def test_a_hint_is_given_for_what_is_near_and_only_then():
    assert hint("angel", ["angle", "NP"]) == " (did you mean 'angle'?)"
    assert hint("colour", ["angle", "NP"]) == ""


def test_a_worksheet_of_a_file_without_worksheets_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("file,power\na.png,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a \.csv file has no worksheets; leave --sheet 'Data' out"):
        read_sheet(tmp_path / "labels.csv", "Data")
