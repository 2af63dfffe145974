"""What is asked: the command line with the space's defaults filled in, every axis and number checked."""

import re
from dataclasses import dataclass, field
from typing import Any

import search_spaces
from deepdlt.config import PROTOCOLS, ConfigError, TrainConfig, make_config, parse_settings
from deepdlt.images import DLIP_LABELS
from sweeps.errors import SweepRefused
from sweeps.space import Conditions, active
from sweeps.space import domains as search_axes
from sweeps.space import space as search
from sweeps.tuning import schedulers

LABELS = DLIP_LABELS
"""Cross-validated by default."""
MAX_TRIALS = 100_000
MAX_SEEDS = 100
OPTIONS = ("epochs", "seed")  # of the command line: the plan and the schedulers count on them
FIXED_FIELDS = (*PROTOCOLS["report"], "eval_crops")
SIMPLE = (str, int, float)


@dataclass(frozen=True, kw_only=True)
class Request:
    """The command line, with the space's defaults filled in."""

    space: str
    question: str
    domains: dict[str, Any]
    """Field -> Tune domain or constant, `--set` applied."""
    conditions: Conditions = field(default_factory=dict)
    points: list[dict[str, Any]]
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
    group_by: str | None = None
    pixel_pitch: str = "native"

    def config(self, settings: dict[str, Any]) -> TrainConfig:
        """The full configuration of one point of the space; what is not swept there keeps its default."""
        swept = search.domains(self.domains)
        constants = {name: value for name, value in self.domains.items() if name not in swept}
        known = active(self.conditions, {**constants, **settings})
        return make_config(self.protocol, **{"epochs": self.epochs, "seed": self.seed, **known})


def make_request(args: Any) -> Request:
    """Load the space that the parsed arguments name and check every configuration axis of it.

    Raises:
        SweepRefused, ConfigError: unknown space, field, value or number; all problems at once.
    """
    module = search_spaces.load(args.space)
    missing = [name for name in ("SPACE", "TRIALS", "EPOCHS") if not hasattr(module, name)]
    if missing:
        raise SweepRefused(
            f"search_spaces/{args.space}.py must define {', '.join(missing)}; see search_spaces/__init__.py"
        )
    space = {**module.SPACE, **parse_settings(args.set)}
    swept = search.domains(space)
    cv_only = getattr(module, "CV_ONLY", False)
    cv = args.cv or cv_only
    request = Request(
        space=args.space,
        question=_question(module.__doc__ or ""),
        domains=space,
        conditions=getattr(module, "CONDITIONS", {}),
        points=[{k: v for k, v in point.items() if k in swept} for point in getattr(module, "POINTS", [])],
        cv_only=cv_only,
        protocol=args.protocol,
        search=args.search,
        scheduler=args.scheduler or ("none" if args.minimize else "asha"),
        minimize=args.minimize,
        trials=module.TRIALS if args.trials is None else args.trials,
        epochs=module.EPOCHS if args.epochs is None else args.epochs,
        cv=cv,
        cv_top=args.cv_top,
        labels=_labels(args.labels, cv),
        folds=args.folds,
        cv_seeds=tuple(range(args.seed, args.seed + min(args.cv_seeds, MAX_SEEDS))) if cv else (),
        race=args.race_margin if args.race else None,
        seed=args.seed,
        group_by=args.group_by,
        pixel_pitch=args.pixel_pitch,
    )
    problems = _number_problems(request, args) or _space_problems(request)
    if problems:
        raise SweepRefused("\n".join(dict.fromkeys(problems)))
    return request


