"""Check a folder of images with its label table: what is in it, and what is wrong with it.

examples:
  deepdlt check --data my_images
  deepdlt check --data my_images --labels material,power --verify
"""

import argparse
from collections import Counter

import pandas as pd

from deepdlt.command_line import Parser, add_data_options, data_options, label_list
from deepdlt.commands import audit
from deepdlt.errors import DONE
from deepdlt.images import read_source
from deepdlt.tables import OWN_COLUMNS
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


def add_options(parser: Parser) -> None:
    """The folder, and how far to look."""
    add_data_options(parser, "labels that must be complete and clean; default: show all", required=True)
    parser.add_argument("--verify", action="store_true", help="decode every image too")
    parser.add_argument(
        "--audit", action="store_true", help="then compare `angle` with the fringe period (DLIP tables)"
    )


def run(args: argparse.Namespace) -> int:
    """Print what was read, or raise with all that is wrong."""
    labels = label_list(args.labels)
    source = read_source(args.data, labels, **data_options(args))
    notes = source.notes
    if args.verify:
        with progress_bar("decoding", "images") as progress:
            notes += source.verify(progress)
    print(summary(source.images, source.sizes, labels, notes))
    if not args.audit:
        return DONE
    args.out = args.figure = None
    args.given -= {"--group-by"}  # it had its effect above
    return audit.run(args)
