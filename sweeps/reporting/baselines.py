"""The baselines of a sweep (baselines.json) in the report: beside the ranking and below each fold table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepdlt.config import FOR_AUTOENCODERS, REFERENCE_SIZE, VAES
from sweeps.console import LINEAR, MEAN, latent_size
from sweeps.folds import FoldTable, finite
from sweeps.reporting.blocks import DB, SSIM, Block, Row, Table, Text, shown
from sweeps.reporting.logs import SweepLogs, Trial, settings
from sweeps.space import Configuration
from sweeps.store import COMPLETE

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
    """Patch mean and the linear baselines of the configuration's latent size, over the table's complete folds."""
    size, with_loss = shown_size(logs, latent_size(table.configuration)), same_loss(table.configuration)
    done = sorted({row.fold for row in table.rows if row.state == COMPLETE})
    of_folds = [split_baselines(logs, table.label, fold, table.n_folds) for fold in done]
    if not of_folds or not all(of_folds):
        return []
    averages = []
    for first in of_folds[0]:
        same = [b for found in of_folds for b in found if b.name == first.name]
        known = first.numbers == size if first.method in LINEAR else first.method == MEAN
        if len(same) == len(done) and known:
            averages.append(_average(same, with_loss))
    return averages


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
