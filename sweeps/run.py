"""Run a hyperparameter sweep and stratified cross-validation of autoencoders on SEM images.

examples:
  deepdlt sweep --space exp_grid --cv                   search settings, cross-validate the best, write a report
  deepdlt sweep --space exp_grid --data my_images --plan    what would run on your own images
  deepdlt sweep --space exp_grid --cv-top 3 --race      compare the best three, eliminate those that cannot win
  deepdlt sweep --space cv_report --protocol report     the study's cross-validation, its known errors included
  deepdlt sweep --list-spaces
"""

import os
import shlex
import sys
import traceback
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run from a checkout, installed or not
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import search_spaces
from deepdlt.command_line import Parser, run_command, short_path, typed
from deepdlt.errors import DONE, FAILED, INTERRUPTED, Interrupted, hint
from deepdlt.terminal import leave, say, unread

# Faces: each imports its modules, and with them PyTorch and Ray, when one of its names is first used.
from sweeps import cluster as clusters
from sweeps import console, execution, identity, planning, reporting, spaces, stopping, store
from sweeps import request as requests
from sweeps.errors import RayFailed, SweepRefused
from sweeps.objects import is_url
from sweeps.request import options

if TYPE_CHECKING:
    from sweeps.identity import SweepData
    from sweeps.planning import Plan
    from sweeps.request import Request, Resources
    from sweeps.store import SweepFile

EPILOG = options.EPILOG
SAVED = "Completed trials are saved. Resume with:"
AFTER_INTERRUPT = SAVED


def main(argv: list[str] | None = None) -> int:
    """The command `python sweeps/run.py`; returns its exit code."""
    return run_command(sys.modules[__name__], argv, "python sweeps/run.py", called="deepdlt sweep")


def add_options(parser: Parser) -> None:
    """See `sweeps.request.options`."""
    options.add_options(parser)


def run(args: Namespace) -> int:
    """Check everything, show the plan, run, report."""
    if args.list_spaces:
        return spaces.run(args)
    _check_space(args.space)
    store.check_system()
    storage = store.reach(args.storage)
    stopping.set_deadline(_budget(args.time_budget))
    cluster = _cluster(args)
    request = requests.make_request(args)
    requests.check_effects(args, request)
    rooms = None if cluster is None else [requests.Room(node.cpus, node.gpus) for node in cluster.nodes]
    resources = requests.check_resources(args.cpus_per_trial, args.gpus_per_trial, args.max_concurrent, rooms)
    requests.check_room(resources, rooms or ())
    source = identity.read(args.data, request)
    clusters.check_place(storage)
    with execution.RaySession(cluster, args.verbose, _ray_lost, preload=True) as session:
        if cluster is None and not args.plan and _is_new(args, storage):  # else nothing may be left to run
            requests.check_storage(Path(storage))
            session.notes()
            session.begin()
        data = identity.cut(source, request, synthetic=args.data is None)
        return _run(args, request, resources, data, storage, session)


def _run(
    args: Namespace,
    request: "Request",
    resources: "Resources",
    data: "SweepData",
    storage: Path | str,
    session: "execution.RaySession",
) -> int:
    sweep_file = identity.make_sweep_file(request, data, typed())
    name = args.name or identity.default_name(request.space, data.name, sweep_file)
    sweep = store.locate(storage, name)
    store.check_sweep(sweep, sweep_file, identity.data_changes)
    plan = planning.describe(request, resources, sweep_file, sweep, args.retry_failed)
    requests.check_storage(sweep, plan.missing_mb, request.scheduler)
    notes = [*store.mount_notes(sweep), *_option_notes(plan, args)]
    if not plan.is_done:
        identity.check_code(sweep, sweep_file.code["files"], args.allow_code_change)
        notes += [*data.notes, *request.unusual(), *requests.space_notes(args, request)]
        notes += session.notes()
        notes += identity.notes(request, resources, sweep, sweep_file, session.cluster is not None)
        notes += identity.extendable(sweep, sweep_file) if args.name is None else []
    plan = replace(plan, notes=tuple(notes), cluster=session.cluster)
    if args.plan or not (plan.is_done or args.quiet):
        listed = planning.searched_settings(request) if plan.tally.to_run[0] else None
        known = list(store.read_records(sweep).values())
        timing_s = planning.TIMING_S if args.plan else 0.0  # Ray's processes are starting: steps would seem slow
        forecast = planning.estimate(request, listed, resources, data, known, plan.tally.to_run, timing_s)
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
            with execution.BesideTrials(sweep, _due_later(request, data, sweep)):
                execution.run_sweep(request, resources, data, sweep, args, session)
        except (RayFailed, BrokenPipeError) as error:
            if args.verbose:
                traceback.print_exc()
            reason = "a connection broke" if isinstance(error, BrokenPipeError) else error
            raise Interrupted(f"error: {reason}. {_resume()}") from error
        session.end()  # while baselines and report are made
        if not stopping.reason():
            execution.compute_baselines(request, data, sweep, args.quiet)
        code = _finish(request, sweep_file, sweep, args)
        session.close()  # members of a population train until then
        return code


