"""`synthetic`: make SEM-like images with their sheet."""

import argparse
import re
from pathlib import Path

from deepdlt.synthetic import MAX_SIDE, PRESETS, make_synthetic
from deepdlt.synthetic.design import design
from deepdlt.terminal import progress_bar


def main(argv: list[str] | None = None) -> int:
    """Command line: 0 done, 2 refused input, 3 cannot write, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m deepdlt synthetic",
        description="Make SEM-like images of laser-textured steel, with their sheet all_images.xlsx and known truth.",
        epilog="example: python -m deepdlt synthetic --preset small --out data/synthetic",
    )
    sizes = ", ".join(
        f"{name} {len(design(name))} of {'x'.join(map(str, p.image_size))}" for name, p in PRESETS.items()
    )
    parser.add_argument("--preset", choices=list(PRESETS), default="small", help=f"images: {sizes} pixels (small)")
    parser.add_argument("--out", type=Path, default=Path("data/synthetic"),
                        help="folder that receives the data set (data/synthetic)")  # fmt: skip
    parser.add_argument("--seed", type=_seed, default=0, help="same seed, same images; at least 0 (0)")
    parser.add_argument("--size", type=_image_size, metavar="HEIGHTxWIDTH",
                        help="pixels of each image; the pitch stays, the field shrinks (the preset's)")  # fmt: skip
    parser.add_argument("--label-noise", action="store_true",
                        help="write a wrong angle on 44 of 208 images, as in the real sheet; true_* stay")  # fmt: skip
    options = parser.parse_args(argv)
    try:
        with progress_bar(f"making synthetic images ({options.preset})", "images") as progress:
            folder = make_synthetic(
                options.out, options.preset, options.seed, progress, options.size, options.label_noise
            )
    except OSError as error:
        parser.exit(3, f"{parser.prog}: error: cannot write to {options.out}: {error.strerror or error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted; no half-made folder is left\n")
    print(folder)
    return 0


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text!r}")
    return int(text)


def _image_size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not found or not all(32 <= int(side) <= MAX_SIDE for side in found.groups()):
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTH, each 32 to {MAX_SIDE} pixels, got {text!r}")
    return int(found[1]), int(found[2])
