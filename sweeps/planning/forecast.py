"""What the plan says about time: which configurations are to come, what they cost, and when all is done."""

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch

from deepdlt.config import ConfigError, TrainConfig
from deepdlt.dataset import Split
from sweeps.identity import SweepData
from sweeps.planning.cost import Cost, Span, measure
from sweeps.planning.eta import Work, eta
from sweeps.request import CLUSTER_CONCURRENCY, Request, Resources, chosen_configurations
from sweeps.space import space as search

START_S: Span = (6.0, 20.0)  # Ray, and PyTorch in its first workers
PHASE_S: Span = (2.0, 8.0)  # new workers for the cross-validation
REPORT_S: Span = (2.0, 8.0)  # Ray's end, report, summary
PER_RECORD_S: Span = (0.01, 0.05)  # and so much of it for every trial
BASELINES_S: Span = (0.2, 1.0)  # per split
BASELINES_PER_CROP_S: Span = (1.5e-4, 5e-4)  # trained on, for a code of 128 numbers
MOST_CROWDED = 3.0  # times as long
DRAWN = 60  # configurations to judge an infinite space by
MOST_CONFIGURATIONS = 400
REFERENCE_SIZE = 128  # of the report's latent vector: baselines are computed for it, too


def estimate(
    request: Request,
    listed: Sequence[Mapping[str, Any]] | None,
    resources: Resources,
    data: SweepData,
    records: Sequence[dict[str, Any]],
    to_run: tuple[int, int],
    budget_s: float = 3.0,
) -> dict[str, Any]:
    """What the plan says about time: `eta_s` [low, high], `eta_basis`, `epoch_s` by class, `trial_epochs`, `memory`.

    `eta_s` is None where nothing here can tell: on a cluster of unknown size, or with GPUs that only the cluster has.

    Args:
        listed: settings of the search's trials, where they are known beforehand.
        records: of the sweep.
        to_run: search and cross-validation trials that are missing.
    """
    n_search, n_cv = to_run
    trial_epochs = (n_search + n_cv) * request.epochs
    plan: dict[str, Any] = {"eta_s": None, "eta_basis": "", "epoch_s": {}, "trial_epochs": trial_epochs, "memory": ""}
    if not trial_epochs:
        return plan | {"eta_s": [round(end, 1) for end in REPORT_S], "eta_basis": "nothing is left to train"}
    if resources.max_concurrent >= CLUSTER_CONCURRENCY or not _has_device(resources):
        return plan | {"eta_basis": "unknown until Ray has connected to the cluster"}
    configs = _configurations(request, listed) if n_search else []
    if not configs:
        configs = [TrainConfig(**c) for c in chosen_configurations(request, records)]
    if not configs:
        return plan | {"eta_basis": "unknown: no search trial is complete"}
    search_split = next(split for (_, fold), split in data.splits.items() if not fold)
    costs = measure(configs, data.patches.crops, search_split, resources, budget_s, records)
    if not costs:
        return plan | {"eta_basis": "unknown: no configuration fits into the GPU"}
    early = [c.early_stopping for c in configs]
    work = Work(
        search_trials=n_search,
        cv_trials=n_cv,
        epochs=request.epochs,
        at_once=resources.max_concurrent,
        scheduler=request.scheduler,
        race=request.race is not None,
        least_epochs=1 + min(early) if all(early) else None,
        drawn=listed is None or len(listed) != n_search,
        cv_scale=_cv_scale(data.splits),
        other_s=_other_s(data, configs, to_run, len(records)),
    )
    found = eta(costs, work)
    return plan | {
        "eta_s": [round(found.low_s, 1), round(found.high_s, 1)],
        "eta_basis": found.basis,
        "epoch_s": {c.described: round(sum(c.epoch_s) / 2, 3) for c in costs},
        "memory": memory_note(costs, data.patches.crops.nbytes / 1e6, resources.gpus_per_trial),
    }


def memory_note(costs: Sequence[Cost], crops_mb: float, share: float) -> str:
    """What the largest trial takes of a GPU's memory and what its share leaves it; "" without a GPU."""
    if not share or not (needed := max(c.memory_mb for c in costs)):
        return ""
    total = torch.cuda.get_device_properties(0).total_memory / 1e6
    return f"{(needed + crops_mb) / 1e3:.1f} GB of the {min(1, share) * total / 1e3:.1f} GB of GPU memory per trial"


def _configurations(request: Request, listed: Sequence[Mapping[str, Any]] | None) -> list[TrainConfig]:
    """Of the search, or as many of them as tell what they cost."""
    space = request.domains, request.points
    settings = listed if listed is not None else search.grid(*space, request.conditions)
    if settings is None:
        settings = search.random_configurations(*space, DRAWN, request.seed, request.conditions)
    every = math.ceil(len(settings) / MOST_CONFIGURATIONS)
    configs = []
    for point in settings[::every]:
        with suppress(ConfigError):  # such a trial fails at once
            configs.append(request.config(dict(point)))
    return configs


def _cv_scale(splits: Mapping[tuple[str, int], Split]) -> float:
    """Crops that a fold trains on against those of the search."""
    folds = [len(split.train) for (_, fold), split in splits.items() if fold]
    plain = next(len(split.train) for (_, fold), split in splits.items() if not fold)
    return sum(folds) / len(folds) / plain if folds else 1.0


def _other_s(data: SweepData, configs: Sequence[TrainConfig], to_run: tuple[int, int], n_records: int) -> Span:
    """Start of Ray, the cross-validation's workers, baselines, report; baselines may be there from an earlier run."""
    sizes = {REFERENCE_SIZE, *(c.latent_size for c in configs if c.latent_size < data.patches.crops[0].size)}
    codes = sum(sizes) / REFERENCE_SIZE
    splits = [split for (_, fold), split in data.splits.items() if fold or to_run[0]]
    ends = []
    for end in (0, 1):
        seconds = START_S[end] + REPORT_S[end] + PHASE_S[end] * all(to_run)
        seconds += PER_RECORD_S[end] * (sum(to_run) + n_records)
        if end or not n_records:
            baselines = (BASELINES_S[end] + BASELINES_PER_CROP_S[end] * codes * len(s.train) for s in splits)
            seconds += sum(baselines)
        ends.append(seconds * (_crowd() if end else 1.0))
    return ends[0], ends[1]


def _crowd() -> float:
    """How many processes wanted each processor in the last minute, 1 to 3: Ray's start takes as many times longer.

    The load is that of the whole machine, also inside a container that has a part of its processors; and many who
    want a processor are a queue of short jobs, which does not last.
    """
    return min(MOST_CROWDED, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def _has_device(resources: Resources) -> bool:
    if not resources.gpus_per_trial:
        return True
    return torch.cuda.is_available()
