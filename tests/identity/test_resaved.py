"""The identity of images is their content: rows, labels in use, pixels. Bytes of the label table do not count."""

import json
from dataclasses import replace

import numpy as np
import openpyxl
import pytest
from calling import parse
from PIL import Image

from sweeps.errors import SweepRefused
from sweeps.identity import data_changes, make_sweep_file
from sweeps.identity.data import load
from sweeps.request import make_request
from sweeps.store.sweep_file import check_sweep, open_sweep, read_sweep

N = 12
HEAD = ("file", "material", "power [W]", "remark")


def rows():
    return [[f"{i:02d}.png", ["steel", "gold"][i % 2], [0.8, 1.2, 2][i % 3], f"no {i}"] for i in range(N)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(N):
        Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8)).save(tmp_path / "images" / f"{i:02d}.png")
    write_csv(tmp_path / "images", rows())
    return tmp_path / "images"


def write_csv(folder, table, separator=",", end="\n"):
    lines = [separator.join(map(str, row)) for row in [HEAD, *table]]
    (folder / "labels.csv").write_bytes(end.join([*lines, ""]).encode())


def write_xlsx(folder, table):
    book = openpyxl.Workbook()
    for row in [HEAD, *table]:
        book.active.append(row)
    book.save(folder / "labels.xlsx")
    (folder / "labels.csv").unlink()


def described(folder, *options):
    """(sweep.json, crops) of a command."""
    cv = ("--cv", "--labels", "material,power", "--folds", "2")
    request = make_request(parse(["--space", "smoke", "--data", str(folder), *(options or cv)]))
    data = load(folder, request)
    return make_sweep_file(request, data, ""), data.patches


def corrected(table):
    table[3][3] = "a typo corrected"
    return table


@pytest.mark.parametrize(
    "save",
    [
        lambda folder: write_csv(folder, rows(), end="\r\n"),
        lambda folder: write_csv(folder, rows(), separator=";"),
        lambda folder: write_csv(folder, corrected(rows())),
        lambda folder: write_csv(folder, [[*row[:2], f"{row[2]:.3f}", row[3]] for row in rows()]),
        lambda folder: write_xlsx(folder, rows()),
    ],
    ids=["line ends", "separator", "unused column", "zeros at the end", "a workbook"],
)
def test_a_table_saved_again_goes_on_with_the_same_sweep(folder, save, tmp_path):
    before, crops = described(folder)
    open_sweep(tmp_path / "sweep", before)
    save(folder)
    after, again = described(folder)
    check_sweep(tmp_path / "sweep", after, data_changes)
    assert after.data_fingerprint == before.data_fingerprint
    assert after.label_digests == before.label_digests
    assert np.array_equal(again.crops, crops.crops)
    assert len(list((tmp_path / "data" / "patches").iterdir())) == 1  # nothing was cut again


def test_images_that_are_saved_again_with_the_same_pixels_go_on(folder, tmp_path):
    before, _ = described(folder)
    open_sweep(tmp_path / "sweep", before)
    for path in folder.glob("*.png"):
        content = path.read_bytes()
        Image.open(path).save(path, compress_level=0)
        assert path.read_bytes() != content
    after, _ = described(folder)
    check_sweep(tmp_path / "sweep", after, data_changes)
    assert after.data_fingerprint == before.data_fingerprint


def test_the_table_beside_kept_crops_has_the_labels_of_now(folder, tmp_path):
    described(folder)
    write_csv(folder, corrected(rows()))
    _, patches = described(folder)
    assert patches.images.at[3, "remark"] == "a typo corrected"
    [kept] = (tmp_path / "data" / "patches").iterdir()
    assert "a typo corrected" in (kept / "images.csv").read_text(encoding="utf-8")
    assert set(json.loads((kept / "meta.json").read_text(encoding="utf-8"))["text"]) >= {"material", "remark"}


def test_a_label_in_use_that_changed_is_refused_with_its_rows(folder, tmp_path):
    before, _ = described(folder)
    open_sweep(tmp_path / "sweep", before)
    table = corrected(rows())
    table[5][2] = 0.8
    write_csv(folder, table)
    after, _ = described(folder)
    with pytest.raises(SweepRefused) as refused:
        check_sweep(tmp_path / "sweep", after, data_changes)
    assert "05.png: label power changed from 2.0 to 0.8" in str(refused.value)
    assert "remark" not in str(refused.value)
    assert "choose another --name" in str(refused.value)
    assert after.data_fingerprint == before.data_fingerprint  # the search is the same one


def test_without_folds_labels_may_change_and_more_may_be_added(folder, tmp_path):
    before, _ = described(folder, "--search", "grid", "--labels", "material")
    before = replace(before, cv=False)
    open_sweep(tmp_path / "sweep", before)
    table = rows()
    table[5][1] = "steel"
    table[4][1] = "gold"
    write_csv(folder, table)
    after, _ = described(folder)
    open_sweep(tmp_path / "sweep", after)
    assert set(read_sweep(tmp_path / "sweep").label_digests) == {"material", "power"}


def test_other_groups_pixels_or_rows_are_other_data(folder):
    found = {described(folder)[0].data_fingerprint}
    cv = ("--cv", "--labels", "material", "--folds", "2")
    found.add(described(folder, *cv, "--group-by", "power,material")[0].data_fingerprint)
    write_csv(folder, rows()[::-1])
    found.add(described(folder)[0].data_fingerprint)
    write_csv(folder, rows()[:-1])
    found.add(described(folder)[0].data_fingerprint)
    write_csv(folder, rows())
    Image.effect_noise((64, 64), 80).save(folder / "00.png")
    found.add(described(folder)[0].data_fingerprint)
    assert len(found) == 5
