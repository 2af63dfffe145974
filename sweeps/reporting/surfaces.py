"""PSNR of the classes and images of a sweep, from the images that the folds of one configuration tested."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from sweeps.folds import FoldResult, image_means
from sweeps.store import SweepFile

RESAMPLES = 2000
HARDEST = 5
HARD_AT = 0.05  # significance level for the classes with the lowest PSNR, after Bonferroni correction
ENOUGH_IMAGES = 3  # classes with fewer images are left out while larger ones exist
IMAGE_METRICS = ("psnr_db", "ssim", "spectrum_db")


@dataclass(frozen=True)
class ClassResult:
    """The images of one class, tested by the folds that were stratified by its label."""

    label: str
    name: str
    n_images: int
    """Tested."""
    of: int
    means: Mapping[str, float]
    """The known `IMAGE_METRICS`, means over images."""
    low: float | None
    """95 % CI of the PSNR."""
    high: float | None
    p_harder: float | None
    """One-sided p of Welch's t-test between the class and the label's other images, without correction. Units are the
    means of process conditions where the sweep knows them, because repeated images of a surface are not independent.
    None if either side has fewer than two."""

    @property
    def psnr_db(self) -> float:
        """Mean over images."""
        return self.means["psnr_db"]

    def row(self) -> dict[str, Any]:
        """For tables and scripts."""
        counts = {"label": self.label, "class": self.name, "n_images": self.n_images, "of": self.of}
        return {**counts, **self.means, "low": self.low, "high": self.high, "p_harder": self.p_harder}


@dataclass(frozen=True)
class ImageResult:
    """An image, over all cells of a configuration that tested it."""

    image_id: str
    psnr_db: float
    ssim: float | None
    spectrum_db: float | None
    file: str
    """Its name, or ''."""
    classes: Mapping[str, str]
    """Label -> class."""

    @property
    def title(self) -> str:
        """`image 12 (file.png)`."""
        return f"image {self.image_id}" + (f" ({self.file})" if self.file else "")


def class_results(sweep_file: SweepFile, results: Sequence[FoldResult]) -> list[ClassResult]:
    """Results of every label and class. Each label is evaluated on the folds that are stratified by it.

    Args:
        results: cells of one configuration.
    """
    found = []
    for label, classes in sweep_file.classes.items():
        own = [result for result in results if result.label == label]
        images = {metric: image_means(own, metric) for metric in IMAGE_METRICS}
        psnr = images["psnr_db"]
        for name in sorted(classes, key=_class_order):
            members = set(map(str, classes[name]))
            tested = {image: value for image, value in psnr.items() if image in members}
            if not tested:
                continue
            values = {metric: [of[image] for image in tested if image in of] for metric, of in images.items()}
            means = {metric: float(np.mean(own_values)) for metric, own_values in values.items() if own_values}
            low, high = bootstrap_interval(np.array(list(tested.values())))
            p = _p_harder(sweep_file, tested, psnr)
            found.append(ClassResult(label, name, len(tested), len(classes[name]), means, low, high, p))
    return found


def significantly_low(rows: Sequence[ClassResult]) -> list[ClassResult]:
    """Classes significantly below the other images of their label.

    Of many classes one is always the lowest: p-values are multiplied by their number (Bonferroni).
    """
    large = [row for row in rows if row.n_images >= ENOUGH_IMAGES] or list(rows)
    return [row for row in large if row.p_harder is not None and len(large) * row.p_harder < HARD_AT]


def _p_harder(sweep_file: SweepFile, tested: Mapping[str, float], psnr: Mapping[str, float]) -> float | None:
    conditions = {image: sweep_file.condition_of(image) for image in psnr}
    units: dict[str, list[float]] = {}
    unit_of = {image: image if None in conditions.values() else str(conditions[image]) for image in psnr}
    for image, value in psnr.items():
        units.setdefault(unit_of[image], []).append(value)
    inside = {unit_of[image] for image in tested}
    own, others = ([np.mean(v) for u, v in units.items() if (u in inside) == there] for there in (True, False))
    if min(len(own), len(others)) < 2 or not np.ptp(own) + np.ptp(others):
        return None
    return float(stats.ttest_ind(own, others, equal_var=False, alternative="less").pvalue)


def bootstrap_interval(values: np.ndarray, seed: int = 0) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap interval of the mean of (n,) values, 2000 resamples; (None, None) for n < 3."""
    if len(values) < 3:
        return None, None
    chosen = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[chosen].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def tested_images(sweep_file: SweepFile, results: Sequence[FoldResult]) -> list[ImageResult]:
    """The images by their mean test PSNR over all cells of a configuration, lowest first, with classes and file."""
    psnr, ssim, spectrum = (image_means(results, metric) for metric in IMAGE_METRICS)
    files = dict(enumerate(sweep_file.data.files))
    kinds = {
        label: {str(image): name for name, images in classes.items() for image in images}
        for label, classes in sweep_file.classes.items()
    }
    return [
        ImageResult(
            image,
            psnr[image],
            ssim.get(image),
            spectrum.get(image),
            files.get(int(image), "") if image.isdecimal() else "",
            {label: of[image] for label, of in kinds.items() if image in of},
        )
        for image in sorted(psnr, key=lambda image: (psnr[image], image))
    ]


def _class_order(name: str) -> tuple[bool, float, str]:
    """Numbers and ranges by their first number, before texts."""
    first = re.match(r"[\[(]?(-?\d+(?:\.\d+)?)", name)
    return (False, float(first[1]), name) if first else (True, 0.0, name)
