"""Make SEM-like images of laser-textured steel, with their label table and the known truth.

examples:
  deepdlt synthetic --preset small --out data/synthetic
  deepdlt synthetic --preset full --label-noise --size 480x640      wrong angles as in the published table

The folder is named after its content: the same options make it once.
"""

import argparse
import re
from pathlib import Path

from deepdlt.command_line import Parser, whole_number
from deepdlt.errors import DONE
from deepdlt.synthetic import MAX_SIDE, PRESETS, make_synthetic
from deepdlt.synthetic.design import design
from deepdlt.terminal import progress_bar

AFTER_INTERRUPT = "no incomplete folder is left. Start again with:"


def add_options(parser: Parser) -> None:
    """How many images of which size, and where."""
    sizes = ", ".join(
        f"{name} {len(design(name))} of {'x'.join(map(str, p.image_size))}" for name, p in PRESETS.items()
    )
    add = parser.add_argument
    add("--preset", choices=list(PRESETS), default="small", help=f"images: {sizes} pixels; default %(default)s")
    add("--out", type=Path, default=Path("data/synthetic"), metavar="FOLDER",
        help="folder that receives the data set; default %(default)s")  # fmt: skip
    add("--seed", type=whole_number(0), default=0, metavar="N",
        help="random seed: same seed, same images; default %(default)s")  # fmt: skip
    add("--size", type=_image_size, metavar="HEIGHTxWIDTH",
        help="pixels of each image, at the same pixel pitch; default: the preset's")  # fmt: skip
    add("--label-noise", action="store_true",
        help="write a wrong angle on 44 of 208 images; columns true_* keep the truth")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Make the images; prints their folder."""
    with progress_bar(f"making synthetic images ({args.preset})", "images") as progress:
        print(make_synthetic(args.out, args.preset, args.seed, progress, args.size, args.label_noise))
    return DONE


def _image_size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not found or not all(32 <= int(side) <= MAX_SIDE for side in found.groups()):
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTH, each 32 to {MAX_SIDE} pixels, got {text!r}")
    return int(found[1]), int(found[2])
