"""Checkpoints: whole or refused, readable by anybody's torch.load, self-describing."""

import numpy as np
import pytest
import torch

from deepdlt.config import TrainConfig, make_config
from deepdlt.models import build_model
from deepdlt.models.checkpoint import DamagedCheckpoint, load_checkpoint, load_model, load_original, save_checkpoint


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


@pytest.mark.parametrize(
    "settings", [{"kernel_size": 5}, {"model": "cnn_vae", "latent_dim": 128, "decoder_kernel_size": 3}]
)
def test_a_checkpoint_of_the_studys_own_form_loads(tmp_path, settings):
    config = make_config("report", activation="leaky_relu", **settings)
    model = build_model(config)
    optimizer = torch.optim.Adam(model.parameters())
    content = {"epoch": 99, "model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer.state_dict()}
    torch.save(content | {"loss": 0.18}, tmp_path / "original.pth")
    loaded, found = load_original(tmp_path / "original.pth", activation="leaky_relu")
    assert found == config
    x = torch.rand(2, 1, 64, 64)
    outputs = [m(x)[0] for m in (loaded, model.eval())]
    assert torch.equal(*outputs)
    assert not loaded.training


class Trap:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", {"model_state_dict": {"a": torch.zeros(1)}}, [1], Trap()])
def test_what_is_not_such_a_checkpoint_is_refused_and_never_executed(tmp_path, content, capsys):
    path = tmp_path / "foreign.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(DamagedCheckpoint, match="not a checkpoint of the study's networks"):
        load_original(path)
    assert "executed" not in capsys.readouterr().out
