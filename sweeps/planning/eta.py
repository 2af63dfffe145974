"""How long what is left of a sweep will take: seconds per epoch times the epochs that are left, as a range.

The seconds are those of the sweep's finished trials; for configurations unlike all of these a few steps are timed here
and now. Each doubt is a factor with a range of its own, in which it lies in four of five cases.
"""

import math
import random
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from deepdlt.config import REFERENCE_SIZE, VAES, ConfigError, TrainConfig, config_dict
from deepdlt.dataset import Split
from deepdlt.machine import cpu_count, load_per_cpu
from deepdlt.training.step_time import StepTime, step_time
from sweeps.identity import SweepData
from sweeps.request import Request, Resources, chosen_configurations
from sweeps.space import Configuration
from sweeps.store import FAILED, Pair, TrialRecord

Span = tuple[float, float]
"""Lowest and highest."""
ONCE: Span = (1.0, 1.0)
TIMING_S = 3.0
LATER = "each finished trial says how long the others will take; --plan says it beforehand"
SURE = 1.28  # standard deviations: four of five cases
OF_TIMED = (0.85, 1.2)  # an epoch against timed steps
OF_FINISHED = (0.9, 1.12)  # and against the mean of finished trials
SAVE_S_PER_MB = 0.003  # checkpoints: an epoch, per megabyte of a trial
TRIAL_S = (0.3, 1.5)  # once per trial: test, pictures, handing over
START_S, REPORT_S = (10.0, 30.0), (2.0, 9.0)  # imports, Ray and its workers; Ray's end, tables, pages
BASELINES_S = (3e-4, 1e-3)  # per crop of 64x64 in a training split and 128 numbers of a code
USUAL_PIXELS = 64 * 64
GO_ON = {"asha": 1 / 3, "median": 0.5, "hyperband": 0.6}
"""Share of the trials that a scheduler lets go on at epochs 1, 3, 9, ..."""
RACED = (0.25, 0.85)  # share of the cells that a race runs, see docs/benchmarks.md
MOST_TIMED, MOST_TOGETHER, MOST_DRAWN = 6, 16, 200  # kinds; trainings at a time; configurations that are looked at
INDEPENDENT = 10  # at most so many trials of a search are: Optuna's later ones resemble the best
NO_WORK = ("seed", "epochs", "early_stopping", "optimizer", "schedule", "init")


@dataclass(frozen=True)
class Forecast:
    """Estimated time of a plan."""

    eta_s: Span | None
    """Wall-clock seconds; None where nothing here can tell."""
    basis: str
    """Basis of the estimate, as text."""
    epoch_s: Mapping[str, float] = field(default_factory=dict)
    """Kind of configuration, in words -> seconds per epoch of the search."""
    trial_epochs: int = 0
    memory: str = ""
    """GPU memory of the largest trial."""

    def to_json(self) -> dict[str, Any]:
        """Rounded."""
        eta_s = self.eta_s and [round(end, 1) for end in self.eta_s]
        epoch_s = {words: round(seconds, 3) for words, seconds in self.epoch_s.items()}
        own = {"eta_s": eta_s, "eta_basis": self.basis, "epoch_s": epoch_s}
        return {**own, "trial_epochs": self.trial_epochs, "memory": self.memory}


def estimate(
    request: Request,
    listed: Sequence[Configuration] | None,
    resources: Resources,
    data: SweepData,
    records: Sequence[TrialRecord],
    to_run: Pair,
    budget_s: float = TIMING_S,
) -> Forecast:
    """The forecast of the trials that are missing. Random numbers and the number of threads are left as they are.

    Args:
        listed: settings of the search's trials, where they are known beforehand.
        records: of the sweep.
        to_run: search and cross-validation trials that are missing.
        budget_s: for all timed steps together; large networks take longer. 0 times none.
    """
    n_search, n_cv = to_run
    unknown = Forecast(None, "", trial_epochs=sum(to_run) * request.epochs)
    if not any(to_run):
        return replace(unknown, eta_s=REPORT_S, basis="nothing is left to train")
    if resources.gpus_per_trial and not torch.cuda.is_available():
        return replace(unknown, basis="unknown: no GPU here, on which a step could be timed")
    coming = _coming(request, listed, records) if n_search else chosen_configurations(request, records)
    if not coming:
        return replace(unknown, basis="unknown: no search trial is complete")
    pace = _pace(coming, data, records, resources, budget_s, sum(to_run))
    if not pace.epoch_s:
        return replace(unknown, basis="unknown: no configuration fits into the GPU" if budget_s else LATER)
    patience, (_, scale) = min(config["early_stopping"] for config in coming), _split_and_scale(data)
    stops = (min(1.0, (1 + patience) / request.epochs), 1.0) if patience else ONCE
    parts = [_other_s(coming, data, bool(n_search), bool(records))]
    for trials, drawn, epochs, share in (
        (n_search, n_search, request.epochs, _goes_on(request, n_search, len(records))),
        (n_cv, request.cv_top, request.epochs * scale, RACED if request.race is not None else ONCE),
    ):
        if trials:
            whole = _product((epochs, epochs), pace.epoch_of(drawn), stops)
            longest, mean = _sum(whole, TRIAL_S), _sum(_product(whole, share), TRIAL_S)
            rounds = trials / resources.max_concurrent
            every = _product(mean, (max(1.0, rounds), math.ceil(rounds)))
            parts.append((max(every[0], longest[0]), max(every[1], longest[1])))  # the best one goes on to its end
    space = request.tune_space.space
    words = space.texts(pace.epoch_s, space.swept)
    return Forecast(
        eta_s=_sum(*parts),
        basis=pace.basis,
        epoch_s={words[kind] or "all": seconds for kind, seconds in pace.epoch_s.items()},
        trial_epochs=unknown.trial_epochs,
        memory=_memory_note(pace.memory_mb, data.patches.crops.nbytes / 1e6, resources.gpus_per_trial),
    )


