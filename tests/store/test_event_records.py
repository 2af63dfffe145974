"""The framing of event files against TensorBoard's own checksum, and against damage."""

import struct

import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from sweeps.store.event_files import TrialLog, read_trial
from sweeps.store.event_records import LONG, masked_crc, read_records

FLIPS = 1000


def record(payload):
    head = struct.pack("<Q", len(payload))
    return head + struct.pack("<I", masked_crc32c(head)) + payload + struct.pack("<I", masked_crc32c(payload))


def payloads(rng, n=30, longest=400):
    return [rng.bytes(int(k)) for k in rng.integers(0, longest, n)]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 127, 128, 129, LONG, LONG + 1, 3 * LONG + 5, 100_003])
def test_checksums_are_tensorboards(length):
    payload = np.random.default_rng(length).bytes(length)
    assert masked_crc(payload) == masked_crc32c(payload)


def test_records_of_all_lengths_come_back_in_order():
    written = payloads(np.random.default_rng(0), 200, 3 * LONG)
    found = read_records(b"".join(map(record, written)))
    assert (found.payloads, found.lost) == (written, 0)


def test_no_file_at_all_holds_nothing():
    assert (read_records(b"").payloads, read_records(b"").lost) == ([], 0)


def test_one_flipped_bit_costs_one_record_wherever_it_is():
    rng = np.random.default_rng(1)
    written = payloads(rng)
    whole = b"".join(map(record, written))
    for bit in rng.integers(0, 8 * len(whole), FLIPS).tolist():
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        found = read_records(bytes(damaged))
        assert found.lost == 1
        assert len(found.payloads) == len(written) - 1
        rest = iter(written)
        assert all(payload in rest for payload in found.payloads)  # those left, in their order


@pytest.mark.parametrize("share", [0.0005, 0.1, 0.5, 0.9, 0.9999])
def test_a_truncated_file_gives_all_that_is_whole(share):
    written = payloads(np.random.default_rng(2))
    whole = b"".join(map(record, written))
    found = read_records(whole[: int(share * len(whole))])
    assert found.lost == 1
    assert found.payloads == written[: len(found.payloads)]
    assert sum(len(record(payload)) for payload in written[: len(found.payloads) + 1]) > int(share * len(whole))


@pytest.mark.parametrize("lost", [1, 7, 100])
def test_bytes_that_are_missing_in_the_middle_cost_the_records_that_they_touch(lost):
    written = payloads(np.random.default_rng(3), 20, 50)
    whole = b"".join(map(record, written))
    middle = len(whole) // 2
    found = read_records(whole[:middle] + whole[middle + lost :])
    assert found.lost
    touched = len(written) - len(found.payloads)
    assert 1 <= touched <= 2 + lost // 16
    assert found.payloads[-5:] == written[-5:]


@pytest.mark.parametrize("content", [b"\0" * 5000, b"not an event file", bytes(range(256)) * 40])
def test_what_is_no_event_file_is_damage(content):
    found = read_records(content)
    assert found.payloads == []
    assert found.lost


def test_1000_flipped_bits_in_a_trials_file_never_pass_for_a_shorter_curve(tmp_path):
    """Each is reported, and no curve has a value that was not written."""
    values = {step: float(np.float32(1 / step)) for step in range(1, 31)}
    with TrialLog(tmp_path) as log:
        log.session_start("t", {"lr": 1e-3})
        for step, value in values.items():
            log.scalars({"val_loss": value}, step)
        log.image("crops", np.random.default_rng(0).integers(0, 256, (20, 20)).astype(np.uint8), 30)
    (path,) = tmp_path.glob("events*")
    raw, rng = path.read_bytes(), np.random.default_rng(0)
    shorter = 0
    for bit in rng.integers(0, 8 * len(raw), FLIPS).tolist():
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        trial = read_trial(tmp_path)
        assert (trial.damaged, trial.lost) == ([path.name], 1)
        curve = trial.scalars["val_loss"]
        assert curve.items() <= values.items()
        assert len(curve) >= len(values) - 1
        shorter += len(curve) < len(values)
    assert shorter > FLIPS / 10  # flips did hit the curve
