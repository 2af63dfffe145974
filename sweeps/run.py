"""Run a hyperparameter sweep and stratified cross-validation of autoencoders on SEM images.

examples:
  python sweeps/run.py --space exp_grid --cv                     search, then label x fold cross-validation
  python sweeps/run.py --space exp_grid --data IMAGES --plan     what would run on your own images
  python sweeps/run.py --space cv_report --protocol report       the report's tables, mistakes included
  python sweeps/run.py --list-spaces
"""

import argparse
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run from a checkout, installed or not
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

DONE, SOME_FAILED, REFUSED, STORAGE_FAILED, RUNNING_ELSEWHERE, INTERRUPTED = 0, 1, 2, 3, 75, 130


def make_parser() -> argparse.ArgumentParser:
    """The command line. It is frozen: hyperparameters are never flags, they live in spaces (or `--set`)."""
    parser = argparse.ArgumentParser(
        prog="python sweeps/run.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit codes: 0 all done, 1 some trials failed, 2 refused input, 3 storage failed,"
        " 75 the sweep is running elsewhere, 130 interrupted",
    )
    add = parser.add_argument_group("space").add_argument
    add("--space", metavar="NAME", help="search space: a module of search_spaces/")
    add("--list-spaces", action="store_true", help="list the spaces with their questions and exit")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="fix a hyperparameter; repeatable")
    add("--protocol", choices=("corrected", "report"), default="corrected",
        help="report: repeat the report, mistakes included; corrected: without them (default)")  # fmt: skip
    add = parser.add_argument_group("data").add_argument
    add("--data", type=Path, metavar="FOLDER", help="images with a sheet of labels (default: built-in synthetic set)")
    add("--group-by", metavar="COLUMN", help="rows with the same value are never split (default: the process columns)")
    add(
        "--pixel-pitch",
        default="native",
        metavar="P",
        help="native, exclude (other scales) or nm per pixel (default native)",
    )
    add = parser.add_argument_group("search").add_argument
    add("--search", choices=("optuna", "grid", "random"), default="optuna", help="default %(default)s")
    add("--scheduler", choices=("none", "asha", "median"), default="asha",
        help="stops trials that fall behind (default %(default)s)")  # fmt: skip
    add("--trials", type=int, metavar="N", help="search trials in all, earlier runs included (default: the space's)")
    add("--epochs", type=int, metavar="N", help="epochs per trial (default: the space's)")
    add(
        "--seed",
        type=int,
        default=42,
        metavar="N",
        help="of weights, data order, search and splits (default %(default)s)",
    )
    add = parser.add_argument_group("cross-validation").add_argument
    add("--cv", action="store_true", help="then cross-validate the best configuration: labels x folds more trials")
    add("--labels", metavar="A,B", help="labels to stratify by (default angle,PP1,NP,EP1)")
    add("--folds", type=int, default=5, metavar="K", help="folds per label (default %(default)s)")
    add = parser.add_argument_group("resources").add_argument
    add(
        "--cpus-per-trial", type=float, default=1, metavar="X", help="CPUs and threads of a trial (default %(default)s)"
    )
    add("--gpus-per-trial", type=float, metavar="X", help="fraction of a GPU (default: 0.25 if there is one, else 0)")
    add("--max-concurrent", type=int, metavar="N", help="trials at a time (default: what the resources allow)")
    add("--address", metavar="ADDRESS", help="Ray cluster to use (default: start Ray on this machine)")
    add = parser.add_argument_group("output").add_argument
    add("--storage", type=Path, default=Path("ray_results"), metavar="DIR", help="default %(default)s")
    add("--name", metavar="NAME", help="of the sweep's folder (default: made from space, data and settings)")
    add("--plan", action="store_true", help="show what would run and exit; starts and writes nothing but cached data")
    add("--json", action="store_true", help="plan or summary as JSON on stdout")
    add("-q", "--quiet", action="store_true", help="only failures and the summary")
    add("-v", "--verbose", action="store_true", help="Ray's own log too")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Check everything, show the plan, run, report; returns the exit code."""
    args = make_parser().parse_args(argv)
    if args.list_spaces:
        return _list_spaces()
    try:
        from deepdlt.config import ConfigError
        from deepdlt.source_images import DataError
        from sweeps.records import AlreadyRunning, SweepRefused
    except ModuleNotFoundError as error:
        _say(f"error: {error.name} is not installed for {sys.executable}; run `make setup`, then use .venv/bin/python")
        return REFUSED
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return _run(args)
    except (ConfigError, DataError, SweepRefused) as error:
        _say(f"error: {error}")
        return REFUSED
    except AlreadyRunning as error:
        _say(f"error: {error}")
        return RUNNING_ELSEWHERE
    except KeyboardInterrupt:
        _say(f"interrupted; complete trials are kept. To go on: {_command()}")
        return INTERRUPTED
    except OSError as error:
        _say(f"error: storage failed: {error}; free space or choose another --storage, then run the same command again")
        return STORAGE_FAILED


def _run(args: argparse.Namespace) -> int:
    _check_space(args.space)
    from sweeps import plan, records, sweep_data
    from sweeps.console import show_plan

    request = plan.make_request(args)
    resources = plan.check_resources(args.cpus_per_trial, args.gpus_per_trial, args.max_concurrent, args.address)
    plan.check_address(args.address)
    data = sweep_data.load(args.data, request)
    sweep = args.storage.expanduser().resolve() / (args.name or sweep_data.default_name(request, data))
    asked = sweep_data.asked(request, data, _command())
    records.check_sweep(sweep, asked, sweep_data.FIXED)
    shown = plan.describe(request, resources, asked, sweep)
    plan.check_storage(sweep, shown)
    if args.plan:
        show_plan(shown, args.json)
        return DONE
    if not args.quiet:
        show_plan(shown, file=sys.stderr)
    with records.sweep_lock(sweep):
        records.open_sweep(sweep, asked, sweep_data.FIXED)
        from sweeps.ray_runs import run_sweep
        from sweeps.sweep_baselines import compute_baselines

        run_sweep(request, resources, data, sweep, args)
        compute_baselines(request, data, sweep, args.quiet)
        return _finish(request, asked, sweep, args.json)


def _check_space(name: str | None) -> None:
    """Refuse a name that is no space before anything heavy is imported."""
    import search_spaces
    from sweeps.records import SweepRefused

    if name not in search_spaces.names():
        problem = f"unknown space {name!r}" if name else "--space is missing (the main job is `--space exp_grid`)"
        raise SweepRefused(f"{problem}; spaces: {', '.join(search_spaces.names())}")


def _finish(request: Any, asked: dict[str, Any], sweep: Path, as_json: bool) -> int:
    """Write the report, print the summary on stdout, return the exit code."""
    from sweeps.console import show_summary, summary_json
    from sweeps.cross_validation import best_record, fold_averages, planned_folds
    from sweeps.records import FAILED, read_records
    from sweeps.report import make_report

    report = make_report(sweep) / "report.html"
    by_identity = read_records(sweep)
    records = list(by_identity.values())
    cells = planned_folds(request, by_identity, asked["data_fingerprint"]) if request.cv else []
    averages = fold_averages(by_identity, cells)
    if request.cv and not cells:
        _say("no search trial was completed, so nothing was cross-validated")
    if as_json:
        print(summary_json(sweep, report, records, averages, best_record(records)))
    else:
        show_summary(records, averages, list(asked["axes"]), sys.stdout)
        board = Path(sys.executable).with_name("tensorboard")
        print(f"report: {_short(report)}\ncompare: {_short(board)} --logdir {_short(sweep.parent)}")
    return SOME_FAILED if any(r["status"] == FAILED for r in records) else DONE


def _list_spaces() -> int:
    """Names and questions, read from the docstrings without importing Ray."""
    import ast

    import search_spaces

    for name in search_spaces.names():
        path = Path(search_spaces.__path__[0]) / f"{name}.py"
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        print(f"{name:12} {doc.splitlines()[0]}")
    return DONE


def _command() -> str:
    """What was typed, to be typed again."""
    return shlex.join([str(_short(Path(sys.executable))), *sys.argv])


def _short(path: Path) -> Path:
    """Relative to here when that is shorter to type."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