def span(low_s: float, high_s: float) -> str:
    """`40-65 s`, `12-16 min` or `1.5-2.5 h`; one number where both ends read the same."""
    unit, seconds = ("s", 1) if high_s < 90 else ("min", 60) if high_s < 5400 else ("h", 3600)
    ends = [end / seconds for end in (low_s, high_s)]
    low, high = (f"{end:.{int(end < 9.95 and seconds > 1)}f}" for end in ends)
    return f"{low}-{high} {unit}" if low != high else f"{high} {unit}"


def trial_mb(config: TrainConfig) -> float:
    """About how much a trial writes: two checkpoints with Adam's moments, the best one without, the event file."""
    vae = config.model in VAES
    if config.model.startswith("cnn_"):
        linear = 3 * 128 * config.latent_side**2 * config.latent_dim if vae else 0
        parameters = 15_000 * config.kernel_size**2 + linear
    else:
        parameters = int((50_000 + 776_000 * config.blocks) * (config.width / 32) ** 2)
        features = 4 * config.width * (1 if config.latent_channels else config.latent_side**2)
        parameters += (3 if vae else 2) * features * (config.latent_channels or config.latent_dim)
    return 4 + 4e-6 * parameters * (2 * (3 + bool(config.ema)) + 1)


@dataclass(frozen=True)
class _Pace:
    """Seconds per epoch of the search for each kind of configuration, and what is not known of them."""

    epoch_s: Mapping[Configuration, float]
    counts: Mapping[Configuration, int]
    """Kind -> number of trials to run."""
    doubt: Span
    """Factor."""
    basis: str
    memory_mb: float

    def epoch_of(self, trials: int) -> Span:
        """Mean time per epoch of so many trials; their kinds are not known, unless they are all trials to run."""
        times, weights = np.array([*self.epoch_s.values()]), [self.counts[kind] for kind in self.epoch_s]
        mean = np.average(times, weights=weights)
        variance = np.average((times / mean - 1) ** 2, weights=weights)
        drawn = max(0.0, 1 - trials / sum(self.counts.values())) / min(trials, INDEPENDENT)
        unseen = (1 - len(times) / len(self.counts)) / len(times)
        off = math.exp(SURE * math.sqrt(variance * (drawn + unseen)))
        return _product((max(mean / off, times.min()), min(mean * off, times.max())), self.doubt)


def _coming(
    request: Request, listed: Sequence[Configuration] | None, records: Iterable[TrialRecord]
) -> list[Configuration]:
    """Whole configurations of the search that are still to run, or as many as tell what they cost."""
    space, found = request.tune_space, []
    settings = listed if listed is not None else space.grid() or space.random(MOST_DRAWN, request.seed)
    for point in random.Random(request.seed).sample(settings, min(len(settings), MOST_DRAWN)):
        with suppress(ConfigError):  # such a trial fails at once
            found.append(Configuration.of(config_dict(request.config(point))))
    done = {record.config for record in records if record.status != FAILED}
    return [config for config in found if config not in done] or found


def kind(config: Configuration) -> Configuration:
    """What decides how much is computed: names and whole numbers. No learning rate, dropout or weight of a loss does;
    an activation does: ELU takes 1.7 times as long as ReLU on a CPU.
    """
    return Configuration.of((n, v) for n, v in config.items() if not isinstance(v, float) and n not in NO_WORK)


