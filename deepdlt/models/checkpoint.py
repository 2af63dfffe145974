"""Checkpoints: written atomically, with a checksum and the configuration.

A file is the output of torch.save (torch.load reads it anywhere) with the sha256 of its bytes in the zip comment.
torch.load does not notice a flipped bit inside a weight; the checksum does.
"""

import hashlib
import io
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepdlt.atomic import write_atomic
from deepdlt.config import TrainConfig, config_dict, make_config
from deepdlt.models import build_model
from deepdlt.models.vae import Variational

LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"
_MARK = b"sha256:"
_COMMENT_BYTES = len(_MARK) + 64
_NOT_A_CHECKPOINT = (
    OSError,
    EOFError,
    TypeError,
    RuntimeError,
    AttributeError,
    KeyError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


class DamagedCheckpoint(OSError):
    """The file is damaged or no checkpoint; the message has its name and the reason."""


def save_checkpoint(path: Path, config: TrainConfig, state: Mapping[str, Any]) -> None:
    """Write `{"config": ..., **state}`. After a crash at any moment the old or the new file is complete."""
    buffer = io.BytesIO()
    torch.save({"config": config_dict(config), **state}, buffer)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest().encode()
    # A zip ends with the length of its comment, two bytes, little-endian; torch writes none.
    write_atomic(path, data[:-2] + _COMMENT_BYTES.to_bytes(2, "little") + _MARK + digest)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The saved dict, with its tensors on the CPU.

    Raises:
        DamagedCheckpoint: the checksum is missing or wrong.
        FileNotFoundError: no such file.
    """
    raw = path.read_bytes()
    body, comment = raw[:-_COMMENT_BYTES], raw[-_COMMENT_BYTES:]
    data = body[:-2] + b"\0\0"
    if not comment.startswith(_MARK):
        raise DamagedCheckpoint(f"{path}: truncated, or not a checkpoint of this tool ({len(raw)} bytes)")
    if hashlib.sha256(data).hexdigest().encode() != comment[len(_MARK) :]:
        raise DamagedCheckpoint(f"{path}: does not match its checksum; use an older checkpoint or train again")
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def save_last(directory: Path, config: TrainConfig, state: Mapping[str, Any]) -> None:
    """Write last.pt; the older one becomes previous.pt. A crash leaves at least one of them complete."""
    last = directory / LAST
    if last.exists():
        last.replace(directory / PREVIOUS)
    save_checkpoint(last, config, state)


def load_last(directory: Path) -> dict[str, Any] | None:
    """The newest undamaged one of last.pt and previous.pt, or None; a RuntimeWarning names a damaged one."""
    remedies = {LAST: "the previous one is used, if there is one", PREVIOUS: "this training starts from the beginning"}
    for name, remedy in remedies.items():
        try:
            return load_checkpoint(directory / name)
        except FileNotFoundError:
            continue
        except DamagedCheckpoint as error:
            warnings.warn(f"{error}; {remedy}", RuntimeWarning, stacklevel=2)
            (directory / name).unlink()  # else save_last would replace the good one by it
    return None


def load_original(path: Path, activation: str = "relu", dropout: float = 0.2) -> tuple[nn.Module, TrainConfig]:
    """The network of a checkpoint of the study's code, in eval mode, and the configuration that describes it.

    Args:
        path: file with a dict that has `model_state_dict` (and `epoch`, `optimizer_state_dict`, `loss`), or with the
            weights alone.
        activation, dropout: not in such files. The study's VAE has the activation `leaky_relu`.

    Raises:
        DamagedCheckpoint: the file is no such checkpoint; no code in it is executed.
        FileNotFoundError: no such file.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        weights = content.get("model_state_dict", content)
        vae = "fc_mu.weight" in weights
        config = make_config(
            "report",
            model="cnn_vae" if vae else "cnn_ae",
            activation=activation,
            dropout=dropout,
            kernel_size=weights["encoder.0.weight"].shape[-1],
            decoder_kernel_size=weights["decoder.0.weight"].shape[-1],
            latent_dim=len(weights["fc_mu.weight"]) if vae else TrainConfig().latent_dim,
        )
        model = build_model(config)
        model.load_state_dict(weights)
    except FileNotFoundError:
        raise
    except _NOT_A_CHECKPOINT as error:
        first = str(error).strip().partition("\n")[0][:200]
        raise DamagedCheckpoint(f"{path}: not a checkpoint of the study's networks ({first})") from error
    return model.eval(), config


def load_model(path: Path) -> tuple[nn.Module, TrainConfig]:
    """The network of a checkpoint, in eval mode, and the configuration of its training."""
    state = load_checkpoint(path)
    known = {field.name for field in fields(TrainConfig)}
    config = TrainConfig(**{key: value for key, value in state["config"].items() if key in known})
    model = build_model(config)
    model.load_state_dict(state["model_state_dict"])
    if isinstance(model, Variational):
        model.decoder_variance = state.get("decoder_variance")
    return model.eval(), config
