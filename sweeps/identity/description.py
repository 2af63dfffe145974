"""Content of sweep.json: the request, the data and the code."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from sweeps.folds import ALPHA
from sweeps.identity import code as code_identity
from sweeps.identity.data import SweepData
from sweeps.identity.images import label_digests
from sweeps.identity.resuming import is_older
from sweeps.identity.splits import class_members, search_label
from sweeps.request import Request
from sweeps.store import FIXED, DataSummary, RaceRule, SweepFile, differences, read_sweep


def default_name(space: str, data: str, sweep_file: SweepFile) -> str:
    """`exp_grid-synthetic-3fa2`: the same command finds its sweep again, another one makes its own."""
    content = sweep_file.to_json()
    digest = hashlib.sha256(json.dumps({name: content[name] for name in FIXED}, sort_keys=True).encode()).hexdigest()
    return f"{space}-{data}-{digest[:4]}"


def extendable(sweep: Path, sweep_file: SweepFile) -> list[str]:
    """Notes for people: which sweeps beside a new one are it before its space was edited, or of an older version.

    Args:
        sweep: folder of the new one, named by `default_name`; it need not exist.
    """
    if (sweep / "sweep.json").exists():
        return []
    notes = []
    for path in sorted(sweep.parent.glob("*/sweep.json")):
        before = read_sweep(path.parent)
        if before is None:
            continue
        name, different = path.parent.name, differences(before, sweep_file)
        if different == [] and before.settings != sweep_file.settings:
            notes.append(f"{name} is this sweep before its space was edited; to extend that one: --name {name}")
        elif different == ["data_fingerprint"] and is_older(before, sweep_file):
            notes.append(f"{name} is this sweep of an older version: it is kept, its trials are not counted here")
    return notes


def make_sweep_file(request: Request, data: SweepData, command: str) -> SweepFile:
    """The content of sweep.json."""
    files, space, images = code_identity.code_files(), request.tune_space.space, data.patches.images
    return SweepFile(
        space=request.space,
        question=request.question,
        protocol=request.config().protocol,
        epochs=request.epochs,
        seed=request.seed,
        settings=space.constants,
        axes=space.axes,
        conditions=space.conditions,
        search=request.search,
        scheduler=request.scheduler,
        minimize=request.minimize,
        trials=request.trials,
        cv=request.cv,
        cv_top=request.cv_top,
        cv_seeds=request.cv_seeds,
        race=None if request.race is None else RaceRule(ALPHA, request.race),
        search_label=search_label(images),
        labels=request.labels,
        folds=request.folds,
        data_fingerprint=data.patches.fingerprint,
        data=DataSummary(
            name=data.name,
            synthetic=data.synthetic,
            images=len(images),
            crops=len(data.patches.crops),
            crop_size=data.patches.crop_size,
            downsample=data.patches.downsample if data.patches.downsample > 1 else None,
            fingerprint=data.patches.fingerprint,
            files=tuple(images["file"].tolist()),
            pixel_um=_usual_pitch(images),
        ),
        images=data.images,
        label_digests=label_digests(data.images, request.labels),
        leakage=data.leakage,
        classes=class_members(request, data.patches),
        conditions_of_images=tuple(images["condition"].tolist()),
        grouped_by=data.grouped_by,
        code={"digest": code_identity.digest(files), "files": files},
        versions=versions(),
        git_commit=git_commit(),
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@dataclass(frozen=True)
class Provenance:
    """Code and software of a trial, for its record."""

    code: str
    """Digest."""
    versions: Mapping[str, str]
    git_commit: str | None


def provenance() -> Provenance:
    """Code and software of this process."""
    return Provenance(code_identity.digest(code_identity.code_files()), versions(), git_commit())


def _usual_pitch(images: pd.DataFrame) -> float | None:
    """Pixel pitch that most images have, in micrometres; None where the table does not give it."""
    known = images["pixel_um"].dropna() if "pixel_um" in images else pd.Series(dtype=float)
    return float(known.mode().iloc[0]) if len(known) else None


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
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