def _pace(
    coming: Sequence[Configuration],
    data: SweepData,
    records: Iterable[TrialRecord],
    resources: Resources,
    budget_s: float,
    trials: int,
) -> _Pace:
    """From the finished trials of each kind that ran as the coming ones will, else from timed steps."""
    counts, (split, scale) = Counter(map(kind, coming)), _split_and_scale(data)
    finished: dict[Configuration, list[float]] = {}
    for r in records:
        if r.is_complete and r.epoch_s and (r.device, r.threads) == _place(resources) and kind(r.config) in counts:
            finished.setdefault(kind(r.config), []).append(r.epoch_s / (scale if r.is_fold else 1.0))
    strange = sorted({kind(c): c for c in reversed(coming) if kind(c) not in finished}.values())
    most = min(len(strange), MOST_TIMED) if budget_s else 0
    chosen = [strange[i] for i in np.linspace(0, len(strange) - 1, most).round().astype(int)]
    timed = _timed(chosen, data.patches.crops, split, resources, budget_s / max(1, len(chosen)), trials)
    epoch_s = {kind: statistics.mean(of) for kind, of in finished.items()}
    for config, time in timed.items():
        whole = TrainConfig(**config)
        epoch_s[kind(config)] = time.epoch_s(whole, len(split.train), len(split.val)) + SAVE_S_PER_MB * trial_mb(whole)
    turns = max(1, int(1 / resources.gpus_per_trial)) if resources.gpus_per_trial else 1  # that trials take on a GPU
    n, texts = sum(map(len, finished.values())), []
    texts += [f"{n} finished trial{'s' * (n > 1)}"] if n else []
    texts += [f"timed: {len(timed)} configuration{'s' * (len(timed) > 1)}"] if timed else []
    doubt = _product(OF_TIMED, (1.0, turns)) if timed else OF_FINISHED
    return _Pace(epoch_s, counts, doubt, ", ".join(texts), max((t.memory_mb for t in timed.values()), default=0.0))


def _timed(
    configs: Iterable[Configuration], crops: np.ndarray, split: Split, resources: Resources, each_s: float, trials: int
) -> dict[Configuration, StepTime]:
    """Without those that do not fit into the GPU. On CPUs as many of the trials train meanwhile as will."""
    here = int(cpu_count() / resources.cpus_per_trial)
    together = 1 if resources.gpus_per_trial else min(here, resources.max_concurrent, trials, MOST_TOGETHER)
    found, before, (device, threads) = {}, torch.get_num_threads(), _place(resources)
    torch.set_num_threads(threads)
    try:
        for config in configs:
            with suppress(torch.OutOfMemoryError):
                found[config] = step_time(TrainConfig(**config), crops, split, device, each_s, max(1, together) - 1)
    finally:
        torch.set_num_threads(before)
    return found


def _place(resources: Resources) -> tuple[str, int]:
    """Device and threads of a trial, as sweeps.execution.trainable chooses them."""
    return "cuda" if resources.gpus_per_trial else "cpu", max(1, int(resources.cpus_per_trial))


def _split_and_scale(data: SweepData) -> tuple[Split, float]:
    """The search's split, and how many times as many crops a fold trains on."""
    split = next(split for (_, fold), split in data.splits.items() if not fold)
    folds = [len(split.train) for (_, fold), split in data.splits.items() if fold]
    return split, statistics.mean(folds) / len(split.train) if folds else 1.0


def _goes_on(request: Request, trials: int, before: int) -> Span:
    """Share of its epochs that a trial of the search trains, the mean of so many."""
    if request.scheduler not in GO_ON or not trials:
        return ONCE
    share = GO_ON[request.scheduler]
    share += (1 - share) / (trials + before)  # the first is compared with nothing
    off = SURE * math.sqrt(share * (1 - share) / min(trials, 2 * INDEPENDENT))  # a rung's luck is not the next one's
    rungs = [1]
    while 3 * rungs[-1] < request.epochs:
        rungs.append(3 * rungs[-1])
    steps = [after - rung for rung, after in zip([0, *rungs], [*rungs, request.epochs], strict=True)]
    ends = [sum(q**i * step for i, step in enumerate(steps)) for q in (max(0.0, share - off), min(1.0, share + off))]
    return ends[0] / request.epochs, ends[1] / request.epochs


def _other_s(coming: Iterable[Configuration], data: SweepData, search: bool, again: bool) -> Span:
    """Start, baselines, report; baselines may be there from an earlier run."""
    sizes = {REFERENCE_SIZE, *(TrainConfig(**config).latent_size for config in coming)}
    pixels, trained = data.patches.crops[0].size, [len(split.train) for split in data.splits.values()]
    codes = sum(size for size in sizes if size < min(pixels, *trained)) / REFERENCE_SIZE  # PCA has no larger ones
    codes *= pixels / USUAL_PIXELS
    crops = codes * sum(len(split.train) for (_, fold), split in data.splits.items() if fold or search)
    busy = min(3.0, max(1.0, load_per_cpu()))  # others want the processors, too
    low, high = _sum(START_S, REPORT_S, (BASELINES_S[0] * crops * (not again), BASELINES_S[1] * crops))
    return low * math.sqrt(busy), high * busy  # for how long they do is not known


def _memory_note(needed_mb: float, crops_mb: float, share: float) -> str:
    """GPU memory that the largest trial needs and its share of the GPU; "" without a GPU."""
    if not share or not needed_mb:
        return ""
    total = torch.cuda.get_device_properties(0).total_memory / 1e6
    return f"{(needed_mb + crops_mb) / 1e3:.1f} GB of the {min(1, share) * total / 1e3:.1f} GB of GPU memory per trial"


def _sum(*spans: Span) -> Span:
    return sum(low for low, _ in spans), sum(high for _, high in spans)


def _product(*spans: Span) -> Span:
    """Product of independent factors: hardly ever are all of them at the same end."""
    middle = math.prod(math.sqrt(low * high) for low, high in spans)
    off = math.exp(math.hypot(*(math.log(high / low) / 2 for low, high in spans)))
    return middle / off, middle * off
