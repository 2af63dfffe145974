"""Notes on pixels reach every command that decodes the images, and are kept with the crops."""

import json

import numpy as np
import pytest
from calling import command, parse
from PIL import Image

from deepdlt.dataset import Patches
from deepdlt.dataset.create_dataset import CropOptions, create_dataset, load_patches
from deepdlt.images import Source, read_source
from deepdlt.images.bit_depth import Depth
from deepdlt.images.info_bar import Drawing
from deepdlt.images.pixel_notes import Look, pixel_notes
from sweeps.identity.data import load
from sweeps.request.request import make_request

BAR = "12 of 12 image(s) seem to have an info bar at the bottom (20 px high, 17 % of the picture)"
DARK = "all 12 images of 16 bits use the lowest 25 % of the range (values <= "
OPTIONS = CropOptions(crops_per_image=2)


@pytest.fixture
def folder(tmp_path):
    """12 images of 14 bits in 16 with an info bar."""
    images = tmp_path / "images"
    images.mkdir()
    for i in range(12):
        values = np.random.default_rng(i).integers(2000, 16384, (120, 100)).astype(np.uint16)
        values[100:] = 0
        values[106:112, 10:40:3] = 65535
        Image.fromarray(values).save(images / f"{i}.tif")
    rows = "".join(f"{i}.tif,{('steel', 'copper')[i % 2]}\n" for i in range(12))
    (images / "labels.csv").write_text("file,material\n" + rows)
    return images


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def notes_in(text):
    return [line for line in text.splitlines() if line.startswith("note: ")]


def test_crops_have_the_notes_of_a_full_check(folder, tmp_path):
    source = read_source(folder)
    notes = load_patches(create_dataset(source, tmp_path, OPTIONS)).notes
    assert notes == source.verify()
    assert [note.startswith(start) for note, start in zip(notes, (BAR, DARK), strict=True)] == [True, True]


def test_crops_that_exist_tell_them_without_decoding_an_image(folder, tmp_path, monkeypatch):
    source = read_source(folder)
    first = load_patches(create_dataset(source, tmp_path, OPTIONS))
    monkeypatch.delattr(Source, "_decoded")
    assert load_patches(create_dataset(source, tmp_path, OPTIONS)).notes == first.notes != ()


def test_each_image_is_decoded_once(folder, tmp_path, monkeypatch):
    decoded, decode = [], Source._decoded
    monkeypatch.setattr(Source, "_decoded", lambda self, i: (decoded.append(i), decode(self, i))[1])
    create_dataset(read_source(folder), tmp_path, OPTIONS)
    assert sorted(decoded) == list(range(12))


def test_crops_of_older_versions_have_no_notes_and_are_read(folder, tmp_path):
    crops = create_dataset(read_source(folder), tmp_path, OPTIONS)
    meta = json.loads((crops / "meta.json").read_text())
    del meta["notes"]
    (crops / "meta.json").write_text(json.dumps(meta))
    patches = load_patches(crops)
    assert isinstance(patches, Patches)
    assert patches.notes == ()


@pytest.mark.parametrize("layout", ["packed", "report"])
def test_cutting_crops_tells_them_each_time(folder, elsewhere, capsys, layout):
    for _ in range(2):
        words = ["--data", str(folder), "--out", "out", "--crops-per-image", "10", "--layout", layout]
        assert command("crops")(words) == 0
        captured = capsys.readouterr()
        bar, dark = notes_in(captured.err)
        assert bar.startswith(f"note: {BAR}")
        assert dark.startswith(f"note: {DARK}")
        assert "note" not in captured.out


def test_a_sweep_tells_them_each_time(folder, elsewhere, capsys):
    request = make_request(parse(["--space", "smoke", "--labels", "material"]))
    for _ in range(2):
        load(folder, request)
        assert [note[:90] for note in notes_in(capsys.readouterr().err)] == [f"note: {n}"[:90] for n in checked(folder)]


def test_training_and_folds_tell_them(folder, elsewhere, capsys, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    data = ["--data", str(folder), "--labels", "material"]
    assert command("folds")([*data, "--folds", "2", "--out", "out"]) == 0
    assert len(notes_in(capsys.readouterr().err)) == 2
    monkeypatch.setattr("deepdlt.commands.train.fit", interrupted)  # it has checked and cut everything by then
    assert command("train")([*data, "--epochs", "1"]) == 130
    assert [note[:90] for note in notes_in(capsys.readouterr().err)] == [f"note: {n}"[:90] for n in checked(folder)]


def checked(folder):
    """What a full check tells."""
    return read_source(folder).verify()


def test_an_image_with_two_drawings_is_counted_once():
    scale_bar = Drawing("line", "", 80, 4, 0.01)
    looks = [Look(Depth(8, 255, 0, 255), (scale_bar, scale_bar)), Look(Depth(8, 255, 0, 255), ())]
    [note] = pixel_notes(["a.png", "b.png"], looks)
    assert note.startswith("1 of 2 image(s) seem to have a scale bar")
