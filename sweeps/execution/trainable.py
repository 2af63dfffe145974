"""One trial: a cell and the crops in; event files, checkpoints, a commit record and one report per epoch out."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray import tune

from deepdlt.config import TrainConfig
from deepdlt.dataset import Split
from deepdlt.models import (
    BEST,
    LAST,
    PREVIOUS,
    DamagedCheckpoint,
    build_model,
    load_model,
    reconstruct,
    resolve_precision,
)
from deepdlt.training import evaluate
from deepdlt.training.fit import fit
from sweeps import board
from sweeps.cluster import Expected, require_fit
from sweeps.execution.begun_trials import begin
from sweeps.execution.extremes import log_extremes
from sweeps.execution.watchdog import pause, watchdog
from sweeps.identity import Provenance
from sweeps.identity import code as code_identity
from sweeps.objects import StoreError
from sweeps.store import (
    COMPLETE,
    FAILED,
    SEARCH,
    SweepFile,
    TrialLog,
    TuneConfig,
    after_epoch,
    forget_end,
    forget_failure,
    read_record,
    trial_cell,
    trial_folder,
    trial_name,
    write_record,
)
from sweeps.tuning import population_members as population

SHOWN_CROPS = 8
PICTURES = 5  # of the same crops in a training, the last with the tested weights


@dataclass(frozen=True)
class Job:
    """Data that all trials of a sweep share; the arrays come through Ray's object store, once per node."""

    sweep: str
    """Its address: on other nodes its folder may be another one."""
    splits: dict[tuple[str, int], Split]
    """(label, fold) -> split; fold 0 is the plain one."""
    image_id: np.ndarray
    """(n_crops,) image of each crop."""
    cpus: float
    gpus: float
    is_pruned: bool
    """Whether a scheduler may stop a trial after any epoch."""
    made_by: Provenance
    """For the record of each trial."""
    expected: Expected | None = None
    """What the node must have, on a cluster."""
    sweep_file: SweepFile = field(default_factory=SweepFile)
    shown: tuple[board.ShownCrop, ...] = ()
    """Crops whose reconstructions all trials show."""


def train_cell(config: TuneConfig, crops: np.ndarray, job: Job) -> None:
    """Tune's trainable: run the cell in `config["trial"]` to its end, from where an earlier run left it.

    A trial that fails commits the reason and ends; Tune is not told, so that it only ever retries what died without
    a word (killed, out of memory, hung).

    Args:
        crops: (n, 1, size, size) uint8, read-only.
    """
    require_fit(job.expected)
    with trial_folder(job.sweep, trial_name(config)) as directory:
        _train_in(directory, config, crops, job)


def _train_in(directory: Path, config: TuneConfig, crops: np.ndarray, job: Job) -> None:
    cell = trial_cell(config)
    here = code_identity.digest(code_identity.code_files())
    job = replace(job, made_by=replace(job.made_by, code=here))
    forget_failure(directory)
    begin(config, directory, here)
    try:
        forget_end(directory)
        with TrialLog(directory) as log, watchdog(directory) as alive:
            board.start_session(log, cell, job.sweep.rpartition("/")[2])
            page = board.trial_page(cell, directory.name, job.sweep_file, vars(job.made_by), _device(job))
            log.text(board.PAGE, page)
            log.flush()  # a trial that ends in its first epoch is still known by its settings
            after_epoch(directory, may_end=True)
            _train(config, crops, job, directory, log, alive)
    except StoreError:  # no fault of the trial: Tune tries it again
        raise
    except Exception as error:  # committed here, where the reason is known
        record = read_record(directory)
        if record is None or not record.is_complete:
            write_record(directory, cell, FAILED, error=f"{error}" or type(error).__name__, **vars(job.made_by))


