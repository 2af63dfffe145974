"""Checkpoints that are atomic, checksummed and self-describing.

A file is what torch.save writes (torch.load reads it anywhere), with the sha256 of its bytes in the zip comment. A
flipped bit inside a weight passes torch.load unseen; here it does not.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepdlt.atomic import write_atomic
from deepdlt.config import TrainConfig, config_dict
from deepdlt.models import build_model

_MARK = b"sha256:"
_COMMENT_BYTES = len(_MARK) + 64


class DamagedCheckpoint(OSError):
    """The file is not what was saved; its name and how it differs are in the message."""


def save_checkpoint(path: Path, config: TrainConfig, state: Mapping[str, Any]) -> None:
    """Write `{"config": ..., **state}`; after a crash at any moment the old or the new file is there, whole."""
    buffer = io.BytesIO()
    torch.save({"config": config_dict(config), **state}, buffer)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest().encode()
    # A zip ends with the length of its comment, two bytes, little-endian; torch writes none.
    write_atomic(path, data[:-2] + _COMMENT_BYTES.to_bytes(2, "little") + _MARK + digest)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The saved dict, tensors on the CPU.

    Raises:
        DamagedCheckpoint: the checksum is missing or wrong.
        FileNotFoundError: no such file.
    """
    raw = path.read_bytes()
    body, comment = raw[:-_COMMENT_BYTES], raw[-_COMMENT_BYTES:]
    data = body[:-2] + b"\0\0"
    if not comment.startswith(_MARK):
        raise DamagedCheckpoint(f"{path}: cut short or not a checkpoint of this tool ({len(raw)} bytes)")
    if hashlib.sha256(data).hexdigest().encode() != comment[len(_MARK) :]:
        raise DamagedCheckpoint(f"{path}: its bytes do not match its sha256; use an older checkpoint or train again")
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def load_model(path: Path) -> tuple[nn.Module, TrainConfig]:
    """The network of a checkpoint in eval mode, and the configuration it was trained with."""
    state = load_checkpoint(path)
    known = {field.name for field in fields(TrainConfig)}
    config = TrainConfig(**{key: value for key, value in state["config"].items() if key in known})
    model = build_model(config)
    model.load_state_dict(state["model_state_dict"])
    return model.eval(), config
