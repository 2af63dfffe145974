"""`train`: train one configuration, without Ray."""

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from deepdlt.analysis import Training, read_history, summarize, write_history
from deepdlt.config import PROTOCOLS, ConfigError, TrainConfig, config_dict, make_config, parse_settings
from deepdlt.dataset import CACHE, crop_options, fold_splits, load_patches, single_split
from deepdlt.dataset.create_dataset import create_dataset
from deepdlt.errors import DataError
from deepdlt.images import read_source
from deepdlt.models import DamagedCheckpoint
from deepdlt.synthetic import make_synthetic
from deepdlt.terminal import progress_bar
from deepdlt.training import is_extendable
from deepdlt.training.fit import fit

EXAMPLES = """Train one configuration, without Ray, and test it: curves, reconstructions, latent map, numbers.

    python -m deepdlt train --epochs 3                                     # built-in images, defaults
    python -m deepdlt train --data IMAGES --set model=res_ae --set optimizer=adamw --set schedule=onecycle
    python -m deepdlt train --data IMAGES --protocol report --set optimizer=sgd --set lr=1e-4 --set activation=elu

The same command continues after Ctrl-C; more --epochs extend a finished training, unless its lr followed a schedule
(or warm-up) made for fewer. KEY=VALUE are the fields of deepdlt/config.py.
"""
INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 done, 1 the loss was not finite, 2 refused input, 3 cannot write, 130 interrupted."""
    args = _parser().parse_args(argv)
    words = shlex.join(sys.argv[1:] if argv is None else argv)
    command = f"python -m deepdlt train {words}".strip()
    try:
        task = _prepare(args)
        return _train(task, command)
    except KeyboardInterrupt:
        print(f"interrupted; nothing was trained; the same command starts again:\n  {command}", file=sys.stderr)
        return INTERRUPTED
    except (DataError, ConfigError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or args.out}: {error.strerror or error}; choose another --out", file=sys.stderr)
        return 3


def _prepare(args: argparse.Namespace) -> Training:
    """Check everything, read the images, cut the crops and split them."""
    settings = parse_settings(args.set) | ({"epochs": args.epochs} if args.epochs else {})
    config = make_config(args.protocol, **settings)
    if args.fold and not args.label:
        raise ConfigError("--fold needs --label, the column that the folds are stratified by")
    if args.fold and not 1 <= args.fold <= args.folds:
        raise ConfigError(f"--fold must be in 1..{args.folds} (--folds), got {args.fold}")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: this machine has no GPU that PyTorch can use; leave it out")
    if args.threads:
        torch.set_num_threads(args.threads)
    folder = args.data
    if folder is None:
        with progress_bar("making synthetic images", "images") as progress:
            folder = make_synthetic(CACHE / "synthetic", "small", progress=progress)
    source = read_source(folder, (args.label,) if args.label else ())
    complete = "angle" in source.images and source.images["angle"].notna().all()
    label = args.label or ("angle" if complete else None)
    with progress_bar("cutting crops", "images") as progress:
        options = crop_options(config, synthetic=args.data is None)
        patches = load_patches(create_dataset(source, CACHE / "patches", options, progress))
    if args.fold and label:
        split = fold_splits(config, patches, label, args.folds, args.split_seed)[args.fold - 1]
    else:
        split = single_split(config, patches, label, args.split_seed)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if args.device == "auto" else args.device
    default = CACHE / "runs" / _run_name(config, patches.fingerprint, [label, args.fold, args.folds, args.split_seed])
    return Training(config, patches, split, source, args.out or default, device)


def _train(task: Training, command: str) -> int:
    """Train, showing progress; then test, draw and print where everything is."""
    history = read_history(task.directory)
    live = _Progress(Console(stderr=True), task.config.epochs)
    try:
        with live:
            for metrics in fit(
                task.config, task.patches.crops, task.split, task.directory, task.device, on_step=live.step
            ):
                epoch = int(metrics["epoch"])  # what metrics.csv has beyond it belongs to a training that is gone
                history = {done: row for done, row in history.items() if done < epoch} | {epoch: metrics}
                write_history(task.directory, history)
                live.epoch(metrics)
            live.note("testing and drawing")
            try:
                lines = summarize(task, history)
            except (DamagedCheckpoint, FileNotFoundError) as error:
                raise DataError(f"{error}; delete {task.directory} and train again") from error
    except KeyboardInterrupt:
        done = max(history, default=0)
        kept = f"epoch {done} is saved in {task.directory}" if done else "no epoch was finished"
        print(f"interrupted; {kept}; the same command goes on:\n  {command}", file=sys.stderr)
        return INTERRUPTED
    print("\n".join(lines))
    return 0


class _Progress:
    """A bar with the latest numbers on a terminal, a line per epoch elsewhere."""

    def __init__(self, console: Console, epochs: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[best]}"))
        self._console, self._epochs = console, epochs
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._task = self._bar.add_task("starting", total=None, best="")

    def __enter__(self) -> "_Progress":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def step(self, epoch: int, done: int, total: int) -> None:
        """After each batch."""
        completed = (epoch - 1) * total + done
        self._bar.update(
            self._task, description=f"epoch {epoch}/{self._epochs}", completed=completed, total=self._epochs * total
        )

    def epoch(self, metrics: dict[str, float]) -> None:
        """After each epoch."""
        best = f"best val PSNR {metrics['best_val_psnr_db']:.2f} dB (epoch {metrics['best_epoch']:.0f})"
        self._bar.update(self._task, best=best)
        numbers = f"train loss {metrics['train_loss']:.5g}, val loss {metrics['val_loss']:.5g}"
        quality = f"PSNR {metrics['val_psnr_db']:.2f} dB, SSIM {metrics['val_ssim']:.3f}"
        text = f"epoch {metrics['epoch']:.0f}/{self._epochs}: {numbers}, {quality} ({metrics['epoch_s']:.0f} s)"
        self._console.print(text, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """What is done after the last epoch."""
        self._bar.update(self._task, description=text)


def _run_name(config: TrainConfig, fingerprint: str, split: Sequence[Any]) -> str:
    """`cnn_ae-corrected-3fa2c1`: the same for the same training, and for one with more epochs that extends it."""
    settings = config_dict(replace(config, epochs=1) if is_extendable(config) else config)
    digest = hashlib.sha256(json.dumps([settings, fingerprint, list(split)], sort_keys=True).encode()).hexdigest()
    return f"{config.model}-{config.protocol}-{digest[:6]}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deepdlt train",
        description=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to train")
    what.add_argument("--protocol", choices=PROTOCOLS, default="corrected", help="default %(default)s")
    what.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a hyperparameter; repeatable")
    what.add_argument("--epochs", type=_positive, metavar="N", help=f"default {TrainConfig().epochs}")
    data = parser.add_argument_group("data")
    data.add_argument("--data", type=Path, metavar="IMAGES", help="folder of images with their sheet; default built-in")
    label = "column that the split is stratified by; default angle, where there is one"
    data.add_argument("--label", metavar="LABEL", help=label)
    data.add_argument("--fold", type=_positive, metavar="K", help="train on a fold of the cross-validation instead")
    data.add_argument("--folds", type=_positive, default=5, metavar="N", help="default %(default)s")
    data.add_argument("--split-seed", type=_seed, default=42, metavar="N", help="default %(default)s")
    where = parser.add_argument_group("where")
    where.add_argument("--out", type=Path, metavar="FOLDER", help="of this training; default data/runs/<name>")
    where.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default %(default)s")
    where.add_argument("--threads", type=_positive, metavar="N", help="of the CPU; default all cores")
    return parser


def _seed(text: str) -> int:
    value = int(text) if text.isdecimal() else -1
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"must be an integer in 0..2**32-1, got {text!r}")
    return value


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be an integer >= 1, got {text!r}")
    return value
