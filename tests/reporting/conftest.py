"""Fixtures of the reporting tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from written_sweeps import write_sweep_json, write_trial


@pytest.fixture
def one(tmp_path: Path) -> Callable[..., Path]:
    """Make a sweep of single trials."""

    def make(*trials: dict[str, Any], **asked: Any) -> Path:
        write_sweep_json(tmp_path / "s", **asked)
        for number, trial in enumerate(trials):
            write_trial(tmp_path / "s", **{"number": number, **trial})
        return tmp_path / "s"

    return make


@pytest.fixture(autouse=True)
def no_vector_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """SVG and PDF take most of a report's time; the reports of a whole module (`pages`) have them."""
    monkeypatch.setattr("deepdlt.figures.style._vector", lambda figure, kind: b"")
