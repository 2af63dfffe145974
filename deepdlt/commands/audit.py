"""Does the picture show the period that its label says? The interference period of every image, by Fourier transform.

Two beams of half-angle theta make fringes of period wavelength / (2 sin theta), so a wrong `angle` can be seen. The
audit names the images that contradict their label; it never changes one.

    python -m deepdlt audit --data IMAGES --out audit.csv --figure audit.png
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from deepdlt.atomic import write_atomic
from deepdlt.errors import DataError
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


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 done (contradictions or not), 2 refused input, 3 an output cannot be written."""
    parser = argparse.ArgumentParser(
        prog="python -m deepdlt audit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of images with their sheet")
    parser.add_argument("--out", type=Path, metavar="CSV", help="write the table, one row per image")
    parser.add_argument("--figure", type=Path, metavar="PNG", help="write measured against expected periods")
    args = parser.parse_args(argv)
    try:
        source = read_source(args.data, COLUMNS)
        with progress_bar("measuring", "images") as progress:
            table = audit(source, progress)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(contradictions(table))
    try:
        for path, content in ((args.out, table.to_csv(index=False).encode()), (args.figure, png(audit_figure(table)))):
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, content)
    except OSError as error:
        print(f"error: cannot write {error.filename or args.out}: {error.strerror}", file=sys.stderr)
        return 3
    return 0
