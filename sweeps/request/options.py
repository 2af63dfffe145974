"""The options of a sweep: nothing but the parser, so that `--help` answers at once."""

import argparse
import re
from pathlib import Path

import search_spaces
from deepdlt.command_line import Parser, add_crop_options, add_data_options
from sweeps.objects import place

EPILOG = """exit codes: 0 all done, 1 some trials failed, 2 refused input, 3 storage failed, 75 the sweep is running
elsewhere, 130 ended early (Ctrl-C, SIGTERM, --time-budget, or Ray itself died): the same command resumes"""
UNITS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def add_options(parser: Parser) -> None:
    """All of them, in groups. Hyperparameters are never options: they stand in search spaces (or `--set`)."""
    parser.words["--space"] = search_spaces.names()
    _space(parser)
    labels = "labels to stratify the folds by (default angle,PP1,NP,EP1); implies --cv"
    add_data_options(parser, labels, data="built-in synthetic images")
    add_crop_options(parser)
    _search(parser)
    _cross_validation(parser)
    _resources(parser)
    _resuming(parser)
    _output(parser)


def _space(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("search space").add_argument
    add("--space", metavar="NAME", help="search space: a module of search_spaces/")
    add("--list-spaces", action="store_true", help="list the spaces with their questions and exit (= deepdlt spaces)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="fix a hyperparameter; repeatable")
    add("--protocol", choices=("corrected", "report"), default="corrected",
        help="report: the study's settings, its known errors included; corrected: without them (default)")  # fmt: skip


def _search(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("search").add_argument
    add("--search", choices=("optuna", "grid", "random"), default="optuna", help="default %(default)s")
    add("--scheduler", choices=("none", "asha", "median", "hyperband", "pbt", "pb2"),
        help="prune trials that fall behind (asha, the default, median, hyperband), or let them learn from each other"
        " while they train (pbt, pb2)")  # fmt: skip
    add("--minimize", choices=("parameters", "epoch_s"),
        help="a second objective beside validation PSNR: Optuna looks for the Pareto front")  # fmt: skip
    add("--trials", type=int, metavar="N", help="search trials in all, earlier runs included (default: the space's)")
    add("--epochs", type=int, metavar="N", help="epochs per trial (default: the space's)")
    add("--seed", type=int, default=42, metavar="N",
        help="random seed for weights, data order, search and splits (default %(default)s)")  # fmt: skip


def _cross_validation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("cross-validation").add_argument
    add("--cv", action="store_true", help="then cross-validate the best configuration on every label x fold")
    add("--cv-top", type=int, metavar="K", help="compare the K best configurations (default 1); implies --cv")
    add("--cv-seeds", type=int, metavar="N", help="train each fold with N random seeds (default 1); implies --cv")
    add("--folds", type=int, metavar="K", help="folds per label (default 5); implies --cv")
    add("--race", action="store_true",
        help="eliminate configurations that cannot win any more; needs --cv-top 2 or more")  # fmt: skip
    add("--race-margin", type=float, metavar="DB",
        help="also those that cannot win by more than this in dB of test PSNR (default 0); implies --race")  # fmt: skip


def _resources(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("resources").add_argument
    add("--cpus-per-trial", type=float, default=1, metavar="X",
        help="CPUs and threads per trial (default %(default)s)")  # fmt: skip
    add("--gpus-per-trial", type=float, metavar="X", help="share of a GPU per trial (default: 0.25 with a GPU, else 0)")
    add("--max-concurrent", type=int, metavar="N",
        help="trials at a time (default: as many as have room); on a"
        " cluster more are demand, for nodes that come")  # fmt: skip
    add("--time-budget", metavar="T",
        help="end after 90s, 10min or 2h: running epochs are finished, a report is written")  # fmt: skip
    add("--address", metavar="ADDRESS",
        help="Ray cluster to use: auto, host:port, or local for none (default: RAY_ADDRESS, or the cluster of the job"
        " that this runs in, else this machine)")  # fmt: skip


def _resuming(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("resuming (the same command resumes; wider options extend)").add_argument
    add("--retry-failed", action="store_true", help="run failed trials again; else they count as done")
    add("--allow-code-change", action="store_true",
        help="keep trials of another version of the code; the report marks them")  # fmt: skip


def _output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add("--storage", type=place, default=Path("ray_results"), metavar="PLACE",
        help="folder that receives the sweep's folder, or a URL, s3://BUCKET/FOLDER (default %(default)s)")  # fmt: skip
    add("--name", metavar="NAME", help="name of the sweep's folder (default: made from space, data and settings)")
    add("--plan", action="store_true", help="show what would run and exit; writes nothing but cached data")
    add("--json", action="store_true", help="print plan or summary as JSON on stdout")
    add("-q", "--quiet", action="store_true", help="show only failures and the summary")
    add("-v", "--verbose", action="store_true", help="show Ray's own log too")


def seconds(text: str) -> float:
    """`90s`, `10m`, `10min`, `1h30m`, `2h` or plain seconds -> seconds.

    Raises:
        ValueError: not a duration above 0.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(sec|min|[smhd]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"a duration is like 90s, 10min or 1h30m, got {text!r}")
    found = sum(float(number) * UNITS[unit] for number, unit in parts)
    if found <= 0:
        raise ValueError(f"a duration must be above 0, got {text!r}")
    return found
