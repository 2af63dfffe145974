"""Which crops train, validate and test: label-wise stratified folds, as in the report and as they should be.

    python -m deepdlt folds --data IMAGES --label angle --label PP1
    python -m deepdlt folds --patches data/patches/patches-1a2b3c4d5e6f --label angle+PP1 --folds 5
    python -m deepdlt folds --data IMAGES --protocol report --out data

The folds are written as CSV tables, data/label_aware_splitting_data/LABEL/fold_K/LABEL_{train,val,test}.csv; the
balance of the classes is printed.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from deepdlt.config import PROTOCOLS
from deepdlt.dataset import (
    CropOptions,
    Labels,
    Patches,
    balance,
    bin_rule,
    check_folds,
    label_names,
    load_patches,
    mean_leakage,
    stratified_folds,
    write_folds,
)
from deepdlt.dataset.create_dataset import create_dataset
from deepdlt.dataset.leakage import leakage
from deepdlt.errors import DataError
from deepdlt.images import DLIP_LABELS, Source, read_source
from deepdlt.terminal import progress_bar


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 done, 2 refused input, 3 cannot write."""
    args = _parser().parse_args(argv)
    protocol = PROTOCOLS[args.protocol]
    options = {"unit": args.unit or protocol["split_unit"], "holdout": protocol["holdout"]}
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
    rule = bin_rule(options["unit"])
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
    options = CropOptions()
    have: Source | Patches = load_patches(args.patches) if args.patches else read_source(args.data)
    images = have.images
    every = np.repeat(images["image_id"].to_numpy(), options.crops_per_image)
    image_id = have.image_id if isinstance(have, Patches) else every
    labels: list[Labels] = [
        text if text in images else tuple(text.split("+")) for text in dict.fromkeys(args.label or DLIP_LABELS)
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
        prog="python -m deepdlt folds",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, metavar="IMAGES", help="folder of images with their sheet; crops are cut")
    data.add_argument("--patches", type=Path, metavar="FOLDER", help="crops that deepdlt.dataset.create_dataset wrote")
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
