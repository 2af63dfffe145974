"""What sweep.json says of a sweep: what was asked, on which data, with which code."""

import hashlib
import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sweeps.folds import ALPHA
from sweeps.identity import code as code_identity
from sweeps.identity.data import SweepData
from sweeps.identity.splits import class_members, search_label
from sweeps.request import Request
from sweeps.space import space as search
from sweeps.store import differences, read_sweep

FIXED = ("space", "protocol", "epochs", "seed", "settings", "search_label", "data_fingerprint")
"""Keys of sweep.json that cannot change within a sweep; trials, labels, folds and search may.

Of `settings` those may that are axes before or after: see `sweeps.store.trial_records.differences`.
"""


def default_name(request: Request, data: SweepData) -> str:
    """`exp_grid-synthetic-3fa2`: the same command finds its sweep again, another one makes its own."""
    fixed = {key: value for key, value in asked(request, data, "").items() if key in FIXED}
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()
    return f"{request.space}-{data.name}-{digest[:4]}"


def extendable(sweep: Path, asked: dict[str, Any]) -> list[str]:
    """Notes for people: which sweeps beside a new one hold trials of its space, which was edited since.

    Args:
        sweep: folder of the new one, named by `default_name`; it need not exist.
        asked: its sweep.json.
    """
    if (sweep / "sweep.json").exists():
        return []
    names = []
    for path in sorted(sweep.parent.glob("*/sweep.json")):
        before = read_sweep(path.parent) or {}
        if before.get("settings") != asked["settings"] and not differences(before, asked, FIXED):
            names.append(path.parent.name)
    return [f"{n} is this sweep before its space was edited; to extend that one: --name {n}" for n in names]


def asked(request: Request, data: SweepData, command: str) -> dict[str, Any]:
    """The content of sweep.json."""
    settings = {k: v for k, v in request.domains.items() if k not in search.domains(request.domains)}
    files = code_identity.code_files()
    return {
        "space": request.space,
        "question": request.question,
        "protocol": request.config({}).protocol,
        "epochs": request.epochs,
        "seed": request.seed,
        "settings": settings,
        "axes": {name: axis.to_json() for name, axis in search.axes(request.domains).items()},
        "conditions": {name: dict(needs) for name, needs in request.conditions.items() if name in request.domains},
        "search": request.search,
        "scheduler": request.scheduler,
        "minimize": request.minimize,
        "trials": request.trials,
        "cv": request.cv,
        "cv_top": request.cv_top,
        "cv_seeds": list(request.cv_seeds),
        "race": None if request.race is None else {"alpha": ALPHA, "margin": request.race},
        "search_label": search_label(data.patches.images),
        "labels": list(request.labels),
        "folds": request.folds,
        "data_fingerprint": data.patches.fingerprint,
        "data": {
            "name": data.name,
            "synthetic": data.synthetic,
            "images": len(data.patches.images),
            "crops": len(data.patches.crops),
            "crop_size": data.patches.crops.shape[-1],
            "fingerprint": data.patches.fingerprint,
            "files": data.patches.images["file"].tolist(),
        },
        "images": data.images,
        "leakage": data.leakage,
        "classes": class_members(request, data.patches),
        "conditions_of_images": data.patches.images["condition"].tolist(),
        "code": {"digest": code_identity.digest(files), "files": files},
        "versions": versions(),
        "git_commit": git_commit(),
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version()}
    for package in ("deepdlt-sweeps", "torch", "torchvision", "ray", "optuna", "tensorboard", "numpy", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def git_commit() -> str | None:
    """Commit of this checkout, `+` behind it when files differ; None outside git."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
