"""One image file: check that it is inside the folder, complete and greyscale; read its pixels.

Formats: PNG, TIFF, JPEG and BMP; 8- or 16-bit greyscale, or colour with equal channels. EXIF, gamma and ICC data are
ignored: pixels are used as stored.
"""

import hashlib
import io
import re
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin

from deepdlt.errors import DataError, has_control, short
from deepdlt.formats import FORMATS
from deepdlt.images.bit_depth import TWELVE_BITS, Depth, depth
from deepdlt.machine import user

MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF",
    b"II+\0": "TIFF", b"MM\0+": "TIFF", b"GIF8": "GIF", b"%PDF": "PDF", b"PK\x03\x04": "zip archive",
}  # fmt: skip
MIN_SIDE = 64  # px: one crop
MAX_PIXELS = 50_000_000  # more pixels than a micrograph has: a decompression bomb
MAX_BYTES = 250_000_000
GREY, GREY16, COLOUR = ("L",), ("I;16", "I;16B", "I;16L"), ("RGB", "RGBA", "LA", "P")
EXPORT = "export it as 8- or 16-bit greyscale"
EXPORT_ALIKE = (
    "convert it to 16-bit greyscale with one range for all images"
    " (ImageJ: Brightness/Contrast > Set, then Type > 16-bit)"
)


class Facts(NamedTuple):
    """An inspected file: sha256, (width, height) in px, and its problem or ''."""

    digest: bytes
    size: tuple[int, int]
    problem: str


class Decoded(NamedTuple):
    """Pixels of an image file, (h, w) uint8, and how its values use their range."""

    pixels: np.ndarray
    depth: Depth


def locate(folder: Path, name: str) -> str:
    """The problem of a file name from a label table, or ''; `folder` must be a resolved path."""
    quoted = short(name, 80)
    if has_control(name):
        return f"{quoted} has a control character; rename the file"
    parts = name.split("/")
    if (
        name.startswith(("/", "~/", "\\"))
        or ".." in parts
        or re.match(r"[a-z][a-z0-9+.-]*://|file:|[a-z]:[\\/]", name, re.IGNORECASE)
    ):
        return f"{quoted} is outside the image folder; move the image into it and give its path from there"
    path = folder / name
    try:
        mode = path.stat().st_mode
        if not path.resolve().is_relative_to(folder):
            return f"{quoted} is a link out of the image folder; replace it by the image itself"
    except (FileNotFoundError, NotADirectoryError):
        return f"no such image: {quoted}"
    except (OSError, RuntimeError) as error:  # name too long, no permission, loop of links
        reason = getattr(error, "strerror", None) or str(error)
        return f"{quoted} cannot be used ({reason}, {user()}); rename it or change its permissions"
    if stat.S_ISDIR(mode):
        return f"{quoted} is a folder, not an image"
    if not stat.S_ISREG(mode):
        return f"{quoted} is a pipe, socket or device, not a file"
    if path.suffix.lower() not in FORMATS:
        return f"{quoted} must end in {', '.join(FORMATS)}; {EXPORT}"
    return ""


