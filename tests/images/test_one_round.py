"""All that is wrong with a folder is told at once: names, decoding, colours, black images and the label table."""

import numpy as np
import pytest
from PIL import Image

from deepdlt.errors import DataError, listing
from deepdlt.images import read_source

OF_IMAGES = ["1.png: is in colour", "2.png: is blank", "3.png: cannot be decoded"]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(8):
        Image.fromarray(rng.integers(0, 255, (72, 80), np.uint8)).save(tmp_path / f"{i}.png")
    Image.fromarray(rng.integers(0, 255, (72, 80, 3), np.uint8)).save(tmp_path / "1.png")
    Image.fromarray(np.zeros((72, 80), np.uint8)).save(tmp_path / "2.png")
    (tmp_path / "3.png").write_bytes((tmp_path / "0.png").read_bytes()[:2000])
    return tmp_path


def write(folder, lines):
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")


def problems(folder, *labels):
    with pytest.raises(DataError) as refused:
        read_source(folder, labels)
    return str(refused.value)


def test_every_kind_of_problem_is_in_one_refusal(folder):
    rows = [f"{i}.png,{i}.5" for i in range(8)]
    rows[5] = "5.png,"
    rows[6] = "six.png,6.5"
    write(folder, ["file,power", *rows])
    text = problems(folder, "power", "materail")
    for expected in ["'six.png'", "row(s) 7", "unknown label 'materail'", *OF_IMAGES]:
        assert expected in text
    assert "4.png" not in text


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["file,power", '0.png,"1'], "an opening quote is not closed"),
        (["what,power", "0.png,1"], "no column of file names"),
        (["file,power,power", *(f"{i}.png,1,2" for i in range(8))], "two columns are called 'power'"),
    ],
)
def test_a_table_that_cannot_be_read_does_not_hide_the_images(folder, lines, fault):
    write(folder, lines)
    text = problems(folder)
    assert fault in text
    assert all(problem in text for problem in OF_IMAGES)


def test_a_problem_of_many_places_is_one_line():
    same = ["a.png: is blank", "table row 2: no", "b.png: is blank", "c.png: is blank", "d.png: is blank"]
    assert listing("5 problems", same).splitlines() == [
        "5 problems",
        "  a.png, b.png, c.png and 1 more: is blank",
        "  table row 2: no",
    ]
    assert listing("4", same[:4]).splitlines()[1:] == [f"  {line}" for line in same[:4]]


def test_a_single_fault_of_the_table_is_one_line(tmp_path):
    Image.effect_noise((64, 64), 80).save(tmp_path / "0.png")
    write(tmp_path, ["what,power", "0.png,1"])
    assert "\n" not in problems(tmp_path)


def test_sound_tables_are_read_without_decoding(folder):
    write(folder, ["file,power", *(f"{i}.png,{i}.5" for i in (0, 1, 2))])
    assert len(read_source(folder, ("power",)).images) == 3
