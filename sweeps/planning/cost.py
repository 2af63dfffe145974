"""What a trial costs: megabytes on disk, seconds per epoch.

Configurations of one cost class do the same work at other settings. Its seconds come from finished trials of the sweep,
else from a few steps trained here and now.
"""

import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deepdlt.config import VAES, ConfigError, TrainConfig
from deepdlt.dataset import Split
from deepdlt.training.step_time import StepTime, step_time
from sweeps.planning.cost_classes import Class, cost_class, descriptions, least_work_first
from sweeps.request import Resources
from sweeps.store import COMPLETE

MEASURED, FINISHED, ESTIMATED = "measured", "finished", "estimated"
MOST_MEASURED = 6  # classes; those between them are interpolated
MOST_BESIDE = 15  # trainings at the same time: more do not slow each other in another way
SHARING = 0.25  # of the time goes into measuring how much they do
Span = tuple[float, float]
"""Lowest and highest."""
OF_MEASURED: Span = (0.85, 1.25)  # an epoch against a measurement of a second; machines are never quiet
OF_FINISHED: Span = (0.9, 1.15)  # an epoch against the mean of those of finished trials
OF_BETWEEN: Span = (0.9, 1.15)  # and once more where a class was interpolated
TEST: Span = (1.0, 2.0)  # a test crop against a validated one: more is computed of it
TRIAL_S: Span = (0.1, 1.5)  # once per trial: first steps, logs, pictures, handing over
LOGS_MB = 4  # event file and pictures of a trial
SECONDS_PER_MB: Span = (0.001, 0.01)  # of checkpoints


@dataclass(frozen=True)
class Cost:
    """Of the trials of one cost class."""

    described: str
    """What tells it from the others: `kernel_size 5, activation elu`."""
    share: float
    """Of the configurations that were asked about, in (0, 1]."""
    epoch_s: Span
    trial_s: Span
    """Seconds that come once per trial."""
    source: str = MEASURED
    trials: int = 0
    """How many finished ones it was taken from."""
    memory_mb: float = 0.0
    """Of the GPU, where it was measured."""


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
    return LOGS_MB + 4e-6 * parameters * copies


def measure(
    configs: Sequence[TrainConfig],
    crops: np.ndarray,
    split: Split,
    resources: Resources,
    budget_s: float = 3.0,
    records: Iterable[Mapping[str, Any]] = (),
) -> list[Cost]:
    """One Cost per cost class of the configurations, the least work first; none if none fits into the GPU.

    Classes of finished trials are not measured; of the others MOST_MEASURED are, the rest is interpolated. Random
    numbers and the number of threads are left as they were found.

    Args:
        crops: (n, 1, 64, 64) uint8.
        split: of the search.
        resources: threads of a trial, and how many trials run at a time.
        budget_s: for all measurements together; large networks take longer.
        records: of the sweep's trials.
    """
    examples = {cost_class(config): config for config in configs}
    order, counts = least_work_first(list(examples)), Counter(cost_class(config) for config in configs)
    finished = _finished(records, resources)
    unknown = [c for c in order if c not in finished]
    chosen = np.linspace(0, len(unknown) - 1, min(len(unknown), MOST_MEASURED)).round().astype(int)
    asked = {unknown[i]: examples[unknown[i]] for i in chosen}
    times, slowdown = _measured(asked, crops, split, resources, budget_s)
    words, costs = descriptions(order), {}
    for c in order:
        share = counts[c] / len(configs)
        if c in finished:
            epoch_s = _times(OF_FINISHED, statistics.mean(finished[c]))
            costs[c] = Cost(words[c], share, epoch_s, TRIAL_S, FINISHED, len(finished[c]))
        elif c in times:
            epoch_s, trial_s = _seconds(examples[c], times[c], split, slowdown)
            costs[c] = Cost(words[c], share, epoch_s, trial_s, memory_mb=times[c].memory_mb)
    known = {i: costs[c] for i, c in enumerate(order) if c in costs}
    if not known:
        return []
    return [costs.get(c) or _between(known, i, words[c], counts[c] / len(configs)) for i, c in enumerate(order)]