def _cluster(args: Namespace) -> "clusters.Cluster | None":
    """The cluster to use, which was asked and lets this process in; None for a Ray of this machine.

    Its address takes the place of what was asked for.
    """
    args.address = clusters.cluster_address(args.address)
    clusters.prepare_environment(args.address)  # before anything imports Ray
    return None if args.address is None else clusters.look_at(args.address)


def _due_later(request: "Request", data: "SweepData", sweep: Path) -> Iterator[object]:
    """Steps of what is made anew after the trials, where little of it is left to do then."""
    yield from execution.computed_baselines(request, data, sweep)
    yield reporting.make_report(sweep)


def _is_new(args: Namespace, storage: Path | str) -> bool:
    """Whether no sweep is there that this command could go on with; of an object store it is not asked."""
    return isinstance(storage, Path) and not any(storage.glob(f"{args.name or f'{args.space}-*'}/sweep.json"))


def _option_notes(plan: "Plan", args: Namespace) -> list[str]:
    """Which options of this command line change nothing."""
    records = list(store.read_records(plan.sweep).values())
    code = identity.digest(plan.sweep_file.code["files"])
    return requests.option_notes(args, requests.Situation(plan.request, plan.resources, plan.tally, records, code))


def _budget(text: str | None) -> float | None:
    try:
        return None if text is None else options.seconds(text)
    except ValueError as error:
        raise SweepRefused(f"--time-budget: {error}") from error


def _ray_lost(process: str) -> None:
    """Ray's own process died: leave before Ray aborts this one without a word."""
    say(f"\nerror: Ray's process {process} died (killed, or out of memory). {_resume()}")
    os._exit(INTERRUPTED)


def _check_space(name: str | None) -> None:
    """Refuse a name that is no space before anything heavy is imported."""
    if name not in search_spaces.names():
        known = search_spaces.names()
        problem = (
            f"unknown space {name!r}{hint(Path(name).stem, known)}"
            if name
            else "--space is missing, as in --space exp_grid"
        )
        raise SweepRefused(f"{problem}; spaces: {', '.join(known)}")


def _finish(request: "Request", sweep_file: "SweepFile", sweep: Path, args: Namespace) -> int:
    """Write the report, print the summary on stdout, return the exit code."""
    store.refresh(sweep)
    reporting.make_report(sweep)
    report = store.publish_report(sweep) + "/report.html"
    retry = args.retry_failed and bool(stopping.reason())  # a run that came to its end has repeated them
    tally = planning.tally(request, store.read_records(sweep), sweep_file.data_fingerprint, retry)
    with unread(sys.stdout):
        if args.json:
            print(console.summary_json(sweep, report))
        else:
            console.show_summary(sweep, sys.stdout, tally)
            print(f"report: {_short(report)}\ncompare: {_compare(store.compared_at(sweep))}")
    left = sum(tally.to_run)
    if stopping.reason() and left:
        say(f"{stopping.reason()}; trials left: {left}. {_resume()}")
        return INTERRUPTED
    if left:
        say(f"trials that could not be run: {left}. {_resume()}")
        return FAILED
    return FAILED if any(tally.failed) else DONE


def _short(place: str) -> str:
    return place if is_url(place) else str(short_path(Path(place)))


def _compare(storage: str) -> str:
    """The command that shows the curves of all sweeps there."""
    board = Path(sys.executable).with_name("tensorboard")
    start = [str(short_path(board))] if board.exists() else [sys.executable, "-m", "tensorboard.main"]
    return shlex.join([*start, "--logdir", storage])


def _resume() -> str:
    return f"{SAVED}\n  {typed()}"


if __name__ == "__main__":
    leave(main())
