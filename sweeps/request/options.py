"""The command line of `sweeps/run.py`: nothing but the parser, so that `--help` answers at once."""

import argparse
import re
from pathlib import Path

EPILOG = """exit codes: 0 all done, 1 some trials failed, 2 refused input, 3 storage failed, 75 the sweep is running
elsewhere, 130 ended early (Ctrl-C, SIGTERM, --time-budget, or Ray itself died): the same command goes on"""
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def make_parser(description: str | None = None) -> argparse.ArgumentParser:
    """The command line. It is frozen: hyperparameters are never flags, they live in spaces (or `--set`)."""
    parser = argparse.ArgumentParser(
        prog="python sweeps/run.py",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    _space(parser)
    _search(parser)
    _cross_validation(parser)
    _resources(parser)
    _resuming(parser)
    _output(parser)
    return parser


def _space(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("space").add_argument
    add("--space", metavar="NAME", help="search space: a module of search_spaces/")
    add("--list-spaces", action="store_true", help="list the spaces with their questions and exit")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="fix a hyperparameter; repeatable")
    add("--protocol", choices=("corrected", "report"), default="corrected",
        help="report: repeat the report, mistakes included; corrected: without them (default)")  # fmt: skip
    add = parser.add_argument_group("data").add_argument
    add("--data", type=Path, metavar="FOLDER", help="images with a sheet of labels (default: built-in synthetic set)")
    add("--group-by", metavar="COLUMN", help="rows with the same value are never split (default: the process columns)")
    add("--pixel-pitch", default="native", metavar="P",
        help="native, exclude (other scales) or nm per pixel (default native)")  # fmt: skip


def _search(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("search").add_argument
    add("--search", choices=("optuna", "grid", "random"), default="optuna", help="default %(default)s")
    add("--scheduler", choices=("none", "asha", "median", "hyperband", "pbt", "pb2"),
        help="stops trials that fall behind (asha, the default, median, hyperband), or lets them learn from each other"
        " while they train (pbt, pb2)")  # fmt: skip
    add("--minimize", choices=("parameters", "epoch_s"),
        help="a second objective beside validation PSNR: Optuna looks for the Pareto front")  # fmt: skip
    add("--trials", type=int, metavar="N", help="search trials in all, earlier runs included (default: the space's)")
    add("--epochs", type=int, metavar="N", help="epochs per trial (default: the space's)")
    add("--seed", type=int, default=42, metavar="N",
        help="of weights, data order, search and splits (default %(default)s)")  # fmt: skip


def _cross_validation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("cross-validation").add_argument
    add("--cv", action="store_true", help="then cross-validate the best configuration: labels x folds more trials")
    add("--cv-top", type=int, default=1, metavar="K", help="the K best configurations instead of one, compared")
    add("--cv-seeds", type=int, default=1, metavar="N", help="train each fold with N seeds (default %(default)s)")
    add("--labels", metavar="A,B", help="labels to stratify by (default angle,PP1,NP,EP1)")
    add("--folds", type=int, default=5, metavar="K", help="folds per label (default %(default)s)")
    add("--race", action="store_true", help="stop the remaining folds of configurations that cannot win any more")
    add("--race-margin", type=float, default=0.0, metavar="DB",
        help="stop those too that cannot win by more than this (dB of test PSNR, default 0)")  # fmt: skip


def _resources(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("resources").add_argument
    add("--cpus-per-trial", type=float, default=1, metavar="X",
        help="CPUs and threads of a trial (default %(default)s)")  # fmt: skip
    add("--gpus-per-trial", type=float, metavar="X", help="fraction of a GPU (default: 0.25 if there is one, else 0)")
    add("--max-concurrent", type=int, metavar="N", help="trials at a time (default: what the resources allow)")
    add("--time-budget", metavar="T", help="end after 90s, 10m or 2h: epochs are finished, a report is written")
    add("--address", metavar="ADDRESS", help="Ray cluster to use (default: start Ray on this machine)")


def _resuming(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("resuming (the same command goes on; wider options extend)").add_argument
    add("--retry-failed", action="store_true", help="run failed trials again; else they count as done")
    add("--allow-code-change", action="store_true",
        help="go on with trials of another version of the code; the report marks them")  # fmt: skip


def _output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add("--storage", type=Path, default=Path("ray_results"), metavar="DIR", help="default %(default)s")
    add("--name", metavar="NAME", help="of the sweep's folder (default: made from space, data and settings)")
    add("--plan", action="store_true", help="show what would run and exit; starts and writes nothing but cached data")
    add("--json", action="store_true", help="plan or summary as JSON on stdout")
    add("-q", "--quiet", action="store_true", help="only failures and the summary")
    add("-v", "--verbose", action="store_true", help="Ray's own log too")


def seconds(text: str) -> float:
    """`90s`, `10m`, `1h30m`, `2h` or plain seconds -> seconds.

    Raises:
        ValueError: not a duration above 0.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"a duration is like 90s, 10m or 1h30m, got {text!r}")
    found = sum(float(number) * UNITS[unit] for number, unit in parts)
    if found <= 0:
        raise ValueError(f"a duration must be above 0, got {text!r}")
    return found