def threads_of(resources: Resources) -> int:
    """Of a trial, as sweeps.execution.trainable sets them."""
    return max(1, int(resources.cpus_per_trial))


def device_of(resources: Resources) -> str:
    """Of a trial, as sweeps.execution.trainable chooses it."""
    return "cuda" if resources.gpus_per_trial else "cpu"


def _measured(
    configs: Mapping[Class, TrainConfig], crops: np.ndarray, split: Split, resources: Resources, budget_s: float
) -> tuple[dict[Class, StepTime], Span]:
    """Times of one training alone, and how many times slower each is when as many run as will.

    On a GPU trials take turns: not at all slower (each leaves the GPU idle) up to as many times slower as share it.
    """
    times: dict[Class, StepTime] = {}
    device, beside = device_of(resources), _beside(resources)
    each = (1 - SHARING * (beside > 0)) * budget_s / max(1, len(configs))
    with _threads(threads_of(resources)):
        for c, config in configs.items():
            with suppress(torch.OutOfMemoryError):  # neither would its trials fit
                times[c] = step_time(config, crops, split, device, each)
        if resources.gpus_per_trial:
            return times, (1.0, max(1.0, int(1 / resources.gpus_per_trial)))
        if not times or not beside:
            return times, (1.0, 1.0)
        slowest = max(times, key=lambda c: times[c].step_s)
        together = step_time(configs[slowest], crops, split, device, SHARING * budget_s, beside)
        slowdown = max(1.0, together.step_s / times[slowest].step_s)
        return times, (slowdown**0.5, slowdown)  # other people's work may be in it


def _beside(resources: Resources) -> int:
    """Trials that run beside one on this machine's CPUs."""
    here = int(len(os.sched_getaffinity(0)) / resources.cpus_per_trial)
    return 0 if resources.gpus_per_trial else max(0, min(here, resources.max_concurrent, MOST_BESIDE + 1) - 1)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(config: TrainConfig, time: StepTime, split: Split, slowdown: Span) -> tuple[Span, Span]:
    """(per epoch, per trial)."""
    trained = _times(OF_MEASURED, time.epoch_s(config, len(split.train), len(split.val)), slowdown)
    written = _times(SECONDS_PER_MB, 4 / 7 * (trial_mb(config) - LOGS_MB))  # last.pt and, if it is better, best.pt
    tested = _times(OF_MEASURED, len(split.test) * time.crop_s, slowdown, TEST)
    return (trained[0] + written[0], trained[1] + written[1]), (TRIAL_S[0] + tested[0], TRIAL_S[1] + tested[1])


def _times(span: Span, seconds: float, *factors: Span) -> Span:
    for low, high in factors:
        span = (span[0] * low, span[1] * high)
    return span[0] * seconds, span[1] * seconds


def _finished(records: Iterable[Mapping[str, Any]], resources: Resources) -> dict[Class, list[float]]:
    """Mean seconds per epoch of each complete trial that ran as the coming ones will, by class."""
    found: dict[Class, list[float]] = defaultdict(list)
    asked = {"status": COMPLETE, "device": device_of(resources), "threads": threads_of(resources)}
    for record in records:
        seconds = record.get("epoch_s")
        if isinstance(seconds, float) and all(record.get(name) == value for name, value in asked.items()):
            with suppress(ConfigError, TypeError):  # of a version with other fields
                found[cost_class(TrainConfig(**record["config"]))].append(seconds)
    return dict(found)


def _between(known: Mapping[int, Cost], place: int, described: str, share: float) -> Cost:
    """The class at this place in the order of work, from those before and behind it."""

    def at(values: Sequence[float]) -> float:
        return float(np.interp(place, list(known), values))

    costs = list(known.values())
    epoch_s = tuple(at([c.epoch_s[end] for c in costs]) * OF_BETWEEN[end] for end in (0, 1))
    trial_s = tuple(at([c.trial_s[end] for c in costs]) * OF_BETWEEN[end] for end in (0, 1))
    memory_mb = max(c.memory_mb for c in costs)
    return Cost(described, share, (epoch_s[0], epoch_s[1]), (trial_s[0], trial_s[1]), ESTIMATED, memory_mb=memory_mb)
