"""One image file: which pixels come out of it, and what its path may be."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from deepdlt.errors import DataError
from deepdlt.images.image_file import decode, inspect, locate


def grey(seed=0, size=(70, 90)):
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def encoded(values, kind, **options):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, format=kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".tif", "TIFF"), (".TIFF", "TIFF"), (".bmp", "BMP")])
def test_lossless_formats_give_the_stored_pixels(suffix, kind):
    assert np.array_equal(decode(encoded(grey(), kind), suffix), grey())


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
def test_compressed_tiff_gives_the_stored_pixels(compression):
    assert np.array_equal(decode(encoded(grey(), "TIFF", compression=compression), ".tif"), grey())


def test_jpeg_gives_what_pillow_decodes():
    data = encoded(grey(), "JPEG", quality=90)
    assert np.array_equal(decode(data, ".jpg"), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".tif", "TIFF")])
def test_16_bit_is_scaled_over_its_full_range_and_never_clipped(suffix, kind):
    values = np.random.default_rng(0).integers(0, 65536, (70, 90)).astype(np.uint16)
    values[0, :4] = 0, 128, 129, 65535
    pixels = decode(encoded(values, kind), suffix)
    assert np.array_equal(pixels, np.rint(values / 257).astype(np.uint8))
    assert pixels[0, :4].tolist() == [0, 0, 1, 255]


def test_big_endian_16_bit_tiff_is_the_same_as_little_endian():
    values = np.random.default_rng(0).integers(0, 65536, (70, 90)).astype(np.uint16)
    image = Image.frombytes("I;16B", (90, 70), values.astype(">u2").tobytes())
    stream = io.BytesIO()
    image.save(stream, format="TIFF")
    assert stream.getvalue()[:2] == b"MM"
    assert np.array_equal(decode(stream.getvalue(), ".tif"), np.rint(values / 257).astype(np.uint8))


@pytest.mark.parametrize("channels", [3, 4])
def test_equal_channels_are_the_grey_they_show(channels):
    values = np.dstack([grey()] * 3 + [np.full((70, 90), 255, np.uint8)] * (channels - 3))
    assert np.array_equal(decode(encoded(values, "PNG"), ".png"), grey())


def test_a_single_coloured_pixel_is_enough_to_refuse():
    values = np.dstack([grey()] * 3)
    values[5, 5] = 10, 11, 10
    with pytest.raises(DataError, match="channels differ by up to 1 of 255"):
        decode(encoded(values, "PNG"), ".png")


def test_white_is_zero_tiffs_keep_their_look_in_8_bit_and_are_refused_in_16():
    data = encoded(grey(), "TIFF", tiffinfo={262: 0})
    assert np.array_equal(decode(data, ".tif"), np.asarray(Image.open(io.BytesIO(data)).convert("L")))
    wide = encoded(grey().astype(np.uint16) * 257, "TIFF", tiffinfo={262: 0})
    with pytest.raises(DataError, match="0 as white"):
        decode(wide, ".tif")


def test_every_cut_of_a_png_is_found_without_decoding(tmp_path):
    data = encoded(grey(size=(64, 64)), "PNG")
    path = tmp_path / "a.png"
    for length in [*range(len(data) - 20, len(data)), *range(0, len(data), 97)]:
        path.write_bytes(data[:length])
        assert inspect(path).problem, length
    path.write_bytes(data)
    assert inspect(path).problem == ""
    assert inspect(path).size == (64, 64)


def test_every_flipped_bit_of_pngs_parts_is_found_without_decoding(tmp_path):
    data = encoded(grey(size=(64, 64)), "PNG")
    path = tmp_path / "a.png"
    for at in np.random.default_rng(0).integers(0, len(data), 200):
        flipped = bytearray(data)
        flipped[at] ^= 16
        path.write_bytes(flipped)
        assert inspect(path).problem, at


def test_bytes_after_the_end_of_a_png_do_no_harm():
    assert np.array_equal(decode(encoded(grey(), "PNG") + b"a camera's notes", ".png"), grey())


def test_a_cut_jpeg_is_found_without_decoding(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(grey(), "JPEG")[:-2])
    assert "its end is missing" in inspect(path).problem


@pytest.mark.parametrize("name", ["a.png", "a b & ^/ü.png", "run:1.png", "..a.png", "~a.png"])
def test_odd_names_that_stay_inside_are_found(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert locate(tmp_path, name) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a/../a.png", "is outside"),
        ("C:\\a.png", "is outside"),
        ("\\\\server\\a.png", "is outside"),
        ("FILE:a.png", "is outside"),
        ("a.png/b.png", "no such image"),
        ("a\u202egnp.png", "control character"),
        ("notes.txt", "must end in .png"),
        ("loop.png", "cannot be used"),
    ],
)
def test_names_that_lead_elsewhere_or_nowhere_are_refused(tmp_path, name, words):
    (tmp_path / "a.png").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert words in locate(tmp_path, name)


def test_a_link_that_stays_inside_is_followed(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").symlink_to("a.png")
    assert locate(tmp_path, "b.png") == ""


def test_odd_metadata_raises_no_alarm(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(grey(), "PNG", exif=b"Exif\0\0damaged"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inspect(path).problem == ""
