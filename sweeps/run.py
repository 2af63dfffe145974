"""Run a hyperparameter sweep and stratified cross-validation of autoencoders on SEM images.

examples:
  python sweeps/run.py --space exp_grid --cv                     search, then label x fold cross-validation
  python sweeps/run.py --space exp_grid --cv --cv-top 3 --race   compare the best three, stop who cannot win
  python sweeps/run.py --space exp_grid --data IMAGES --plan     what would run on your own images
  python sweeps/run.py --space cv_report --protocol report       the report's tables, mistakes included
  python sweeps/run.py --list-spaces
"""

import os
import shlex
import signal
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run from a checkout, installed or not
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from deepdlt.messages import say, to_nowhere, unread
from sweeps.command_line import make_parser, seconds

DONE, SOME_FAILED, REFUSED, STORAGE_FAILED, RUNNING_ELSEWHERE, INTERRUPTED = 0, 1, 2, 3, 75, 130


def main(argv: list[str] | None = None) -> int:
    """Check everything, show the plan, run, report; returns the exit code."""
    args = make_parser(__doc__).parse_args(argv)
    if args.list_spaces:
        return _list_spaces()
    try:
        from deepdlt.config import ConfigError
        from deepdlt.source_images import DataError
        from sweeps.records import AlreadyRunning, SweepRefused
    except ModuleNotFoundError as error:
        say(f"error: {error.name} is not installed for {sys.executable}; run `make setup`, then use .venv/bin/python")
        return REFUSED
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return _run(args)
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
    budget = _budget(args.time_budget)
    from sweeps import request, resources, stopping

    stopping.set_deadline(budget)
    asked_for = request.make_request(args)
    share = resources.check_resources(args.cpus_per_trial, args.gpus_per_trial, args.max_concurrent, args.address)
    resources.check_address(args.address)
    from sweeps import plan, records, resuming, sweep_data  # PyTorch comes with them
    from sweeps.console import show_plan
    from sweeps.forecast import forecast

    data = sweep_data.load(args.data, asked_for)
    sweep = args.storage.expanduser().resolve() / (args.name or sweep_data.default_name(asked_for, data))
    asked = sweep_data.asked(asked_for, data, _command())
    records.check_sweep(sweep, asked, sweep_data.FIXED, resuming.data_changes)
    shown = plan.describe(asked_for, share, asked, sweep, args.retry_failed)
    resources.check_storage(sweep, shown)
    notes = []
    if any(shown["to_run"]):
        resuming.check_code(sweep, asked["code"]["files"], args.allow_code_change)
        notes = resuming.notes(asked_for, share, sweep, asked, args.address is not None)
        notes += sweep_data.extendable(sweep, asked) if args.name is None else []
    if args.plan or (any(shown["to_run"]) and not args.quiet):  # training steps are timed: seconds
        listed = plan.searched_settings(asked_for) if shown["to_run"][0] else None
        known = list(records.read_records(sweep).values())
        shown |= forecast(asked_for, listed, share, data, known, shown["to_run"])
    if args.plan:
        show_plan(shown | {"notes": notes}, args.json)
        return DONE
    if not args.quiet:
        with unread(sys.stderr):
            show_plan(shown | {"notes": notes}, file=sys.stderr)
    with records.sweep_lock(sweep):
        asked["codes"] = resuming.known_codes(sweep, asked["code"]["files"])
        records.open_sweep(sweep, asked, sweep_data.FIXED)
        from deepdlt.atomic import remove_unfinished
        from sweeps.ray_runs import run_sweep
        from sweeps.ray_session import RayFailed
        from sweeps.sweep_baselines import compute_baselines

        for folder in (sweep, *(path for path in sweep.iterdir() if path.is_dir())):
            remove_unfinished(folder)  # of writers that were killed
        try:
            run_sweep(asked_for, share, data, sweep, args, _ray_lost)
        except RayFailed as error:
            if args.verbose:
                raise
            say(f"error: {error}; {_go_on()}")
            return INTERRUPTED
        if not stopping.reason():
            compute_baselines(asked_for, data, sweep, args.quiet)
        return _finish(asked_for, asked, sweep, args)


def _budget(text: str | None) -> float | None:
    from sweeps.records import SweepRefused

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
    import search_spaces
    from sweeps.records import SweepRefused

    if name not in search_spaces.names():
        problem = f"unknown space {name!r}" if name else "--space is missing (the main job is `--space exp_grid`)"
        raise SweepRefused(f"{problem}; spaces: {', '.join(search_spaces.names())}")


def _finish(request: Any, asked: dict[str, Any], sweep: Path, args: Namespace) -> int:
    """Write the report, print the summary on stdout, return the exit code."""
    from sweeps import plan, stopping
    from sweeps.console import show_summary, summary_json
    from sweeps.records import read_records
    from sweeps.report import make_report

    report = make_report(sweep) / "report.html"
    retry = args.retry_failed and bool(stopping.reason())  # a run that came to its end has repeated them
    tally = plan.tally(request, read_records(sweep), asked["data_fingerprint"], retry)
    with unread(sys.stdout):
        if args.json:
            print(summary_json(sweep, report))
        else:
            board = Path(sys.executable).with_name("tensorboard")
            show_summary(sweep, sys.stdout, tally)
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
    import ast

    import search_spaces

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
