"""The verdict of a sweep: whether its best autoencoder beats the linear baselines, by how much, what to run next."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from deepdlt.config import REFERENCE_SIZE, ConfigError, TrainConfig
from sweeps.console.next_command import with_option
from sweeps.folds import FoldTable, average_over, current_tables, finite
from sweeps.space import Configuration
from sweeps.store import Baselines, SplitPlace, SweepFile, TrialRecord

LINEAR = {"PCA": "PCA", "low-pass DCT": "DCT"}
"""The baselines of any size, and their names in narrow places."""
MEAN = "patch mean"
FEW_STEPS = 2000  # optimiser steps; below, the networks of the study have hardly begun to learn
LONGER, FEWEST_EPOCHS = 10, 30  # times the epochs, and at least so many
LARGER_SPACE = "res_grid"  # networks with a bottleneck that learn more per step
State = Literal["above", "below", "tie", "open"]


@dataclass(frozen=True)
class Verdict:
    """In a few words, why, and the command that may improve on it ('' where none is known)."""

    state: State
    headline: str
    detail: str
    command: str = ""


@dataclass(frozen=True)
class Tested:
    """Test PSNR of one configuration."""

    configuration: Configuration
    psnr_db: Mapping[SplitPlace, float]
    """Split -> mean over its test crops, in dB."""
    test_share: float = 1.0
    """Units tested per unit trained on; of a single split it decides nothing."""
    n_train: float | None = None
    """Images trained on."""


def tested_folds(leading: Sequence[FoldTable], records: Sequence[TrialRecord]) -> Tested | None:
    """The complete folds of the leading configuration; None if no label has all of them."""
    tables = [t for t in current_tables(leading) or leading if "test_psnr_db" in t.averages]
    if not tables:
        return None
    psnr = {
        (table.label, fold, table.n_folds): value
        for table in tables
        for fold, value in enumerate(table.folds["test_psnr_db"], 1)
    }
    names = {row.trial for table in tables for row in table.rows}
    n_train = [record.n_train for record in records if record.name in names and record.n_train]
    share = float(np.mean([table.test_share for table in tables]))
    return Tested(tables[0].configuration, psnr, share, float(np.mean(n_train)) if n_train else None)


def tested_once(record: TrialRecord) -> Tested | None:
    """A search trial on its single split; None if it has no test PSNR."""
    psnr = record.test.get("psnr_db")
    if not finite(psnr):
        return None
    return Tested(record.configuration, {(record.label, 0, 0): float(psnr)}, n_train=record.n_train)


def judge(tested: Tested | None, baselines: Baselines, sweep_file: SweepFile) -> Verdict:
    """The verdict on a configuration, by the better one of PCA and DCT on the same test crops."""
    if tested is None:
        return Verdict("open", "No result yet.", "No trial is complete.", sweep_file.command)
    if tested.configuration.get("metrics", "standard") != "standard":
        why = "PSNR and SSIM follow the study's own formulas, the baselines the standard ones."
        return Verdict("open", "Not compared with the linear baselines.", why)
    size, means = latent_size(tested.configuration), _by_name(tested, baselines)
    shown = size if size is not None and size < baselines.pixels else REFERENCE_SIZE
    names = [name for name in (f"PCA-{shown}", f"DCT-{shown}") if name in means]
    if not names:
        why = "baselines.json has none for these splits. Run the sweep's command again to compute them."
        return Verdict("open", "Not compared with a linear baseline.", why)
    best = max(names, key=lambda name: float(np.mean(means[name])))
    own = np.array([*tested.psnr_db.values()])
    difference = average_over((own - means[best]).tolist(), tested.test_share)
    state, relation = _state(difference.mean, difference.low, difference.high)
    interval = (
        f", 95 % CI {difference.low:+.2f} to {difference.high:+.2f} dB"
        if difference.low is not None and difference.high is not None
        else ""
    )
    splits = f"{len(own)} folds" if len(own) > 1 else "one split"
    detail = [
        f"Best autoencoder {own.mean():.2f} dB, {best} {np.mean(means[best]):.2f} dB on the same test crops of {splits}"
        f" (difference {difference.mean:+.2f} dB{interval}).",
        compression_text(size, baselines.pixels),
    ]
    if MEAN in means and own.mean() < np.mean(means[MEAN]):
        detail.append(f"Even the mean grey value of each crop reaches {np.mean(means[MEAN]):.2f} dB.")
    steps, command = training_steps(tested, sweep_file), ""
    if state != "above":
        reason, command = _remedy(steps, tested.configuration, sweep_file)
        detail.append(reason)
    place = "above" if difference.mean > 0 else "below"
    headline = f"{relation} the linear baseline: {abs(difference.mean):.2f} dB {place} {best}."
    return Verdict(state, headline, " ".join(filter(None, detail)), command)


def latent_size(configuration: Configuration) -> int | None:
    """Latent dimensions per crop; None for settings that this version does not know."""
    try:
        return TrainConfig(
            **{k: v for k, v in configuration.items() if k in TrainConfig.__dataclass_fields__}
        ).latent_size
    except ConfigError:
        return None


def compression_text(size: int | None, pixels: int) -> str:
    """How the latent size compares with the pixels of a crop, where that is no compression; or ''."""
    if size is None or not pixels or size < pixels:
        return ""
    return (
        f"Its latent code has {size:,} dimensions for the {pixels:,} pixels of a crop: it does not compress,"
        f" and {REFERENCE_SIZE} coefficients are a low bar."
    )


def training_steps(tested: Tested, sweep_file: SweepFile) -> int | None:
    """Optimiser steps of a training; None where the sweep does not say."""
    data, settings = sweep_file.data, tested.configuration
    epochs, batch = settings.get("epochs", sweep_file.epochs), settings.get("batch_size")
    if not (data.crops and data.images and tested.n_train and epochs and batch):
        return None
    crops = data.crops * min(1.0, tested.n_train / data.images)
    return int(epochs * math.ceil(crops / batch))


def _state(mean: float, low: float | None, high: float | None) -> tuple[State, str]:
    if low is not None and high is not None and low <= 0 <= high:
        return "tie", "Level with"
    return ("above", "Beats") if mean > 0 else ("below", "Does not beat")


def _remedy(steps: int | None, settings: Configuration, sweep_file: SweepFile) -> tuple[str, str]:
    """Why, as far as known, and the command that trains longer or searches better networks."""
    epochs = int(settings.get("epochs") or sweep_file.epochs or 0)
    if steps is None or steps < FEW_STEPS:
        n = f"{epochs} epoch{'' if epochs == 1 else 's'}"
        text = f"{n} are only about {steps:,} optimiser steps, which is hardly a training." if steps else ""
        return f"{text} Train longer:".strip(), _changed(
            sweep_file.command, "--epochs", str(max(FEWEST_EPOCHS, LONGER * epochs))
        )
    if sweep_file.space != LARGER_SPACE:
        return "More training may not be enough. Search other networks:", _changed(
            sweep_file.command, "--space", LARGER_SPACE
        )
    return "", ""


def _changed(command: str, option: str, value: str) -> str:
    """The sweep's command with another value of an option; the name of the sweep's folder goes, it is another sweep."""
    if not command:
        return ""
    words = shlex.split(command)
    if "--name" in words:
        at = words.index("--name")
        del words[at : at + 2]
    return with_option(shlex.join(word for word in words if not word.startswith("--name=")), option, value)


def _by_name(tested: Tested, baselines: Baselines) -> dict[str, np.ndarray]:
    """Baseline -> (n,) its PSNR on each of the splits, of those that all splits have."""
    found: dict[str, list[float]] = {}
    for split in tested.psnr_db:
        of = baselines.of(split)
        for row in of.rows if of else ():
            if finite(row["psnr_db"]):
                name = f"{LINEAR[row['baseline']]}-{row['numbers']}" if row["baseline"] in LINEAR else row["baseline"]
                found.setdefault(name, []).append(float(row["psnr_db"]))
    return {name: np.array(values) for name, values in found.items() if len(values) == len(tested.psnr_db)}