def _train(
    config: TuneConfig, crops: np.ndarray, job: Job, directory: Path, log: TrialLog, alive: Callable[..., None]
) -> None:
    cell, train_config = trial_cell(config), population.train_config(config)
    told = population.take_over(config, directory, train_config)
    device = _prepare_worker(job)
    split = job.splits[cell.label, cell.fold]
    parameters = sum(p.numel() for p in build_model(train_config).parameters())
    epoch_s: list[float] = []
    started = time.perf_counter()
    for metrics in fit(train_config, crops, split, directory, device, on_step=lambda *_: alive()):
        alive()
        epoch = int(metrics["epoch"])
        if not epoch_s:
            log.restart(max(epoch, told + 1))
        epoch_s.append(metrics["epoch_s"])
        if epoch > told:  # what was taken over from another member is no epoch of this one
            log.scalars(board.epoch_scalars(cell, metrics), epoch)
            if epoch % -(-train_config.epochs // PICTURES) == 0 and not metrics["finished"]:
                _show_crops(log, directory / LAST, crops, split, job, epoch)
        if metrics["finished"]:
            try:
                outcome = _test(train_config, crops, split, directory, device)
            except (DamagedCheckpoint, FileNotFoundError):  # nothing to test: train again
                for name in (BEST, LAST, PREVIOUS):
                    (directory / name).unlink(missing_ok=True)
                return _train(config, crops, job, directory, log, alive)
            _log_outcome(log, outcome, crops, split, epoch, job)
            log.scalars(board.scalars_of_test(cell, outcome.test), epoch)
            log_extremes(log, outcome, crops, split, job.image_id, epoch)
            log.flush()  # the record promises what the event file holds
            write_record(
                directory,
                cell,
                COMPLETE,
                metrics=metrics,
                test=outcome.test,
                test_by_image=_by_image(outcome.per_crop, job.image_id[split.test]),
                parameters=parameters,
                seconds=time.perf_counter() - started,
                epoch_s=sum(epoch_s) / len(epoch_s),
                **_environment(train_config, device),
                **_sizes(train_config, split, job.image_id),
                **({"schedule": schedule} if (schedule := population.history(directory)) else {}),
                **vars(job.made_by),
            )
        log.flush()
        if epoch > told or metrics["finished"]:
            numbers = {name: float(value) for name, value in metrics.items()} | {"epoch": epoch}
            mark = population.checkpoint(config, directory, metrics)
            pause()  # the store may be slow, and a member of a population waits for the others here
            after_epoch(directory, may_end=job.is_pruned and cell.kind == SEARCH)
            tune.report(numbers | {"parameters": parameters}, checkpoint=mark)  # may stop the trial
            alive(now=True)
    return None


@dataclass(frozen=True)
class _Outcome:
    model: torch.nn.Module
    config: TrainConfig
    device: str
    per_crop: dict[str, torch.Tensor]
    test: dict[str, float]


def _sizes(config: TrainConfig, split: Split, image_id: np.ndarray) -> dict[str, Any]:
    """How much was trained on and tested, in what folds are made of: images, or crops where these are divided."""
    if config.split_unit == "crop":
        return {"units": "crops", "n_train": len(split.train), "n_test": len(split.test)}
    n_train, n_test = (len(np.unique(image_id[part])) for part in (split.train, split.test))
    return {"units": "images", "n_train": n_train, "n_test": n_test}


def _environment(config: TrainConfig, device: str) -> dict[str, Any]:
    """The device and software that computed the numbers."""
    threads = torch.get_num_threads()
    precision = str(resolve_precision(config, torch.device(device))).removeprefix("torch.")
    found = code_identity.environment(threads, device, precision)
    return {"threads": threads, "device": device, "precision": precision, "environment": found}


def _prepare_worker(job: Job) -> str:
    """Threads and memory as allotted; the device to train on."""
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # shared, and only read
    torch.set_num_threads(max(1, int(job.cpus)))
    if 0 < job.gpus < 1:
        torch.cuda.set_per_process_memory_fraction(job.gpus)
    return _device(job)


def _device(job: Job) -> str:
    return "cuda" if job.gpus else "cpu"


def _test(config: TrainConfig, crops: np.ndarray, split: Split, directory: Path, device: str) -> _Outcome:
    """Meet the test set, once, with the weights that `config.evaluate` names."""
    model, config = load_model(directory / f"{config.evaluate}.pt")  # a member's best may be an adopted network
    model.to(device).to(memory_format=torch.channels_last)
    images, indices = torch.as_tensor(crops).to(device), torch.as_tensor(split.test).to(device)
    per_crop = evaluate(model, config, images, indices, "all")
    test = {name: float(values.mean()) for name, values in per_crop.items()}
    return _Outcome(model, config, device, per_crop, test)


def _by_image(per_crop: dict[str, torch.Tensor], image_id: np.ndarray) -> dict[str, dict[str, float]]:
    """Mean of each metric over the crops of each test image."""
    images, position = np.unique(image_id, return_inverse=True)
    counts = np.bincount(position)
    each = {name: values.double().numpy() for name, values in per_crop.items() if values.ndim}
    means = {name: np.bincount(position, values) / counts for name, values in each.items()}
    return {str(i): {name: float(m[k]) for name, m in means.items()} for k, i in enumerate(images)}


def _show_crops(log: TrialLog, weights: Path, crops: np.ndarray, split: Split, job: Job, epoch: int) -> None:
    """Log what the network of this epoch makes of the crops that all trials show; no training fails for a picture."""
    try:
        model, config = load_model(weights)
    except (DamagedCheckpoint, FileNotFoundError):
        return
    model.to(_device(job)).to(memory_format=torch.channels_last)
    board.show_reconstructions(log, board.Trained(model, config, _device(job)), crops, job.shown, split, epoch)


def _log_outcome(log: TrialLog, outcome: _Outcome, crops: np.ndarray, split: Split, epoch: int, job: Job) -> None:
    trained = board.Trained(outcome.model, outcome.config, outcome.device)
    board.show_reconstructions(log, trained, crops, job.shown, split, epoch)
    board.show_generated(log, trained, crops[split.val], epoch)
    for name, indices in (("val", split.val), ("test", split.test)):
        chosen = indices[np.linspace(0, len(indices) - 1, SHOWN_CROPS).astype(int)]
        originals = torch.as_tensor(crops[chosen])
        output = reconstruct(outcome.model, outcome.config, originals.to(outcome.device)).cpu()
        rows = [originals[:, 0], output[:, 0].mul(255).round().to(torch.uint8)]
        grid = torch.cat([torch.cat(list(row), dim=1) for row in rows])
        log.image(f"reconstruction/{name}", grid.numpy(), epoch)
