"""Options that have no effect: refused where that is surely a mistake, else there is a note."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deepdlt.command_line import settings_named
from deepdlt.errors import many, some_words
from deepdlt.in_use import sometimes_without_effect, without_effect
from sweeps.errors import SweepRefused
from sweeps.request.request import Request
from sweeps.request.resources import Resources
from sweeps.store import Tally, TrialRecord

OF_A_SEARCH = ("--search", "--scheduler", "--minimize", "--trials")
LEAST = {"asha": 2, "median": 4}  # trials; the others refuse fewer
UNSEEN_IN_A_PLAN = ("--quiet", "--verbose", "--time-budget")


@dataclass(frozen=True)
class Situation:
    """What decides whether an option can have an effect."""

    request: Request
    resources: Resources
    tally: Tally
    records: Sequence[TrialRecord]
    code: str
    """Digest of the code as it is now."""


def check_effects(args: Namespace, request: Request) -> None:
    """Refuse options of a search where there is none.

    Raises:
        SweepRefused: with all of them.
    """
    idle = [option for option in OF_A_SEARCH if option in args.given]
    if request.cv_only and idle:
        what = f"space {request.space} is one configuration, cross-validated without a search"
        raise SweepRefused(f"{what}: leave out {some_words(idle)}")


def option_notes(args: Namespace, now: Situation) -> list[str]:
    """Options of this command line that change nothing, one line each."""
    return [*_of_the_search(args, now), *_of_cross_validation(now), *_of_the_run(args, now)]


def space_notes(args: Namespace, request: Request) -> list[str]:
    """Fields of the space, and settings of the command line, that change nothing, one line each."""
    space = request.tune_space.space
    values: dict[str, Sequence[Any]] = {name: (value,) for name, value in (space.constants or {}).items()}
    values |= {name: axis.choices or axis.ends for name, axis in space.axes.items()}
    every = space.configurations
    idle = [] if every is None else [n for n in space.conditions if n in space.swept and not any(n in c for c in every)]
    notes = [f"`{name}` is not varied: what its condition needs is never there" for name in idle]
    named = dict.fromkeys([*settings_named(args.set), *space.axes])
    notes += without_effect([n for n in named if n not in idle], values)
    notes += sometimes_without_effect([n for n in space.swept if n not in space.conditions], values)
    refused = space.refused
    return notes + [f"configurations whose values do not go together are left out: {why}" for why in refused[:1]]


def _of_the_search(args: Namespace, now: Situation) -> Iterator[str]:
    request, size, planned = now.request, now.tally.space_size, now.tally.planned[0]
    if request.cv_only:
        return
    if "--trials" in args.given and size is not None and request.trials > size:
        yield f"--trials {request.trials}: the space has no more than {many(size, 'configuration')}"
    if "--minimize" in args.given and request.search != "optuna":
        yield (
            f"--minimize {request.minimize}: --search {request.search} is not led by it; the report compares"
            f" {request.minimize} with quality"
        )
    least = LEAST.get(request.scheduler, 0)
    if "--scheduler" in args.given and least:
        if request.epochs == 1:
            yield f"--scheduler {request.scheduler} has nothing to stop: a trial has 1 epoch"
        elif planned < least:
            yield f"--scheduler {request.scheduler} has nothing to compare: it needs {least} trials, got {planned}"


def _of_cross_validation(now: Situation) -> Iterator[str]:
    request, planned = now.request, now.tally.planned[0]
    if request.cv and not request.cv_only and request.cv_top > planned:
        race = "; --race eliminates none" if request.race is not None and planned < 2 else ""
        yield f"--cv-top {request.cv_top}: the search has {many(planned, 'trial')}, no more are compared{race}"


def _of_the_run(args: Namespace, now: Situation) -> Iterator[str]:
    fitting = now.resources.max_concurrent
    if args.address is None and args.max_concurrent is not None and args.max_concurrent > fitting:
        yield f"--max-concurrent {args.max_concurrent}: this machine has room for {many(fitting, 'trial')} at a time"
    if args.retry_failed and not any(now.tally.failed):
        yield "--retry-failed: no trial of this sweep has failed"
    if args.allow_code_change and not any(r.code not in (None, now.code) for r in now.records if r.is_complete):
        yield "--allow-code-change: all trials are of this version of the code"
    if args.plan:
        unseen = [option for option in UNSEEN_IN_A_PLAN if option in args.given]
        if unseen:
            yield f"--plan runs nothing: {some_words(unseen)} will count without it"
