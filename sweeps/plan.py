"""What will be run, decided and checked before Ray starts: space, data, splits, trials, resources."""

import math
import os
import re
import shutil
import socket
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

import search_spaces
from deepdlt.config import PROTOCOLS, ConfigError, TrainConfig, config_dict, make_config, parse_settings
from deepdlt.config_rules import VAES
from deepdlt.create_dataset import Patches
from deepdlt.source_images import DataError
from deepdlt.stratified_split import Split, bin_label, check_folds, class_name
from deepdlt.training_data import fold_splits, single_split
from sweeps import search
from sweeps.records import FAILED, Cell, SweepRefused, read_records

LABELS = ("angle", "PP1", "NP", "EP1")
MEASURED_ANGLE = "angle_measured"  # a label that deepdlt.label_audit adds
MAX_TRIALS = 100_000
OPTIONS = ("epochs", "seed")  # of the command line: the plan and the schedulers count on them
FIXED_FIELDS = (*PROTOCOLS["report"], "eval_crops")
SIMPLE = (str, int, float)
CLUSTER_CONCURRENCY = 1000  # trials at a time, before the cluster's size is known


@dataclass(frozen=True, kw_only=True)
class Request:
    """The command line, with the space's defaults filled in."""

    space: str
    question: str
    domains: dict[str, Any]
    """Field -> Tune domain or constant, `--set` applied."""
    points: list[dict[str, Any]]
    cv_only: bool
    protocol: str
    search: str
    scheduler: str
    trials: int
    epochs: int
    cv: bool
    labels: tuple[str, ...]
    """To stratify the folds by; empty when nothing is cross-validated and none was named."""
    folds: int
    seed: int
    group_by: str | None = None
    pixel_pitch: str = "native"

    def config(self, settings: dict[str, Any]) -> TrainConfig:
        """The full configuration of one point of the space."""
        fixed = {name: value for name, value in self.domains.items() if name not in search.domains(self.domains)}
        return make_config(self.protocol, **{"epochs": self.epochs, "seed": self.seed, **fixed, **settings})


@dataclass(frozen=True)
class Resources:
    """What a trial gets and how many run at once."""

    cpus_per_trial: float
    gpus_per_trial: float
    max_concurrent: int


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
    overrides = parse_settings(args.set)
    space = {**module.SPACE, **overrides}
    swept = search.domains(space)
    points = [{k: v for k, v in point.items() if k in swept} for point in getattr(module, "POINTS", [])]
    cv_only = getattr(module, "CV_ONLY", False)
    request = Request(
        space=args.space,
        question=_question(module.__doc__ or ""),
        domains=space,
        points=points,
        cv_only=cv_only,
        protocol=args.protocol,
        search=args.search,
        scheduler=args.scheduler,
        trials=module.TRIALS if args.trials is None else args.trials,
        epochs=module.EPOCHS if args.epochs is None else args.epochs,
        cv=args.cv or cv_only,
        labels=_labels(args.labels, args.cv or cv_only),
        folds=args.folds,
        seed=args.seed,
        group_by=args.group_by,
        pixel_pitch=args.pixel_pitch,
    )
    _check_request(request, args.name)
    return request


def check_resources(
    cpus_per_trial: float, gpus_per_trial: float | None, max_concurrent: int | None, address: str | None = None
) -> Resources:
    """Resources per trial against what this machine has; a quarter of a GPU each when there is one.

    With an address the cluster's resources count; they are known when Ray has connected (`fit_to`).

    Raises:
        SweepRefused: more than there is, or not positive.
    """
    here = address is None
    cpus = float(len(os.sched_getaffinity(0))) if here else math.inf
    gpus = float(_gpus()) if here else math.inf
    where = f"this machine has {cpus:g} CPUs and {gpus:g} GPUs" if here else "the cluster decides how many there are"
    problems = []
    if not 0 < cpus_per_trial <= cpus:
        problems.append(f"--cpus-per-trial must be in (0, {cpus:g}], {where}; got {cpus_per_trial:g}")
    if gpus_per_trial is not None and not 0 <= gpus_per_trial <= gpus:
        problems.append(f"--gpus-per-trial must be in [0, {gpus:g}], {where}; got {gpus_per_trial:g}")
    if max_concurrent is not None and max_concurrent < 1:
        problems.append(f"--max-concurrent must be >= 1, got {max_concurrent}")
    if problems:
        raise SweepRefused("\n".join(problems))
    share = gpus_per_trial if gpus_per_trial is not None else 0.25 if here and gpus else 0.0
    resources = Resources(cpus_per_trial, share, max_concurrent or CLUSTER_CONCURRENCY)
    return fit_to(resources, cpus, gpus) if here else resources


