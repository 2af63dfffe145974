"""Numbers as people write them: what is read, and what is refused with both of its readings."""

import csv
import io

import openpyxl
import pytest

from deepdlt.images.source import read_source
from deepdlt.tables.columns import read_column
from deepdlt.tables.sheet import read_sheet


def column(tmp_path, values, separator=",", heading="x"):
    """A column of a csv file."""
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([["file", heading], *(["a.png", value] for value in values)])
    (tmp_path / "labels.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    table = read_sheet(tmp_path / "labels.csv")
    return read_column(table, table.headings[1])


def stored(tmp_path, values):
    """A column of an xlsx file, with the values that a spreadsheet holds."""
    book = openpyxl.Workbook()
    for row in [["file", "x"], *(["a.png", value] for value in values)]:
        book.active.append(row)
    book.save(tmp_path / "labels.xlsx")
    return read_column(read_sheet(tmp_path / "labels.xlsx"), "x")


@pytest.mark.parametrize(
    ("values", "separator", "expected"),
    [
        (("1,2E-03", "8,0E-04"), ";", [0.0012, 0.0008]),
        (("1,2E-03", "8,0E-04"), ",", [0.0012, 0.0008]),
        (("1,5", "2,25", "3"), ";", [1.5, 2.25, 3]),
        (("1,5", "2,25", "3"), "\t", [1.5, 2.25, 3]),
        (("1,064", "0,532"), ";", [1.064, 0.532]),
        (("0.532", "1.064"), ";", [0.532, 1.064]),
        (("1.299,99", "1.000", "500"), ";", [1299.99, 1000, 500]),
        (("1,234.5", "1,000", "500"), ",", [1234.5, 1000, 500]),
        (("1 064", "532"), ",", [1064, 532]),
        (("1\u202f064", "10\u00a0000,5"), ";", [1064, 10000.5]),
        (("1'064", "532"), ",", [1064, 532]),
        (("1.2×10^-3", "2·10⁻³", "3e-3"), ",", [0.0012, 0.002, 0.003]),
    ],
)
def test_numbers_with_one_reading_are_read(tmp_path, values, separator, expected):
    found = column(tmp_path, values, separator)
    assert found.problems == []
    assert found.values.tolist() == pytest.approx(expected, rel=1e-12)
    if any(c in "".join(values) for c in ", '×\u202f"):
        assert "numbers are read in plain form: row 2" in found.notes[0]


@pytest.mark.parametrize(
    ("values", "expected", "unit"),
    [
        (("0,8 W", "2 W"), [0.8, 2], "W"),
        (("80 %", "100%"), [80, 100], "%"),
        (("5 µm", "10 μm"), [5, 10], "µm"),  # the micro sign and the letter mu
        (("1 064 nm", "532 nm"), [1064, 532], "nm"),
        (("0.1 J/cm²", "0.25 J/cm^2"), [0.1, 0.25], "J/cm²"),
        (("100 mm/s", "50 mm/s"), [100, 50], "mm/s"),
        (("-5 °C", "20 °C"), [-5, 20], "°C"),
        (("2.5A", "3A"), [2.5, 3], "A"),
        (("1 pulse", "10 Pulses"), [1, 10], "pulse"),
        (("5000x", "10000x"), [5000, 10000], "x"),
        (("2.50 K X", "10.00 K X"), [2.5, 10], "K X"),
        (("2,5·10^-3 J/cm²", "3 J/cm²"), [0.0025, 3], "J/cm²"),
    ],
)
def test_one_unit_in_every_cell_is_the_unit_of_the_column(tmp_path, values, expected, unit):
    found = column(tmp_path, values)
    assert found.values.tolist() == expected
    assert found.problems == []
    assert f"numbers are read without their unit {unit}: row 2" in found.notes[0]
    assert read_sheet(tmp_path / "labels.csv").units == {"x": unit}


@pytest.mark.parametrize(
    "values", [("316L", "304L"), ("1V", "2H", "3V"), ("1A", "2B"), ("3 May", "4 May"), ("1A", "2A")]
)
def test_a_code_that_ends_in_a_letter_is_no_number(tmp_path, values):
    found = column(tmp_path, values)
    assert found.values.tolist() == list(values)
    assert found.problems == []


@pytest.mark.parametrize(
    ("values", "heading", "words"),
    [
        (("5 µm", "800 nm"), "x", r"mixes units (row 2 '5 µm', row 3 '800 nm'); write all its values in one unit"),
        (("5 µm", "800"), "x", "mixes units (row 2 '5 µm', row 3 '800')"),
        (("800 mW", "900 mW"), "x [W]", "has the unit W in its heading and mW in row 2 '800 mW'; correct one"),
    ],
)
def test_units_that_differ_are_named(tmp_path, values, heading, words):
    (problem,) = column(tmp_path, values, heading=heading).problems
    assert words in problem


@pytest.mark.parametrize(("heading", "values"), [("x [um]", ("5 µm", "6 µm")), ("x [deg]", ("45°", "90°"))])
def test_two_ways_to_write_a_unit_are_one_unit(tmp_path, heading, values):
    assert column(tmp_path, values, heading=heading).problems == []


@pytest.mark.parametrize(
    ("values", "separator", "readings"),
    [
        (("500", "1.000", "2.500"), ";", ("row 3 '1.000' beside '500' in row 2 is 1000", "or 1.0 if")),
        (
            ("500", "1.000", "2.500"),
            ",",
            ("1000 if the point separates thousands", "1.0 if it is a decimal point"),
        ),
        (("2", "1.064"), ",", ("is 1064 if", "or 1.0640 if")),
        (
            ("500", "1,000", "2,500"),
            ",",
            ("1000 if the comma separates thousands", "1.0 if it is a decimal comma"),
        ),
        (("1,000", "2,500"), ";", ("row 2 '1,000' is 1000", "or 1.0 if")),
        (("1.000", "500,5"), ";", ("row 2 '1.000' is 1000 if the point", "or 1.0 if")),
        (("1,000", "500.5"), ",", ("row 2 '1,000' is 1000 if the comma", "or 1.0 if")),
        (("500 pulses", "1.000 pulses"), ";", ("is 1000 if", "or 1.0 if")),
    ],
)
def test_three_digits_behind_a_mark_are_refused_with_both_readings(tmp_path, values, separator, readings):
    found = column(tmp_path, values, separator)
    (problem,) = found.problems
    assert "is ambiguous" in problem
    assert all(reading in problem for reading in readings)
    assert found.values.dtype == "str"


@pytest.mark.parametrize("value", ["1000", "1.0"])
def test_either_of_the_two_readings_is_accepted(tmp_path, value):
    found = column(tmp_path, ["500", value], ";")
    assert found.problems == []
    assert found.values.tolist() == [500, float(value)]


@pytest.mark.parametrize("value", ["1.000.000", "1,000,000"])
def test_several_marks_in_a_number_can_only_be_thousands(tmp_path, value):
    (problem,) = column(tmp_path, ["500", value]).problems
    assert f"got row 3 '{value}'; write 1000000" in problem


def test_decimals_of_a_spreadsheet_are_known_to_be_decimals(tmp_path):
    assert stored(tmp_path, [1, 1.125, 2]).values.tolist() == [1, 1.125, 2]
    (problem,) = stored(tmp_path, [500, "1.000"]).problems
    assert "is ambiguous" in problem


def test_decimals_in_a_table_with_semicolons_may_be_thousands_and_a_note_says_how_they_are_read(tmp_path):
    found = column(tmp_path, ["1.064", "2.128"], ";")
    assert found.values.tolist() == [1.064, 2.128]
    assert "row 2 '1.064' is read as 1.064, not as 1064" in found.notes[0]
    assert column(tmp_path, ["1.064", "2.128"]).notes == []


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_a_computed_number_is_the_number_that_is_shown(tmp_path, kind):
    values = [0.3, 0.1 * 3, 0.6, 0.1 * 6, 0.7, 0.1 * 7, 3, 2.9999999999999996]
    found = stored(tmp_path, values) if kind == "xlsx" else column(tmp_path, [repr(value) for value in values])
    assert sorted(found.values.unique().tolist()) == [0.3, 0.6, 0.7, 3]


def test_a_computed_number_among_words_is_the_class_that_is_shown(tmp_path):
    assert column(tmp_path, ["0.30000000000000004", "0.3", "none"]).values.nunique() == 2


def test_whole_numbers_keep_all_their_digits(tmp_path):
    assert column(tmp_path, ["1234567890123", "1234567890124", "0.5"]).values.nunique() == 3


def test_a_group_is_not_divided_by_the_last_bits_of_a_number(tmp_path, image_folder):
    for i, name in enumerate(sorted(p for p in image_folder.rglob("*.png"))[:4]):
        (tmp_path / f"{i}.png").write_bytes(name.read_bytes())
    (tmp_path / "labels.csv").write_text(
        "file,fluence\n0.png,0.3\n1.png,0.30000000000000004\n2.png,0.6\n3.png,0.6000000000000001\n"
    )
    assert read_source(tmp_path, ("fluence",), group_by="fluence").images["condition"].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "word",
    ["#DIV/0!", "#N/A", "#NV", "#WERT!", "#BEZUG!", "#ZAHL!", "#NAME?", "#VALEUR!", "#¡VALOR!", "#¿NOMBRE?", "#N/D",
     "#SPILL!", "#ÜBERLAUF!", "#NULL!", "#GETTING_DATA", "Err:502", "#ССЫЛКА!"],
)  # fmt: skip
def test_the_error_word_of_a_spreadsheet_is_refused_in_a_csv_as_well(tmp_path, word):
    (problem,) = column(tmp_path, ["1", word, "2"]).problems
    assert problem == f"labels.csv B3: the formula gives {word}; correct it"


def test_a_cell_of_hashes_was_too_narrow(tmp_path):
    assert "B2: the cell shows ####" in column(tmp_path, ["####", "1"]).problems[0]


@pytest.mark.parametrize("word", ["#1", "#A", "# 3", "no!", "#Probe"])
def test_other_words_with_a_hash_are_words(tmp_path, word):
    assert column(tmp_path, [word, "b"]).values.tolist() == [word, "b"]


def test_a_word_among_many_numbers_with_a_unit_is_a_mistake(tmp_path):
    (problem,) = column(tmp_path, [*(f"{i},5 W" for i in range(12)), "none"], ";").problems
    assert "expected a number, got row 14 'none'" in problem
