"""Waiting times of what should be instant: help, refusals, checks, packing, the race, the identity of the code.

    python tests/benchmarks/waiting_times.py [--data IMAGES]

Each is timed three times; the fastest is printed, beside the start of Python with torch and ray, which nothing that
trains can do without.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = [sys.executable, str(ROOT / "sweeps" / "run.py")]
ROUNDS = 3


def seconds(work: Callable[[], object]) -> float:
    """The fastest of three."""
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def command(*arguments: str) -> Callable[[], object]:
    """A whole process, whatever its exit code."""
    return lambda: subprocess.run(arguments, capture_output=True, cwd=tempfile.gettempdir(), check=False)


def race() -> Callable[[], object]:
    """10 configurations on 40 cells of 40 images, all finished."""
    from sweeps.folds.race import race_outcome
    from sweeps.space.configuration import Configuration
    from sweeps.store.cell import Cell
    from sweeps.store.trial_record import TrialRecord

    configs = [Configuration.of(lr=1e-3 / 2**k, epochs=4) for k in range(10)]
    labels = ("angle", "PP1", "NP", "EP1")
    cells = [(label, fold, seed) for seed in (42, 43) for label in labels for fold in range(1, 6)]
    records = []
    for label, fold, seed in cells:
        for k, config in enumerate(configs):
            cell = Cell("cv", config | {"seed": seed}, label, fold, 5, "data")
            tested = {str(i): {"psnr_db": 25 - 0.01 * k + 0.1 * (i % 7)} for i in range(40)}
            done = {"status": "complete", "identity": cell.identity, "test_by_image": tested}
            records.append(TrialRecord(name=cell.name(), cell=cell, **done))
    return lambda: race_outcome(records, configs, cells)


def identity() -> Callable[[], object]:
    """Every source file that decides a trial's numbers, read and parsed."""
    from sweeps.identity import code as code_identity

    def read() -> object:
        code_identity._code_files.cache_clear()
        code_identity._read.cache_clear()
        return code_identity.code_files()

    return read


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of images, to be checked and packed too")
    data = parser.parse_args().data
    rows = {
        "python, torch and ray": command(sys.executable, "-c", "import torch, ray.tune"),
        "run.py --help": command(*RUN, "--help"),
        "run.py --list-spaces": command(*RUN, "--list-spaces"),
        "refusal: unknown space": command(*RUN, "--space", "exp_gird"),
        "refusal: no such folder": command(*RUN, "--space", "smoke", "--data", "nowhere"),
        "race: 10 x 40 cells": race(),
        "identity of the code": identity(),
    }
    if data is not None:
        from deepdlt.dataset.create_dataset import CropOptions, draw_crops
        from deepdlt.images.source import read_source

        rows["images checked"] = lambda: read_source(data)
        rows["crops cut, 100 an image"] = lambda: draw_crops(read_source(data), CropOptions())
    floor = math.nan
    for name, work in rows.items():
        taken = seconds(work)
        floor = taken if floor != floor else floor
        print(f"{name:26} {taken:8.3f} s  {taken / floor:5.2f}", flush=True)


if __name__ == "__main__":
    main()
