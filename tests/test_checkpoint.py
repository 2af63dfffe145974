"""Checkpoints: whole or refused, readable by anybody's torch.load, self-describing."""

import numpy as np
import pytest
import torch

from deepdlt.checkpoint import DamagedCheckpoint, load_checkpoint, load_model, save_checkpoint
from deepdlt.config import TrainConfig
from deepdlt.models import build_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "best.pt"
    config = TrainConfig(kernel_size=5, activation="elu")
    save_checkpoint(path, config, {"model_state_dict": build_model(config).state_dict(), "epoch": 3})
    return path


def test_plain_torch_load_reads_it(saved):
    assert torch.load(saved, weights_only=True)["epoch"] == 3


def test_a_model_comes_back_with_its_configuration(saved):
    model, config = load_model(saved)
    assert config == TrainConfig(kernel_size=5, activation="elu")
    weights = load_checkpoint(saved)["model_state_dict"]
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert not model.training


def test_every_truncation_is_detected(saved, tmp_path):
    raw = saved.read_bytes()
    cut = tmp_path / "cut.pt"
    for length in [*np.linspace(0, len(raw) - 1, 40).astype(int), *range(len(raw) - 80, len(raw))]:
        cut.write_bytes(raw[:length])
        with pytest.raises(DamagedCheckpoint):
            load_checkpoint(cut)


def test_every_flipped_bit_is_detected(saved, tmp_path):
    raw = saved.read_bytes()
    flipped = tmp_path / "flipped.pt"
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(raw), 200):
        damaged = bytearray(raw)
        damaged[position] ^= 1 << int(rng.integers(8))
        flipped.write_bytes(damaged)
        with pytest.raises(DamagedCheckpoint):
            load_checkpoint(flipped)


def test_a_failed_write_leaves_the_old_file(saved, tmp_path):
    path = tmp_path / "last.pt"
    path.write_bytes(saved.read_bytes())
    with pytest.raises(AttributeError, match="local object"):
        save_checkpoint(path, TrainConfig(), {"unpicklable": lambda: 0})
    assert load_checkpoint(path)["epoch"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]
