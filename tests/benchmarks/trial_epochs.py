"""How many trial-epochs does a search need until it has the best configuration of the full grid?

    python tests/benchmarks/trial_epochs.py                          # 10 seeds per candidate, nothing is trained
    python tests/benchmarks/trial_epochs.py --page docs/benchmarks.md

Replays searches over stored learning curves (curves.csv, made by record_curves.py). The schedulers and searches are
those of the sweep, or Ray Tune's and Optuna's own. Two trials run at a time, their events in the order of their times:
a kernel of 5 pixels takes twice as long as one of 3. A seed is that of the order of the trials, of the sampler, of the
durations. With curves of a second training seed (`record_curves.py --seeds 43`) it is that of the curves too: each
replay then has a grid, and so a winner, of its own, the measured one with noise resampled from the differences of both.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from marked_page import replace_part
from ray.tune.schedulers import ASHAScheduler
from record_curves import CURVES, EPOCHS
from replay import Candidate, Extrapolation, Grid, Noise, Outcome, Replay, halving, make_grid, recorded

from sweeps.store import METRIC, MODE
from sweeps.tuning.pruning import Asha, Median

SEEDS = 10
SETS = ("exp_grid", "exp_grid lr=1e-3", "exp_grid lr=1e-3 dropout=0.2", "exp_grid lr=1e-3 kernel_size=3", "res_grid")
"""Space, and the values that some of its fields are set to; those whose curves are all recorded are replayed."""
NEAR_DB = 0.1
STARTUP = 10
"""Trials that Optuna's samplers draw at random first."""


def asha(first: float, eta: float) -> Callable[[], Any]:
    """Ray's ASHA."""
    return partial(ASHAScheduler, "epoch", METRIC, MODE, max_t=EPOCHS, grace_period=first, reduction_factor=eta)


OURS: Callable[[], Any] = partial(Asha, EPOCHS)
CANDIDATES = [
    Candidate("full grid"),
    Candidate("grid, `asha` (rung 1, eta 3): the sweep's", OURS),
    Candidate("grid, `median`: the sweep's", Median),
    Candidate("grid, asha, rung 1, eta 4", asha(1, 4)),
    Candidate("grid, asha, rungs 1/2, 1, 2, eta 2", asha(0.5, 2), first=0.5),
    Candidate("the same, 1/2 by training loss", asha(0.5, 2), first=0.5, by_loss=True),
    Candidate("grid, asha, rungs 1/4, 1, eta 4", asha(0.25, 4), first=0.25),
    Candidate("the same, 1/4 by training loss", asha(0.25, 4), first=0.25, by_loss=True),
    Candidate("grid, synchronous halving, rungs 1, 2, eta 3"),
    Candidate("grid, synchronous halving, rungs 1/4, 1, eta 3"),
    Candidate("grid, synchronous halving, rungs 1/2, 1, 2, eta 3"),
    Candidate("grid, curves extrapolated from epoch 1", Extrapolation),
    Candidate("grid, curves extrapolated from 1/2 epoch", Extrapolation, first=0.5),
    Candidate("TPE, a third of the grid", search="tpe", share=1 / 3),
    Candidate("TPE, half of the grid, `asha`", OURS, "tpe", 1 / 2),
    Candidate("TPE, half of the grid, curves extrapolated", Extrapolation, "tpe", 1 / 2),
    Candidate("GP, a third of the grid", search="gp", share=1 / 3),
    Candidate("GP, half of the grid, `asha`", OURS, "gp", 1 / 2),
    Candidate("GP, half of the grid, curves extrapolated", Extrapolation, "gp", 1 / 2),
    Candidate("warm start: a sixth of the grid, best of an earlier sweep first", search="warm", share=1 / 6),
    Candidate("warm start: half of the grid, `asha`", OURS, "warm", 1 / 2),
]
HALVINGS = {
    "grid, synchronous halving, rungs 1, 2, eta 3": ((1.0, 2.0, 3.0), 3),
    "grid, synchronous halving, rungs 1/4, 1, eta 3": ((0.25, 1.0, 3.0), 3),
    "grid, synchronous halving, rungs 1/2, 1, 2, eta 3": ((0.5, 1.0, 2.0, 3.0), 3),
}


def play(candidate: Candidate, grid: Grid, earlier: Grid, seed: int) -> Outcome:
    """One replay."""
    if candidate.name in HALVINGS:
        return halving(grid, *HALVINGS[candidate.name])
    with tempfile.TemporaryDirectory() as folder:
        return Replay(candidate, grid, earlier, seed, Path(folder)).run()


def cells(outcomes: Iterable[Outcome]) -> str:
    """Trial-epochs, how often the winner was found, how often one within NEAR_DB of it, dB lost."""
    found = list(outcomes)
    used = sorted(each.epochs for each in found)
    same, near = sum(each.same for each in found), sum(each.lost_db <= NEAR_DB for each in found)
    lost = [each.lost_db for each in found]
    return (
        f"{statistics.median(used):.0f} ({used[0]:.0f} to {used[-1]:.0f}) | {same} | {near} "
        f"| {statistics.mean(lost):.2f} ({max(lost):.2f})"
    )


def table(name: str, grid: Grid, noise: Noise, args: argparse.Namespace) -> list[str]:
    """The replays of one grid."""
    goal = len(grid.settings) * EPOCHS // 3
    lines = [
        f"`{name}`: {len(grid.settings)} configurations, {len(grid.settings) * EPOCHS} trial-epochs, goal {goal}",
        "",
        f"| search | trial-epochs, median (range) | same winner, of {args.seeds} | within {NEAR_DB:g} dB of it "
        "| dB lost, mean (most) |",
        "|---|---|---|---|---|",
    ]
    for candidate in CANDIDATES:
        if args.only in candidate.name and not _is_empty(candidate, grid, noise):
            runs = [
                play(candidate, *(noise.onto(grid, np.random.default_rng([part, seed])) for part in (1, 2)), seed)
                for seed in range(args.seeds)
            ]
            lines.append(f"| {candidate.name} | {cells(runs)} |")
            print(lines[-1], file=sys.stderr)
    return [*lines, ""]


def _is_empty(candidate: Candidate, grid: Grid, noise: Noise) -> bool:
    """Whether it would show nothing: a sampler that draws at random to its end, an earlier sweep that is this one."""
    sampled = candidate.search in ("tpe", "gp") and round(candidate.share * len(grid.settings)) <= STARTUP
    return sampled or (candidate.search == "warm" and not noise.at.size)


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=Path, default=CURVES)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", default="", help="candidates whose name has this text")
    parser.add_argument("--page", type=Path, help="write the tables into this page, between its marks")
    args = parser.parse_args()
    torch.set_num_threads(1)  # of Optuna's Gaussian process, whose matrices are small
    rows, lines = recorded(args.curves), []
    noise = Noise.between(rows.get(("exp_grid", 42), {}), rows.get(("exp_grid", 43), {}))
    for name in SETS:
        space, *fixed = name.split()
        try:
            grid = make_grid(space, fixed, rows.get((space, 42), {}))
        except LookupError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        lines += table(name, grid, noise, args)
    print("\n".join(lines))
    if args.page:
        replace_part(args.page, "trial_epochs", "\n".join(lines))


if __name__ == "__main__":
    main()
