"""A cross-validation with a clear winner, a tie and a loser, as it stands on disk."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from written_sweeps import write_sweep_json, write_trial

from deepdlt.config import config_dict, make_config
from sweeps.space.configuration import Configuration

LABELS = ("angle", "PP1")

CELLS = [[label, fold, 42] for label in LABELS for fold in range(1, 6)]

BEST = {"lr": 1e-3, "kernel_size": 5}

SMALL = {"lr": 1e-3, "kernel_size": 3}

BEHIND = {"lr": 5e-4, "kernel_size": 3}

HOPELESS = {"lr": 1e-4, "kernel_size": 3}

ALPHA, DRAW = 0.001, 1  # a draw in which the race stops only the hopeless one

LUCK = 0.06  # dB, of a training and of each image

SIZES = {5: 400_000, 3: 150_000}


def configuration(settings: dict[str, Any]) -> Configuration:
    """Without the seed, as tables know it."""
    return Configuration.of(config_dict(make_config("corrected", **{"epochs": 3, **settings}))).unseeded


def write_cell(sweep: Path, settings: dict[str, Any], cell: Iterable[Any], behind: float, **more: Any) -> Path:
    """A complete cell that is so far behind, but for luck, its own and its images'; 24 images trained on, 6 tested."""
    label, fold, seed = cell
    draw = np.random.default_rng([fold, len(label), seed, DRAW, *str(settings).encode()])
    images = [str(i) for i in range(30) if i % 5 == fold - 1]
    luck = LUCK * draw.normal()
    psnr = {i: 25 + 0.3 * (int(i) % 7) - behind + luck + LUCK * draw.normal() for i in images}
    content = {
        "test_by_image": {i: {"loss": 0.003, "psnr_db": psnr[i], "ssim": 0.6, "spectrum_db": 3.0} for i in images},
        "parameters": SIZES[settings.get("kernel_size", 3)],
        "n_train": 24,
        "n_test": 6,
        **more.pop("content", {}),
    }
    extra = {"test_psnr_db": float(np.mean(list(psnr.values())))}
    return write_trial(sweep, cv=(label, fold), content=content, extra=extra, seed=seed, **settings, **more)


def write_contest(sweep: Path, **asked: Any) -> Path:
    """Of four configurations one is tied with the best and smaller, one is behind, one was stopped by the race."""
    listed = [configuration(settings).text for settings in (BEST, SMALL, BEHIND, HOPELESS)]
    defaults = {"race": {"alpha": ALPHA, "margin": 0.0}, "cv_configurations": listed, "cv_cells": CELLS}
    write_sweep_json(sweep, **{**defaults, "cv_seeds": [42], "cv_top": 4, **asked})
    for number, (settings, behind) in enumerate(((BEST, 0.0), (SMALL, 0.005), (BEHIND, 0.06), (HOPELESS, 3.0))):
        content = {"parameters": SIZES[settings["kernel_size"]], "epoch_s": 1.0 + settings["kernel_size"]}
        write_trial(sweep, number, content=content, **settings)
        for cell in CELLS[:3] if settings is HOPELESS else CELLS:
            write_cell(sweep, settings, cell, behind)
    return sweep
