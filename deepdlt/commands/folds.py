"""Write label-wise stratified folds as tables: which crops train, validate and test.

examples:
  deepdlt folds --data data/dlip/images --labels angle,PP1
  deepdlt folds --data my_images --labels material+power --folds 4           stratified by both labels at once
  deepdlt folds --data data/dlip/images --protocol report --out data         as in the study

Tables are written as label_aware_splitting_data/LABEL/fold_K/LABEL_{train,val,test}.csv; the balance of the classes
is printed.
"""

import argparse
from collections.abc import Collection
from pathlib import Path

import numpy as np

from deepdlt.command_line import Parser, add_data_options, data_options, label_list, whole_number
from deepdlt.config import PROTOCOLS
from deepdlt.dataset import (
    CropOptions,
    Labels,
    Patches,
    balance,
    bin_rule,
    check_folds,
    class_notes,
    cut_patches,
    label_names,
    load_patches,
    mean_leakage,
    replicate_note,
    replicate_numbers,
    stratified_folds,
    write_folds,
)
from deepdlt.dataset.leakage import leakage
from deepdlt.errors import DONE, DataError
from deepdlt.images import DLIP_LABELS, Source, named_columns, read_source
from deepdlt.tables import find_sheet, read_sheet
from deepdlt.terminal import progress_bar, say


def add_options(parser: Parser) -> None:
    """The images or their crops, the labels, and the kind of folds."""
    labels = f"labels to stratify by, a set of folds each; A+B: both at once; default {','.join(DLIP_LABELS)}"
    add_data_options(parser, labels)
    add = parser.add_argument
    add("--patches", type=Path, metavar="FOLDER", help="crops that `deepdlt crops` wrote, instead of --data")
    add("--folds", type=int, default=5, metavar="K", help="folds per label; default %(default)s")
    protocol = "corrected: no image on two sides; report: crops divided as in the study; default %(default)s"
    add("--protocol", choices=PROTOCOLS, default="corrected", help=protocol)
    unit = "what stays together, with --protocol corrected; default condition"
    add("--unit", choices=("condition", "image"), help=unit)
    add("--seed", type=whole_number(0), default=42, metavar="N",
        help="random seed for dealing images into folds; default %(default)s")  # fmt: skip
    add("--out", type=Path, default=Path("data"), metavar="FOLDER", help="default %(default)s")


def run(args: argparse.Namespace) -> int:
    """Check all labels, then write the folds of each."""
    if (args.data is None) == (args.patches is None):
        raise DataError("give either --data FOLDER or --patches FOLDER")
    if args.patches and (args.sheet or args.group_by or args.pixel_pitch != "native"):
        raise DataError("--sheet, --group-by and --pixel-pitch say how --data is read; --patches were cut with theirs")
    if args.unit and args.protocol == "report":
        raise DataError("--unit belongs to --protocol corrected; the study's folds divide crops")
    protocol = PROTOCOLS[args.protocol]
    options = {"unit": args.unit or protocol["split_unit"], "holdout": protocol["holdout"]}
    patches, labels = _checked_patches(args, options["unit"])
    for label in labels:
        _split_and_print(patches, label, args, options)
    return DONE


def _split_and_print(patches: Patches, label: Labels, args: argparse.Namespace, options: dict[str, str]) -> None:
    """Write the folds of one label; print where, their balance and what they leak."""
    rule = bin_rule(options["unit"])
    folds = stratified_folds(patches.images, patches.image_id, label, args.folds, seed=args.seed, **options)
    with progress_bar(f"writing {'+'.join(label_names(label))}", "folds") as progress:
        target = write_folds(patches, folds, label, args.out, rule, progress)
    print(f"{target}\ncrops of each class in the test sets of {len(folds)} folds by {options['unit']} (validation)")
    for name in label_names(label):
        print(balance(patches, folds, name, rule).rename_axis(name, axis=1).to_string())
    replicates, columns = replicate_numbers(patches.images, label)
    leaks = [leakage(patches.table, split, patches.crop_size, patches.images, replicates) for split in folds]
    print(f"leakage: {mean_leakage(leaks)}")
    grouped_by = named_columns(args.group_by, patches.images.columns)
    notes = class_notes(patches.images, label_names(label), rule)
    for note in [*notes, *replicate_note(mean_leakage(leaks), columns, grouped_by)]:
        print(f"note: {note}")
    print()


def _checked_patches(args: argparse.Namespace, unit: str) -> tuple[Patches, list[Labels]]:
    """The crops and the labels to split by; all labels are checked before a crop is cut or a table written."""
    options = CropOptions()
    have: Source | Patches
    if args.patches:
        have = load_patches(args.patches)
        labels = _joint(args, have.images.columns)
    else:
        labels = _joint(args, _headings(args))
        have = _checked_source(args, labels)
    images = have.images
    every = np.repeat(images["image_id"].to_numpy(), options.crops_per_image)
    image_id = have.image_id if isinstance(have, Patches) else every
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
    for note in have.notes:
        say(f"note: {note}")
    with progress_bar("cutting crops", "images") as progress:
        patches = cut_patches(have, args.out / "patches", options, progress)
    for note in patches.notes:
        say(f"note: {note}")
    return patches, labels


def _checked_source(args: argparse.Namespace, labels: list[Labels]) -> Source:
    names = dict.fromkeys(name for label in labels for name in label_names(label))
    try:
        return read_source(args.data, tuple(names), **data_options(args))
    except DataError as error:
        if args.labels or "unknown label" not in str(error):
            raise
        raise DataError(f"{error}\nname labels of this table with --labels; `deepdlt check` lists them") from error


def _joint(args: argparse.Namespace, headings: Collection[str]) -> list[Labels]:
    """The labels to split by, one after the other; `A+B` are two of them at once, unless a heading has the `+`."""
    return [text if text in headings else tuple(text.split("+")) for text in label_list(args.labels) or DLIP_LABELS]


def _headings(args: argparse.Namespace) -> list[str]:
    """The headings of the label table; none of one that cannot be read, as `read_source` tells."""
    try:
        return read_sheet(find_sheet(args.data), args.sheet).headings
    except DataError:
        return []
