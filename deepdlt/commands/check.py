"""`check`: what is in a folder of images and its label sheet, and what is wrong with it."""

import argparse
import sys
from collections import Counter
from pathlib import Path

import pandas as pd

from deepdlt.commands import audit
from deepdlt.errors import DataError
from deepdlt.images import OWN_COLUMNS, read_source
from deepdlt.terminal import progress_bar


def summary(
    images: pd.DataFrame, sizes: tuple[tuple[int, int], ...], labels: tuple[str, ...], notes: tuple[str, ...]
) -> str:
    """What was read, for people."""
    skip = (*OWN_COLUMNS, "Names")
    shapes = ", ".join(f"{w}x{h} ({n})" for (w, h), n in Counter(sizes).most_common(5))
    lines = [
        f"images      {len(images)}",
        f"sizes       {shapes}",
        f"conditions  {images['condition'].nunique()}",
        "labels",
    ]
    names = list(labels) or [c for c in images.columns if c not in skip]
    for name in names:
        values = images[name]
        counts = values.value_counts().sort_index()
        number = pd.api.types.is_numeric_dtype(values)
        if len(counts) <= 8:
            text = ", ".join(f"{value if number else repr(value)} ({n})" for value, n in counts.items())
        elif number:
            text = f"{len(counts)} numbers, {values.min():g} to {values.max():g}"
        else:
            text = f"{len(counts)} classes, the largest {counts.idxmax()!r} ({counts.max()})"
        lines.append(f"  {name:<{max(map(len, names))}}  {text}")
    return "\n".join([*lines, *(f"note: {note}" for note in notes)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deepdlt check",
        description="Check a folder of images and its label sheet, and show what is in it.",
        epilog="example:\n  python -m deepdlt check --data my_images --labels material,power --verify",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FOLDER", help="images with one sheet (.xlsx or .csv)")
    add("--labels", metavar="A,B", help="labels that must be complete and clean (default: show all)")
    add("--group-by", metavar="COLUMN", help="rows with the same value belong together")
    add("--pixel-pitch", default="native", metavar="P", help="native, exclude or nm per pixel (default %(default)s)")
    add("--sheet", metavar="NAME", help="worksheet, if the workbook has several")
    add("--verify", action="store_true", help="decode every image too")
    add("--audit", action="store_true", help="compare the label `angle` with the period in the images (DLIP)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 fine, 2 refused input."""
    args = _parser().parse_args(argv)
    if args.audit:
        return audit.main(["--data", str(args.data)])
    labels = tuple(args.labels.split(",")) if args.labels else ()
    try:
        source = read_source(args.data, labels, group_by=args.group_by, pixel_pitch=args.pixel_pitch, sheet=args.sheet)
        notes = source.notes
        if args.verify:
            with progress_bar("decoding", "images") as progress:
                notes += source.verify(progress)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(summary(source.images, source.sizes, labels, notes))
    return 0
