"""Learning curves of every configuration of a space, for replays without training (trial_epochs.py).

    python tests/benchmarks/record_curves.py --minutes 8            # repeat until it says that all are there
    python tests/benchmarks/record_curves.py --seeds 42,43 --every 3

Trains each configuration of the full grid as a sweep does (built-in images, one thread per trial, the sweep's seeds and
split) and validates it inside the epochs too. Appends a row per training to curves.csv; trainings that are there are
not repeated. Columns: space, seed, number in the grid, the swept fields, then for each moment E (in epochs) `val_E`,
validation PSNR in dB, and `train_E`, mean training loss since the moment before. At whole epochs `val_E` is what a
sweep's scheduler compares: the PSNR of the best epoch so far.
"""

import argparse
import csv
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from deepdlt.command_line import Parser
from deepdlt.config import TrainConfig, parse_settings
from deepdlt.dataset import Split, batches
from deepdlt.training import evaluate
from deepdlt.training.fit import augmentation, train_step
from deepdlt.training.state import TrainingData, epoch_seed, new_run, steps_per_epoch
from sweeps.identity import SweepData, cut, read
from sweeps.request import Request, make_request
from sweeps.request.options import add_options
from sweeps.space import Configuration

CURVES = Path(__file__).with_name("curves.csv")
INSIDE = {1: (0.125, 0.25, 0.5, 0.75, 1.0)}
"""Epoch -> shares of its batches after which the network is validated; of other epochs half and all."""
KEYS = ("space", "seed", "number", "settings")
EPOCHS = 3


def moments(epochs: int) -> list[float]:
    """When a training is validated, in epochs."""
    return [e - 1 + share for e in range(1, epochs + 1) for share in INSIDE.get(e, (0.5, 1.0))]


def curve(config: TrainConfig, images: np.ndarray, split: Split) -> Iterator[tuple[float, float]]:
    """(validation PSNR in dB, mean training loss since the moment before) at each of `moments`."""
    crops, train, val = (torch.as_tensor(np.array(a)) for a in (images, split.train, split.val))
    data = TrainingData(crops, train, val, train, "")
    run = new_run(config, data)
    steps, best = steps_per_epoch(config, data), (float("inf"), float("nan"))
    for epoch in range(1, config.epochs + 1):
        stops = {round(share * steps): share for share in INSIDE.get(epoch, (0.5, 1.0))}
        run.model.train()
        torch.manual_seed(epoch_seed(config, epoch))
        order = torch.Generator().manual_seed(epoch_seed(config, epoch))
        losses: list[float] = []
        for step, x in enumerate(batches(crops, train, config.batch_size, order, augmentation(config)), 1):
            losses.append(float(train_step(run, config, x, (epoch - 1) * steps + step, steps)))
            if step in stops:
                state = torch.get_rng_state()
                found = evaluate(run.evaluated, config, crops, val)
                torch.set_rng_state(state)
                run.model.train()
                psnr_db = float(found["psnr_db"].mean())
                if stops[step] == 1.0:
                    best = min(best, (float(found["loss"].mean()), psnr_db))
                    psnr_db = best[1]
                yield psnr_db, sum(losses) / len(losses)
                losses = []


def train(job: tuple[Request, int, Configuration, float]) -> list[object] | None:
    """The row of one training; None if the time is over before it begins."""
    request, number, settings, until = job
    if time.time() > until:
        return None
    torch.set_num_threads(1)
    data = _data(request)
    (split,) = data.splits.values()
    points = list(curve(request.config(settings), data.patches.crops, split))
    values = [f"{psnr_db:.4f}" for psnr_db, _ in points] + [f"{loss:.6f}" for _, loss in points]
    return [request.space, request.seed, number, json.dumps(dict(settings)), *values]


def ask(space: str, seed: int, fixed: Sequence[str] = ()) -> Request:
    """What `deepdlt sweep --space SPACE --seed SEED --set FIXED` asks for."""
    parser = Parser("deepdlt sweep")
    add_options(parser)
    words = ["--space", space, "--seed", str(seed), *(word for text in fixed for word in ("--set", text))]
    return make_request(parser.parse_args(words))


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="exp_grid")
    parser.add_argument("--seeds", default="42", help="of weights, data order and split (default %(default)s)")
    parser.add_argument("--every", type=int, default=1, help="only each so many-th configuration")
    parser.add_argument("--set", default=[], action="append", metavar="KEY=VALUE", help="only those with this value")
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time (default %(default)s)")
    parser.add_argument("--minutes", type=float, default=600, help="begin no training after them")
    parser.add_argument("--out", type=Path, default=CURVES)
    args = parser.parse_args()
    there = {(row["space"], row["seed"], row["number"]) for row in read_rows(args.out)}
    until, jobs = time.time() + 60 * args.minutes, []
    for seed in args.seeds.split(","):
        request = ask(args.space, int(seed))
        _data(request)  # made once, before the workers ask for it
        grid = request.tune_space.grid() or []
        fixed = parse_settings(args.set)
        wanted = [n for n, s in enumerate(grid, 1) if fixed.items() <= dict(s).items()][:: args.every]
        missing = [n for n in wanted if (args.space, seed, str(n)) not in there]
        jobs += [(request, n, grid[n - 1], until) for n in missing]
    made = 0
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool, args.out.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not file.tell():
            at = moments(EPOCHS)
            writer.writerow([*KEYS, *(f"val_{e:g}" for e in at), *(f"train_{e:g}" for e in at)])
        for row in pool.imap_unordered(train, jobs):
            if row:
                made += 1
                writer.writerow(row)
                file.flush()
    print(f"{made} of {len(jobs)} missing trainings made")


def read_rows(path: Path) -> list[dict[str, str]]:
    """The trainings of a file of curves; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _data(request: Request) -> SweepData:
    """Crops and split of a seed, loaded once per process."""
    if request.seed not in _LOADED:
        _LOADED[request.seed] = cut(read(None, request), request, synthetic=True)
    return _LOADED[request.seed]


_LOADED: dict[int, SweepData] = {}


if __name__ == "__main__":
    main()
