"""How long the event files of a large sweep take to read, the first time and when one trial was added.

    python tests/benchmarks/reading_logs.py [--runs 1000] [--tags 10] [--steps 100]

Writes a sweep of that size into a temporary folder, then reads it like a report does: all of it, again with nothing
changed, again with one trial more. Asserts that every value that was written is read. Prints a table for
docs/benchmarks.md.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from sweeps.store.event_cache import SETTLED_S, EventCache
from sweeps.store.event_files import TrialLog


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="trials (default: %(default)s)")
    parser.add_argument("--tags", type=int, default=10, help="scalars per step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=100, help="epochs (default: %(default)s)")
    args = parser.parse_args()
    values = np.random.default_rng(0).random((args.steps, args.tags)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        sweep = Path(folder)
        for number in range(args.runs):
            write(sweep / f"s{number:04d}", values)
        size = sum(path.stat().st_size for path in sweep.rglob("events*")) / 1e6
        time.sleep(SETTLED_S + 1)
        print(f"{args.runs} runs x {args.tags} tags x {args.steps} steps, {size:.0f} MB of event files\n")
        print("| reading | runs read from their files | wall (s) | CPU (s) |\n|---|---|---|---|")
        show("first time", sweep, values)
        show("again", sweep, values)
        write(sweep / "s-one-more", values)
        time.sleep(SETTLED_S + 1)
        show("one trial more", sweep, values)


def write(folder: Path, values: np.ndarray) -> None:
    with TrialLog(folder) as log:
        log.session_start("g", {"lr": 1e-3, "model": "cnn_ae"}, {"kind": "search", "fold": 0})
        for step, row in enumerate(values.tolist(), start=1):
            log.scalars({f"tag_{k}": value for k, value in enumerate(row)}, step)


def show(title: str, sweep: Path, values: np.ndarray) -> None:
    """Read all trials, check them, print a row."""
    wall, cpu = time.perf_counter(), time.process_time()
    cache = EventCache(sweep)
    trials = [cache.read(folder) for folder in sorted(path for path in sweep.iterdir() if path.is_dir())]
    cache.save()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    for trial in trials:
        assert not trial.damaged
        for k, column in enumerate(values.T.tolist()):
            assert trial.scalars[f"tag_{k}"] == dict(enumerate(column, start=1))
    print(f"| {title} | {cache.read_anew} | {wall:.1f} | {cpu:.1f} |")


if __name__ == "__main__":
    main()