def check_address(address: str | None) -> None:
    """Ask a host:port for a connection first: Ray itself goes on trying for minutes.

    Raises:
        SweepRefused: nothing answers there.
    """
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise SweepRefused(f"no Ray cluster answers at --address {address} ({error}); is its head running?") from error


def fit_to(resources: Resources, cpus: float, gpus: float) -> Resources:
    """The same with no more trials at a time than fit; on one GPU 1/share of them, however many GPUs there are."""
    share = resources.gpus_per_trial
    fitting = cpus / resources.cpus_per_trial
    if share:
        fitting = min(fitting, gpus / share if share >= 1 else gpus * int(1 / share))
    return replace(resources, max_concurrent=max(1, int(min(fitting, resources.max_concurrent))))


def search_label(images: pd.DataFrame, labels: tuple[str, ...]) -> str:
    """The label that stratifies the search's plain split, "" for none: a rule that --labels cannot change half-way."""
    usable = [name for name in LABELS if name in images.columns and images[name].notna().all()]
    return (usable or list(labels) or [""])[0]


def check_labels(request: Request, images: pd.DataFrame) -> None:
    """Refuse folds that the labels of these images do not allow; every such label is listed.

    The report's protocol divides crops; it is checked when they exist.
    """
    unit = request.config({}).split_unit
    problems = []
    for label in request.labels if request.cv and unit != "crop" else ():
        try:
            check_folds(images, images["image_id"].to_numpy(), label, request.folds, unit)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise SweepRefused("\n".join(problems))


def make_splits(request: Request, patches: Patches) -> dict[tuple[str, int], Split]:
    """(label, fold) -> crop indices; fold 0 is the plain split that all search trials share."""
    config, first = request.config({}), search_label(patches.images, request.labels)
    splits = {(first, 0): single_split(config, patches, first or None, request.seed)}
    for label in request.labels if request.cv else ():
        folds = fold_splits(config, patches, label, request.folds, request.seed)
        splits |= {(label, k): split for k, split in enumerate(folds, start=1)}
    return splits


def search_cell(request: Request, settings: dict[str, Any], label: str, data: str) -> Cell:
    """The cell that trains one configuration on the plain split, which `label` stratifies."""
    return Cell("search", config_dict(request.config(settings)), label, 0, 0, data)


def searched_settings(request: Request) -> list[dict[str, Any]] | None:
    """The configurations of a grid or random search, in order; None when Optuna decides as it goes."""
    if request.search == "grid":
        return (search.grid(request.domains, request.points) or [])[: request.trials]
    if request.search == "random":
        return search.random_configurations(request.domains, request.points, request.trials, request.seed)
    return None


def class_members(request: Request, patches: Patches) -> dict[str, dict[str, list[int]]]:
    """label -> class name -> image ids, for the report's error per class."""
    images = patches.images
    members: dict[str, dict[str, list[int]]] = {}
    for label in request.labels:
        values = images[label]
        codes = bin_label(values, "report" if request.config({}).split_unit == "crop" else "corrected")
        members[label] = {
            class_name(values, codes, code): images.loc[codes == code, "image_id"].tolist()
            for code in sorted(set(codes))
        }
    return members


def describe(request: Request, resources: Resources, asked: dict[str, Any], sweep: Path) -> dict[str, Any]:
    """The plan as plain values, for people (`--plan`) and scripts (`--plan --json`)."""
    n_search, n_cv = planned_trials(request)
    done = [r for r in read_records(sweep).values() if r["status"] != FAILED]
    return {
        "sweep": str(sweep),
        "space": request.space,
        "question": request.question,
        "axes": asked["axes"],
        "protocol": asked["protocol"],
        "search_trials": n_search,
        "cv_trials": n_cv,
        "done_already": len(done),
        "epochs_per_trial": request.epochs,
        **{key: asked["data"][key] for key in ("images", "crops", "synthetic")},
        "leakage": asked["leakage"],
        "resources": asdict(resources),
        "disk_mb": round((n_search + n_cv) * trial_mb(request.config({})), 1),
    }


