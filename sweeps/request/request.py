"""What is asked: the command line with the space's defaults filled in, every axis and number checked."""

import itertools
import math
import re
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deepdlt.command_line import crop_settings, data_options, label_list
from deepdlt.config import (
    PROTOCOLS,
    ConfigError,
    TrainConfig,
    field_called,
    make_config,
    parse_settings,
    unknown_field,
    unusual,
)
from deepdlt.errors import some_words
from deepdlt.images import DLIP_LABELS
from sweeps.errors import SweepRefused
from sweeps.request.space_module import read_space
from sweeps.space import Conditions, Configuration, TuneSpace, domains
from sweeps.store import CV_OPTIONS
from sweeps.tuning import schedulers

LABELS = DLIP_LABELS
"""Cross-validated by default."""
MAX_TRIALS = 100_000
MAX_SEEDS = 100
OPTIONS = ("epochs", "seed")  # of the command line: the plan and the schedulers count on them
FIXED_FIELDS = (*PROTOCOLS["report"], "eval_crops", "crop_size", "downsample")
SHOWN = 3  # problems with the values of one axis
MOST_CORNERS = 1000  # values of one axis that are tried
NO_SETTINGS = Configuration()


@dataclass(frozen=True, kw_only=True)
class Request:
    """The command line, with the space's defaults filled in."""

    space: str
    question: str
    tune_space: TuneSpace
    """With `--set` applied."""
    cv_only: bool
    protocol: str
    search: str
    scheduler: str
    minimize: str | None = None
    """Second objective of the search, beside validation PSNR."""
    trials: int
    epochs: int
    cv: bool
    cv_top: int = 1
    labels: tuple[str, ...]
    """To stratify the folds by; empty when nothing is cross-validated and none was named."""
    folds: int
    cv_seeds: tuple[int, ...] = ()
    """Of the trainings of each fold; the folds themselves depend on `seed`."""
    race: float | None = None
    """Margin in dB of fold racing; None without it."""
    seed: int
    sheet: str | None = None
    group_by: str | None = None
    pixel_pitch: str = "native"

    def config(self, settings: Configuration = NO_SETTINGS) -> TrainConfig:
        """The whole configuration of one point of the space; what is not swept there keeps its default.

        Raises:
            ConfigError: choices that do not go together.
        """
        known = {"epochs": self.epochs, "seed": self.seed, **self.tune_space.space.fields(settings)}
        return make_config(self.protocol, **known)

    def unusual(self) -> list[str]:
        """Notes on values of the space, the ends of its axes among them, that are outside their usual range."""
        configs = [self.config(Configuration.of(corner)) for corner in _corners(self.tune_space, most=0)]
        return list(dict.fromkeys(note for config in configs for note in unusual(config)))

    def outside(self, config: Configuration) -> list[str]:
        """Fields in which a search trial is none of the space as it is now, see `Space.outside`."""
        return self.tune_space.space.outside(config, self.config)


def make_request(args: Namespace) -> Request:
    """Load the space that the parsed arguments name and check every configuration axis of it.

    Raises:
        SweepRefused, ConfigError: unknown space, field, value or number; all problems at once.
    """
    settings = parse_settings(args.set)
    found = read_space(args.space, settings | crop_settings(args, settings), args.protocol)
    cv_only = found.cv_only
    cv = cv_only or _asks_for_cv(args)
    request = Request(
        space=args.space,
        question=found.question,
        tune_space=found.space,
        cv_only=cv_only,
        protocol=args.protocol,
        search=args.search,
        scheduler=args.scheduler or ("none" if args.minimize else "asha"),
        minimize=args.minimize,
        trials=found.trials if args.trials is None else args.trials,
        epochs=found.epochs if args.epochs is None else args.epochs,
        cv=cv,
        cv_top=_or(args.cv_top, 1),
        labels=label_list(args.labels) or (LABELS if cv else ()),
        folds=_or(args.folds, 5),
        cv_seeds=tuple(range(args.seed, args.seed + min(_or(args.cv_seeds, 1), MAX_SEEDS))) if cv else (),
        race=_or(args.race_margin, 0.0) if args.race or args.race_margin is not None else None,
        seed=args.seed,
        **data_options(args),
    )
    problems = _number_problems(request, args) or _space_problems(request)
    if problems:
        raise SweepRefused("\n".join(dict.fromkeys(problems)))
    return request


def _number_problems(request: Request, args: Namespace) -> list[str]:
    """Options outside their ranges, or that do not go together."""
    rules = [
        (
            args.name is None or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", args.name),
            f"--name must be letters, digits, `.`, `_`, `-` (a folder of --storage), got {args.name!r}",
        ),
        (1 <= request.trials <= MAX_TRIALS, f"--trials must be in 1..{MAX_TRIALS}, got {request.trials}"),
        (not request.cv or request.folds >= 2, f"--folds must be at least 2, got {request.folds}"),
        (request.cv_top >= 1, f"--cv-top must be >= 1, got {request.cv_top}"),
        (
            0 <= request.seed < 2**32 - MAX_TRIALS,
            f"--seed must be in 0..{2**32 - MAX_TRIALS - 1}, got {request.seed}",
        ),
        (
            1 <= _or(args.cv_seeds, 1) <= MAX_SEEDS,
            f"--cv-seeds must be in 1..{MAX_SEEDS}, got {args.cv_seeds}",
        ),
        (
            not request.cv_only or request.cv_top == 1,
            f"--cv-top: space {request.space} is one configuration; leave it out",
        ),
        (0 <= _or(args.race_margin, 0.0) < math.inf, f"--race-margin must be >= 0 dB, got {args.race_margin}"),
        (
            request.race is None or request.cv_top >= 2,
            "--race compares configurations: add --cv-top 2 or more",
        ),
        (
            request.minimize is None or request.scheduler == "none",
            f"--minimize {request.minimize}: a scheduler stops trials by their PSNR alone; use --scheduler none",
        ),
    ]
    return [problem for holds, problem in rules if not holds]


