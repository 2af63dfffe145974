"""Cut images into crops, usually of 64x64 pixels, with varied brightness: one packed array, or BMP files.

examples:
  deepdlt crops --data my_images --out data/patches
  deepdlt crops --data my_images --sampling grid --crops-per-image 0 --brightness 0
  deepdlt crops --data data/dlip/images --layout report --out data           files as the study's code wrote them

A packed set has a folder named after its content: the same images and options are cut once.
"""

import argparse
from pathlib import Path

from deepdlt.command_line import Parser, add_data_options, data_options, label_list, note_idle, whole_number
from deepdlt.dataset import SAMPLINGS, CropOptions, draw_crops, load_patches, write_report_layout
from deepdlt.dataset.create_dataset import create_dataset
from deepdlt.errors import DONE, DataError
from deepdlt.images import read_source
from deepdlt.terminal import progress_bar, say

DEFAULT_OUT = {"packed": Path("data/patches"), "report": Path("data")}


def add_options(parser: Parser) -> None:
    """The folder, where to write, and how to cut."""
    defaults = CropOptions()
    add_data_options(parser, "labels that must be complete and clean; default: none", required=True)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default data/patches; with --layout report: data")
    layout = "packed: one array; report: one BMP file per crop, as in the study (default packed)"
    parser.add_argument("--layout", choices=("packed", "report"), default="packed", help=layout)
    add = parser.add_argument_group("crops").add_argument
    add("--sampling", choices=SAMPLINGS, default=defaults.sampling, help="default %(default)s")
    number = "default %(default)s; with --sampling grid the largest number of tiles, 0 for all"
    add("--crops-per-image", type=int, default=defaults.crops_per_image, metavar="N", help=number)
    add("--crop-size", type=int, default=defaults.crop_size, metavar="PX", help="side in pixels; default %(default)s")
    squares = "side in pixels of the squares whose mean becomes one pixel of the crop; default %(default)s"
    add("--downsample", type=whole_number(1), default=defaults.downsample, metavar="N", help=squares)
    factor = "multiply each crop by a factor in 1 - A to 1 + A, 0 for none; default %(default)s"
    add("--brightness", type=float, default=defaults.brightness, metavar="A", help=factor)
    add("--seed", type=whole_number(0), default=defaults.seed, metavar="N",
        help="random seed for positions and brightness; default %(default)s")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Cut and write; prints where."""
    args.out = args.out or DEFAULT_OUT[args.layout]
    options = CropOptions(**{name: getattr(args, name) for name in CropOptions.__dataclass_fields__})
    if args.layout == "report" and options.sampling == "grid_eval":
        raise DataError("--layout report holds one kind of crops; use --sampling random or grid")
    if options.sampling == "grid" and options.brightness == 0 and options.crops_per_image == 0:
        note_idle(args, "--seed", why="all tiles as they are have nothing random")
    source = read_source(args.data, label_list(args.labels), **data_options(args))
    with progress_bar("cropping", "images") as progress:
        folder = create_dataset(source, args.out, options, progress) if args.layout == "packed" else None
        patches = load_patches(folder) if folder else draw_crops(source, options, progress)
    for note in (*source.notes, *patches.notes):
        say(f"note: {note}")
    if folder:
        print(folder)
        return DONE
    with progress_bar("writing BMP", "crops") as progress:
        print(write_report_layout(patches, args.out, progress))
    return DONE
