"""What a report states, computed from the logs: ranking, folds, classes and images, with their uncertainty."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sweeps.records import COMPLETE
from sweeps.report_logs import TESTS, SweepLogs, mapping

RESAMPLES = 2000
IMAGE_METRICS = ("psnr_db", "ssim", "spectrum_db")
DESCRIBED = ("model", "lr", "dropout", "activation", "kernel_size", "optimizer", "weight_decay", "batch_size", "epochs")
VAE_ONLY = ("latent_dim", "beta")


@dataclass
class FoldTable:
    """One configuration, one label: `rows` (one per fold, missing ones too), `mean` and `sd` (ddof 1) per column."""

    group: str
    label: str
    n_folds: int
    rows: list[dict[str, Any]]
    mean: dict[str, float]
    sd: dict[str, float]
    n_done: int


def leaderboard(logs: SweepLogs) -> pd.DataFrame:
    """Complete search trials with a finite validation PSNR, best first."""
    trials = logs.trials
    ranked = trials[(trials["kind"] == "search") & (trials["status"] == COMPLETE)]
    if ranked.empty:
        return ranked
    ranked = ranked[np.isfinite(ranked["val_psnr_db"].astype(float))]
    return ranked.sort_values(["val_psnr_db", "val_loss", "trial"], ascending=[False, True, True], ignore_index=True)


def cv_groups(logs: SweepLogs) -> list[str]:
    """The cross-validated configurations: the search's best first, then by mean validation PSNR."""
    folds = logs.trials[logs.trials["kind"] == "cv"]
    if folds.empty:
        return []
    best = leaderboard(logs)
    settings: dict[Any, Any] | None = dict(best.iloc[0][logs.axes]) if len(best) and logs.axes else None
    order = []
    for group, rows in folds.groupby("group"):
        chosen = settings is not None and dict(rows.iloc[0][logs.axes]) == settings
        psnr = rows.loc[rows["status"] == COMPLETE, "val_psnr_db"].astype(float).mean()
        order.append((not chosen, -psnr if np.isfinite(psnr) else np.inf, str(group)))
    return [group for _, _, group in sorted(order)]


def fold_tables(logs: SweepLogs, group: str) -> list[FoldTable]:
    """One table per label, in the order in which the labels were asked for."""
    trials = logs.trials
    folds = trials[(trials["kind"] == "cv") & (trials["group"] == group)]
    asked = logs.asked.get("labels") or []
    labels = list(dict.fromkeys([*map(str, asked), *sorted(folds["label"])]))
    wanted = logs.asked.get("folds")
    n_folds = wanted if isinstance(wanted, int) and wanted in set(folds["n_folds"]) else int(folds["n_folds"].max())
    folds = folds[folds["n_folds"] == n_folds]  # 3 of 3 folds and 3 of 5 folds have nothing in common
    return [_fold_table(folds[folds["label"] == label], group, label, n_folds) for label in labels]


def image_table(logs: SweepLogs, group: str, label: str | None = None) -> pd.DataFrame:
    """Test metrics of each image, averaged over the complete folds (of one label's, or of all) that tested it.

    Returns:
        Columns `image_id` (str), `psnr_db`, `ssim`, `spectrum_db` (NaN in older sweeps), `n_trials`.
    """
    trials = logs.trials
    chosen = trials[(trials["kind"] == "cv") & (trials["group"] == group) & (trials["status"] == COMPLETE)]
    if label is not None:
        chosen = chosen[chosen["label"] == label]
    rows = [
        {"image_id": str(image), **{name: values.get(name) for name in IMAGE_METRICS}}
        for trial in chosen["trial"]
        for image, values in logs.tests_by_image.get(trial, {}).items()
    ]
    table = pd.DataFrame(rows, columns=["image_id", *IMAGE_METRICS]).astype(dict.fromkeys(IMAGE_METRICS, float))
    means = table.groupby("image_id", sort=False).mean()
    return means.assign(n_trials=table.groupby("image_id").size()).reset_index()


