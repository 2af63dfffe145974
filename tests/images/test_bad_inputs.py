"""Every bad input of a list of 65 is made, and refused in words (or accepted, where it should be) within a second.

The number before each case is its place in that list: 1-37 the table, 38-48 paths, 49-65 images.
"""

import csv
import io
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import unicodedata
import zipfile
import zlib
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from calling import command
from PIL import Image, PngImagePlugin

from deepdlt.dataset.stratified_split import check_folds
from deepdlt.errors import DataError
from deepdlt.images.source import read_source
from deepdlt.tables.sheet import find_sheet

main = command("check")

LABELS = ("material", "power")
N = 12
REFUSED, ACCEPTED = "refused", "accepted"


def noise(mode="L", seed=0, size=(80, 72)):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, size[::-1], dtype=np.uint8)).convert(mode)


def rows():
    return [[f"{i:02d}.png", "steel" if i % 2 else "copper", f"{i}.5"] for i in range(N)]


def write_csv(folder, table=None, head=("file", *LABELS), separator=","):
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator).writerows([head, *(rows() if table is None else table)])
    (folder / "labels.csv").write_text(stream.getvalue(), encoding="utf-8", newline="")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    for i in range(N):
        noise(seed=i).save(folder / f"{i:02d}.png")
    write_csv(folder)
    return folder


@pytest.fixture
def folder(template, tmp_path):
    return Path(shutil.copytree(template, tmp_path / "images"))


# --- ways to break it ------------------------------------------------------------------------------------------------
def cell(column, *values, first=0):
    """Put values into a column of the CSV, from one row on."""

    def make(folder):
        table = rows()
        for i, value in enumerate(values):
            table[first + i][("file", *LABELS).index(column)] = value
        write_csv(folder, table)

    return make


def text(content):
    return lambda folder: (folder / "labels.csv").write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )


def edited(change):
    """The CSV's text, changed."""
    return lambda folder: text(change((folder / "labels.csv").read_text(encoding="utf-8")))(folder)


def book(change=lambda workbook, sheet: None, then=lambda path: None):
    """An xlsx instead of the CSV: changed in openpyxl, then as a file."""

    def make(folder):
        (folder / "labels.csv").unlink()
        workbook = openpyxl.Workbook()
        sheet = workbook.active
        for row in [["file", *LABELS], *[[a, b, float(c)] for a, b, c in rows()]]:
            sheet.append(row)
        change(workbook, sheet)
        path = folder / "labels.xlsx"
        workbook.save(path)
        then(path)

    return make


def set_cell(address, value):
    def change(workbook, sheet):
        sheet[address] = value

    return book(change)


