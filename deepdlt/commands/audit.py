"""Compare the label `angle` of every image with the fringe period that the image shows.

examples:
  deepdlt audit --data data/dlip/images
  deepdlt audit --data data/dlip/images --out audit.csv --figure audit.png

Two beams of half-angle theta make fringes of period wavelength / (2 sin theta), so an image shows whether its label
`angle` is right. The period is measured by Fourier transform. The audit names inconsistent images and changes none.
"""

import argparse
from pathlib import Path

import pandas as pd

from deepdlt.command_line import Parser, add_data_options, data_options, label_list, note_idle, write_outputs
from deepdlt.errors import DONE
from deepdlt.figures import audit_figure, png
from deepdlt.images import COLUMNS, audit, of_folder, read_source
from deepdlt.terminal import progress_bar


def contradictions(table: pd.DataFrame) -> str:
    """The verdict in words: counts, then the contradicting images by folder.

    Args:
        table: what `audit` returns.
    """
    counts = table["verdict"].value_counts()
    lines = [" · ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in ("agrees", "contradicts", "unclear"))]
    wrong = table[table["verdict"] == "contradicts"]
    for folder, images in wrong.groupby(of_folder(wrong["file"])):
        lines.append(f"\n{folder}: {len(images)} contradict")
        keys = [images["angle"], images["suggested_angle"].fillna(images["angle_measured"].round(1))]
        for (sheet, picture), rows in images.groupby(keys):
            named = " ".join(Path(file).stem.replace(" ", "_") for file in rows["file"])
            lines.append(f"  sheet {sheet:g} deg, picture {picture:g} deg: {named}")
    if counts.get("unclear", 0):
        unclear = table.loc[table["verdict"] == "unclear", "file"]
        lines.append(f"\nunclear: {', '.join(unclear[:10])}{' ...' if len(unclear) > 10 else ''}")
    return "\n".join(lines)


def add_options(parser: Parser) -> None:
    """The folder, and what to write."""
    add_data_options(parser, "further labels that must be complete; `angle` always is checked", required=True)
    parser.add_argument("--out", type=Path, metavar="CSV", help="write a table with one row per image")
    parser.add_argument("--figure", type=Path, metavar="PNG", help="write a figure of measured and expected periods")


def run(args: argparse.Namespace) -> int:
    """Measure, print the verdict, write what was asked for; inconsistent labels are no failure."""
    labels, options = label_list(args.labels), data_options(args)
    note_idle(args, "--group-by", why="the audit looks at each image alone; the column is there")
    source = read_source(args.data, labels, **options)
    if set(COLUMNS) <= set(source.images):  # else `audit` says for which tables it is
        source = read_source(args.data, tuple(dict.fromkeys((*COLUMNS, *labels))), **options)
    with progress_bar("measuring", "images") as progress:
        table = audit(source, progress)
    print(contradictions(table))
    figure = png(audit_figure(table)) if args.figure else b""
    write_outputs({args.out: table.to_csv(index=False).encode(), args.figure: figure})
    return DONE
