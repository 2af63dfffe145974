"""What a report states, computed from the logs: ranking, folds, classes and images, with their uncertainty."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sweeps.folds import image_means
from sweeps.reporting.logs import SweepLogs, mapping
from sweeps.reporting.marks import outside
from sweeps.space import describe, described
from sweeps.store import COMPLETE, place

RESAMPLES = 2000
IMAGE_METRICS = ("psnr_db", "ssim", "spectrum_db")


def leaderboard(logs: SweepLogs, inside: bool = True) -> pd.DataFrame:
    """Complete search trials of the present space with a finite validation PSNR, best first.

    Args:
        inside: False for those outside it instead, which are kept, but not ranked.
    """
    trials, beyond = logs.trials, outside(logs)
    ranked = trials[(trials["kind"] == "search") & (trials["status"] == COMPLETE)]
    ranked = ranked[ranked["trial"].isin(list(beyond)) != inside]
    if ranked.empty:
        return ranked
    columns = (ranked[name] for name in ("val_psnr_db", "val_loss", "trial"))
    places = zip((place(*row) for row in zip(*columns, strict=True)), ranked.index, strict=True)
    return ranked.loc[[index for at, index in sorted(p for p in places if p[0])]].reset_index(drop=True)


def log_rows(logs: SweepLogs) -> list[dict[str, Any]]:
    """The cross-validation trials as rows for `fold_tables`, with numbers from the logs."""
    rows: list[dict[str, Any]] = logs.trials[logs.trials["kind"] == "cv"].to_dict("records")
    return [{**row, "test_by_image": logs.tests_by_image.get(row["trial"], {})} for row in rows]


def image_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Test metrics of each image, averaged over the complete cells among these rows that tested it.

    Returns:
        Index `image_id` (str), columns `psnr_db`, `ssim`, `spectrum_db` (NaN in older sweeps).
    """
    return pd.DataFrame({name: pd.Series(image_means(rows, name), dtype=float) for name in IMAGE_METRICS})


def class_table(logs: SweepLogs, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per label and class: `n_images` tested `of`, means over them of what is known, 95 % interval of the PSNR.

    Each label is judged by the folds that were stratified by it. `p_harder` is one-sided, of Welch's t test between the
    class and the label's other images, for one class alone; where the sweep knows process conditions, of their means,
    because repeated images of a surface are no independent evidence. None where there are fewer than two of either.

    Args:
        rows: cells of one configuration.
    """
    table = []
    for label, classes in _classes(logs.asked).items():
        images = image_table([row for row in rows if row["label"] == label])
        units = _condition_means(logs.asked, images["psnr_db"])
        for name in sorted(classes, key=_class_order):
            members = [str(image) for image in classes[name]]
            tested = images[images.index.isin(members)]
            if tested.empty:
                continue
            low, high = bootstrap_interval(tested["psnr_db"].to_numpy())
            means = {name: float(tested[name].mean()) for name in IMAGE_METRICS if tested[name].notna().any()}
            row = {"label": label, "class": name, "n_images": len(tested), "of": len(members)}
            inside = units.index.isin(_condition_means(logs.asked, tested["psnr_db"]).index)
            p = _welch_p(units[inside].to_numpy(), units[~inside].to_numpy())
            table.append({**row, **means, "low": low, "high": high, "p_harder": p})
    return table


def _condition_means(asked: Mapping[str, Any], values: pd.Series) -> pd.Series:
    """Mean over the images of each process condition; the images' own values where sweep.json does not know those."""
    listed = asked.get("conditions_of_images")
    if not isinstance(listed, list) or not all(
        image.isdecimal() and int(image) < len(listed) for image in values.index
    ):
        return values
    return values.groupby([str(listed[int(image)]) for image in values.index]).mean()


def _welch_p(lower: np.ndarray, others: np.ndarray) -> float | None:
    if min(len(lower), len(others)) < 2 or not np.ptp(lower) + np.ptp(others):
        return None
    from scipy import stats  # late: half a second

    return float(stats.ttest_ind(lower, others, equal_var=False, alternative="less").pvalue)


def bootstrap_interval(values: np.ndarray, seed: int = 0) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap interval of the mean of (n,) values, 2000 resamples; (None, None) for n < 3."""
    if len(values) < 3:
        return None, None
    chosen = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[chosen].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def hardest_images(logs: SweepLogs, cells: Sequence[Mapping[str, Any]], n: int = 5) -> list[dict[str, Any]]:
    """The images with the lowest mean test PSNR over all cells of a configuration, with their classes and file."""
    images = image_table(cells).rename_axis("image_id").reset_index().sort_values(["psnr_db", "image_id"]).head(n)
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


def words(logs: SweepLogs, settings: Mapping[str, Any]) -> str:
    """A configuration, or a trial's row, in words."""
    return describe(settings, described(logs.asked, settings, logs.axes))


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
