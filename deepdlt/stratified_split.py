"""Which crops train, validate and test: label-wise stratified folds, as in the report and as they should be.

    python -m deepdlt.stratified_split --data IMAGES --label angle --label PP1
    python -m deepdlt.stratified_split --patches data/patches/patches-1a2b3c4d5e6f --label angle+PP1 --folds 5
    python -m deepdlt.stratified_split --data IMAGES --protocol report --out data

The report splits crops, so every test image is also a training image. Corrected, all crops of a process condition
(or of an image) stay on one side, and validation and test are both stratified. The folds are written as CSV tables,
data/label_aware_splitting_data/LABEL/fold_K/LABEL_{train,val,test}.csv; the balance of the classes is printed.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepdlt.create_dataset import CropOptions, Patches, create_dataset, load_patches
from deepdlt.data_errors import DataError
from deepdlt.group_dealing import deal_rows, hold_out_groups
from deepdlt.source_images import Source, read_source

MAX_CATEGORIES = 8  # numeric labels with more distinct values are binned
QUANTILES = 5  # the report's qcut
VALIDATION_SHARE = 0.1  # the report's 80/10/10
REPORT_LABELS = ("angle", "PP1", "NP", "EP1")
PROTOCOLS = {
    "corrected": {"unit": "condition", "holdout": "stratified"},
    "report": {"unit": "crop", "holdout": "halves"},
}
Labels = str | tuple[str, ...]
"""One label, or several that a split is stratified by at once."""


@dataclass(frozen=True)
class Split:
    """Crop indices, each (n,) int64 and sorted; no crop is in two of them."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def bin_label(values: pd.Series, rule: str = "corrected") -> np.ndarray:
    """Class number of each value; the values themselves are never changed.

    `report`: numbers in 5 quantile bins (pandas.qcut, duplicates dropped). `corrected`: numbers with at most 8
    distinct values stay classes of their own.

    Raises:
        DataError: a value is missing.
    """
    if values.isna().any():
        raise DataError(f"label {values.name!r} has no value for {int(values.isna().sum())} of {len(values)} images")
    numeric = pd.api.types.is_numeric_dtype(values) and values.nunique() > 1
    if numeric and (rule == "report" or values.nunique() > MAX_CATEGORIES):
        return pd.qcut(values, q=QUANTILES, labels=False, duplicates="drop").to_numpy()
    return values.astype("category").cat.codes.to_numpy()


def stratified_folds(
    images: pd.DataFrame,
    image_id: np.ndarray,
    label: Labels,
    n_folds: int = 5,
    *,
    unit: str = "condition",
    holdout: str = "stratified",
    seed: int = 42,
) -> list[Split]:
    """Folds stratified by one label or several; each crop is tested in one fold (unit `crop`: tested or validated).

    With one label, no fold's share of a class is further from the ideal than one unit of that class, when units lie
    in one class each. Several labels are taken as one whose classes are their combinations where every combination
    has a unit for every fold, else by iterative stratification, which balances each label by itself.

    Args:
        images: one row per image: `image_id`, `condition`, labels.
        image_id: (n_crops,) image of each crop.
        label: column of `images`, or several.
        n_folds: >= 2 and at most the number of units in the smallest class.
        unit: what is never split: `condition`, `image`, or `crop` (the report).
        holdout: how the held-out crops of unit `crop` become validation and test: `stratified`, or the sorted rows
            cut into `halves` (the report). The other units are always stratified.
        seed: of the shuffling.

    Raises:
        DataError: n_folds does not fit the classes; the message has their counts and the largest number that does.

    Source: report, section 5.2; sklearn StratifiedKFold (unit `crop`) and StratifiedGroupKFold.
    """
    check_folds(images, image_id, label, n_folds, unit)
    classes = _classes(images, label, _rule(unit))
    if unit == "crop":
        return _crop_folds(classes[image_rows(images, image_id)], n_folds, holdout, seed)
    groups = images["condition" if unit == "condition" else "image_id"].to_numpy()
    n_inner = max(2, round((1 - 1 / n_folds) / VALIDATION_SHARE))
    fold = deal_rows(classes, groups, n_folds, seed)
    folds = []
    for k in range(n_folds):
        rest, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        train, val = hold_out_groups(classes[rest], groups[rest], n_inner, seed)
        folds.append(_expand(images, image_id, rest[train], rest[val], test))
    return folds


