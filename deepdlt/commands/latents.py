"""Draw a 2-D map of a trained network's latent space, coloured by label and by folder.

examples:
  deepdlt latents ray_results/my-sweep/s0001-a2fbe7/best.pt --data my_images
  deepdlt latents data/run/best.pt --data my_images --labels angle,PP1 --method pca --out map.png

A table of the positions and labels is written beside the map.
"""

import argparse
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from deepdlt.analysis import (
    METHODS,
    encode_crops,
    folder_names,
    map_quality,
    per_image,
    project,
    separation_of,
    shown_labels,
)
from deepdlt.command_line import (
    Parser,
    add_data_options,
    data_options,
    label_list,
    note_idle,
    whole_number,
    write_outputs,
)
from deepdlt.config import TrainConfig
from deepdlt.dataset import CropOptions, draw_crops
from deepdlt.errors import DONE, DataError
from deepdlt.figures import latent_map, png
from deepdlt.images import DLIP_LABELS, Source, read_source
from deepdlt.models import load_model
from deepdlt.terminal import progress_bar, say

MOST_POINTS = 5000  # t-SNE of more takes minutes, and trustworthiness memory for their square
FOLDER = "folder"
NAMES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}


def add_options(parser: Parser) -> None:
    """The network, the images, and how to draw them."""
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="best.pt or last.pt of a training or trial")
    labels = f"labels to colour by; default {','.join(DLIP_LABELS)}, or those that divide the images"
    add_data_options(parser, labels, required=True)
    add = parser.add_argument_group("map").add_argument
    add("--method", choices=METHODS, default="tsne", help="default %(default)s; umap needs umap-learn")
    add("--level", choices=("image", "crop"), default="image",
        help="one point per image or per crop; default %(default)s")  # fmt: skip
    add(
        "--crops-per-image",
        type=int,
        default=16,
        metavar="N",
        help="tiles of each image, 0 for all; default %(default)s",
    )
    add("--seed", type=whole_number(0), default=0, metavar="N",
        help="random seed for the tiles and the map; default %(default)s")  # fmt: skip
    add("--out", type=_png, metavar="PNG", help="default: latent_map.png beside the checkpoint; the table as .csv")


def run(args: argparse.Namespace) -> int:
    """Encode, map, print the separation of the classes, write map and table."""
    out = args.out = args.out or args.checkpoint.with_name("latent_map.png")
    model, config = _load(args.checkpoint)
    source, labels = _read(args)
    note_idle(args, "--group-by", why="a map divides no images; --labels colours it by a column")
    if (
        args.method == "pca"
        and args.crops_per_image == 0
        and len(source.images) <= MOST_POINTS
        and args.level == "image"
    ):
        note_idle(args, "--seed", why="PCA of all tiles has nothing random")
    points, latents = _encode(source, model, config, args)
    try:
        positions = project(latents, args.method, args.seed)
    except (ValueError, ImportError) as error:
        raise DataError(str(error)) from error
    values = _values(source, points, labels)
    separations = {name: separation_of(latents, column) for name, column in values.items()}
    quality = map_quality(latents, positions)
    print("\n".join(_in_words(separations, quality)))
    captions = {
        name: "" if found is None else f"silhouette {found:.2f}".replace("-", "−")
        for name, found in separations.items()
    }
    note = f"{NAMES[args.method]} of {len(points)} {args.level}s, trustworthiness {quality:.2f}"
    figure = latent_map(positions, dict(values.items()), captions=captions, note=note)
    table = points.join(values).assign(map_x=positions[:, 0], map_y=positions[:, 1])
    for path in write_outputs({out: png(figure), out.with_suffix(".csv"): table.to_csv(index=False).encode()}):
        print(path)
    return DONE


def _png(text: str) -> Path:
    if Path(text).suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"must end in .png (the table goes beside it as .csv), got {text!r}")
    return Path(text)


def _load(path: Path) -> tuple[nn.Module, TrainConfig]:
    try:
        return load_model(path)
    except OSError as error:  # damaged checkpoints among them
        raise DataError(f"cannot read {path}: {error.strerror}" if error.strerror else str(error)) from error
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: not a checkpoint of a network this version knows; train again") from error


def _read(args: argparse.Namespace) -> tuple[Source, tuple[str, ...]]:
    """The images, and the labels to colour by: those asked for, or the DLIP ones, or what divides the images."""
    labels = label_list(args.labels)
    source = read_source(args.data, labels, **data_options(args))
    if labels:
        return source, labels
    return source, shown_labels(source.images)


def _encode(
    source: Source, model: nn.Module, config: TrainConfig, args: argparse.Namespace
) -> tuple[pd.DataFrame, np.ndarray]:
    """One row per point of the map, and its latents."""
    options = CropOptions(
        crops_per_image=args.crops_per_image,
        crop_size=config.crop_size,
        downsample=config.downsample,
        sampling="grid",
        brightness=0,
        seed=args.seed,
    )
    with progress_bar("cropping", "images") as progress:
        drawn = draw_crops(source, options, progress)
    for note in drawn.notes:
        say(f"note: {note}")
    crops, table = drawn.crops, drawn.table
    table = table[["image_id", "x", "y"]].rename(columns={"x": "crop_x", "y": "crop_y"})
    rng = np.random.default_rng(args.seed)
    if args.level == "crop" and len(crops) > MOST_POINTS:
        rows = np.sort(rng.permutation(len(crops))[:MOST_POINTS])
        say(f"note: {MOST_POINTS} of {len(crops)} crops, drawn at random")
        crops, table = crops[rows], table.iloc[rows].reset_index(drop=True)
    with progress_bar("encoding", "crops") as progress:
        latents = encode_crops(model, config, crops, progress=progress)
    if args.level == "image":
        images, latents = per_image(latents, table["image_id"].to_numpy())
        table = pd.DataFrame({"image_id": images})
        if len(images) > MOST_POINTS:
            rows = np.sort(rng.permutation(len(images))[:MOST_POINTS])
            say(f"note: {MOST_POINTS} of {len(images)} images, drawn at random")
            latents, table = latents[rows], table.iloc[rows].reset_index(drop=True)
    table.insert(1, "file", source.images["file"].to_numpy()[table["image_id"]])
    return table, latents


def _values(source: Source, points: pd.DataFrame, labels: tuple[str, ...]) -> pd.DataFrame:
    """The labels of every point, and the folder of its image."""
    images = source.images[list(labels)].copy()
    if FOLDER not in labels:
        images[FOLDER] = folder_names(source.images["file"])
    return images.iloc[points["image_id"].to_numpy()].reset_index(drop=True)


def _in_words(separations: dict[str, float | None], quality: float) -> list[str]:
    """One line per number. Words for silhouettes: Kaufman & Rousseeuw 1990, table 4, made milder."""
    lines = [f"map: trustworthiness {quality:.2f} (1: neighbours in the map are neighbours in the latents; .5: chance)"]
    for name, found in separations.items():
        if found is None:
            lines.append(f"{name}: no separation to measure (one class, or every point its own)")
            continue
        words = ("no groups", "weak groups", "groups", "strong groups")[sum(found > step for step in (0.25, 0.5, 0.7))]
        lines.append(f"{name}: silhouette {found:.2f}, {'classes mixed up' if found < -0.05 else words}")
    folder = separations.get(FOLDER)
    labels = [found for name, found in separations.items() if name != FOLDER and found is not None]
    if folder is not None and labels and folder > max(0, *labels):
        lines.append("the folders are further apart than the classes of any label: expect a batch effect")
    return lines
