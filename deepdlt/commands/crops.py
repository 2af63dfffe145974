"""Source images -> 64x64 crops with varied brightness, packed as one uint8 array (or BMP + CSV, as the report).

    python -m deepdlt crops --data IMAGES --out data/patches
    python -m deepdlt crops --data IMAGES --layout report --out data
    python -m deepdlt crops --data IMAGES --sampling grid --crops-per-image 0 --brightness 0

Packed sets are content-addressed: same images and options, same folder, made once, written atomically.
"""

import argparse
import sys
from pathlib import Path

from deepdlt.dataset import SAMPLINGS, CropOptions, Patches, crops_fingerprint, draw_crops, write_report_layout
from deepdlt.dataset.create_dataset import create_dataset
from deepdlt.errors import DataError
from deepdlt.images import read_source
from deepdlt.terminal import progress_bar


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 done, 2 refused input, 3 cannot write."""
    args = _parser().parse_args(argv)
    out = args.out or Path("data/patches" if args.layout == "packed" else "data")
    try:
        options = CropOptions(**{name: getattr(args, name) for name in CropOptions.__dataclass_fields__})
        if args.layout == "report" and options.sampling == "grid_eval":
            raise DataError("`--layout report` holds one kind of crops; use --sampling random or grid")
        source = read_source(args.data)
        with progress_bar("cropping", "images") as progress:
            if args.layout == "packed":
                target = create_dataset(source, out, options, progress)
            else:
                patches = Patches(
                    *draw_crops(source, options, progress), source.images, crops_fingerprint(source, options)
                )
        if args.layout == "report":
            with progress_bar("writing BMP", "crops") as progress:
                target = write_report_layout(patches, out, progress)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: cannot write to {out} ({error.strerror}); choose another --out", file=sys.stderr)
        return 3
    print(target)
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = CropOptions()
    parser = argparse.ArgumentParser(
        prog="python -m deepdlt crops",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="IMAGES", help="folder of images with their sheet")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default data/patches; with --layout report: data")
    parser.add_argument("--layout", choices=("packed", "report"), default="packed", help="default %(default)s")
    crops = parser.add_argument_group("crops")
    crops.add_argument("--sampling", choices=SAMPLINGS, default=defaults.sampling, help="default %(default)s")
    number = "default %(default)s; with --sampling grid the most tiles, 0 for all"
    crops.add_argument("--crops-per-image", type=int, default=defaults.crops_per_image, metavar="N", help=number)
    crops.add_argument("--crop-size", type=int, default=defaults.crop_size, metavar="PX", help="default %(default)s")
    factor = "factor 1 +- A of each crop, 0 for none; default %(default)s"
    crops.add_argument("--brightness", type=float, default=defaults.brightness, metavar="A", help=factor)
    crops.add_argument("--seed", type=int, default=defaults.seed, help="default %(default)s")
    return parser