def _space_problems(request: Request) -> list[str]:
    where, space = f"space {request.space}", request.tune_space
    if problems := _condition_problems(space):
        return [f"{where}: {problem}" for problem in problems]
    problems = [f"{where}: `{n}` is not for a space or --set; use --{n}" for n in OPTIONS if n in space.fields]
    problems += [
        f"{where}: `{n}` changes what is measured; it cannot be swept" for n in FIXED_FIELDS if n in space.axes
    ]
    if request.cv_only and space.space.swept:
        varied = some_words(f"`{name}`" for name in space.space.swept)
        remedy = "give each one value, or search first: without CV_ONLY, with --cv"
        problems.append(f"{where} is one configuration, cross-validated (CV_ONLY), and varies {varied}: {remedy}")
    if request.search == "grid" and space.grid([]) is None:
        problems.append(f"--search grid needs a finite space; {_why_endless(request)}")
    outside = [point.to_json() for point in space.points if not space.space.holds(point)]
    problems += [f"{where}: the point {point} is not in the space" for point in outside]
    refused = [(point.to_json(), space.space.refusal(point)) for point in space.points]
    problems += [f"{where}: the point {point}: {why}" for point, why in refused if why]
    problems += [f"{where}: {line}" for line in _value_problems(request)]
    if not problems and space.space.configurations == []:
        problems.append(f"{where} has no configuration: {_refusal(space)}")
    if not problems and not request.cv_only:
        problems += schedulers.problems(
            request.scheduler, space.domains, request.config(), request.epochs, request.trials
        )
    return problems


def _value_problems(request: Request) -> list[str]:
    """What TrainConfig says of the values of each axis, a few of them."""
    problems: list[str] = []
    for axis, corners in itertools.groupby(_corners(request.tune_space), key=lambda corner: list(corner)[-1:]):
        found: dict[str, None] = {}
        for corner in corners:
            try:
                request.config(Configuration.of(corner))
            except ConfigError as error:
                found |= dict.fromkeys(str(error).splitlines())
        more = [f"`{axis[0]}` has {len(found) - SHOWN} more such values"] if len(found) > SHOWN and axis else []
        problems += [*list(found)[:SHOWN], *more]
    return problems


def _corners(space: TuneSpace, most: int = MOST_CORNERS) -> Iterator[dict[str, Any]]:
    """No setting, then each value of each axis alone, last, with what its condition needs.

    Args:
        most: values of a range, from its lower end, beside its ends.
    """
    yield {}
    for name, axis in space.axes.items():
        needs = {other: of[0] for other, of in space.conditions.get(name, {}).items() if other in space.axes}
        between = () if axis.choices else (axis.values or ())[:most]
        yield from ({**needs, name: value} for value in [*axis.ends, *between])


def _refusal(space: TuneSpace) -> str:
    """Why the first configuration of a space that has none is refused."""
    first = {name: axis.ends[0] for name, axis in space.axes.items()}
    return space.space.refusal(space.space.active(first))


def _why_endless(request: Request) -> str:
    ranges = [name for name, axis in request.tune_space.axes.items() if axis.values is None]
    if ranges:
        return f"{', '.join(ranges)} of {request.space} is a range"
    return f"{request.space} has more than {domains.MOST:,} configurations"


def _condition_problems(space: TuneSpace) -> list[str]:
    problems = [f"CONDITIONS: `{name}` depends on itself; leave that out" for name in _circular(space.conditions)]
    for name, needs in space.conditions.items():
        if field_called(name) != name:
            problems.append(f"CONDITIONS: {unknown_field(name)}")
        if name not in space.fields:
            continue  # nothing that could depend on anything
        for other, values in needs.items():
            if other not in space.fields:
                problems.append(f"CONDITIONS: `{name}` depends on `{other}`, which is not in SPACE; add it there")
            elif not isinstance(values, list | tuple):
                problems.append(f"CONDITIONS: `{name}` needs a list of values of `{other}`, got {values!r}")
    return problems


def _circular(conditions: Conditions) -> list[str]:
    """Fields that depend on themselves, directly or by way of others."""
    found = []
    for name in conditions:
        reached: set[str] = set()
        ahead = [name]
        while ahead:
            further = set(conditions.get(ahead.pop(), ())) - reached
            reached |= further
            ahead += further
        found += [name] if name in reached else []
    return found


def _asks_for_cv(args: Namespace) -> bool:
    """Whether an option is given that means nothing without a cross-validation."""
    names = (option.removeprefix("--").replace("-", "_") for option in CV_OPTIONS)
    return any(getattr(args, name) not in (None, False) for name in names)


def _or(value: Any, default: Any) -> Any:
    """What was given, 0 too, or the default."""
    return default if value is None else value
