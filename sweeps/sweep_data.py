"""The crops that a sweep trains on, and what makes two sweeps the same one."""

import hashlib
import json
import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from deepdlt.create_dataset import Patches, create_dataset, load_patches
from deepdlt.leakage import Leakage, leakage, mean_leakage
from deepdlt.progress_bar import progress_bar
from deepdlt.source_images import DataError, Source, read_source
from deepdlt.stratified_split import Split
from deepdlt.synthetic import make_synthetic
from deepdlt.training_data import CACHE, crop_options
from sweeps import code_identity, search
from sweeps.data_identity import image_digests
from sweeps.racing import ALPHA
from sweeps.records import SweepRefused, differences, read_sweep
from sweeps.request import LABELS, Request
from sweeps.sweep_splits import check_labels, class_members, make_splits, search_label

FIXED = ("space", "protocol", "epochs", "seed", "settings", "search_label", "data_fingerprint")
"""Keys of sweep.json that cannot change within a sweep; trials, labels, folds and search may.

Of `settings` those may that are axes before or after: see `sweeps.records.differences`.
"""
MEASURED_ANGLE = "angle_measured"  # a label that deepdlt.label_audit adds


@dataclass(frozen=True)
class SweepData:
    """Crops with labels, and the splits that the sweep needs."""

    patches: Patches
    splits: dict[tuple[str, int], Split]
    name: str
    synthetic: bool
    leakage: dict[str, dict[str, float | None]]
    """Of the cross-validation's folds; see deepdlt.leakage."""
    images: dict[str, Any] = field(default_factory=dict)
    """Pictures and labels as `sweeps.data_identity` compares them."""


def load(folder: Path | None, request: Request) -> SweepData:
    """Read and check the images (or make the built-in ones), cut them into crops once, and split them.

    Raises:
        DataError, SweepRefused: images, labels or folds cannot be used; nothing but the cache was written.
    """
    synthetic = folder is None
    try:
        if folder is None:
            with progress_bar("making synthetic images", "images") as progress:
                folder = make_synthetic(CACHE / "synthetic", "small", progress=progress)
        source = _read(folder, request)
        for note in source.notes:
            print(f"note: {note}", file=sys.stderr)
        check_labels(request, source.images)
        options = crop_options(request.config({}), synthetic, "augment_brightness" in request.domains)
        with progress_bar("cutting crops", "images") as progress:
            patches = load_patches(create_dataset(source, CACHE / "patches", options, progress))
    except OSError as error:
        raise SweepRefused(
            f"the crops cannot be kept in {CACHE.resolve()}: {error}; run this from a folder of yours"
        ) from error
    name = "synthetic" if synthetic else _slug(folder.resolve().name)
    splits = make_splits(request, patches)
    return SweepData(patches, splits, name, synthetic, _leakage(splits, patches), image_digests(source))


def _read(folder: Path, request: Request) -> Source:
    """The checked images; `angle_measured` among the labels is measured now (seconds)."""
    labels = tuple(label for label in request.labels if label != MEASURED_ANGLE)
    try:
        source = read_source(folder, labels, group_by=request.group_by, pixel_pitch=request.pixel_pitch)
    except DataError as error:
        if labels == LABELS and "unknown label" in str(error):
            raise SweepRefused(f"{error}\nname labels of this sheet with --labels") from error
        raise
    if labels == request.labels:
        return source
    from deepdlt.label_audit import with_measured_angle

    with progress_bar("measuring fringes", "images") as progress:
        return with_measured_angle(source, progress)


def _leakage(splits: dict[tuple[str, int], Split], patches: Patches) -> dict[str, dict[str, float | None]]:
    """Label -> shares of the test crops' images, conditions, crops and pixels that were trained on, mean over folds."""
    folds: dict[str, list[Leakage]] = {}
    for (label, fold), split in splits.items():
        if fold:
            size = patches.crops.shape[-1]
            folds.setdefault(label, []).append(leakage(patches.table, split, size, patches.images))
    return {label: asdict(mean_leakage(found)) for label, found in folds.items()}


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
        "axes": search.axes(request.domains),
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


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "images"


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
