"""The crops that all trials show, and the pictures of them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from deepdlt.config import make_config
from deepdlt.dataset.dataset_loader import Split
from deepdlt.models.build import build_model
from sweeps.board.pictures import (
    COLUMNS,
    ENLARGED,
    GAP,
    GREYS,
    LARGEST_ERROR,
    LINE,
    MARGIN,
    RECONSTRUCTIONS,
    Trained,
    reconstruction_sheet,
    show_generated,
    show_reconstructions,
)
from sweeps.board.shown_crops import FEWEST, MOST, SHOWN_CROPS, ShownCrop, draw_crops
from sweeps.store.event_files import TrialLog, read_trial
from sweeps.store.sweep_file import DataSummary, SweepFile

IMAGES, PER_IMAGE = 30, 4
IMAGE_ID = np.repeat(np.arange(IMAGES), PER_IMAGE)
HELD_OUT = np.flatnonzero(IMAGE_ID % 3 == 0)
CLASSES = {"angle": {str(k): list(range(k, IMAGES, 5)) for k in range(5)}}
CLASSES["NP"] = {str(k): [image for image in range(IMAGES) if image % 2 == k] for k in range(2)}
NAMES = tuple(f"folder/{image:02d}.png" for image in range(IMAGES))


def asked(**changes):
    return SweepFile(classes=CLASSES, data=DataSummary(files=NAMES, fingerprint="f"), **changes)


def draw(sweep, sweep_file, seed=0, image_id=IMAGE_ID, held_out=HELD_OUT):
    sweep.mkdir(exist_ok=True)
    return draw_crops(sweep, sweep_file, image_id, held_out, seed)


def pairs(crops):
    return {pair for crop in crops for pair in crop.classes.items()}


@pytest.mark.parametrize("seed", range(5))
def test_every_class_of_every_label_is_among_few_crops(tmp_path, seed):
    crops = draw(tmp_path, asked(), seed)
    assert pairs(crops) == {(label, name) for label, members in CLASSES.items() for name in members}
    assert FEWEST <= len(crops) <= 7
    assert len({crop.image for crop in crops}) == len(crops)
    for crop in crops:
        image = IMAGE_ID[crop.crop]
        assert crop.image == NAMES[image]
        assert all(image in CLASSES[label][name] for label, name in crop.classes.items())


def test_images_that_are_not_trained_on_come_first(tmp_path):
    one_label = SweepFile(classes={"NP": CLASSES["NP"]}, data=DataSummary(files=NAMES, fingerprint="f"))
    crops = draw(tmp_path, one_label, 0)
    assert {crop.crop for crop in crops} <= set(HELD_OUT.tolist())


def test_they_are_drawn_once_and_kept_with_the_sweep(tmp_path):
    first = draw(tmp_path / "a", asked(), 0)
    assert draw(tmp_path / "a", asked(), 99) == first
    assert draw(tmp_path / "b", asked(), 0) == first
    assert draw(tmp_path / "c", asked(), 1) != first
    (tmp_path / "a" / SHOWN_CROPS).write_text("damaged")
    assert draw(tmp_path / "a", asked(), 0) == first


def test_many_classes_are_as_many_crops_as_a_picture_holds(tmp_path):
    classes = {"NP": {str(image): [image] for image in range(IMAGES)}}
    crops = draw(tmp_path, SweepFile(classes=classes), 0)
    assert len(crops) == MOST


def test_images_without_labels_have_crops_too(tmp_path):
    crops = draw(tmp_path, SweepFile(), 0)
    assert len(crops) == FEWEST
    assert not pairs(crops)
    assert len(draw(tmp_path / "b", SweepFile(), 0, np.zeros(4, int), np.arange(4))) == 1


def rows_of(picture, k, lines=1):
    """Original, reconstruction and error of crop k: places in the palette."""
    head, block = lines * LINE + 2, lines * LINE + 2 + 3 * (ENLARGED + GAP) + MARGIN
    y, x = MARGIN + k // COLUMNS * block + head, MARGIN + k % COLUMNS * (ENLARGED + GAP)
    pixels = np.asarray(picture)
    return [pixels[y + row * (ENLARGED + GAP) :][:ENLARGED, x : x + ENLARGED] for row in range(3)]


def test_a_picture_holds_original_reconstruction_and_the_error_in_colour():
    rng = np.random.default_rng(0)
    originals = rng.random((5, 64, 64))
    output = np.clip(originals + rng.choice([-0.1, 0, 0.1, 0.9], originals.shape), 0, 1)
    picture = reconstruction_sheet(originals, output, [["caption"]] * 5)
    assert picture.mode == "P"
    for k in range(5):
        found = [row[::2, ::2] for row in rows_of(picture, k)]
        assert np.abs(found[0] / (GREYS - 1) - originals[k]).max() <= 0.5 / (GREYS - 1)
        assert np.abs(found[1] / (GREYS - 1) - output[k]).max() <= 0.5 / (GREYS - 1)
        error = ((found[2].astype(float) - GREYS) / (255 - GREYS) * 2 - 1) * LARGEST_ERROR
        wanted = np.clip(output[k] - originals[k], -LARGEST_ERROR, LARGEST_ERROR)
        assert np.abs(error - wanted).max() <= 2 * LARGEST_ERROR / (255 - GREYS)
    colours = np.asarray(picture.convert("RGB"))[np.asarray(picture) == 255]
    assert (colours[:, 0] > colours[:, 2]).all()  # too bright is red


def test_captions_and_legend_are_inside_the_picture():
    picture = reconstruction_sheet(
        np.zeros((1, 64, 64)), np.zeros((1, 64, 64)), [["a" * 99, "b", "c", "9.99 dB (test)"]]
    )
    pixels = np.asarray(picture)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (border == GREYS - 1).all()
    first_line = pixels[MARGIN : MARGIN + LINE]
    assert (first_line < GREYS - 1).any()
    assert (first_line[:, MARGIN + ENLARGED + GAP :] == GREYS - 1).all()  # it does not run into that of the next crop


@pytest.mark.parametrize("model", ["cnn_ae", "res_vae", "cnn_vae"])
def test_what_is_logged_of_a_network_leaves_its_random_numbers_alone(tmp_path, model):
    config = (
        make_config("corrected", model=model, width=8, latent_dim=4) if model != "cnn_ae" else make_config("corrected")
    )
    trained = Trained(build_model(config), config, "cpu")
    crops = np.random.default_rng(0).integers(0, 256, (20, 1, 64, 64)).astype(np.uint8)
    split = Split(np.arange(10), np.arange(10, 15), np.arange(15, 20))
    chosen = [ShownCrop(3, "a.png", {"angle": "5.5"}), ShownCrop(17, "b.png")]
    before = torch.get_rng_state()
    with TrialLog(tmp_path) as log:
        show_reconstructions(log, trained, crops, chosen, split, 1)
        show_reconstructions(log, trained, crops, [], split, 2)
        show_generated(log, trained, crops[split.val], 1)
    assert torch.equal(torch.get_rng_state(), before)
    images = read_trial(tmp_path).images
    assert set(images) == {RECONSTRUCTIONS, *(("vae/samples", "vae/traversals") if "vae" in model else ())}
    for content in images.values():
        Image.open(io.BytesIO(content)).load()