def plain_split(
    images: pd.DataFrame,
    image_id: np.ndarray,
    *,
    label: Labels | None = None,
    unit: str = "condition",
    seed: int = 42,
) -> Split:
    """80/10/10 without cross-validation, whole images on one side, stratified by `label` unless unit is `crop`.

    Unit `crop` is the report's: images in an arbitrary order (here seeded, there os.listdir's), cut 80/10/10.
    """
    n = len(images)
    if unit == "crop":
        order = np.random.default_rng(seed).permutation(n)
        cuts = max(1, round(0.8 * n)), max(2, round(0.9 * n))
        train, val, test = np.split(order, cuts)
        return _expand(images, image_id, train, val, test)
    classes = _classes(images, label, "corrected") if label else np.zeros((n, 1), int)
    groups = images["condition" if unit == "condition" else "image_id"].to_numpy()
    rest, test = hold_out_groups(classes, groups, 10, seed)
    train, val = hold_out_groups(classes[rest], groups[rest], 9, seed)
    return _expand(images, image_id, rest[train], rest[val], test)


def evaluate_on_tiles(split: Split, table: pd.DataFrame) -> Split:
    """Of crops drawn with `grid_eval`: train on the random ones, validate and test on the tiles; else unchanged."""
    if "tile" not in table:
        return split
    tile = table["tile"].to_numpy(bool)
    return Split(split.train[~tile[split.train]], split.val[tile[split.val]], split.test[tile[split.test]])


def check_folds(images: pd.DataFrame, image_id: np.ndarray, label: Labels, n_folds: int, unit: str) -> None:
    """Refuse a number of folds that the smallest class of a label does not allow; every such label is named."""
    if n_folds < 2:
        raise DataError(f"--folds must be at least 2, got {n_folds}")
    problems = []
    for name in label_names(label):
        classes = _classes(images, name, _rule(unit))[:, 0]
        if unit == "crop":
            crops_per_image = np.bincount(image_rows(images, image_id), minlength=len(images))
            counts = pd.Series(crops_per_image).groupby(classes).sum()
        else:
            counts = images["image_id" if unit == "image" else "condition"].groupby(classes).nunique()
        smallest = int(counts.min())
        if n_folds <= smallest:
            continue
        listed = ", ".join(f"{class_name(images[name], classes, code)}: {n}" for code, n in counts.items())
        problem = f"label {name!r}: its smallest class has {smallest} {unit}(s) ({listed})"
        remedy = f"use --folds {smallest} or fewer" if smallest >= 2 else "leave this label out of --labels"
        problems.append(f"--folds {n_folds} is too many for {problem}; {remedy}")
    if problems:
        raise DataError("\n".join(problems))


def _rule(unit: str) -> str:
    """The binning that goes with a unit."""
    return "report" if unit == "crop" else "corrected"


def label_names(label: Labels) -> tuple[str, ...]:
    """One label or several, as a tuple."""
    return (label,) if isinstance(label, str) else label


def _classes(images: pd.DataFrame, label: Labels, rule: str) -> np.ndarray:
    """(n_images, n_labels) class numbers."""
    unknown = [name for name in label_names(label) if name not in images]
    if unknown:
        raise DataError(f"unknown label {unknown[0]!r}; labels: {', '.join(map(str, images.columns))}")
    return np.stack([bin_label(images[name], rule) for name in label_names(label)], axis=1)


def class_name(values: pd.Series, classes: np.ndarray, code: int) -> str:
    """`19.0`, or `14 to 40` for a bin: the range of the values in a class."""
    members = values[classes == code]
    low, high = members.min(), members.max()
    return str(low) if low == high else f"{low} to {high}"


