"""JSON files with a sha256 over all of their content: whole and unchanged, or not there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepdlt.atomic import write_atomic
from sweeps.store.cell import sha256
from sweeps.store.mirror import published


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write the content with its sha256, whole or not at all."""
    write_atomic(path, sealed(content))
    published(path)


def sealed(content: Mapping[str, Any]) -> bytes:
    """The content of such a file."""
    return json.dumps({**content, "sha256": sha256(dict(content))}, indent=1, sort_keys=True).encode()


def read_sealed(path: Path) -> dict[str, Any] | None:
    """The content without its sha256; None when it cannot be read or does not verify."""
    try:
        return unsealed(path.read_bytes())
    except OSError:
        return None


def unsealed(data: bytes) -> dict[str, Any] | None:
    """The same of the bytes of such a file."""
    try:
        content = json.loads(data)
        stated = content.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return content if stated == sha256(content) else None
