"""sweep.json: what was asked of a sweep, and what may change when it is asked again."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deepdlt.atomic import remove_unfinished, write_atomic
from sweeps.errors import SweepRefused
from sweeps.space import outside_space

OF_CROSS_VALIDATION = (
    *("cv", "cv_top", "cv_seeds", "race", "labels", "folds", "classes", "cv_configurations", "cv_cells"),
)

KEPT = ("created", "cv_configurations", "cv_cells")

Explain = Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]]


def open_sweep(sweep: Path, asked: dict[str, Any], fixed: tuple[str, ...]) -> None:
    """Create the sweep folder and its sweep.json, or check that an existing one asked for the same.

    Args:
        asked: what the command line asks for, JSON-able.
        fixed: keys of `asked` that may not change between runs of one sweep, see `differences`; the others are updated.

    Raises:
        SweepRefused: a fixed key differs; every difference is listed.
    """
    check_sweep(sweep, asked, fixed)
    before = read_sweep(sweep) or {}
    kept: dict[str, Any] = {key: before[key] for key in KEPT if key in before}
    if before.get("cv") and not asked.get("cv"):  # what was cross-validated stays in the report
        kept |= {key: before[key] for key in OF_CROSS_VALIDATION if key in before}
    sweep.mkdir(parents=True, exist_ok=True)
    for folder in (sweep, *(path for path in sweep.iterdir() if path.is_dir())):
        remove_unfinished(folder)  # of writers that were killed
    write_atomic(sweep / "sweep.json", json.dumps(asked | kept, indent=1).encode())


def update_sweep(sweep: Path, **content: Any) -> None:
    """Add to sweep.json what is only known while the sweep runs."""
    before = read_sweep(sweep)
    if before is None:
        raise SweepRefused(f"{sweep}/sweep.json was removed or damaged while the sweep ran; run the same command again")
    write_atomic(sweep / "sweep.json", json.dumps(before | content, indent=1).encode())


def check_sweep(sweep: Path, asked: dict[str, Any], fixed: tuple[str, ...], explain: Explain | None = None) -> None:
    """The refusals of `open_sweep`, without writing anything.

    Args:
        explain: of the old content and the new: lines that say more about the difference.
    """
    before = read_sweep(sweep)
    if before is None and (sweep / "sweep.json").exists():
        raise SweepRefused(f"{sweep}/sweep.json is damaged; delete it and it is written anew from the command")
    if before is None:
        return
    if different := differences(before, asked, fixed):
        lines = [f"  {key}: {before.get(key)!r} there, {asked[key]!r} asked" for key in different]
        lines += [f"  {line}" for line in (explain(before, asked) if explain else [])]
        raise SweepRefused(
            f"the sweep {sweep} was made with other settings; choose another --name\n" + "\n".join(lines)
        )


def differences(before: Mapping[str, Any], asked: Mapping[str, Any], fixed: tuple[str, ...]) -> list[str]:
    """The fixed keys in which a sweep.json is not what is asked for.

    `settings`, the constants of a space, may differ where the space was edited: a constant became an axis that has its
    value, or an axis became a constant. Trials hold whole configurations, so that those outside are known.
    """
    now = {key: json.loads(json.dumps(asked[key])) for key in fixed}
    return [
        key
        for key in fixed
        if before.get(key) != now[key] and not (key == "settings" and _is_edited(before, asked, now[key]))
    ]


def _is_edited(before: Mapping[str, Any], asked: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether constants differ only in fields that are axes on the other side; an old one is a value of its axis."""
    old, were, are = (of or {} for of in (before.get("settings"), before.get("axes"), asked.get("axes")))
    same = all(name in were if name not in old else old[name] == value for name, value in now.items())
    return same and all(name in now or name in are for name in old) and not outside_space(asked, {**old, **now})


def read_sweep(sweep: Path) -> dict[str, Any] | None:
    """sweep.json, or None when it is absent or unreadable."""
    try:
        content = json.loads((sweep / "sweep.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def asked_seeds(asked: Mapping[str, Any]) -> list[int]:
    """The training seeds of the grid; empty when sweep.json does not say, as older ones do not."""
    seeds = asked.get("cv_seeds")
    return [int(seed) for seed in seeds] if isinstance(seeds, list) else []
