"""The TEXT tab: one page per trial, with its configuration, the commands that made it and make it again, and where."""

import platform
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from sweeps.store import SEARCH, Cell, SweepFile


def trial_page(cell: Cell, name: str, sweep_file: SweepFile, made_by: Mapping[str, Any], device: str) -> str:
    """The page, in Markdown.

    Args:
        name: of the trial.
        made_by: `code`, `versions` and `git_commit`.
        device: `cpu` or `cuda`.
    """
    swept = [field for field in sweep_file.axes if field in cell.config]
    place = "search trial" if cell.kind == SEARCH else f"fold {cell.fold} of {cell.n_folds}"
    split = f", stratified by {cell.label}" if cell.label else ""
    rest = [field for field in cell.config if field not in swept]
    versions = {str(package): str(version) for package, version in made_by["versions"].items()}
    about = {
        "images": sweep_file.data.name,
        "crops": sweep_file.data.crops,
        "data fingerprint": cell.data[:12],
        "device": device,
        "host": socket.gethostname(),
        "system": platform.platform(),
        **versions,
        "commit": made_by["git_commit"],
        "code": made_by["code"][:12],
    }
    return "\n".join(
        [
            f"## {_cell(name)}",
            "",
            f"{place}{_cell(split)}, seed {cell.config.seed}, protocol {sweep_file.protocol or 'unknown'}",
            "",
            *_table("swept", [(field, cell.config[field]) for field in swept]),
            *_table("other settings", [(field, cell.config[field]) for field in rest]),
            "### command of the sweep",
            "",
            f"    {sweep_file.command or 'unknown'}",
            "",
            *_table("environment", [(key, value) for key, value in about.items() if value not in (None, "")]),
        ]
    )


def _table(title: str, rows: Iterable[tuple[str, Any]]) -> list[str]:
    lines = [f"| {_cell(field)} | {_cell(value)} |" for field, value in rows]
    return [f"### {title}", "", "| | |", "|---|---|", *lines, ""] if lines else []


def _cell(value: Any) -> str:
    """As the cell of a table; TensorBoard itself removes what is dangerous in a page."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(f"\\{letter}" if letter in "\\|*_`[]<>#" else " " if letter in "\r\n" else letter for letter in text)
