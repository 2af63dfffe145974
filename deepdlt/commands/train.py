"""Train one configuration without Ray, and test it: numbers, curves, reconstructions, a latent map.

examples:
  deepdlt train --epochs 3                                          built-in images, default settings
  deepdlt train --data my_images --set model=res_ae --set optimizer=adamw --set schedule=onecycle
  deepdlt train --data my_images --labels power --fold 1 --folds 4  one fold of a cross-validation
  deepdlt train --data data/dlip/images --protocol report --set optimizer=sgd --set lr=1e-4 --set activation=elu

The same command resumes after Ctrl-C. More --epochs extend a finished training, unless its learning rate followed a
schedule or warm-up made for fewer. KEY=VALUE: docs/hyperparameters.md lists the hyperparameters.
"""

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from deepdlt.analysis import Training, read_history, summarize, write_history
from deepdlt.command_line import (
    Parser,
    add_crop_options,
    add_data_options,
    crop_settings,
    data_options,
    label_list,
    typed,
    whole_number,
)
from deepdlt.config import PROTOCOLS, ConfigError, TrainConfig, config_dict, make_config, parse_settings, unusual
from deepdlt.dataset import CACHE, Split, crop_options, cut_patches, fold_splits, single_split
from deepdlt.errors import DONE, FAILED, CommandError, DataError, Interrupted
from deepdlt.images import read_labelled
from deepdlt.in_use import without_effect
from deepdlt.models import DamagedCheckpoint, slow_precision
from deepdlt.synthetic import make_synthetic
from deepdlt.terminal import progress_bar, say
from deepdlt.training import is_extendable
from deepdlt.training.fit import fit

AFTER_INTERRUPT = "nothing was trained yet. Start again with:"


class Diverged(CommandError):
    """The loss is not finite any more."""

    exit_code = FAILED


def add_options(parser: Parser) -> None:
    """What to train, on which images and split, and where."""
    add = parser.add_argument_group("what to train").add_argument
    protocol = "corrected (default), or report: the study's settings, its known errors included"
    add("--protocol", choices=PROTOCOLS, default="corrected", help=protocol)
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="set a hyperparameter; repeatable")
    add("--epochs", type=whole_number(1), metavar="N", help=f"default {TrainConfig().epochs}")
    labels = "the label to stratify the split by; default angle, where there is one"
    add_data_options(parser, labels, data="built-in synthetic images")
    add_crop_options(parser)
    brightness = "as of `deepdlt crops`; default 0.2, or 0 with the hyperparameter augment_brightness"
    parser.add_argument("--brightness", type=float, metavar="A", help=brightness)
    add = parser.add_argument_group("split").add_argument
    add(
        "--fold", type=whole_number(1), metavar="K", help="train on fold K of the cross-validation instead of one split"
    )
    add("--folds", type=whole_number(2), metavar="N", help="folds in all, with --fold; default 5")
    add("--split-seed", type=whole_number(0, 2**32 - 1), default=42, metavar="N",
        help="random seed for the split; default %(default)s")  # fmt: skip
    add = parser.add_argument_group("where").add_argument
    add("--out", type=Path, metavar="FOLDER", help="output folder; default data/runs/<name>")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default %(default)s: a GPU if there is one")
    add("--threads", type=whole_number(1), metavar="N", help="CPU threads; default all cores")


def run(args: argparse.Namespace) -> int:
    """Check everything, train, test, draw."""
    task = _prepare(args)
    args.out = task.directory
    try:
        return _train(task)
    except FloatingPointError as error:
        raise Diverged(str(error)) from error


def _prepare(args: argparse.Namespace) -> Training:
    """Check everything, read the images, cut the crops and split them."""
    settings = parse_settings(args.set)
    if args.epochs and "epochs" in settings:
        say("note: --set epochs has no effect: --epochs says it")
    settings |= crop_settings(args, settings)
    config = make_config(args.protocol, **settings | ({"epochs": args.epochs} if args.epochs else {}))
    idle = without_effect(settings, {name: (value,) for name, value in config_dict(config).items()})
    for note in [*unusual(config), *idle]:
        say(f"note: {note}")
    label, *_ = label_list(args.labels, most=1) or (None,)
    if args.fold and not label:
        raise ConfigError("--fold needs --labels, the label that the folds are stratified by")
    if args.folds and not args.fold:
        raise ConfigError("--folds needs --fold, the fold to train on")
    folds = args.folds or 5
    if args.fold and args.fold > folds:
        raise ConfigError(f"--fold must be in 1..{folds} (--folds), got {args.fold}")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: PyTorch finds no GPU here (`deepdlt doctor` says why); leave it out")
    if args.threads:
        torch.set_num_threads(args.threads)
    folder = args.data
    if folder is None:
        with progress_bar("making synthetic images", "images") as progress:
            folder = make_synthetic(CACHE / "synthetic", "small", progress=progress)
    source = read_labelled(folder, (label,) if label else (), **data_options(args))
    complete = "angle" in source.images and source.images["angle"].notna().all()
    label = label or ("angle" if complete else None)
    with progress_bar("cutting crops", "images") as progress:
        options = crop_options(config, synthetic=args.data is None)
        options = options if args.brightness is None else replace(options, brightness=args.brightness)
        patches = cut_patches(source, CACHE / "patches", options, progress)
    for note in (*source.notes, *patches.notes):
        say(f"note: {note}")
    if args.fold and label:
        split = fold_splits(config, patches, label, folds, args.split_seed)[args.fold - 1]
    else:
        split = single_split(config, patches, label, args.split_seed)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if args.device == "auto" else args.device
    default = CACHE / "runs" / _run_name(config, patches.fingerprint, label, split)
    for note in slow_precision(config, torch.device(device)):
        say(f"note: {note}")
    return Training(config, patches, split, source, args.out or default, device)


def _train(task: Training) -> int:
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
        raise Interrupted(f"interrupted; {kept}. Resume with:\n  {typed()}") from None
    print("\n".join(lines))
    return DONE


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


def _run_name(config: TrainConfig, fingerprint: str, label: str | None, split: Split) -> str:
    """`cnn_ae-corrected-3fa2c1`: the same for the same training, and for one with more epochs that extends it."""
    settings = config_dict(replace(config, epochs=1) if is_extendable(config) else config)
    digest = hashlib.sha256(json.dumps([settings, fingerprint, label], sort_keys=True).encode())
    for part in (split.train, split.val, split.test):
        digest.update(part.tobytes())
    return f"{config.model}-{config.protocol}-{digest.hexdigest()[:6]}"
