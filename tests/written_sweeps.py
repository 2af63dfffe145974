"""Sweeps as they stand on disk, written by tests: sweep.json, records and event files."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepdlt.config import config_dict, make_config
from sweeps.space.configuration import Configuration
from sweeps.store.baselines_file import Baselines, SplitBaselines, write_baselines
from sweeps.store.cell import Cell
from sweeps.store.event_files import TrialLog
from sweeps.store.trial_record import write_record

LABELS = ("angle", "PP1")

EVIL = "<script>alert(1)</script>"

HARD = (20, 21, 22, 23)  # images of the class that is reconstructed worst

CLASSES = {
    "angle": {"5.5": [i for i in range(30) if i not in HARD], "12": list(HARD)},
    "PP1": {"H": list(range(15)), EVIL: list(range(15, 30))},
}

EPOCHS = 3


def write_trial(  # each argument is one way in which trials differ
    sweep: Path,
    number: int = 0,
    status: str = "complete",
    *,
    cv: tuple[str, int] | None = None,
    content: dict[str, Any] | None = None,
    logged_epochs: int = EPOCHS,
    extra: dict[str, float] | None = None,
    n_folds: int = 5,
    **settings: Any,
) -> Path:
    """One trial as the system leaves it: event file, then trial.json (none when `status` is interrupted).

    `extra`: `val_` numbers of every epoch and `test_` numbers that only some trials have.
    """
    config = Configuration.of(config_dict(make_config("corrected", **{"epochs": EPOCHS, **settings})))
    label, fold = cv or ("angle", 0)
    cell = Cell("cv" if cv else "search", config, label, fold, n_folds if cv else 0, "data")
    folder = sweep / cell.name(number)
    draw = np.random.default_rng([number, fold])
    metrics: dict[str, float] = {}
    epochs = EPOCHS if status == "complete" else 1
    with TrialLog(folder) as log:
        log.session_start(folder.name, {**config, "kind": cell.kind, "label": label, "fold": fold})
        for epoch in range(1, epochs + 1):
            val_loss = 0.002 + 0.004 / epoch + 0.0002 * number + 0.0003 * draw.random()
            values = {
                "train_loss": val_loss + 0.001,
                "val_loss": val_loss,
                "val_psnr_db": -10 * np.log10(val_loss),
                "val_ssim": 0.9 - 40 * val_loss,
                **{name: value for name, value in (extra or {}).items() if name.startswith("val_")},
            }
            if val_loss < metrics.get("best_val_loss", np.inf):
                best = {f"best_{name}": values[name] for name in ("val_loss", "val_psnr_db", "val_ssim")}
                best["best_epoch"] = epoch
            metrics = {"epoch": epoch, **values, **best}
            if epoch <= logged_epochs:
                log.scalars({**values, "best/val_loss": best["best_val_loss"]}, epoch)
        test = {"loss": val_loss * 1.05, "psnr_db": -10 * np.log10(val_loss) - 0.3, "ssim": 0.6}
        test |= {name.removeprefix("test_"): v for name, v in (extra or {}).items() if name.startswith("test_")}
        if status == "complete":
            log.scalars({f"test/{name}": value for name, value in test.items()}, epochs)
            for part in ("val", "test"):
                log.image(f"reconstruction/{part}", picture(draw), epochs)
    if status == "interrupted":
        return folder
    found: dict[str, Any] = {"metrics": metrics, "seconds": 12.5, "parameters": 186_000, "device": "cpu", "threads": 1}
    if status == "complete":
        images = range(fold - 1, 30, 5) if cv else range(3)
        by_image = {str(i): {"loss": 0.003, "psnr_db": image_psnr(i), "ssim": 0.55 + 0.01 * (i % 7)} for i in images}
        found |= {"test": test, "test_by_image": by_image, "precision": "float32"}
    write_record(folder, cell, status, **{**found, **(content or {})})
    return folder


def image_psnr(image: int) -> float:
    return (18.0 if image in HARD else 25.0) + 0.1 * (image % 10)


def picture(draw: np.random.Generator, size: int = 64, n: int = 8) -> np.ndarray:
    """Line patterns of random period over blurred copies of them, (2 * size, n * size) uint8."""
    y, x = np.mgrid[:size, :size]
    originals = []
    for _ in range(n):
        waves = np.sin(2 * np.pi * (x * draw.uniform(-0.1, 0.1) + y * draw.uniform(0.03, 0.12)))
        originals.append(np.clip(115 + 70 * waves + draw.normal(0, 14, (size, size)), 0, 255))
    copies = [
        115 + 0.8 * (np.kron(o.reshape(size // 2, 2, size // 2, 2).mean((1, 3)), np.ones((2, 2))) - 115)
        for o in originals
    ]
    return np.vstack([np.hstack(originals), np.hstack(copies)]).astype(np.uint8)


def write_sweep_json(sweep: Path, **changes: Any) -> None:
    asked = {
        "space": "exp_grid",
        "question": "Which settings reconstruct the surfaces best?",
        "protocol": "corrected",
        "epochs": EPOCHS,
        "trials": 8,
        "search": "optuna",
        "scheduler": "asha",
        "labels": list(LABELS),
        "folds": 5,
        "cv": True,
        "seed": 42,
        "axes": {"lr": [0.001, 0.0005, 0.0001], "kernel_size": [3, 5], "activation": ["relu", "elu"]},
        "data": {"name": "synthetic-small", "synthetic": True, "images": 30, "crops": 960, "crop_size": 64},
        "classes": CLASSES,
        "versions": {"python": "3.12.3", "torch": "2.11.0", "ray": "2.59.0"},
        "git_commit": "abc1234",
        "command": "python sweeps/run.py --space exp_grid --cv",
        "created": "2026-11-22T16:00:00+00:00",
    }
    sweep.mkdir(parents=True, exist_ok=True)
    (sweep / "sweep.json").write_text(json.dumps({**asked, **changes}))


def write_everything(sweep: Path) -> Path:
    """A search with every fate a trial can have, and a cross-validation of its best with one fold missing."""
    write_sweep_json(sweep)
    lrs = (1e-3, 5e-4, 1e-4)
    for number in range(5):
        activation = "relu" if number < 3 else "elu"
        write_trial(sweep, number, lr=lrs[number % 3], kernel_size=3 + 2 * (number % 2), activation=activation)
    write_trial(sweep, 5, "pruned", lr=1e-4, kernel_size=5)
    error = f"Traceback (most recent call last):\n  File x\nFloatingPointError: non-finite loss {EVIL} a|b"
    write_trial(sweep, 6, "failed", lr=1e-3, kernel_size=5, content={"error": error})
    write_trial(sweep, 7, "interrupted", lr=5e-4, kernel_size=3)
    for label in LABELS:
        for fold in range(1, 6):
            if (label, fold) != ("PP1", 4):
                write_trial(sweep, cv=(label, fold), lr=1e-3, kernel_size=3, extra={"test_spectrum_db": 3.0 + fold})
    write_baselines(
        sweep, baselines([("angle", 0, 0), *((label, fold, 5) for label in LABELS for fold in range(1, 6))])
    )
    return sweep


def baselines(places: list[tuple[str, int, int]], sizes: Sequence[int] = (128,)) -> Baselines:
    """The content of baselines.json: of fold k everything is k hundredths better."""
    splits = []
    for label, fold, n_folds in places:
        found = [("constant", 0, 14.0), ("patch mean", 1, 15.0)]
        found += [row for k in sizes for row in (("PCA", k, 20.0 + k / 100), ("low-pass DCT", k, 19.5 + k / 100))]
        table = [
            {"baseline": name, "numbers": k, "loss": 10 ** (-psnr / 10) - 1e-4 * fold, "psnr_db": psnr + fold / 100}
            for name, k, psnr in found
        ]
        rows = tuple({**row, "pooled_psnr_db": row["psnr_db"], "ssim": 0.5 + fold / 100} for row in table)
        splits.append(SplitBaselines(label, fold, n_folds, "k", rows))
    return Baselines(4096, (8192,), tuple(splits))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