def _number_problems(request: Request, args: Any) -> list[str]:
    """Options outside their ranges, or that do not go together."""
    names = ",".join(request.labels)
    rules = [
        (
            args.name is None or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", args.name),
            f"--name must be letters, digits, `.`, `_`, `-` (a folder of --storage), got {args.name!r}",
        ),
        (1 <= request.trials <= MAX_TRIALS, f"--trials must be in 1..{MAX_TRIALS}, got {request.trials}"),
        (not request.cv or request.folds >= 2, f"--folds must be at least 2, got {request.folds}"),
        (
            len(set(request.labels)) == len(request.labels) and all(request.labels),
            f"--labels must be distinct names separated by commas, got {names!r}",
        ),
        (request.cv_top >= 1, f"--cv-top must be >= 1, got {request.cv_top}"),
        (
            0 <= request.seed < 2**32 - MAX_TRIALS,
            f"--seed must be in 0..{2**32 - MAX_TRIALS - 1}, got {request.seed}",
        ),
        (1 <= args.cv_seeds <= MAX_SEEDS, f"--cv-seeds must be in 1..{MAX_SEEDS}, got {args.cv_seeds}"),
        (
            not request.cv_only or request.cv_top == 1,
            f"--cv-top: space {request.space} is one configuration; leave it out",
        ),
        (args.race_margin >= 0, f"--race-margin must be >= 0 dB, got {args.race_margin:g}"),
        (
            request.race is None or (request.cv and request.cv_top >= 2),
            "--race compares configurations: add --cv --cv-top 2 or more",
        ),
        (
            request.minimize is None or request.scheduler == "none",
            f"--minimize {request.minimize}: a scheduler stops trials by their PSNR alone; use --scheduler none",
        ),
    ]
    return [problem for holds, problem in rules if not holds]


def _space_problems(request: Request) -> list[str]:
    where = f"space {request.space}"
    foreign = [n for n, v in request.domains.items() if not isinstance(v, SIMPLE) and not search.is_axis(v)]
    if foreign:
        return [f"{where}: `{n}` must be a value, tune.choice, or a range such as tune.loguniform" for n in foreign]
    if problems := _condition_problems(request):
        return [f"{where}: {problem}" for problem in problems]
    swept = search.axes(request.domains)
    problems = [f"{where}: `{n}` is not for a space or --set; use --{n}" for n in OPTIONS if n in request.domains]
    problems += [f"{where}: `{n}` changes what is measured; it cannot be swept" for n in FIXED_FIELDS if n in swept]
    if request.search == "grid" and search.grid(request.domains, [], request.conditions) is None:
        axes = search.domains(request.domains)
        ranges = [name for name, domain in axes.items() if search_axes.values(domain) is None]
        many = f"{request.space} has more than {search_axes.MOST:,} configurations"
        reason = f"{', '.join(ranges)} of {request.space} is a range" if ranges else many
        problems.append(f"--search grid needs a finite space; {reason}")
    outside = [p for p in request.points if not search.contains(request.domains, p, request.conditions)]
    problems += [f"{where}: the point {point} is not in the space" for point in outside]
    probes = [{name: value} for name, axis in swept.items() for value in axis.ends]
    for settings in [{}, *probes]:
        needs = {o: v[0] for name in settings for o, v in request.conditions.get(name, {}).items() if o in swept}
        try:
            request.config(needs | settings)
        except ConfigError as error:
            problems += [f"{where}: {line}" for line in str(error).splitlines()]
    if not problems and not request.cv_only:
        config = request.config({})
        problems += schedulers.problems(
            request.scheduler, search.domains(request.domains), config, request.epochs, request.trials
        )
    return problems


def _condition_problems(request: Request) -> list[str]:
    problems = []
    for name, needs in request.conditions.items():
        if name not in request.domains:
            continue  # nothing that could depend on anything
        for other, values in needs.items():
            if other not in request.domains:
                problems.append(f"CONDITIONS: `{name}` depends on `{other}`, which is not in SPACE; add it there")
            elif not isinstance(values, list | tuple):
                problems.append(f"CONDITIONS: `{name}` needs a list of values of `{other}`, got {values!r}")
    return problems


def _labels(text: str | None, cv: bool) -> tuple[str, ...]:
    if text is None:
        return LABELS if cv else ()
    return tuple(label.strip() for label in text.split(","))


def _question(docstring: str) -> str:
    """The paragraph under `Question` in a space's docstring, else its first line."""
    title, _, rest = docstring.partition("Question\n")
    paragraph, _, _ = rest.partition("\nAxes")
    return " ".join(paragraph.split()) or title.strip().partition("\n")[0]
