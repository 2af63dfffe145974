"""Info bars, boxes and scale bars that a microscope draws over a picture, and textures that only look like them."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from deepdlt.images.info_bar import drawings
from deepdlt.images.source import read_source
from deepdlt.synthetic.generator import make_synthetic

HEIGHT, WIDTH, BAR = 240, 320, 30


def picture(seed=0, size=(HEIGHT, WIDTH)):
    """Tilted stripes with noise."""
    y, x = np.mgrid[: size[0], : size[1]]
    noise = np.random.default_rng(seed).normal(0, 12, size)
    return (110 + 60 * np.sin((0.3 * y + x) / 3) + noise).clip(0, 255).astype(np.uint8)


def with_bar(side="bottom", ground=0, text=255, frame=0, pixels=None):
    """A picture whose outermost rows are a bar with text, a scale bar and two fields."""
    pixels = picture() if pixels is None else pixels.copy()
    bar = Image.new("L", (pixels.shape[1], BAR), ground)
    draw = ImageDraw.Draw(bar)
    draw.text((10, 8), "10 kV  x 5000", fill=text)
    draw.rectangle((200, 14, 260, 17), fill=text)
    for k in range(frame):
        draw.rectangle((k, k, pixels.shape[1] - 1 - k, BAR - 1 - k), outline=text)
    if frame:
        draw.line((160, 0, 160, BAR), fill=text)
    pixels[slice(0, BAR) if side == "top" else slice(-BAR, None)] = np.asarray(bar)
    return pixels


def as_jpeg(pixels, quality):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def said(pixels):
    return [(found.kind, found.side, found.height) for found in drawings(pixels)]


@pytest.mark.parametrize("side", ["bottom", "top"])
@pytest.mark.parametrize(("ground", "text"), [(0, 255), (255, 0), (128, 255), (40, 220)])
@pytest.mark.parametrize("frame", [0, 1, 3])
def test_a_bar_is_found_with_its_side_and_height_also_within_a_frame(side, ground, text, frame):
    assert said(with_bar(side, ground, text, frame)) == [("bar", side, BAR)]


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("side", ["bottom", "top"])
@pytest.mark.parametrize(("ground", "text"), [(0, 255), (255, 0), (128, 255)])
def test_a_bar_in_a_jpeg_is_found_within_one_block(side, ground, text, quality):
    [(kind, where, height)] = said(as_jpeg(with_bar(side, ground, text), quality))
    assert (kind, where) == ("bar", side)
    assert abs(height - BAR) <= 8


def test_bars_on_both_sides_are_two():
    assert sorted(said(with_bar("top", pixels=with_bar("bottom")))) == [("bar", "bottom", BAR), ("bar", "top", BAR)]


def test_a_bar_with_a_block_instead_of_letters_is_one():
    pixels = picture()
    pixels[-24:] = 30
    pixels[-16:-8, 10:110] = 200
    assert said(pixels) == [("bar", "bottom", 24)]


def test_a_box_with_text_and_a_scale_bar_inside_the_picture_are_found():
    boxed, barred = picture(), picture()
    box = Image.new("L", (90, 24), 0)
    ImageDraw.Draw(box).text((8, 6), "20 um", fill=255)
    boxed[200:224, 220:310] = np.asarray(box)
    barred[215:220, 230:300] = 255
    assert said(boxed) == [("box", "", 24)]
    assert said(barred) == [("line", "", 5)]


def stripes(period, phase, kind, seed=0):
    """Horizontal laser lines: uniform dark grooves, rough or clipped ones, ones with debris."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(HEIGHT, dtype=float)[:, None], WIDTH, 1) + phase
    noise = rng.normal(0, 15, y.shape)
    if kind == "rough":
        y += 3 * ndimage.gaussian_filter1d(rng.normal(0, 4, WIDTH), 4)
    groove = y % period < 0.4 * period
    values = np.where(groove, 20, 150 + noise)
    if kind == "clipped":
        values = np.where(groove, -40, 150) + noise
    if kind == "wave":
        values = 128 + 300 * np.sin(2 * np.pi * y / period) + noise
    if kind == "debris":
        grains = ndimage.grey_dilation((rng.random(y.shape) < 0.002).astype(float), size=(3, 3))
        values = np.where(grains > 0, 230, values)
    return values.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["uniform", "rough", "clipped", "wave", "debris"])
def test_grooves_of_a_laser_texture_are_no_bars(kind):
    for period in (8, 20, 45, 90):
        for phase in range(0, period, max(1, period // 6)):
            pixels = stripes(period, phase, kind)
            for seen in (pixels, np.ascontiguousarray(pixels.T), as_jpeg(pixels, 75)):
                assert [one for one in said(seen) if one[0] == "bar"] == [], (period, phase)


def test_dark_and_smooth_pictures_have_no_bar():
    rng = np.random.default_rng(0)
    assert said(np.clip(rng.normal(20, 5, (300, 200)), 0, 255).astype(np.uint8)) == []
    assert said(rng.integers(0, 256, (64, 64), dtype=np.uint8)) == []
    assert said(np.repeat(np.arange(200, dtype=np.uint8)[:, None], 100, 1)) == []


def test_synthetic_images_have_no_bars(tmp_path):
    assert read_source(make_synthetic(tmp_path, "tiny")).verify() == ()


def test_micrographs_without_bars_have_none(real_images):
    files = sorted(real_images.rglob("*.png"))[::12]
    assert [path.name for path in files if drawings(np.asarray(Image.open(path)))] == []
    real = np.asarray(Image.open(files[0]))
    assert said(with_bar("bottom", frame=1, pixels=real)) == [("bar", "bottom", BAR)]


def folder_of(tmp_path, images):
    for i, pixels in enumerate(images):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    (tmp_path / "labels.csv").write_text("file,power\n" + "".join(f"{i}.png,{i}\n" for i in range(len(images))))
    return tmp_path


def test_the_note_counts_them_and_says_where_how_high_and_what_to_do(tmp_path):
    images = [with_bar("top" if i == 3 else "bottom", pixels=picture(i)) for i in range(4)] + [picture(9)]
    low, high = read_source(folder_of(tmp_path, images)).verify()
    assert low.startswith("3 of 5 image(s) seem to have an info bar at the bottom (30 px high, 12 % of the picture)")
    assert "such as '0.png'; crop it off" in low
    assert high.startswith("1 of 5 image(s) seem to have an info bar at the top (30 px high")


@pytest.mark.parametrize(("heights", "count"), [((20, 20, 20, 20), 4), ((12, 20, 28, 36), 0)])
def test_strips_without_text_are_bars_where_most_images_have_the_same(tmp_path, heights, count):
    images = [picture(i) for i in range(4)]
    for pixels, height in zip(images, heights, strict=True):
        pixels[-height:] = 0
    notes = read_source(folder_of(tmp_path, images)).verify()
    assert [note.split(" image")[0] for note in notes] == [f"{count} of 4"] * bool(count)
