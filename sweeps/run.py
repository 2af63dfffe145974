"""Run a hyperparameter sweep and stratified cross-validation of autoencoders on SEM images.

examples:
  python sweeps/run.py --space exp_grid --cv                     search, then label x fold cross-validation
  python sweeps/run.py --space exp_grid --cv --cv-top 3 --race   compare the best three, stop who cannot win
  python sweeps/run.py --space exp_grid --data IMAGES --plan     what would run on your own images
  python sweeps/run.py --space cv_report --protocol report       the report's tables, mistakes included
  python sweeps/run.py --list-spaces
"""

import ast
import os
import shlex
import signal
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run from a checkout, installed or not
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import search_spaces
from deepdlt.config import ConfigError
from deepdlt.errors import DataError
from deepdlt.terminal import say, to_nowhere, unread

# Faces: each imports its modules, and with them PyTorch and Ray, when one of its names is first used.
from sweeps import console, execution, identity, planning, reporting, stopping, store
from sweeps import request as requests
from sweeps.errors import (
    DONE,
    INTERRUPTED,
    REFUSED,
    RUNNING_ELSEWHERE,
    SOME_FAILED,
    STORAGE_FAILED,
    AlreadyRunning,
    RayFailed,
    SweepRefused,
)
from sweeps.request.options import make_parser, seconds

if TYPE_CHECKING:
    from sweeps.request import Request
    from sweeps.store import SweepFile


def main(argv: list[str] | None = None) -> int:
    """Check everything, show the plan, run, report; returns the exit code."""
    args = make_parser(__doc__).parse_args(argv)
    if args.list_spaces:
        return _list_spaces()
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return _run(args)
    except ModuleNotFoundError as error:
        say(f"error: {error.name} is not installed for {sys.executable}; run `make setup`, then use .venv/bin/python")
        return REFUSED
    except (ConfigError, DataError, SweepRefused) as error:
        say(f"error: {error}")
        return REFUSED
    except AlreadyRunning as error:
        say(f"error: {error}")
        return RUNNING_ELSEWHERE
    except KeyboardInterrupt:
        say(f"interrupted; {_go_on()}")
        return INTERRUPTED
    except BrokenPipeError:
        to_nowhere(sys.stdout)
        if args.plan:
            return DONE  # whoever read the plan has gone, as `head` does
        say(f"error: a connection broke; {_go_on()}")
        return INTERRUPTED
    except OSError as error:
        say(f"error: storage failed: {error}; free space or choose another --storage, then run the same command again")
        return STORAGE_FAILED


def _run(args: Namespace) -> int:
    _check_space(args.space)
    stopping.set_deadline(_budget(args.time_budget))
    request = requests.make_request(args)
    resources = requests.check_resources(args.cpus_per_trial, args.gpus_per_trial, args.max_concurrent, args.address)
    requests.check_address(args.address)
    data = identity.load(args.data, request)
    sweep_file = identity.make_sweep_file(request, data, _command())
    name = args.name or identity.default_name(request.space, data.name, sweep_file)
    sweep = args.storage.expanduser().resolve() / name
    store.check_sweep(sweep, sweep_file, identity.data_changes)
    plan = planning.describe(request, resources, sweep_file, sweep, args.retry_failed)
    requests.check_storage(sweep, plan.missing_mb)
    if not plan.is_done:
        identity.check_code(sweep, sweep_file.code["files"], args.allow_code_change)
        notes = identity.notes(request, resources, sweep, sweep_file, args.address is not None)
        notes += identity.extendable(sweep, sweep_file) if args.name is None else []
        plan = replace(plan, notes=tuple(notes))
    if args.plan or not (plan.is_done or args.quiet):  # training steps are timed: seconds
        listed = planning.searched_settings(request) if plan.tally.to_run[0] else None
        known = list(store.read_records(sweep).values())
        forecast = planning.estimate(request, listed, resources, data, known, plan.tally.to_run)
        plan = replace(plan, forecast=forecast)
    if args.plan:
        console.show_plan(plan, args.json)
        return DONE
    if not args.quiet:
        with unread(sys.stderr):
            console.show_plan(plan, file=sys.stderr)
    with store.sweep_lock(sweep):
        store.open_sweep(sweep, replace(sweep_file, codes=identity.known_codes(sweep, sweep_file.code["files"])))
        try:
            execution.run_sweep(request, resources, data, sweep, args, _ray_lost)
        except RayFailed as error:
            if args.verbose:
                raise
            say(f"error: {error}; {_go_on()}")
            return INTERRUPTED
        if not stopping.reason():
            execution.compute_baselines(request, data, sweep, args.quiet)
        return _finish(request, sweep_file, sweep, args)


def _budget(text: str | None) -> float | None:
    try:
        return None if text is None else seconds(text)
    except ValueError as error:
        raise SweepRefused(f"--time-budget: {error}") from error


def _ray_lost(process: str) -> None:
    """Ray's own process died: leave before Ray aborts this one without a word."""
    say(f"\nerror: Ray's process {process} died (killed, or out of memory); {_go_on()}")
    os._exit(INTERRUPTED)


def _check_space(name: str | None) -> None:
    """Refuse a name that is no space before anything heavy is imported."""
    if name not in search_spaces.names():
        problem = f"unknown space {name!r}" if name else "--space is missing (the main job is `--space exp_grid`)"
        raise SweepRefused(f"{problem}; spaces: {', '.join(search_spaces.names())}")


def _finish(request: "Request", sweep_file: "SweepFile", sweep: Path, args: Namespace) -> int:
    """Write the report, print the summary on stdout, return the exit code."""
    report = reporting.make_report(sweep) / "report.html"
    retry = args.retry_failed and bool(stopping.reason())  # a run that came to its end has repeated them
    tally = planning.tally(request, store.read_records(sweep), sweep_file.data_fingerprint, retry)
    with unread(sys.stdout):
        if args.json:
            print(console.summary_json(sweep, report))
        else:
            board = Path(sys.executable).with_name("tensorboard")
            console.show_summary(sweep, sys.stdout, tally)
            print(f"report: {_short(report)}\ncompare: {_short(board)} --logdir {_short(sweep.parent)}")
    left = sum(tally.to_run)
    if stopping.reason() and left:
        say(f"{stopping.reason()}, {left} trial(s) are left; {_go_on()}")
        return INTERRUPTED
    if left:
        say(f"{left} trial(s) could not be run; {_go_on()}")
        return SOME_FAILED
    return SOME_FAILED if any(tally.failed) else DONE


def _list_spaces() -> int:
    """Names and questions, read from the docstrings without importing Ray."""
    for name in search_spaces.names():
        path = Path(search_spaces.__path__[0]) / f"{name}.py"
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        print(f"{name:12} {doc.splitlines()[0]}")
    return DONE


def _go_on() -> str:
    return f"what is finished is kept. To go on: {_command()}"


def _command() -> str:
    """What was typed, to be typed again."""
    return shlex.join([str(_short(Path(sys.executable))), *sys.argv])


def _short(path: Path) -> Path:
    """Relative to here when that is shorter to type."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    sys.exit(main())
