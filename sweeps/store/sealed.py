"""JSON files with a sha256 over all of their content: whole and unchanged, or not there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepdlt.atomic import write_atomic
from sweeps.store.cell import sha256


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write the content with its sha256, whole or not at all."""
    sealed = {**content, "sha256": sha256(dict(content))}
    write_atomic(path, json.dumps(sealed, indent=1, sort_keys=True).encode())


def read_sealed(path: Path) -> dict[str, Any] | None:
    """The content without its sha256; None when it cannot be read or does not verify."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stated = content.pop("sha256")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return content if stated == sha256(content) else None