def more_parts(parts):
    """Add or replace parts of the xlsx's archive."""

    def then(path):
        with zipfile.ZipFile(path) as old:
            kept = {name: old.read(name) for name in old.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for name, body in (kept | {n: f(kept.get(n, b"")) for n, f in parts.items()}).items():
                new.writestr(name, body)

    return book(then=then)


SHEET_XML = "xl/worksheets/sheet1.xml"
ENTITY = b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


def entities(xml):
    return ENTITY + xml[xml.index(b"<worksheet") :].replace(b"copper", b"&b;")


def image(save, name="03.png"):
    return lambda folder: save(folder / name)


def content(change, name="03.png"):
    """The bytes of an image, changed."""
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def array(values, name="03.png", **options):
    return lambda folder: Image.fromarray(values).save(folder / name, **options)


def named(name, save):
    """An image of another name, listed in the sheet instead of 03.png."""

    def make(folder):
        save(folder / name)
        cell("file", name, first=3)(folder)

    return make


def flip_idat(data):
    at = data.index(b"IDAT") + 200
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def png(width, height, extra=b""):
    """A PNG that claims a size."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def text_bomb():
    body = b"Comment\0\0" + zlib.compress(bytes(70_000_000))
    return png(80, 72, struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body)))


def colour():
    values = np.asarray(noise("RGB")).copy()
    values[10, 10] = (200, 20, 20)
    return values


def frames(path):
    noise().save(path, save_all=True, append_images=[noise(seed=1), noise(seed=2)])


def pipe(folder):
    (folder / "03.png").unlink()
    os.mkfifo(folder / "03.png")


def unix_socket(folder):
    (folder / "03.png").unlink()
    here = Path.cwd()
    os.chdir(folder)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind("03.png")
    finally:
        os.chdir(here)


def link_out(folder):
    (folder / "03.png").unlink()
    noise().save(folder.parent / "secret.png")
    (folder / "03.png").symlink_to(folder.parent / "secret.png")


def directory(name):
    def make(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return make


def rename(old, new):
    return lambda folder: (folder / old).rename(folder / new)


def footer(path):
    values = np.asarray(noise(size=(80, 120))).copy()
    values[100:] = 0
    values[108:112, 5:20] = 255
    Image.fromarray(values).save(path)


def meta(path):
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", struct.pack(">I", 45455))
    noise().save(path, pnginfo=info, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", icc_profile=b"not really a profile")


DECOMPOSED = unicodedata.normalize("NFD", "für")
LONG = "x" * 300 + ".png"
WIDE = "but there are 3 headings"
ALIKE = "which differ only in capitals, spaces or Unicode form; use one of them"
TABLE = [
    ("1-no-folder", lambda folder: folder.rename(folder.parent / "imagse"), "no such folder.*did you mean 'imagse'"),
    ("2-sheet-is-a-folder", directory("labels.csv"), r"labels\.csv is a folder, not a table; rename"),
    ("3-empty", text(""), r"labels\.csv: empty \(0 bytes\); export"),
    ("4-headings-only", text("file,material,power\n"), "no rows below the headings; add one"),
    ("5-utf16", edited(lambda t: t.encode("utf-16")), "UTF-16; save it as `CSV UTF-8`"),
    ("5-utf16-no-bom", edited(lambda t: t.encode("utf-16-le")), "UTF-16; save it as `CSV UTF-8`"),
    ("6-latin1", edited(lambda t: t.replace("steel", "Zié").encode("latin-1")), r"row 3: byte 0xe9 is not UTF-8.*save"),
    ("7-bom", edited(lambda t: t.encode("utf-8-sig")), ACCEPTED),
    ("8-semicolon", lambda f: write_csv(f, separator=";"), f"{ACCEPTED}: separated by ';'"),
    ("8-tab", lambda f: write_csv(f, separator="\t"), f"{ACCEPTED}: separated by TAB"),
    ("9-cr-only", edited(lambda t: re.sub("[\r\n]+", "\r", t)), ACCEPTED),
    ("9-mixed-newlines", edited(lambda t: t.replace("\r\n", "\n", 3).replace("\r\n", "\r", 2)), ACCEPTED),
    ("10-unclosed-quote", edited(lambda t: t.replace("steel", '"steel', 1)), "row 3: an opening quote is not closed"),
    ("11-long-row", edited(lambda t: t.replace("copper,2.5", "copper,2.5,9")), f"row 4 has 4 fields, {WIDE}"),
    ("12-all-rows-long", edited(lambda t: re.sub(r"\.5", ".5,9", t)), f"every row has 4 fields, {WIDE}.*delete"),
    ("12-all-rows-end-with-it", edited(lambda t: re.sub(r"\.5", ".5,", t)), f"{ACCEPTED}: separator at the end of"),
    ("13-short-row", edited(lambda t: t.replace("copper,2.5", "copper")), f"row 4 has 2 fields, {WIDE}"),
    ("14-twice", lambda f: write_csv(f, head=("file", "power [W]", "power")),
     "two columns are called 'power'.*rename or delete"),
    ("15-no-file-column", lambda f: write_csv(f, head=("fiel", *LABELS)), r"no column of file names.*rename 'fiel'"),
    ("15-misspelt", lambda f: write_csv(f, head=("file", "matrial", "power")), "'material'.*did you mean 'matrial'"),
    ("15-other-case", lambda f: write_csv(f, head=("file", "Material ", "power")),
     "'material'.*did you mean 'Material'"),
    ("16-nul", cell("material", "ste\0el", first=4), "row 6: has a NUL byte; export"),
    ("17-NA", cell("material", "NA", "None", "null"), f"{ACCEPTED} material NA None null"),
    ("18-007", cell("power", *[f"{i:03d}" for i in range(N)]), f"{ACCEPTED} power 007"),
    ("19-missing", cell("power", "", " ", first=2), r"column 'power' has no value in row\(s\) 4, 5; fill"),
    ("20-decimal-comma", cell("power", "1,5", first=3),
     "'power' expected a number, got row 5 '1,5'; decimals need a point"),
    ("20-1e400", cell("power", "1e400", "inf", "-"), "expected a number, got row 2 '1e400', row 3 'inf', row 4 '-'"),
    ("21-serial-number", cell("power", "9007199254740993"), f"{ACCEPTED} power 9007199254740993"),
    ("22-true", cell("material", *["True", "TRUE", "False", "false"] * 3), f"{ACCEPTED} material False True"),
    ("23-mixed", cell("power", *["1", "one", "2"] * 4), f"{ACCEPTED}: mixes numbers and words.*'1', '2', 'one'"),
    ("23-word-in-measurements", cell("power", "eleven"), "'power' expected a number, got row 2 'eleven'"),
    ("24-one-class", cell("material", *["steel"] * N), f"{ACCEPTED}: 'material' has only one value, 'steel'"),
    ("26-case", cell("material", "Steel"), "has 'Steel' and 'steel', which differ only in capitals"),
    ("26-space", cell("material", "steel "), "has 'steel' and 'steel ', which differ only in capitals, spaces"),
    ("26-unicode", cell("material", "für", DECOMPOSED), ALIKE),
    ("27-million-rows", edited(lambda t: t + "00.png,a,1\n" * 1_000_000), "more than 50,000 rows.*delete"),
    ("27-large", lambda f: os.truncate(f / "labels.csv", 1_000_000_000), "1,000,000,000 bytes, more than 50,000,000"),
    ("28-cut", book(then=lambda p: p.write_bytes(p.read_bytes()[:3000])),
     r"labels\.xlsx: not a readable xlsx.*damaged"),
    ("29-csv-as-xlsx", rename("labels.csv", "labels.xlsx"), r"not a readable xlsx; rename it to \.csv"),
    ("29-xlsx-as-csv", book(then=lambda p: p.rename(p.with_suffix(".csv"))), r"an Excel file named \.csv; save it"),
    ("30-password", book(then=lambda p: p.write_bytes(b"\xd0\xcf\x11\xe0\xa1" * 99)), "old .* or password-protected"),
    ("30-xls", rename("labels.csv", "labels.xls"), r"found none; save 'labels\.xls' as \.xlsx or \.csv"),
    ("31-formula", set_cell("C5", "=1+1"), "C5: a formula without a stored value; open it in Excel and save it"),
    ("31-formula-for-the-file", set_cell("A5", '="03"&".png"'), "A5: a formula without a stored value"),
    ("32-error", set_cell("C5", "#DIV/0!"), "C5: the formula gives #DIV/0!; correct it"),
    ("32-ref", set_cell("B2", "#REF!"), "B2: the formula gives #REF!"),
    ("33-merged", book(lambda w, s: s.merge_cells("B3:B6")), "merged cells 'B3:B6'; unmerge them and fill"),
    ("34-blank-inside", book(lambda w, s: s.insert_rows(5)), f"{ACCEPTED}: skipped blank row 5"),
    ("34-blank-after", edited(lambda t: t + ",,\r\n\r\n"), ACCEPTED),
    ("35-sheets", book(lambda w, s: w.create_sheet("old").append(["a"])),
     f"{ACCEPTED}: read worksheet 'Sheet', the only one with a column of file names, not 'old'"),
    ("35-two-sheets", book(lambda w, s: w.copy_worksheet(s)), "several worksheets.*'Sheet', 'Sheet Copy'.*--sheet"),
    ("36-hidden", book(lambda w, s: setattr(s.row_dimensions[4], "hidden", True)), f"{ACCEPTED}: used hidden row 4"),
    ("37-entities", more_parts({SHEET_XML: entities}), "defines XML entities"),
    ("37-zip-bomb", more_parts({SHEET_XML: lambda x: x.replace(b"<sheetData>", b"<sheetData>" + b" " * 60_000_000)}),
     "unpacks to 60,.* not a label table"),
    ("37-ratio", more_parts({"xl/more.xml": lambda _: bytes(9_000_000)}),
     r"unpacks to 9,.* times its size\): not a label"),
    ("37-unread-bomb", more_parts({"xl/media/a.bin": lambda _: bytes(90_000_000)}), ACCEPTED),
    ("37-macros", more_parts({"xl/vbaProject.bin": lambda _: b"Sub"}), "contains macros; save it as .xlsx without"),
]  # fmt: skip
PATHS = [
    ("38-absent", cell("file", "33.png", first=3), r"row 5: no such image: '33\.png' \(did you mean.*; add it"),
    ("39-dotdot", cell("file", "../images/00.png", first=3), "row 5: .*is outside the image folder; move"),
    ("39-absolute", cell("file", "/etc/passwd", first=3), "row 5: '/etc/passwd' is outside"),
    ("39-home", cell("file", "~/a.png", first=3), "row 5: '~/a.png' is outside"),
    ("39-url", cell("file", "file:///a.png", "https://example.org/a.png", "C:\\a.png"),
     "row 2: .*outside(.|\n)*row 4: .*outside"),
    ("39-link", link_out, r"row 5: '03\.png' is a link out of the image folder; replace"),
    ("40-pipe", pipe, r"row 5: '03\.png' is a pipe, socket or device, not a file"),
    ("40-socket", unix_socket, r"row 5: '03\.png' is a pipe, socket or device"),
    ("40-sheet-is-a-pipe", lambda f: ((f / "labels.csv").unlink(), os.mkfifo(f / "labels.csv")), "is a pipe, socket"),
    ("41-directory", directory("03.png"), r"row 5: '03\.png' is a folder, not an image"),
    ("42-twice", edited(lambda t: t + "03.png,steel,3.5\r\n"), r"rows 5, 14: '03\.png' is listed twice; keep one row"),
    ("42-twice-written-differently", edited(lambda t: t + "./03.png,steel,3.5\r\n"), "rows 5, 14: .*listed twice"),
    ("43-twice-and-different", edited(lambda t: t + "03.png,steel,9\r\n"),
     "listed twice with different 'power'; keep one"),
    ("44-same-bytes", lambda f: shutil.copy(f / "00.png", f / "05.png"),
     f"{ACCEPTED}: identical files.*'00.png' = '05.png'"),
    ("45-unlisted", lambda f: noise().save(f / "extra.png"),
     f"{ACCEPTED}: 1 image.s. of the folder are not in the label table"),
    ("46-case", rename("03.png", "03.PNG"), r"row 5: no such image: '03\.png' \(there is '03\.PNG': capitals"),
    ("46-unicode", lambda f: (noise().save(f / f"{DECOMPOSED}.png"), cell("file", "für.png")(f)),
     r"row 2: no such image: 'für\.png' \(there is '" + DECOMPOSED + r"\.png': capitals, spaces, Unicode form"),
    ("46-backslash", lambda f: ((f / "a").mkdir(), (f / "03.png").rename(f / "a/03.png"), cell("file",
     r"a\03.png", first=3)(f)),
     ACCEPTED),
    ("46-backslash-no-file", cell("file", r"a\03.png", first=3), r"row 5: no such image: 'a\\\\03\.png'"),
    ("47-long", cell("file", LONG, first=3), "row 5: 'xxx.*… ?' cannot be used .File name too long.*; rename"),
    ("47-newline", cell("file", "a\nb.png", first=3), r"row 5: 'a\\nb\.png' has a control character; retype the cell"),
    ("47-ansi", cell("file", "\x1b[31mred.png", first=3), r"row 5: '\\x1b\[31mred\.png' has a control character"),
    ("47-ansi-label", cell("material", "\x1b[31mred", first=3), r"control character in '\\x1b\[31mred'; delete"),
]  # fmt: skip
IMAGES = [
    ("49-empty", content(lambda d: b""), r"03\.png: is empty \(0 bytes\); export"),
    ("49-html", content(lambda d: b"<html>404</html>"), r"03\.png: is HTML, not PNG; export"),
    ("49-text", content(lambda d: b"hello"), r"03\.png: is text, not PNG"),
    ("50-jpeg", image(lambda p: noise().save(p, format="JPEG")), r"03\.png: is a JPEG named \.png; rename it to \.jpg"),
    ("51-half", content(lambda d: d[: len(d) // 2]), r"03\.png: cannot be decoded \(truncated.*export"),
    ("51-half-jpeg", named("a.jpg", lambda p: (noise().save(p), p.write_bytes(p.read_bytes()[:2000]))),
     r"a\.jpg: cannot be decoded \(truncated"),
    ("51-half-tiff", named("a.tif", lambda p: (noise().save(p), os.truncate(p, 3000))), r"a\.tif: cannot be decoded"),
    ("51-half-bmp", named("a.bmp", lambda p: (noise().save(p), os.truncate(p, 3000))), r"a\.bmp: cannot be decoded"),
    ("52-no-end", content(lambda d: d[:-12]), r"03\.png: cannot be decoded \(truncated: its end, IEND, is missing\)"),
    ("53-flip", content(flip_idat), r"03\.png: cannot be decoded \(damaged: wrong checksum of part 'IDAT'\)"),
    ("54-other-size", image(lambda p: noise(size=(100, 90)).save(p)),
     f"{ACCEPTED}: differ in size.*100x90 .1, such as '03.png"),
    ("55-small", image(lambda p: noise(size=(63, 80)).save(p)), r"03\.png: is 63x80 px, smaller than one 64x64 crop"),
    ("56-no-multiple-of-the-crop", lambda f: None, ACCEPTED),
    ("57-16-bit", array((np.asarray(noise()).astype(np.uint16)) * 257), ACCEPTED),
    ("57-12-bit-in-16", array((np.asarray(noise()).astype(np.uint16)) * 16),
     "is 16-bit but its values reach only 40.. of 65535"),
    ("58-rgb-grey", image(lambda p: noise("RGB").save(p)), ACCEPTED),
    ("58-rgba-grey", image(lambda p: noise("RGBA").save(p)), ACCEPTED),
    ("58-la", image(lambda p: noise("LA").save(p)), ACCEPTED),
    ("58-grey-palette", image(lambda p: noise("P").save(p)), ACCEPTED),
    ("58-transparent", array(np.dstack([np.asarray(noise())] * 4)), r"03\.png: has transparent pixels; export"),
    ("58-1-bit", image(lambda p: noise("1").save(p)), r"03\.png: is black and white.*export"),
    ("58-float", named("a.tif", lambda p: noise("F").save(p)),
     r"a\.tif: has 32-bit floating-point numbers, not 8- or 16-bit greyscale; convert"),
    ("58-cmyk", named("a.jpg", lambda p: noise("CMYK").save(p)),
     r"a\.jpg: must be 8- or 16-bit greyscale, is mode CMYK"),
    ("59-colour", array(colour()), r"03\.png: is in colour \(channels differ by up to 180 of 255\); convert"),
    ("60-frames", image(frames), r"03\.png: has 3 frames or pages; save one of them"),
    ("60-tiff-pages", named("a.tif", frames), r"a\.tif: has 3 frames or pages"),
    ("61-black", array(np.zeros((72, 80), np.uint8)), r"03\.png: is blank: every pixel is 0; delete"),
    ("61-white", array(np.full((72, 80), 255, np.uint8)), r"03\.png: is blank: every pixel is 255"),
    ("62-info-bar", image(footer),
     f"{ACCEPTED}: 1 of 12 image.s. seem to have an info bar at the bottom .20 px high, 17 %.*03.png'; crop"),
    ("63-bomb-60000", content(lambda d: png(60000, 60000)), r"03\.png: cannot be decoded \(Image size .*bomb"),
    ("63-bomb-12000", content(lambda d: png(12000, 12000)), r"03\.png: .*(bomb|more than 50,000,000 pixels)"),
    ("63-bomb-8000", content(lambda d: png(8000, 8000)), r"03\.png: is 8000x8000 px, more than 50,000,000 pixels"),
    ("63-text-bomb", content(lambda d: text_bomb()), r"03\.png: cannot be decoded \(Decompressed data too large"),
    ("64-metadata", image(meta), ACCEPTED),
]  # fmt: skip


def read(folder):
    """The source and all its notes, those of decoding every image included."""
    source = read_source(folder, LABELS)
    return source, source.notes + source.verify()


@pytest.mark.parametrize(("make", "words"), [pytest.param(m, w, id=name) for name, m, w in TABLE + PATHS + IMAGES])
def test_a_bad_input_is_refused_in_words_or_accepted_as_documented(folder, make, words):
    make(folder)
    if not words.startswith(ACCEPTED):
        with pytest.raises(DataError) as caught:
            read(folder)
        assert re.search(words, str(caught.value))
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", str(caught.value))  # nothing that a terminal would execute
        return
    source, notes = read(folder)
    assert len(source.images) == N
    _, colon, note = words.partition(": ")
    if colon:
        assert re.search(note, "\n".join(notes))
    column, *values = words.split(": ")[0].split()[1:] or [""]
    if column:
        assert set(values) <= set(source.images[column])


def test_25_a_class_with_fewer_images_than_folds_is_named_with_counts_and_the_largest_number_of_folds(folder):
    cell("material", "gold", "gold")(folder)
    images = read_source(folder, LABELS).images
    with pytest.raises(DataError, match=r"'material'.* 2 .*gold: 2.*use --folds 2"):
        check_folds(images, images["image_id"].to_numpy(), "material", 5, "image")


@pytest.mark.parametrize("name", ["03.png", "labels.csv"])
def test_48_a_file_that_may_not_be_read_is_named_with_the_user(folder, name):
    (folder / name).chmod(0)
    for place in (folder, *folder.parents):  # the folders of the test may be entered by anybody
        if os.access(place, os.W_OK) and place.stat().st_uid == os.getuid() and "pytest" in str(place):
            place.chmod(0o755)
    code = (
        "import os, sys, deepdlt.commands.check; from deepdlt.__main__ import main;"
        "os.getuid() or os.setuid(65534); sys.exit(main(['check', '--data', sys.argv[1]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert re.search(rf"{name}: cannot be read \(Permission denied, user id \d+\); chmod u\+r", done.stderr)
    assert "Traceback" not in done.stderr


def test_65_an_image_that_changes_after_the_check_is_not_used(folder):
    source = read_source(folder, LABELS)
    noise(seed=99).save(folder / "03.png")
    with pytest.raises(DataError, match=r"03\.png: has changed since it was checked; run again"):
        source.verify()
    with pytest.raises(DataError, match="has changed"):
        source.pixels(3)
    assert read_source(folder, LABELS).fingerprint != source.fingerprint


def test_all_broken_images_are_listed_at_once_by_a_full_decode(folder):
    for i in (1, 4, 7):
        array(np.full((72, 80), i, np.uint8), f"{i:02d}.png")(folder)
    with pytest.raises(DataError) as caught:
        read_source(folder, LABELS).verify()
    assert re.findall(r"(\d\d)\.png: is blank", str(caught.value)) == ["01", "04", "07"]
    assert "3 image(s) cannot be used" in str(caught.value)


def test_the_command_line_refuses_with_exit_2_and_without_a_traceback(folder, capsys):
    cell("file", "33.png", first=3)(folder)
    assert main(["--data", str(folder)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.out == ""


def test_a_folder_with_two_sheets_lists_them(folder):
    shutil.copy(folder / "labels.csv", folder / "more.csv")
    with pytest.raises(DataError, match=r"needs exactly one label table.*'labels\.csv', 'more\.csv'"):
        find_sheet(folder)
