"""Names of folders from what people typed: ASCII, short, different, and still telling."""

import pytest

from deepdlt.folder_names import LONGEST, ascii_name
from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell

NAMES = {
    "angle": "angle",
    "PP1": "PP1",
    "EP 1 (uJ)": "EP-1-uJ",
    "Δτ [ps]": "Delta-tau-ps",
    "λ": "lambda",
    "Größe <b>": "Grosse-b",
    "Énergie": "Energie",
    "μ": "mu",
    "µ": "mu",
    "ς": "sigma",
    "a/b": "a-b",
    "../../etc": "etc",
    "功率": "u529f-u7387",
    "🔥": "u1f525",
    "קוטב": "u5e7-u5d5-u5d8-u5d1",
    "nan": "nan",
    "None": "None",
    "`x`|*y*&": "x-y",
}


@pytest.mark.parametrize(("text", "name"), NAMES.items())
def test_a_name_tells_what_was_typed(text, name):
    assert ascii_name(text) == name


@pytest.mark.parametrize("text", ["", ".", "..", "!!", "\u202a\u202c", "\ud800"])
def test_what_has_no_letters_has_a_name_of_its_own(text):
    name = ascii_name(text)
    assert name.isascii()
    assert name.startswith("x")
    assert name != ascii_name(text + "?")


def test_long_names_are_cut_and_still_differ():
    one, other = ("power " * 60 + end for end in ("A", "B"))
    names = ascii_name(one), ascii_name(other)
    assert all(len(name) <= LONGEST + 7 for name in names)
    assert names[0] != names[1]


def cell(label):
    return Cell("cv", Configuration.of(lr=1e-3), label, 2, 5, "data")


@pytest.mark.parametrize(
    "labels",
    [
        ("Δ", "δ"),
        ("Power", "power"),
        ("a/b", "a|b"),
        ("Größe", "Grosse"),
        (".", ".."),
        ("μ", "µ"),
        ("ä" * 300, "ä" * 299),
        ("功" * 300, "功" * 301),
    ],
)
def test_two_labels_never_share_a_folder_whatever_the_file_system_makes_of_capitals(labels):
    names = [cell(label).name() for label in labels]
    assert len({name.lower() for name in names}) == 2
    assert all(len(name.encode()) < 100 and name.startswith("cv-") and "--" not in name for name in names)


def test_a_fold_that_was_begun_under_a_former_name_keeps_it(tmp_path):
    begun = cell("Größe")
    assert begun.name_in(tmp_path) == begun.name() == f"cv-Grosse-f2-{begun.identity[:6]}"
    former = tmp_path / f"cv-Gr-e-f2-{begun.identity[:6]}"
    former.mkdir()
    assert begun.name_in(tmp_path) == former.name
    cell("ä" * 300).name_in(tmp_path)
    cell("x" * 300).name_in(tmp_path)