def class_table(logs: SweepLogs, group: str) -> list[dict[str, Any]]:
    """Per label and class: `n_images` tested `of`, means over them of what is known, 95 % interval of the PSNR.

    Each label is judged by the folds that were stratified by it.
    """
    rows = []
    for label, classes in _classes(logs.asked).items():
        images = image_table(logs, group, label).set_index("image_id")
        for name in sorted(classes, key=_class_order):
            members = [str(image) for image in classes[name]]
            tested = images[images.index.isin(members)]
            if tested.empty:
                continue
            low, high = bootstrap_interval(tested["psnr_db"].to_numpy())
            means = {name: float(tested[name].mean()) for name in IMAGE_METRICS if tested[name].notna().any()}
            row = {"label": label, "class": name, "n_images": len(tested), "of": len(members)}
            rows.append({**row, **means, "low": low, "high": high})
    return rows


def bootstrap_interval(values: np.ndarray, seed: int = 0) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap interval of the mean of (n,) values, 2000 resamples; (None, None) for n < 3."""
    if len(values) < 3:
        return None, None
    chosen = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[chosen].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def hardest_images(logs: SweepLogs, group: str, n: int = 5) -> list[dict[str, Any]]:
    """The images with the lowest mean test PSNR over all folds of a configuration, with their classes and file."""
    images = image_table(logs, group).sort_values(["psnr_db", "image_id"]).head(n)
    listed = mapping(logs.asked, "data").get("files")
    files = dict(enumerate(listed)) if isinstance(listed, list) else {}
    classes = _classes(logs.asked)
    rows: list[dict[str, Any]] = images.to_dict("records")
    for row in rows:
        image = row["image_id"]
        row["file"] = str(files.get(int(image), "")) if image.isdecimal() else ""
        row["classes"] = {
            label: name for label, of in classes.items() for name, ids in of.items() if image in map(str, ids)
        }
    return rows


def describe(settings: Any, names: Sequence[str]) -> str:
    """`lr 0.001, dropout 0.2, relu activation`-like text of the named settings."""
    return ", ".join(f"{name} {show(settings[name])}" for name in names if name in settings and _known(settings[name]))


def show(value: Any) -> str:
    """A hyperparameter as people write it."""
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def described(logs: SweepLogs, settings: Any) -> list[str]:
    """The fields that describe a configuration: the swept ones, or the usual ones when nothing was swept."""
    vae = VAE_ONLY if settings.get("model") == "cnn_vae" else ()
    return logs.axes or [*DESCRIBED, *vae]


def _fold_table(folds: pd.DataFrame, group: str, label: str, n_folds: int) -> FoldTable:
    columns = {"train_loss": "used_train_loss", "val_loss": "used_val_loss"}
    columns |= {name: name for name in ("val_loss_floor", *TESTS) if name in folds.columns}
    rows = []
    for fold in range(1, n_folds + 1):
        found = folds[folds["fold"] == fold]
        found = found.sort_values("status", key=lambda s: s != COMPLETE, kind="stable")
        row: dict[str, Any] = {"fold": fold, "state": "missing", "trial": "", "from_record": False}
        if len(found):
            trial = found.iloc[0]
            row |= {"state": trial["status"], "trial": trial["trial"], "from_record": bool(trial["from_record"])}
            if trial["status"] == COMPLETE:
                row |= {name: trial[source] for name, source in columns.items()}
        rows.append(row)
    done = pd.DataFrame([row for row in rows if row["state"] == COMPLETE], columns=list(columns)).astype(float)
    mean, sd = ({str(name): float(value) for name, value in v.items()} for v in (done.mean(), done.std(ddof=1)))
    return FoldTable(group, label, n_folds, rows, mean, sd, len(done))


def _classes(asked: dict[str, Any]) -> dict[str, dict[str, list[Any]]]:
    found = mapping(asked, "classes")
    return {
        label: {name: ids for name, ids in classes.items() if isinstance(ids, list)}
        for label, classes in found.items()
        if isinstance(classes, dict)
    }


def _class_order(name: str) -> tuple[bool, float, str]:
    """Numbers and ranges by their first number, before texts."""
    first = re.match(r"[\[(]?(-?\d+(?:\.\d+)?)", name)
    return (False, float(first[1]), name) if first else (True, 0.0, name)


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and np.isnan(value))
