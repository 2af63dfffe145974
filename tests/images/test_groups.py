"""What is measured or noted afterwards makes no conditions; what was set does, and replicates are told."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepdlt.dataset import mean_leakage, replicate_note, replicate_numbers, stratified_folds
from deepdlt.dataset.leakage import leakage
from deepdlt.errors import DataError
from deepdlt.images import read_source
from deepdlt.images.groups import condition_columns, named_columns, replicate_columns

CONDITIONS, REPLICATES = 6, 4
N = CONDITIONS * REPLICATES
SET = {  # a column of each kind that the published label table has
    "angle [deg]": [f"{8.5 + i // REPLICATES % 3}" for i in range(N)],
    "PP1": ["HV"[i // (3 * REPLICATES)] for i in range(N)],
    "NP": ["50"] * N,
    "EP1 [uJ]": ["46"] * N,
}
ADDED = {
    "regularity": [f"0.{100 + i}" for i in range(N)],
    "measured on": [f"2023-05-{1 + i:02d}" for i in range(N)],
    "Ra [nm]": [str(i * i) for i in range(N)],
    "operator": [["Ann", "Bo"][i % 2] for i in range(N)],
    "comment": [f"no {i}" for i in range(N)],
}


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(N):
        Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8)).save(tmp_path / f"{i:02d}.png")
    return tmp_path


def write(folder, columns, names="Names"):
    table = {names: [f"{i:02d}.png" for i in range(N)], **columns}
    lines = [",".join(table), *(",".join(row) for row in zip(*table.values(), strict=True))]
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize("added", [*([name] for name in ADDED), list(ADDED)])
def test_an_added_column_leaves_the_conditions_as_they_were_and_is_named(images, added):
    write(images, SET)
    before = read_source(images)
    assert before.images["condition"].nunique() == CONDITIONS
    assert not [note for note in before.notes if "condition" in note]
    write(images, {**SET, **{name: ADDED[name] for name in added}})
    after = read_source(images)
    assert after.images["condition"].tolist() == before.images["condition"].tolist()
    assert after.grouped_by == ("angle", "PP1", "NP", "EP1")
    [note] = [note for note in after.notes if "conditions" in note]
    assert all(repr(name.split(" [")[0]) in note for name in added)


def test_the_remedy_that_the_note_names_divides_by_every_column(images):
    write(images, {**SET, "operator": ADDED["operator"]})
    [note] = [note for note in read_source(images).notes if "--group-by" in note]
    named = note.partition("--group-by ")[2].strip("'")
    source = read_source(images, group_by=named)
    assert source.grouped_by == ("angle", "PP1", "NP", "EP1", "operator")
    assert source.images["condition"].nunique() == 2 * CONDITIONS
    assert not [note for note in source.notes if "--group-by" in note]


@pytest.mark.parametrize(
    "names",
    [
        ["Names", "ANGLE", "angle", "PP1", "NP", "EP1", "Spot Size", "pol_1", "∆τ", "wavelength", "roughness"],
        ["file", "Angle", "pp1", "np", "ep1", "Wavelength", "Spot-size", "Pol-1", "roughness"],
        ["names", "angle (°)", "PP 1 (ps)", "NP", "EP_1 (µJ)", "Delta tau (ps)", "Ra (nm)"],
    ],
)
def test_process_columns_are_known_however_they_are_spelled(names):
    images = pd.DataFrame({name: [1] for name in names})
    assert condition_columns(images, ()) == (*names[1:-1],)


def test_whoever_named_the_groups_is_not_told_to_name_others(images):
    """Two samples of each condition, told apart by a column: no other groups are proposed."""
    write(images, {**SET, "sample": [str(i // 2) for i in range(N)]})
    source = read_source(images, ("angle",), group_by="angle,PP1,NP,EP1,sample")
    table = pd.DataFrame({"image_id": np.arange(N), "x": 0, "y": 0})
    replicates, columns = replicate_numbers(source.images, "angle")
    folds = stratified_folds(source.images, np.arange(N), "angle", 3)
    mean = mean_leakage([leakage(table, split, 64, source.images, replicates) for split in folds])
    [note] = replicate_note(mean, columns, source.grouped_by)
    assert "--group-by" not in note
    assert note.startswith(f"{mean.replicate_share:.0%} of the test crops")
    assert "sample" in note


@pytest.mark.parametrize(
    ("text", "headings", "columns"),
    [
        (None, ["a"], ()),
        ("a", ["a", "b"], ("a",)),
        ("a, b", ["a", "b"], ("a", "b")),
        ("a,a", ["a"], ("a",)),
        ("power, W", ["power, W"], ("power, W",)),
    ],
)
def test_group_by_takes_one_heading_or_several(text, headings, columns):
    assert named_columns(text, headings) == columns


def test_an_unknown_column_among_several_is_named(images):
    write(images, SET)
    with pytest.raises(DataError, match=r"unknown column 'powr'"):
        read_source(images, group_by="angle,powr")


def test_replicates_on_both_sides_of_a_split_are_told_with_a_remedy_that_works(images):
    """A table of no known kind: each image is its own group, until the note's remedy is typed."""
    material = [["steel", "gold"][i % 2] for i in range(N)]
    power = [str(1 + i // 2 % 4) for i in range(N)]
    rare = ["bad focus" if i == 3 else "" for i in range(N)]  # --group-by takes no column with gaps
    write(images, {"material": material, "power [W]": power, "remark": ADDED["comment"], "note": rare}, names="file")
    shares, notes = [], [None]
    for _ in range(2):
        source = read_source(images, ("material",), group_by=notes[-1])
        table = pd.DataFrame({"image_id": np.arange(N), "x": 0, "y": 0})
        replicates, columns = replicate_numbers(source.images, "material")
        assert columns == ("material", "power")
        folds = stratified_folds(source.images, np.arange(N), "material", 3)
        mean = mean_leakage([leakage(table, split, 64, source.images, replicates) for split in folds])
        shares.append(mean.replicate_share)
        assert mean.condition_share == 0
        [note] = replicate_note(mean, columns) or [""]
        notes.append(note.partition("--group-by ")[2])
    assert shares[0] > 0.5
    assert shares[1] == 0
    assert notes == [None, "material,power", ""]


def test_a_table_with_one_label_says_nothing_of_replicates(images):
    write(images, {"material": [["steel", "gold"][i % 2] for i in range(N)], "remark": ADDED["comment"]}, names="file")
    source = read_source(images, ("material",))
    assert replicate_columns(source.images) == ("material",)
    assert replicate_numbers(source.images, "material") == (None, ())


def test_added_columns_leave_the_published_conditions(real_images):
    source = read_source(real_images)
    assert source.images["condition"].nunique() == 174
    assert len(source.grouped_by) == 11
    more = source.images.assign(regularity=np.arange(len(source.images)))
    assert condition_columns(more, ()) == source.grouped_by
