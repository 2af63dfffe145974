"""Mutated inputs: whatever happens to the bytes of a PNG, a CSV or an xlsx, they are read or refused in words."""

import io
import shutil
import signal
import struct
import zipfile
import zlib
from collections import Counter

import numpy as np
import openpyxl
import pytest
from PIL import Image

from deepdlt.errors import DataError
from deepdlt.images.source import read_source

KINDS = ("png", "csv", "xlsx")
LIMIT_S = 5


@pytest.fixture(scope="module")
def originals():
    """The three files, small so that a mutation hits something that matters."""
    values = np.random.default_rng(0).integers(90, 110, (64, 64), dtype=np.uint8)
    picture, sheet = io.BytesIO(), io.BytesIO()
    Image.fromarray(values).save(picture, format="PNG")
    workbook = openpyxl.Workbook()
    rows = [["file", "material", "power [W]"], ["a.png", "steel", 1.5], ["b.png", "copper", 3]]
    for row in rows:
        workbook.active.append(row)
    workbook.save(sheet)
    text = "\r\n".join(",".join(map(str, row)) for row in rows)
    return {"png": picture.getvalue(), "csv": text.encode(), "xlsx": sheet.getvalue()}


def mutate(data, rng):
    """1 to 4 changes: flip a bit, set a byte, insert, delete, cut off, repeat a piece somewhere else."""
    mutated = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        n = len(mutated)
        at, length = int(rng.integers(0, n + 1)), int(rng.integers(1, max(2, min(n // 2, 400))))
        match rng.integers(0, 6):
            case 0 if at < n:
                mutated[at] ^= 1 << int(rng.integers(0, 8))
            case 1 if at < n:
                mutated[at] = int(rng.choice([0, 9, 10, 13, 34, 44, 59, 127, 255, rng.integers(0, 256)]))
            case 2:
                mutated[at:at] = rng.bytes(min(length, 16))
            case 3:
                del mutated[at : at + length]
            case 4 if rng.random() < 0.3:
                del mutated[at:]
            case _:
                target = int(rng.integers(0, n + 1))
                mutated[target:target] = mutated[at : at + length]
    return bytes(mutated)


def mutate_inside(kind, data, rng):
    """The same below the checksums, which would find nearly every change: PNG chunks, parts of the xlsx's archive."""
    if kind == "png":
        chunks, at = [], 8
        while at < len(data):
            length = int.from_bytes(data[at : at + 4], "big")
            chunks.append(data[at + 4 : at + 8 + length])
            at += 12 + length
        k = int(rng.integers(0, len(chunks) - 1))
        body = mutate(chunks[k], rng)
        chunks[k] = chunks[k][:4] + body[4:] if rng.random() < 0.9 else body
        return data[:8] + b"".join(
            struct.pack(">I", max(0, len(c) - 4)) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks
        )
    if kind == "xlsx":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        named = list(parts) if rng.random() < 0.5 else [name for name in parts if "sheet" in name]
        chosen = named[int(rng.integers(0, len(named)))]
        parts[chosen] = mutate(parts[chosen], rng)
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, body in parts.items():
                archive.writestr(name, body)
        return stream.getvalue()
    return mutate(data, rng)


def folder_with(root, originals, kind, data):
    """Two images and a sheet, one of the three files mutated."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    files = {"a.png": originals["png"], "b.png": originals["png"], "labels.csv": originals["csv"]}
    if kind == "xlsx":
        del files["labels.csv"]
    files[{"png": "b.png", "csv": "labels.csv", "xlsx": "labels.xlsx"}[kind]] = data
    for name, content in files.items():
        (root / name).write_bytes(content)
    return root


class TooLong(BaseException):
    """Not an Exception, so that nothing under test can take it for a damaged file."""


def too_long(*_):
    raise TooLong(f"more than {LIMIT_S} s")


def outcomes(originals, root, seeds):
    """How many of the mutations were read and refused; anything else is raised with its seed."""
    counts: Counter[str] = Counter()
    before = signal.signal(signal.SIGALRM, too_long)
    try:
        for seed in seeds:
            kind = KINDS[seed % 3]
            rng = np.random.default_rng(seed)
            inside = seed % 2 and kind != "csv"
            mutated = mutate_inside(kind, originals[kind], rng) if inside else mutate(originals[kind], rng)
            folder = folder_with(root / "fuzz", originals, kind, mutated)
            signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
            try:
                read_source(folder, ("material",)).verify()
                counts[f"{kind} read"] += 1
            except DataError as error:
                counts[f"{kind} {'refused' if len(str(error)) > 20 else 'refused without words'}"] += 1
            except BaseException as error:
                raise AssertionError(f"seed {seed} ({kind}): {type(error).__name__}: {error}") from error
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    return counts


def test_300_mutated_files_are_read_or_refused_in_words(originals, tmp_path):
    counts = outcomes(originals, tmp_path, range(300))
    assert set(counts) <= {f"{kind} {what}" for kind in KINDS for what in ("read", "refused")}
    assert sum(counts.values()) == 300
    assert all(counts[f"{kind} refused"] > 50 for kind in KINDS)  # the mutations do hit


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(20))
def test_10000_mutated_files_are_read_or_refused_in_words(originals, tmp_path, chunk):
    counts = outcomes(originals, tmp_path, range(1000 + 500 * chunk, 1500 + 500 * chunk))
    print(dict(counts))
    assert sum(counts.values()) == 500


def test_the_unmutated_files_are_read(originals, tmp_path):
    for kind in KINDS:
        read_source(folder_with(tmp_path / kind, originals, kind, originals[kind]), ("material", "power")).verify()
