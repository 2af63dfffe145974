"""The framing of event files: checked records out of bytes, as many as damage leaves readable.

A record is: length (8 bytes), its masked crc32c (4), payload, its masked crc32c (4). TensorBoard's own reader stops at
damage in silence and would pass a short curve off as the whole.
"""

import struct
from dataclasses import dataclass, field

import numpy as np

HEADER, FRAME = 12, 16
LONG = 2048  # bytes; longer payloads (pictures) are summed in chunks, shorter ones of a file together
CHUNK = 128
POLYNOMIAL = 0x82F63B78
MASK = 0xA282EAD8
ONES = 0xFFFFFFFF


@dataclass
class Records:
    """The payloads of an event file whose checksums agree, in their order."""

    payloads: list[bytes] = field(default_factory=list)
    lost: int = 0
    """Places at which at least one record is not readable; 0 in a file that is whole."""


def read_records(data: bytes) -> Records:
    """Take an event file apart.

    A record with a damaged payload is left out. After a damaged length the next place is searched at which a length
    and its checksum agree. A file that ends within a record has lost one.
    """
    found, position = Records(), 0
    while position < len(data):
        starts, lengths, end = _walk(data, position)
        heads = _equal(_sums([data[start : start + 8] for start in starts]), data, [start + 8 for start in starts])
        sound = len(starts) if heads.all() else int(np.argmin(heads))
        payloads = [data[s + HEADER : s + HEADER + n] for s, n in zip(starts[:sound], lengths, strict=False)]
        ends = [s + HEADER + n for s, n in zip(starts[:sound], lengths, strict=False)]
        whole = _equal(_sums(payloads), data, ends)
        found.payloads += [payload for payload, good in zip(payloads, whole, strict=True) if good]
        found.lost += int((~whole).sum())
        at = end if sound == len(starts) else starts[sound]
        if at == len(data):
            break
        found.lost += 1
        position = _next_header(data, at + 1)
    return found


def masked_crc(payload: bytes) -> int:
    """The checksum of one byte string as event files hold it."""
    return int(_sums([payload])[0])


def _walk(data: bytes, position: int) -> tuple[list[int], list[int], int]:
    """Starts and payload lengths of records, by their lengths alone, and where that leads out of the file."""
    starts, lengths = [], []
    while position + FRAME <= len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        if position + FRAME + length > len(data):
            break
        starts.append(position)
        lengths.append(length)
        position += FRAME + length
    return starts, lengths, position


def _equal(sums: np.ndarray, data: bytes, places: list[int]) -> np.ndarray:
    stated = [struct.unpack_from("<I", data, place)[0] for place in places]
    return sums == np.array(stated, np.uint32)


def _next_header(data: bytes, begin: int) -> int:
    """The next place at which 8 bytes and the checksum behind them agree; the end of the data without one."""
    raw = np.frombuffer(data, np.uint8)[begin:]
    n = len(raw) - FRAME + 1
    if n <= 0:
        return len(data)
    crc = np.full(n, ONES, np.uint32)
    for k in range(0, 8, 2):
        crc = _two_bytes(crc, raw[k : k + n].astype(np.uint32) | raw[k + 1 : k + 1 + n].astype(np.uint32) << 8)
    stated = sum(raw[8 + k : 8 + k + n].astype(np.uint32) << (8 * k) for k in range(4))
    for place in np.flatnonzero(_mask(crc ^ ONES) == stated):
        start = begin + int(place)
        (length,) = struct.unpack_from("<Q", data, start)
        if start + FRAME + length <= len(data):
            return start
    return len(data)


def _sums(strings: list[bytes]) -> np.ndarray:
    """Masked checksums, (n,) uint32."""
    sums = np.zeros(len(strings), np.uint32)
    lengths = np.array([len(text) for text in strings], int)
    for k in np.flatnonzero(lengths > LONG):
        sums[k] = _long_crc(strings[k])
    short = np.flatnonzero(lengths <= LONG)
    if len(short):
        order = short[np.argsort(-lengths[short], kind="stable")]  # the longest first: those still running lead
        sums[order] = _short_crcs([strings[k] for k in order], lengths[order])
    return _mask(sums)


def _short_crcs(strings: list[bytes], lengths: np.ndarray) -> np.ndarray:
    """Checksums of strings in descending order of length, two bytes of each per step."""
    width = int(lengths[0]) + 1
    padded = np.frombuffer(b"".join(text.ljust(width, b"\0") for text in strings), np.uint8).reshape(-1, width)
    columns = np.ascontiguousarray(padded.T).astype(np.uint32)
    crc = np.full(len(strings), ONES, np.uint32)
    running = np.searchsorted(-lengths, -np.arange(1, width + 1), side="right")  # how many have more than k bytes
    for k in range(0, width - 1, 2):
        two, one = int(running[k + 1]), int(running[k])
        crc[:two] = _two_bytes(crc[:two], columns[k, :two] | columns[k + 1, :two] << 8)
        if one > two:
            crc[two:one] = _TABLE[(crc[two:one] ^ columns[k, two:one]) & 0xFF] ^ (crc[two:one] >> 8)
    return crc ^ ONES


def _long_crc(text: bytes) -> int:
    """The checksum of one long string: of its chunks at once, then joined.

    Sums are linear: zeros before the first byte change nothing, and to begin with ones is to invert the first 4 bytes.
    """
    inverted = bytes(byte ^ 0xFF for byte in text[:4]) + text[4:]
    rows = -(-len(text) // CHUNK)
    chunks = np.frombuffer(inverted.rjust(rows * CHUNK, b"\0"), "<u2").reshape(rows, CHUNK // 2)
    columns = np.ascontiguousarray(chunks.T).astype(np.uint32)
    crc = np.zeros(rows, np.uint32)
    for column in columns:
        crc = _two_bytes(crc, column)
    total = 0
    for part in crc.tolist():
        a, b, c, d = total & 0xFF, total >> 8 & 0xFF, total >> 16 & 0xFF, total >> 24
        total = _SHIFT[0][a] ^ _SHIFT[1][b] ^ _SHIFT[2][c] ^ _SHIFT[3][d] ^ part
    return total ^ ONES


def _two_bytes(crc: np.ndarray, pair: np.ndarray) -> np.ndarray:
    return _PAIRS[(crc ^ pair) & 0xFFFF] ^ (crc >> 16)


def _mask(crc: np.ndarray) -> np.ndarray:
    return (crc >> 15 | crc << 17) + np.uint32(MASK)


def _tables() -> tuple[np.ndarray, np.ndarray, list[list[int]]]:
    """Of one byte, of two, and of each byte of a sum that CHUNK zeros follow."""
    one: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        one = (one >> 1) ^ np.where(one & 1, np.uint32(POLYNOMIAL), np.uint32(0))
    pairs: np.ndarray = np.arange(65536, dtype=np.uint32)
    for _ in range(2):
        pairs = one[pairs & 0xFF] ^ (pairs >> 8)
    shifted: np.ndarray = np.array([np.arange(256, dtype=np.uint32) << (8 * k) for k in range(4)], np.uint32)
    for _ in range(CHUNK):
        shifted = one[shifted & 0xFF] ^ (shifted >> 8)
    return one, pairs, [row.tolist() for row in shifted]


_TABLE, _PAIRS, _SHIFT = _tables()
