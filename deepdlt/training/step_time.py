"""Time of a training step and of the validation of a crop on this machine, measured with the functions of fit().

measured = step_time(TrainConfig(), crops, split)
print(measured.epoch_s(TrainConfig(), len(split.train), len(split.val)))
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepdlt.config import TrainConfig
from deepdlt.dataset import Split, batches
from deepdlt.training.fit import augmentation, train_step, validate
from deepdlt.training.state import Run, TrainingData, new_run

WARM_UP = 1  # the first step selects kernels and allocates memory
LEAST = 3  # measurements for a median
TRAINING_SHARE = 0.75  # of the budget; validation needs fewer repetitions
BATCHES = 4  # different ones to train on
QUIET: dict[str, Any] = {
    "lr": 1e-9,
    "schedule": "constant",
    "warmup": 0.0,
}  # no measurement may end in a loss that is not finite


@dataclass(frozen=True)
class StepTime:
    """Times of one configuration on one device."""

    step_s: float
    """Seconds per training step of `batch_size` crops (or of all crops, if there are fewer)."""
    crop_s: float
    """Seconds per validated crop, including the train loss in eval mode."""
    memory_mb: float = 0.0
    """Peak memory on the device in MB, without the crops; 0 on a CPU."""

    def epoch_s(self, config: TrainConfig, n_train: int, n_val: int) -> float:
        """Seconds of an epoch of fit() with `n_train` training and `n_val` validation crops, without checkpoints."""
        return n_train / min(config.batch_size, n_train) * self.step_s + n_val * self.crop_s


def step_time(
    config: TrainConfig, crops: np.ndarray, split: Split, device: str = "cpu", budget_s: float = 1.0, beside: int = 0
) -> StepTime:
    """Train and validate on a few crops for about `budget_s` seconds (longer if four steps take longer); medians.

    Writes nothing and restores torch's random state. Learning rate and schedule have no influence. Uses
    torch.get_num_threads() threads.

    Args:
        crops: (n, 1, side, side) uint8; only a few are read.
        split: indices into crops; `split.val` is validated.
        beside: number of further trainings that run at the same time, each in its own thread, as other trials would.

    Raises:
        torch.OutOfMemoryError: the configuration does not fit into the device's memory.
    """
    quiet, on_gpu = replace(config, **QUIET), torch.device(device).type == "cuda"
    with torch.random.fork_rng(devices=[torch.device(device)] if on_gpu else []):
        data = _few_crops(quiet, crops, split, device)
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device) if on_gpu else 0
        run = new_run(quiet, data)
        with _beside(quiet, data, beside):
            step_s = _median_s(_steps(run, quiet, data), TRAINING_SHARE * budget_s, device)
            validations = _repeated(lambda: validate(run, quiet, data, 0.0))
            val_s = _median_s(validations, (1 - TRAINING_SHARE) * budget_s, device)
        peak = torch.cuda.max_memory_allocated(device) - held if on_gpu else 0
    return StepTime(step_s, val_s / len(data.val), peak / 1e6)


def _few_crops(config: TrainConfig, crops: np.ndarray, split: Split, device: str) -> TrainingData:
    """Evenly spread crops for a few training batches and one validation batch, on the device."""
    train = _spread(split.train, BATCHES * config.batch_size)
    val = _spread(split.val, config.batch_size)
    images = torch.from_numpy(crops[np.concatenate([train, val])]).to(device)
    indices = torch.arange(len(images), device=device)
    chosen = indices[: len(train)]
    return TrainingData(images, chosen, indices[len(train) :], chosen[: len(val)], digest="")


def _spread(indices: np.ndarray, at_most: int) -> np.ndarray:
    return indices[np.linspace(0, len(indices) - 1, min(len(indices), at_most)).astype(int)]


def _steps(run: Run, config: TrainConfig, data: TrainingData) -> Iterator[Tensor]:
    """Endless training; next() is a step."""
    order, augment, step = torch.Generator().manual_seed(0), augmentation(config), 0
    while True:
        run.model.train()
        for x in batches(data.crops, data.train, config.batch_size, order, augment):
            step += 1
            yield train_step(run, config, x, step, BATCHES)


def _repeated(work: Callable[[], object]) -> Iterator[object]:
    while True:
        yield work()


def _median_s(work: Iterator[object], budget_s: float, device: str) -> float:
    """Median seconds of next(work) after the warm-up, over as many calls as the budget allows."""
    seconds: list[float] = []
    end = time.perf_counter() + budget_s
    while len(seconds) < WARM_UP + LEAST or time.perf_counter() < end:
        started = time.perf_counter()
        next(work)
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[WARM_UP:])


@contextmanager
def _beside(config: TrainConfig, data: TrainingData, number: int) -> Iterator[None]:
    """Run `number` threads that train the same configuration; PyTorch's operations release Python's lock."""
    ended = threading.Event()

    def train(run: Run) -> None:
        for _ in _steps(run, config, data):
            if ended.is_set():
                return

    threads = [threading.Thread(target=train, args=(new_run(config, data),), daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
