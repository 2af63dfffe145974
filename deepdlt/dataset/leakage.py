"""Properties of a split: how much of its test set is also training data, and how folds share the classes."""

import shlex
from dataclasses import astuple, dataclass

import numpy as np
import pandas as pd

from deepdlt.dataset.classes import Labels, bin_label, class_name, label_names
from deepdlt.dataset.patches import Patches
from deepdlt.dataset.stratified_split import Split
from deepdlt.headings import join_headings
from deepdlt.images import condition_numbers, replicate_columns


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
    replicate_share: float | None = None
    """Test crops from a probable replicate of an image that has training crops, see `replicate_numbers`; None if
    there are no replicates to know."""

    def __str__(self) -> str:
        conditions = "" if self.condition_share is None else f", {self.condition_share:.1%} from its conditions"
        if self.replicate_share:
            conditions += f", {self.replicate_share:.1%} from probable replicates"
        return (
            f"{self.image_share:.1%} of the test crops come from images of the training set{conditions}; "
            f"{self.overlap_share:.1%} overlap a training crop; {self.pixel_share:.1%} of their pixels are in one"
        )


def leakage(
    table: pd.DataFrame,
    split: Split,
    size: int = 64,
    images: pd.DataFrame | None = None,
    replicates: np.ndarray | None = None,
) -> Leakage:
    """How much of the test set of a split is also training data; exact, by a mask of training pixels per image.

    Args:
        table: one row per crop with `image_id`, `x`, `y` (left, top in px), as in `Patches.table`.
        split: indices into the table.
        size: side of a crop in px.
        images: table with `image_id` and `condition`, for the share of conditions.
        replicates: of `replicate_numbers`, for the share of replicates; needs `images`.

    Source: in the study's folds all test crops come from images with training crops, 67 % overlap a training crop,
    and 25 % of their pixels lie in one.
    """
    image_id, x, y = (table[name].to_numpy() for name in ("image_id", "x", "y"))
    rows = None if images is None else pd.Index(images["image_id"]).get_indexer(image_id)
    groups = [None if images is None else images["condition"].to_numpy(), replicates]
    of_crop = [None if group is None or rows is None else group[rows] for group in groups]
    conditions, copies = (None if of is None else _mean(np.isin(of[split.test], of[split.train])) for of in of_crop)
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
    return Leakage(image_share, conditions, _mean(seen > 0), _mean(seen), copies)


def replicate_numbers(images: pd.DataFrame, label: Labels = ()) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """((n_images,) group of probable replicates, the columns in which they agree); None if there are none to know.

    Args:
        label: stratifies the split. A table in which it alone was set says nothing of replicates.
    """
    columns = replicate_columns(images)
    if not set(columns) - set(label_names(label)):
        return None, ()
    return condition_numbers(images, columns), columns


def replicate_note(mean: Leakage, columns: tuple[str, ...], grouped_by: tuple[str, ...] = ()) -> list[str]:
    """A note with the remedy where replicates are on both sides of a split; [] where they are not.

    Args:
        columns: of `replicate_numbers`.
        grouped_by: columns of the conditions. Whoever named them has been asked already: no other ones are proposed.
    """
    if not mean.replicate_share or mean.image_share:  # where images are divided, groups are not the remedy
        return []
    same, option = ", ".join(columns), shlex.quote(join_headings(columns))
    remedy = f"if these are replicates, keep them together: --group-by {option}"
    if grouped_by:
        remedy = f"right if {', '.join(grouped_by)} {'tells' if len(grouped_by) == 1 else 'tell'} their surfaces apart"
    return [
        f"{mean.replicate_share:.0%} of the test crops come from images with the same {same} as an image that was"
        f" trained on; {remedy}"
    ]


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
    n, filled = codes.max() + 1, np.unique(codes).tolist()  # quantile bins of a skewed label may be empty
    columns: dict[str, list] = {"all": np.bincount(of_crop, minlength=n).tolist()}
    for k, fold in enumerate(folds, start=1):
        test, val = (np.bincount(of_crop[part], minlength=n) for part in (fold.test, fold.val))
        columns[str(k)] = [f"{tested} ({validated})" for tested, validated in zip(test, val, strict=True)]
    names = [class_name(patches.images[label], codes, code) for code in filled]
    return pd.DataFrame(columns).iloc[filled].set_axis(names)


def _by_image(image_id: np.ndarray) -> dict[int, np.ndarray]:
    """Image -> its positions in `image_id`."""
    order = np.argsort(image_id, kind="stable")
    found, starts = np.unique(image_id[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, starts)[1:], strict=True))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
