"""How much of its range a picture uses, judged by the distribution of its values."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageDraw

from deepdlt.errors import DataError
from deepdlt.images.image_file import decode, decode_file, inspect
from deepdlt.images.source import read_source

SIDE = 96


def values(bits, seed=0, dtype=np.uint16):
    """A picture whose values fill this many bits."""
    return np.random.default_rng(seed).integers(2 ** (bits - 4), 2**bits, (SIDE, SIDE)).astype(dtype)


def tiff(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="TIFF")
    return stream.getvalue()


def drawn_over(pixels, white=65535, black=None, smooth=1):
    """A scale bar and text, with smooth edges if drawn smaller; in a black box if `black` is given."""
    layer = Image.new("L", (SIDE * smooth, SIDE * smooth), 0)
    draw = ImageDraw.Draw(layer)
    draw.rectangle((10 * smooth, 80 * smooth, 50 * smooth, 84 * smooth), fill=255)
    draw.text((10 * smooth, 64 * smooth), "20 um", fill=255, font_size=10 * smooth)
    share = np.asarray(layer.resize((SIDE, SIDE), Image.Resampling.BOX)) / 255
    share = share if smooth > 1 else share.round()
    pixels = pixels.copy()
    if black is not None:
        pixels[60:, :] = black
    return (pixels * (1 - share) + white * share).round().astype(np.uint16)


def notes_of(tmp_path, images, suffix="tif"):
    for i, pixels in enumerate(images):
        Image.fromarray(pixels).save(tmp_path / f"{i}.{suffix}")
    rows = "".join(f"{i}.{suffix},{i}\n" for i in range(len(images)))
    (tmp_path / "labels.csv").write_text("file,power\n" + rows)
    return read_source(tmp_path).verify()


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("white", [65535, 65280, 32767])
def test_what_is_drawn_over_a_12_bit_picture_does_not_hide_it(bits, white):
    plain = values(bits)
    hot = plain.copy()
    hot[5, 5], hot[50, 40] = 65535, 30000
    for pixels in (plain, drawn_over(plain, white), drawn_over(plain, white, black=0), hot):
        with pytest.raises(DataError, match=rf"reach only {plain.max()} of 65535.*rescale all images alike"):
            decode(tiff(pixels), ".tif")


def test_smooth_text_over_a_12_bit_picture_is_at_least_a_note(tmp_path):
    *_, note = notes_of(tmp_path, [drawn_over(values(12, seed), smooth=4) for seed in range(3)])
    assert "all 3 images of 16 bits use the lowest 6 % of the range (nearly all values <= 40" in note
    assert "as from a 12-bit camera" in note
    assert note.endswith("what is brighter becomes white")


@pytest.mark.parametrize(("bits", "factor", "decibels"), [(13, 8, 18), (14, 4, 12), (15, 2, 6)])
def test_fewer_bits_than_16_in_every_image_are_one_note_with_the_factor_that_mends_it(tmp_path, bits, factor, decibels):
    for over in (False, True):
        images = [drawn_over(values(bits, i)) if over else values(bits, i) for i in range(3)]
        *_, note = notes_of(tmp_path, images)  # behind one on the scale bar
        assert f"as from a {bits}-bit camera" in note
        assert f"about {decibels} dB too high; multiply the values of all images by {factor} " in note
    mended = tmp_path / "mended"
    mended.mkdir()
    assert notes_of(mended, [values(bits, i) * factor for i in range(3)]) == ()


def test_full_range_left_justified_and_merely_dark_pictures_are_accepted(tmp_path):
    full, left, dark = values(16), values(12, 1) * 16, values(14, 2)
    [note] = notes_of(tmp_path, [full, left, dark])
    assert note.startswith("1 of 3 images of 16 bits (such as '2.tif') use the lowest 25 % of the range")
    particles = values(11, 3)  # dark, with a few bright particles that have no flat top
    particles[40:52, 40:52] = np.linspace(5000, 60000, 144).reshape(12, 12)
    assert decode(tiff(particles), ".tif").max() > 200


def test_binary_pictures_keep_their_values():
    pixels = np.where(values(16) > 30000, 60000, 0).astype(np.uint16)
    assert set(np.unique(decode(tiff(pixels), ".tif"))) == {0, 233}
    assert decode_file(tiff(pixels), ".tif").depth.top == 60000


@pytest.mark.parametrize(("values_16", "grey"), [((0, 0), 0), ((30000, 30000), 117), ((30000, 30010), 117)])
def test_16_bit_pictures_of_one_grey_are_blank(values_16, grey):
    with pytest.raises(DataError, match=f"is blank: every pixel is {grey};"):
        decode(tiff(np.resize(np.array(values_16, np.uint16), (SIDE, SIDE))), ".tif")


def test_an_offset_leaves_few_greys_and_is_a_note(tmp_path):
    [note] = notes_of(tmp_path, [values(12, i) + 32768 for i in range(2)])
    assert "all 2 images of 16 bits have only values from 33" in note
    assert "15 of 256 greys" in note or "16 of 256 greys" in note


def test_dark_8_bit_pictures_are_a_note(tmp_path):
    [note] = notes_of(tmp_path, [values(6, i, np.uint8) for i in range(2)], "png")
    assert "all 2 images of 8 bits use the lowest 25 % of the range (values <= 63 of 255)" in note


def raw_tiff(pixels, kind):
    """A TIFF whose values are unsigned (1), signed (2) or real (3)."""
    data = pixels.tobytes()
    tags = {256: pixels.shape[1], 257: pixels.shape[0], 258: 8 * pixels.itemsize, 259: 1, 262: 1, 273: 8, 277: 1}
    tags |= {278: pixels.shape[0], 279: len(data), 339: kind}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


@pytest.mark.parametrize(
    ("dtype", "kind", "words"),
    [
        ("i1", 2, "is signed 8-bit .*add 128 to all values and save it as unsigned 8-bit"),
        ("<i2", 2, "is signed 16-bit .*add 32768 to all values and save it as unsigned 16-bit"),
        ("<i4", 2, "has 32-bit signed integers, not 8- or 16-bit.*one range for all images"),
        ("<u4", 1, "has 32-bit integers, not"),
        ("<f2", 3, "has 16-bit floating-point numbers, not"),
        ("<f4", 3, "has 32-bit floating-point numbers, not"),
        ("<f8", 3, "has 64-bit floating-point numbers, not"),
    ],
)
def test_other_numbers_are_refused_by_name_with_what_to_do(tmp_path, dtype, kind, words):
    data = raw_tiff(np.random.default_rng(0).integers(0, 100, (SIDE, SIDE)).astype(dtype), kind)
    with pytest.raises(DataError, match=words):
        decode(data, ".tif")
    (tmp_path / "a.tif").write_bytes(data)
    assert inspect(tmp_path / "a.tif").problem
    assert "cannot be decoded" not in inspect(tmp_path / "a.tif").problem


def test_the_remedy_for_signed_values_is_accepted():
    signed = values(15).astype(np.int32) * 2 - 32768
    assert decode(raw_tiff((signed + 32768).astype("<u2"), 1), ".tif").std() > 20
