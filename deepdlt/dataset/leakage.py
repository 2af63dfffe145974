"""Properties of a split: how much of its test set is also training data, and how folds share the classes."""

from dataclasses import astuple, dataclass

import numpy as np
import pandas as pd

from deepdlt.dataset.classes import bin_label, class_name
from deepdlt.dataset.patches import Patches
from deepdlt.dataset.stratified_split import Split


@dataclass(frozen=True)
class Leakage:
    """Fractions of a split's test crops, in 0..1; all 0 without leakage. NaN without test crops."""

    image_share: float
    """Test crops from an image that also has training crops."""
    condition_share: float | None
    """Test crops from a process condition that also has training crops; None if no conditions were given."""
    overlap_share: float
    """Test crops that share a pixel with a training crop."""
    pixel_share: float
    """Pixels of the test crops that lie in a training crop; a pixel counts once for each test crop that has it."""

    def __str__(self) -> str:
        conditions = "" if self.condition_share is None else f", {self.condition_share:.1%} from its conditions"
        return (
            f"{self.image_share:.1%} of the test crops come from images of the training set{conditions}; "
            f"{self.overlap_share:.1%} overlap a training crop; {self.pixel_share:.1%} of their pixels are in one"
        )


def leakage(table: pd.DataFrame, split: Split, size: int = 64, images: pd.DataFrame | None = None) -> Leakage:
    """How much of the test set of a split is also training data; exact, by a mask of training pixels per image.

    Args:
        table: one row per crop with `image_id`, `x`, `y` (left, top in px), as in `Patches.table`.
        split: indices into the table.
        size: side of a crop in px.
        images: table with `image_id` and `condition`, for the share of conditions.

    Source: in the study's folds all test crops come from images with training crops, 67 % overlap a training crop,
    and 25 % of their pixels lie in one.
    """
    image_id, x, y = (table[name].to_numpy() for name in ("image_id", "x", "y"))
    conditions = None
    if images is not None:
        condition = images.set_index("image_id")["condition"].loc[image_id].to_numpy()
        conditions = _mean(np.isin(condition[split.test], condition[split.train]))
    seen = np.zeros(len(split.test))
    train_of, test_of = (_by_image(image_id[part]) for part in (split.train, split.test))
    for image, tested in test_of.items():
        test, train = split.test[tested], split.train[train_of.get(image, np.empty(0, int))]
        if len(train) == 0:
            continue
        both = np.concatenate([test, train])
        trained = np.zeros((y[both].max() + size, x[both].max() + size), bool)
        for k in train:
            trained[y[k] : y[k] + size, x[k] : x[k] + size] = True
        seen[tested] = [trained[y[k] : y[k] + size, x[k] : x[k] + size].mean() for k in test]
    image_share = _mean(np.isin(image_id[split.test], image_id[split.train]))
    return Leakage(image_share, conditions, _mean(seen > 0), _mean(seen))


def mean_leakage(leaks: list[Leakage]) -> Leakage:
    """The mean over folds; the share of conditions only if every fold has one."""
    columns = zip(*map(astuple, leaks), strict=True)
    means = [None if None in values else float(np.mean(values)) for values in columns]
    return Leakage(*means)  # type: ignore[arg-type]


def balance(patches: Patches, folds: list[Split], label: str, rule: str = "corrected") -> pd.DataFrame:
    """Number of crops per class: `all`, then for each fold `1`.. the text `tested (validated)`."""
    codes = bin_label(patches.images[label], rule)
    rows = pd.Index(patches.images["image_id"]).get_indexer(patches.image_id)
    of_crop = codes[rows]
    n = codes.max() + 1
    columns: dict[str, list] = {"all": np.bincount(of_crop, minlength=n).tolist()}
    for k, fold in enumerate(folds, start=1):
        test, val = (np.bincount(of_crop[part], minlength=n) for part in (fold.test, fold.val))
        columns[str(k)] = [f"{tested} ({validated})" for tested, validated in zip(test, val, strict=True)]
    names = [class_name(patches.images[label], codes, code) for code in range(n)]
    return pd.DataFrame(columns, index=names)


def _by_image(image_id: np.ndarray) -> dict[int, np.ndarray]:
    """Image -> its positions in `image_id`."""
    order = np.argsort(image_id, kind="stable")
    found, starts = np.unique(image_id[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, starts)[1:], strict=True))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
