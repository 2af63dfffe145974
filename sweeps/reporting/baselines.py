"""The baselines of a sweep (baselines.json) in the report: beside the ranking and below each fold table."""

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
    "PCA-k: the first k principal components of the training crops. DCT-k: the k lowest cosine frequencies. Both"
    " store k coefficients per crop and are evaluated on the same folds."
)
OTHER_DEFINITION = "standard definition, inputs in [0, 1]"
MISSING = (
    "No baselines: baselines.json is missing or was made for other splits. Run the sweep's command again to write it."
)


@dataclass(frozen=True)
class Baseline:
    """A baseline method; `mean` and `sd` (ddof 1) over folds, `sd` empty for a single split."""

    method: str
    numbers: int | None
    mean: Mapping[str, float | None]
    sd: Mapping[str, float | None]

    @property
    def name(self) -> str:
        """`patch mean`, `PCA-128`."""
        return f"{LINEAR[self.method]}-{self.numbers}" if self.method in LINEAR else self.method


def split_baselines(logs: SweepLogs, label: str, fold: int = 0, n_folds: int = 0) -> list[Baseline]:
    """Baselines of one split (the search's by default); empty if they were not computed."""
    found = logs.baselines.of((label, fold, n_folds))
    return [
        Baseline(row["baseline"], row["numbers"], {f"test_{n}": row[n] for n in ("loss", "psnr_db", "ssim")}, {})
        for row in (found.rows if found else ())
    ]


def fold_baselines(logs: SweepLogs, table: FoldTable) -> list[Baseline]:
    """Constant, patch mean and baselines of the configuration's latent size, over the table's complete folds."""
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
    """Latent dimensions per crop; None for settings that this version does not know."""
    try:
        return TrainConfig(**configuration.only(field.name for field in fields(TrainConfig))).latent_size
    except ConfigError:
        return None


def shown_size(logs: SweepLogs, size: int | None) -> int:
    """The size itself, or the reference size where a linear baseline of that size is lossless."""
    return size if size is not None and size < logs.baselines.pixels else REFERENCE_SIZE


def is_standard(logs: SweepLogs) -> bool:
    """Whether trials and baselines use the same metric definitions; otherwise they must not be compared."""
    return settings(logs.trials, "metrics") == {"standard"}


def same_loss(configuration: Configuration) -> bool:
    """Whether the loss is the mean squared error of inputs in [0, 1], as that of the baselines."""
    plain = all(configuration.get(name, 0) in ("mse", 0) for name in FOR_AUTOENCODERS)
    return plain and configuration.get("input_range") == "unit" and configuration.get("model") not in VAES


def verdict(logs: SweepLogs, psnr_db: float, size: int | None, found: Sequence[list[Baseline]]) -> str:
    """`2.10 dB above PCA with 128 coefficients (22.50 dB); the latent code has 8,192 dimensions.`-like, or ''.

    The better linear baseline of the two is named.

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
    method = "PCA" if code.startswith("PCA") else "DCT"
    place = "above" if psnr_db > linear else "below"
    gap = f"{abs(psnr_db - linear):.2f} dB {place} {method}"
    if size == shown:
        text = f"{gap} of equal size ({size:,} coefficients, {linear:.2f} dB)"
        text += ": the linear baseline is better" if place == "below" else ""
    else:
        text = f"{gap} with {shown:,} coefficients ({linear:.2f} dB)"
        text += "; " if place == "above" or not size else ", although "
        text += f"the latent code has {size:,} dimensions" if size else "the latent size is not known"
    mean = known.get("patch mean")
    if mean is not None and psnr_db < mean:
        text += f". Even the mean grey value of each crop reaches {mean:.2f} dB"
    return f"{text[0].upper()}{text[1:]}."


def contest(logs: SweepLogs, best: Trial | None) -> list[Block]:
    """The baselines, beside the ranking of the search.

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
    caption = "same test crops as the search trials" + ("" if standard else other)
    titles = ("Method", "Latent size (values per crop)", "Test PSNR (dB)", "Test SSIM")
    table = Table(titles, rows, name="Baselines", caption=caption, width="small")
    return [table, *notes] if found else notes


def _psnr(baseline: Baseline) -> float:
    psnr_db = baseline.mean["test_psnr_db"]
    return psnr_db if finite(psnr_db) else -np.inf


def search_notes(logs: SweepLogs, best: Trial | None) -> list[str]:
    """Which baselines are missing from the table, and why."""
    found = split_baselines(logs, best.record.label) if best else []
    return _size_notes(logs, found) if found else [MISSING] if best else []


def fold_notes(logs: SweepLogs, under: Iterable[list[Baseline]]) -> list[str]:
    """Explanation of the baselines below fold tables, or why there are none."""
    found = [baseline for baselines in under for baseline in baselines]
    return [SHORT_NAMES, *_size_notes(logs, found)] if found else [MISSING]


def strongest(baselines: list[Baseline]) -> Baseline | None:
    """The linear baseline with the lowest test loss; None where losses cannot be compared."""
    codes = [b for b in baselines if b.method in LINEAR and b.mean.get("test_loss") is not None]
    return min(codes, key=lambda b: b.mean["test_loss"] or 0, default=None)


def csv_rows(logs: SweepLogs) -> list[dict[str, Any]]:
    """One row per split and baseline, full precision."""
    splits = logs.baselines.splits
    return [{"label": s.label, "fold": s.fold, "n_folds": s.n_folds, **row} for s in splits for row in s.rows]


def _size_notes(logs: SweepLogs, found: list[Baseline]) -> list[str]:
    """Why an expected row is missing."""
    pixels, names = logs.baselines.pixels, {b.name for b in found}
    lossless = [f"{size:,}" for size in logs.baselines.latent_sizes if size >= pixels]
    notes = []
    if lossless:
        notes.append(
            f"No equal-size baseline for autoencoders with {' or '.join(lossless)} latent dimensions: with"
            f" {pixels:,} or more coefficients (the pixels of a crop), PCA and DCT are lossless."
        )
    few = [str(b.numbers) for b in found if b.method == "low-pass DCT" and f"PCA-{b.numbers}" not in names]
    if few:
        listed = " or ".join(dict.fromkeys(few))
        notes.append(f"No PCA with {listed} components where the training set has fewer crops.")
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