def trial_mb(config: TrainConfig) -> float:
    """About how much a trial writes: two checkpoints with Adam's moments, the best one without, the event file."""
    vae = config.model in VAES
    if config.model.startswith("cnn_"):
        parameters = 15_000 * config.kernel_size**2 + (3 * 8192 * config.latent_dim if vae else 0)
    else:
        parameters = int((50_000 + 776_000 * config.blocks) * (config.width / 32) ** 2)
        features = 4 * config.width if config.latent_channels else 256 * config.width
        parameters += (3 if vae else 2) * features * (config.latent_channels or config.latent_dim)
    copies = 2 * (3 + bool(config.ema)) + 1
    return 4 + 4e-6 * parameters * copies


def planned_trials(request: Request) -> tuple[int, int]:
    """(search trials, cross-validation trials)."""
    n_cv = len(request.labels) * request.folds if request.cv else 0
    if request.cv_only:
        return 0, n_cv
    finite = search.grid(request.domains, request.points)
    return min(request.trials, len(finite)) if finite is not None else request.trials, n_cv


def check_storage(sweep: Path, plan: dict[str, Any]) -> None:
    """Refuse a place that cannot be written or is too small, before anything is started.

    Raises:
        SweepRefused: not a folder, not writable, or less free than the plan needs.
    """
    there = next(path for path in (sweep, *sweep.parents) if path.exists())
    if not there.is_dir():
        raise SweepRefused(f"--storage: {there} is a file; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SweepRefused(f"--storage: {there} cannot be written; choose another folder")
    missing = max(0, plan["search_trials"] + plan["cv_trials"] - plan["done_already"])
    needed = plan["disk_mb"] * missing / max(1, plan["search_trials"] + plan["cv_trials"])
    free = shutil.disk_usage(there).free / 1e6
    if needed > free:
        raise SweepRefused(f"--storage: about {needed:.0f} MB are needed at {there}, {free:.0f} MB are free")


def _gpus() -> int:
    """CUDA devices; torch, seconds to import, is asked only where there is a driver."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return 0
    import torch

    return torch.cuda.device_count()


def _check_request(request: Request, name: str | None) -> None:
    problems = []
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        problems.append(f"--name must be letters, digits, `.`, `_`, `-` (a folder of --storage), got {name!r}")
    if request.trials < 1 or request.trials > MAX_TRIALS:
        problems.append(f"--trials must be in 1..{MAX_TRIALS}, got {request.trials}")
    if request.cv and request.folds < 2:
        problems.append(f"--folds must be at least 2, got {request.folds}")
    if len(set(request.labels)) < len(request.labels) or not all(request.labels):
        problems.append(f"--labels must be distinct names separated by commas, got {','.join(request.labels)!r}")
    problems += _space_problems(request)
    if problems:
        raise SweepRefused("\n".join(dict.fromkeys(problems)))


def _space_problems(request: Request) -> list[str]:
    where = f"space {request.space}"
    foreign = [n for n, v in request.domains.items() if not isinstance(v, SIMPLE) and not search.is_axis(v)]
    if foreign:
        return [f"{where}: `{n}` must be a value, tune.choice, or a range such as tune.loguniform" for n in foreign]
    swept = search.axes(request.domains)
    problems = [f"{where}: `{n}` is not for a space or --set; use --{n}" for n in OPTIONS if n in request.domains]
    problems += [f"{where}: `{n}` changes what is measured; it cannot be swept" for n in FIXED_FIELDS if n in swept]
    if request.search == "grid" and any(isinstance(values, dict) for values in swept.values()):
        ranges = ", ".join(name for name, values in swept.items() if isinstance(values, dict))
        problems.append(f"--search grid needs a finite space; {ranges} of {request.space} is a range")
    outside = [point for point in request.points if not search.contains(request.domains, point)]
    problems += [f"{where}: the point {point} is not in the space" for point in outside]
    for settings in [{}, *({name: value} for name, values in swept.items() for value in _probes(values))]:
        try:
            request.config(settings)
        except ConfigError as error:
            problems += [f"{where}: {line}" for line in str(error).splitlines()]
    return problems


def _labels(text: str | None, cv: bool) -> tuple[str, ...]:
    if text is None:
        return LABELS if cv else ()
    return tuple(label.strip() for label in text.split(","))


def _probes(values: list[Any] | dict[str, float]) -> list[Any]:
    """Values that show whether an axis is valid: all choices, or both ends of a range."""
    return values if isinstance(values, list) else list(values.values())


def _question(docstring: str) -> str:
    """The paragraph under `Question` in a space's docstring, else its first line."""
    title, _, rest = docstring.partition("Question\n")
    paragraph, _, _ = rest.partition("\nAxes")
    return " ".join(paragraph.split()) or title.strip().partition("\n")[0]