def read_file(path: Path) -> bytes:
    """All bytes of an image file.

    Raises:
        DataError: not readable by this user, or too large.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"has {path.stat().st_size:,} bytes, more than {MAX_BYTES:,}; {EXPORT}")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror}, {user()}); chmod u+r it") from error


def inspect(path: Path) -> Facts:
    """Check a file without decoding it: its format, its header, and whether it is complete."""
    try:
        data = read_file(path)
    except DataError as error:
        return Facts(b"", (0, 0), str(error))
    digest = hashlib.sha256(data).digest()
    problem = _kind_problem(data, path.suffix) or _container_problem(data)
    if problem:
        return Facts(digest, (0, 0), problem)
    try:
        with Image.open(io.BytesIO(data), formats=(FORMATS[path.suffix.lower()],)) as image:
            return Facts(digest, image.size, _header_problem(image))
    except Exception as error:  # Pillow raises many types for damaged headers and bombs
        return Facts(digest, (0, 0), _undecodable(data, error))


def decode(data: bytes, suffix: str) -> np.ndarray:
    """Pixels of an image file: (h, w) uint8; see `decode_file`."""
    return decode_file(data, suffix).pixels


def decode_file(data: bytes, suffix: str) -> Decoded:
    """Pixels of an image file and how they use their range.

    16-bit values become round(value / 257): 0..65535 maps to 0..255 for every image, so images of one microscope stay
    comparable and no value is clipped. 8-bit values are used as stored.

    Raises:
        DataError: the image is damaged, coloured, transparent or uniform, or has 12-bit values in 16 bits, whatever is
            drawn over it.
    """
    problem = _kind_problem(data, suffix) or _container_problem(data)
    if problem:
        raise DataError(problem)
    try:
        with Image.open(io.BytesIO(data), formats=(FORMATS[suffix.lower()],)) as image:
            problem = _header_problem(image)  # before anything is unpacked
            if problem:
                raise DataError(problem)
            image.load()
            values = _grey(image)
    except DataError:
        raise
    except Exception as error:
        raise DataError(_undecodable(data, error)) from error
    found = depth(values)
    if found.bits == 16:
        if found.top <= TWELVE_BITS and values.min() < values.max():
            raise DataError(_too_dark(int(values.max()), found.top))
        values = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if values.min() == values.max():
        raise DataError(f"is blank: every pixel is {values[0, 0]}; delete its row or export it again")
    return Decoded(values, found)


def _too_dark(largest: int, top: int) -> str:
    drawn = f" beside what is drawn at {largest}" if largest > top else ""
    return (
        f"is 16-bit but its values reach only {top} of 65535{drawn} (nearly black); rescale all images alike: multiply"
        " those of a 12-bit camera by 16, of 10 bits by 64, of 8 bits by 256"
    )


def _kind_problem(data: bytes, suffix: str) -> str:
    expected = FORMATS[suffix.lower()]
    if not data:
        return "is empty (0 bytes); export it again"
    found = next((kind for magic, kind in MAGIC.items() if data.startswith(magic)), "")
    if found == expected:
        return ""
    if found in FORMATS.values():
        ending = next(s for s, kind in FORMATS.items() if kind == found)
        return f"is a {found} named {suffix}; rename it to {ending}, also in the label table"
    text = "HTML" if data.lstrip()[:1] == b"<" else "text" if data[:200].isascii() else "an unknown format"
    return f"is {found or text}, not {expected}; export it again"


def _container_problem(data: bytes) -> str:
    """Damage that decoders do not report: wrong checksums or a missing end of a PNG, a missing end of a JPEG."""
    if data.startswith(b"\xff\xd8"):
        whole = data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
        return "" if whole else "cannot be decoded (truncated: its end is missing); export it again"
    if not data.startswith(b"\x89PNG"):
        return ""
    view, at = memoryview(data), 8
    while at + 12 <= len(data):
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return f"cannot be decoded (damaged: wrong checksum of part {kind.decode('latin-1')!r}); export it again"
        if kind == b"IEND":
            return ""
        at = end
    return "cannot be decoded (truncated: its end, IEND, is missing); export it again"


def _header_problem(image: Image.Image) -> str:
    width, height = image.size
    if width * height > MAX_PIXELS:
        return f"is {width}x{height} px, more than {MAX_PIXELS:,} pixels; {EXPORT} in parts"
    if min(width, height) < MIN_SIDE:
        return f"is {width}x{height} px, smaller than one {MIN_SIDE}x{MIN_SIDE} crop"
    if image.mode == "1":
        return f"is black and white (1 bit); {EXPORT}"
    tags = getattr(image, "tag_v2", {})  # TIFF
    bits = int(np.max(tags.get(258, 8)))
    numbers = _numbers_problem(tags)
    if numbers:
        return numbers
    if image.mode not in (*GREY, *GREY16, *COLOUR) or bits not in (2, 4, 8, 16):
        of = f" of {bits} bits" if tags else ""
        return f"must be 8- or 16-bit greyscale, is mode {image.mode}{of}; {EXPORT}"
    if image.mode in GREY16 and tags.get(262) == 0:
        return f"is 16-bit with 0 as white; {EXPORT}, with 0 as black"
    frames = getattr(image, "n_frames", 1)
    return f"has {frames} frames or pages; save one of them as an image of its own" if frames > 1 else ""


def _numbers_problem(tags: Mapping[int, Any]) -> str:
    """What is wrong with the kind of numbers of a TIFF: signed, real, or of too many bits."""
    bits, kind = int(np.max(tags.get(258, 8))), int(np.max(tags.get(339, 1)))
    if kind == 2 and bits in (8, 16):
        half = 2 ** (bits - 1)
        return (
            f"is signed {bits}-bit (its values go from {-half} to {half - 1}); add {half} to all values and save it as"
            f" unsigned {bits}-bit (ImageJ: Type > 32-bit, Math > Add, then Brightness/Contrast > Set 0 to"
            f" {2 * half - 1}, Type > {bits}-bit)"
        )
    name = {2: "signed integers", 3: "floating-point numbers"}.get(kind, "integers")
    if kind == 3 or bits > 16:
        return f"has {bits}-bit {name}, not 8- or 16-bit greyscale; {EXPORT_ALIKE}"
    return ""


def _undecodable(data: bytes, error: Exception) -> str:
    """Why Pillow cannot read a file; of a TIFF, the numbers that it has no mode for."""
    problem = ""
    if data[:4] in (b"II*\0", b"MM\0*"):
        try:
            directory = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
            stream = io.BytesIO(data)
            stream.seek(directory.next)
            directory.load(stream)
            problem = _numbers_problem(directory)
        except Exception:  # the header is damaged, too
            problem = ""
    return problem or f"cannot be decoded ({_reason(error)}); export it again"


def _grey(image: Image.Image) -> np.ndarray:
    """Values of a grey image: uint8, or uint16."""
    if image.mode in GREY16:
        return np.asarray(image).astype(np.uint16)  # in the byte order of this machine
    if image.mode == "L" and "transparency" not in image.info:
        return np.asarray(image)
    channels = np.asarray(image.convert("RGBA"))
    if channels[..., 3].min() < 255:
        raise DataError("has transparent pixels; export it without transparency")
    colours = channels[..., :3].astype(np.int16)
    difference = int((colours.max(-1) - colours.min(-1)).max())
    if difference:
        raise DataError(f"is in colour (channels differ by up to {difference} of 255); convert it to greyscale")
    return np.ascontiguousarray(channels[..., 0])


def _reason(error: Exception) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    return re.sub(r"<_io\.BytesIO[^>]*>", "the file", text)[:120] or type(error).__name__