def _crop_folds(classes: np.ndarray, n_folds: int, holdout: str, seed: int) -> list[Split]:
    """Folds that divide crops; in the report's, validation is the first images of the listing and test the last."""
    fold = deal_rows(classes, None, n_folds, seed)
    folds = []
    for k in range(n_folds):
        train, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        if len(held) < 2:
            raise DataError(f"{len(fold)} crops are too few to validate and test {n_folds} folds; cut more crops")
        val, test = held[: len(held) // 2], held[len(held) // 2 :]
        if holdout == "stratified":
            half = deal_rows(classes[held], None, 2, seed)
            val, test = held[half == 1], held[half == 0]
        folds.append(Split(train, val, test))
    return folds


def image_rows(images: pd.DataFrame, image_id: np.ndarray) -> np.ndarray:
    """Row of `images` for each crop."""
    return pd.Index(images["image_id"]).get_indexer(image_id)


def _expand(images: pd.DataFrame, image_id: np.ndarray, *parts: np.ndarray) -> Split:
    """Image rows -> indices of their crops."""
    rows = image_rows(images, image_id)
    return Split(*(np.flatnonzero(np.isin(rows, part)) for part in parts))


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 done, 2 refused input, 3 cannot write."""
    args = _parser().parse_args(argv)
    options = PROTOCOLS[args.protocol] | ({"unit": args.unit} if args.unit else {})
    try:
        if args.unit and args.protocol == "report":
            raise DataError("--unit belongs to --protocol corrected; the report's folds divide crops")
        patches, labels = _checked_patches(args, options["unit"])
        for label in labels:
            _split_and_print(patches, label, args, options)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: cannot write to {args.out} ({error.strerror}); choose another --out", file=sys.stderr)
        return 3
    return 0


def _split_and_print(patches: Patches, label: Labels, args: argparse.Namespace, options: dict[str, str]) -> None:
    """Write the folds of one label; print where, their balance and what they leak."""
    from deepdlt.leakage import balance, leakage, mean_leakage
    from deepdlt.progress_bar import progress_bar
    from deepdlt.report_layout import write_folds

    rule = _rule(options["unit"])
    folds = stratified_folds(patches.images, patches.image_id, label, args.folds, seed=args.seed, **options)
    with progress_bar(f"writing {'+'.join(label_names(label))}", "folds") as progress:
        target = write_folds(patches, folds, label, args.out, rule, progress)
    print(f"{target}\ncrops of each class in the test sets of {len(folds)} folds by {options['unit']} (validation)")
    for name in label_names(label):
        print(balance(patches, folds, name, rule).rename_axis(name, axis=1).to_string())
    leaks = [leakage(patches.table, split, patches.crops.shape[-1], patches.images) for split in folds]
    print(f"leakage: {mean_leakage(leaks)}\n")


def _checked_patches(args: argparse.Namespace, unit: str) -> tuple[Patches, list[Labels]]:
    """The crops and the labels to split by; all labels are checked before a crop is cut or a table written."""
    from deepdlt.progress_bar import progress_bar

    options = CropOptions()
    have: Source | Patches = load_patches(args.patches) if args.patches else read_source(args.data)
    images = have.images
    every = np.repeat(images["image_id"].to_numpy(), options.crops_per_image)
    image_id = have.image_id if isinstance(have, Patches) else every
    labels: list[Labels] = [
        text if text in images else tuple(text.split("+")) for text in dict.fromkeys(args.label or REPORT_LABELS)
    ]
    problems = []
    for label in labels:
        try:
            check_folds(images, image_id, label, args.folds, unit)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
    if isinstance(have, Patches):
        return have, labels
    with progress_bar("cutting crops", "images") as progress:
        return load_patches(create_dataset(have, args.out / "patches", options, progress)), labels


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deepdlt.stratified_split",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, metavar="IMAGES", help="folder of images with their sheet; crops are cut")
    data.add_argument("--patches", type=Path, metavar="FOLDER", help="crops that deepdlt.create_dataset wrote")
    label = "may be repeated, one set of folds each; A+B stratifies by both at once; default angle, PP1, NP, EP1"
    parser.add_argument("--label", action="append", metavar="LABEL", help=label)
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="default %(default)s")
    protocol = "corrected: no image on two sides; report: crops divided as in the report; default %(default)s"
    parser.add_argument("--protocol", choices=PROTOCOLS, default="corrected", help=protocol)
    unit = "what stays together, with --protocol corrected; default condition"
    parser.add_argument("--unit", choices=("condition", "image"), help=unit)
    parser.add_argument("--seed", type=int, default=42, help="default %(default)s")
    parser.add_argument("--out", type=Path, default=Path("data"), metavar="FOLDER", help="default %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
