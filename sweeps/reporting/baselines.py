"""The baselines of a sweep (baselines.json) as the report shows them: beside the ranking, under each fold table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from deepdlt.config import FOR_AUTOENCODERS, REFERENCE_SIZE, VAES, ConfigError, TrainConfig
from sweeps.folds import FoldTable, finite
from sweeps.reporting.blocks import DB, SSIM, Block, Row, Table, Text, shown
from sweeps.reporting.logs import SweepLogs, Trial, settings
from sweeps.space import Configuration
from sweeps.store import COMPLETE

LINEAR = {"PCA": "PCA", "low-pass DCT": "DCT"}  # the methods of any size, and their names in narrow tables
SHORT_NAMES = (
    "PCA-k: principal components of the training crops, DCT-k: low-pass cosine transform, k numbers per crop; over the"
    " same folds."
)
OTHER_DEFINITION = "standard definition, inputs in [0, 1]"
MISSING = (
    "No baselines: baselines.json is missing or has other splits. The sweep's command writes it when its trials have"
    " ended; run it again."
)


@dataclass(frozen=True)
class Baseline:
    """A method that an autoencoder must beat; `mean` and `sd` (ddof 1) over folds, `sd` empty for a single split."""

    method: str
    numbers: int | None
    mean: Mapping[str, float | None]
    sd: Mapping[str, float | None]

    @property
    def name(self) -> str:
        """`patch mean`, `PCA-128`."""
        return f"{LINEAR[self.method]}-{self.numbers}" if self.method in LINEAR else self.method


def split_baselines(logs: SweepLogs, label: str, fold: int = 0, n_folds: int = 0) -> list[Baseline]:
    """Those of one split (of the search's by default); empty when they were not computed."""
    found = logs.baselines.of((label, fold, n_folds))
    return [
        Baseline(row["baseline"], row["numbers"], {f"test_{n}": row[n] for n in ("loss", "psnr_db", "ssim")}, {})
        for row in (found.rows if found else ())
    ]


def fold_baselines(logs: SweepLogs, table: FoldTable) -> list[Baseline]:
    """Constant, patch mean and those of the configuration's size, over the folds of the table that are complete."""
    size, with_loss = shown_size(logs, latent_size(table.configuration)), same_loss(table.configuration)
    done = sorted({row.fold for row in table.rows if row.state == COMPLETE})
    of_folds = [split_baselines(logs, table.label, fold, table.n_folds) for fold in done]
    if not of_folds or not all(of_folds):
        return []
    averages = []
    for first in of_folds[0]:
        same = [b for found in of_folds for b in found if b.name == first.name]
        if len(same) == len(done) and (first.method not in LINEAR or first.numbers == size):
            averages.append(_average(same, with_loss))
    return averages


def latent_size(configuration: Configuration) -> int | None:
    """How many numbers describe a crop; None for settings that this version does not know."""
    try:
        return TrainConfig(**configuration.only(field.name for field in fields(TrainConfig))).latent_size
    except ConfigError:
        return None


def shown_size(logs: SweepLogs, size: int | None) -> int:
    """The size itself, or the reference where a linear code of that size loses nothing."""
    return size if size is not None and size < logs.baselines.pixels else REFERENCE_SIZE


def is_standard(logs: SweepLogs) -> bool:
    """Were the trials measured by the definitions that the baselines are? Else the two must not be compared."""
    return settings(logs.trials, "metrics") == {"standard"}


def same_loss(configuration: Configuration) -> bool:
    """Is the loss of this configuration the mean squared error of inputs in [0, 1], as that of the baselines is?"""
    plain = all(configuration.get(name, 0) in ("mse", 0) for name in FOR_AUTOENCODERS)
    return plain and configuration.get("input_range") == "unit" and configuration.get("model") not in VAES


def verdict(logs: SweepLogs, psnr_db: float, size: int | None, found: Sequence[list[Baseline]]) -> str:
    """`2.10 dB above PCA with 128 numbers (22.50 dB); the autoencoder has 8192.`-like sentence, or ''.

    The better linear code of the two is named.

    Args:
        psnr_db: of the autoencoder, on the test crops of one split or averaged over several.
        size: its latent size.
        found: baselines of the same split or splits.
    """
    known = _mean_psnr(found)
    shown = shown_size(logs, size)
    codes = [name for name in (f"PCA-{shown}", f"DCT-{shown}") if name in known]
    code = max(codes, key=lambda name: known[name], default=None)
    if code is None or not is_standard(logs) or not np.isfinite(psnr_db):
        return ""
    linear = known[code]
    method = "PCA" if code.startswith("PCA") else "the low-pass DCT"
    place = "above" if psnr_db > linear else "below"
    gap = f"{abs(psnr_db - linear):.2f} dB {place} {method}"
    if size == shown:
        text = f"{gap} of equal size ({size} numbers, {linear:.2f} dB)"
        text += ": a linear code does better" if place == "below" else ""
    else:
        text = f"{gap} with {shown} numbers ({linear:.2f} dB)"
        text += "; " if place == "above" else ": a linear code does better with fewer; "
        text += f"the autoencoder has {size}" if size else "the autoencoder's are not known"
    mean = known.get("patch mean")
    if mean is not None and psnr_db < mean:
        text += f". Even the mean grey of each crop reaches {mean:.2f} dB"
    return f"{text[0].upper()}{text[1:]}."


def contest(logs: SweepLogs, best: Trial | None) -> list[Block]:
    """What an autoencoder must beat, beside the ranking of the search.

    Args:
        best: the first of the ranking, None without one.
    """
    if best is None:
        return []
    notes: list[Block] = [Text(note, "note") for note in search_notes(logs, best)]
    found, standard = split_baselines(logs, best.record.label), is_standard(logs)
    own = [Baseline(f"best autoencoder, {best.name}", latent_size(best.configuration), best.numbers, {})]
    ranked = sorted([*found, *(own if standard else [])], key=_psnr, reverse=True)
    rows = [
        Row(
            (b.method, shown(b.numbers), DB(b.mean["test_psnr_db"]), SSIM(b.mean["test_ssim"])),
            "first" if b in own else "",
        )
        for b in ranked
    ]
    other = f", {OTHER_DEFINITION}: not comparable with the protocol's own PSNR and SSIM"
    caption = "the search's test crops" + ("" if standard else other)
    titles = ("Baseline", "Numbers", "Test PSNR (dB)", "Test SSIM")
    table = Table(titles, rows, name="What an autoencoder must beat", caption=caption, width="small")
    return [table, *notes] if found else notes


def _psnr(baseline: Baseline) -> float:
    psnr_db = baseline.mean["test_psnr_db"]
    return psnr_db if finite(psnr_db) else -np.inf


def search_notes(logs: SweepLogs, best: Trial | None) -> list[str]:
    """Which baselines are missing beside the ranking, and why."""
    found = split_baselines(logs, best.record.label) if best else []
    return _size_notes(logs, found) if found else [MISSING] if best else []


def fold_notes(logs: SweepLogs, under: Iterable[list[Baseline]]) -> list[str]:
    """What the baselines under fold tables mean, or why there are none."""
    found = [baseline for baselines in under for baseline in baselines]
    return [SHORT_NAMES, *_size_notes(logs, found)] if found else [MISSING]


def strongest(baselines: list[Baseline]) -> Baseline | None:
    """The linear code with the lowest test loss, for the label x fold table; None where losses cannot be compared."""
    codes = [b for b in baselines if b.method in LINEAR and b.mean.get("test_loss") is not None]
    return min(codes, key=lambda b: b.mean["test_loss"] or 0, default=None)


def csv_rows(logs: SweepLogs) -> list[dict[str, Any]]:
    """One row per split and baseline, full precision."""
    splits = logs.baselines.splits
    return [{"label": s.label, "fold": s.fold, "n_folds": s.n_folds, **row} for s in splits for row in s.rows]


def _size_notes(logs: SweepLogs, found: list[Baseline]) -> list[str]:
    """Why a row that one would expect is not there."""
    pixels, names = logs.baselines.pixels, {b.name for b in found}
    lossless = [str(size) for size in logs.baselines.latent_sizes if size >= pixels]
    notes = []
    if lossless:
        notes.append(
            f"No baselines of equal size for autoencoders with {' or '.join(lossless)} numbers: with {pixels} or"
            " more, as many as a crop has pixels, a linear code loses nothing."
        )
    few = [str(b.numbers) for b in found if b.method == "low-pass DCT" and f"PCA-{b.numbers}" not in names]
    if few:
        listed = " or ".join(dict.fromkeys(few))
        notes.append(f"No PCA with {listed} numbers where fewer crops are trained on.")
    return notes


def _mean_psnr(found: Sequence[list[Baseline]]) -> dict[str, float]:
    """Name -> PSNR averaged over lists, of the baselines that all of them have."""
    values: dict[str, list[float]] = {}
    for baseline in (b for each in found for b in each):
        psnr_db = baseline.mean.get("test_psnr_db")
        values.setdefault(baseline.name, []).extend([] if psnr_db is None else [psnr_db])
    return {name: float(np.mean(psnr)) for name, psnr in values.items() if psnr and len(psnr) == len(found)}


def _average(same: list[Baseline], with_loss: bool) -> Baseline:
    """Mean and spread of one baseline over folds; a metric that is not finite in one of them has none."""
    mean: dict[str, float | None] = {}
    sd: dict[str, float | None] = {}
    for name in same[0].mean:
        values = [b.mean[name] for b in same]
        known = [value for value in values if value is not None]
        if len(known) == len(values) and (with_loss or name != "test_loss"):
            mean[name] = float(np.mean(known))
            sd[name] = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return Baseline(same[0].method, same[0].numbers, mean, sd)
