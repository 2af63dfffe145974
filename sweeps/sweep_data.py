"""The crops that a sweep trains on, and what makes two sweeps the same one."""

import hashlib
import json
import platform
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from deepdlt.create_dataset import CropOptions, Patches, create_dataset, load_patches
from deepdlt.progress_bar import progress_bar
from deepdlt.source_images import read_source
from deepdlt.stratified_split import Split
from deepdlt.synthetic import make_synthetic
from sweeps import plan, search

CACHE = Path("data")
SYNTHETIC_CROPS_PER_IMAGE = 32  # 30 images x 32 crops: a sweep of minutes on a laptop
FIXED = ("space", "protocol", "epochs", "seed", "settings", "data_fingerprint")
"""Keys of sweep.json that cannot change within a sweep; trials, labels, folds and search may."""


@dataclass(frozen=True)
class SweepData:
    """Crops with labels, and the splits that the sweep needs."""

    patches: Patches
    splits: dict[tuple[str, int], Split]
    name: str
    synthetic: bool


def load(folder: Path | None, request: plan.Request) -> SweepData:
    """Read and check the images (or make the built-in ones), cut them into crops once, and split them.

    Raises:
        DataError, SweepRefused: images, labels or folds cannot be used; nothing but the cache was written.
    """
    synthetic = folder is None
    if folder is None:
        with progress_bar("making synthetic images", "images") as progress:
            folder = make_synthetic(CACHE / "synthetic", "small", progress=progress)
    source = read_source(folder, request.labels)
    plan.check_labels(request, source.images)
    options = CropOptions(crops_per_image=SYNTHETIC_CROPS_PER_IMAGE) if synthetic else CropOptions()
    with progress_bar("cutting crops", "images") as progress:
        patches = load_patches(create_dataset(source, CACHE / "patches", options, progress))
    name = "synthetic" if synthetic else _slug(folder.resolve().name)
    return SweepData(patches, plan.make_splits(request, patches), name, synthetic)


def default_name(request: plan.Request, data: SweepData) -> str:
    """`exp_grid-synthetic-3fa2`: the same command finds its sweep again, another one makes its own."""
    fixed = {key: value for key, value in asked(request, data, "").items() if key in FIXED}
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()
    return f"{request.space}-{data.name}-{digest[:4]}"


def asked(request: plan.Request, data: SweepData, command: str) -> dict[str, Any]:
    """The content of sweep.json."""
    settings = {k: v for k, v in request.domains.items() if k not in search.domains(request.domains)}
    return {
        "space": request.space,
        "question": request.question,
        "protocol": request.config({}).protocol,
        "epochs": request.epochs,
        "seed": request.seed,
        "settings": settings,
        "axes": search.axes(request.domains),
        "search": request.search,
        "scheduler": request.scheduler,
        "trials": request.trials,
        "cv": request.cv,
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
        "classes": plan.class_members(request, data.patches),
        "versions": _versions(),
        "git_commit": _git_commit(),
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "images"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("deepdlt-sweeps", "torch", "torchvision", "ray", "optuna", "tensorboard", "numpy", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _git_commit() -> str | None:
    """Commit of this checkout, `+` behind it when files differ; None outside git."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
