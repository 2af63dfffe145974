"""Many short trials on two nodes with an object store: the driver's work, requests per trial, start-up.

    python tests/benchmarks/cluster_scale.py                  # 200 trials
    python tests/benchmarks/cluster_scale.py --trials 60 --page docs/cluster.md

Nodes and store (moto) are on this machine. The trials are 2 of a search and seeds of a fold, of 3 epochs each, with the
smallest network and 12 images: what is measured is all but the training. Processor time and memory of the driver are
read when a fifth of the records is there and at the end: their difference is what one more trial costs, and what is
there before the first trial is start-up. Requests are counted by a proxy before the store. 1,000 trials are computed
from that, not measured. Prints Markdown.
"""

import argparse
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from marked_page import replace_part

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

FOLDS, SEARCHED = 2, 2
SWEEP = ["--space", "smoke", "--search", "grid", "--scheduler", "none", "--trials", str(SEARCHED), "--epochs", "3"]
SWEEP += ["--cv", "--labels", "PP1", "--folds", str(FOLDS), "--name", "s", "--max-concurrent", "2"]
MANY = 1000
PART = "scale"
OF_TRIAL = re.compile(r"/sweeps/s/(s\d+|cv)-")


@dataclass(frozen=True)
class Look:
    """The driver at one moment."""

    trials: int
    """Records in the store."""
    seconds: float
    cpu_s: float
    """Of the driver's own process."""
    kb: float


def measure(trials: int) -> tuple[list[Look], list[str], str]:
    """Looks at the driver; the first lines of all requests; what it said."""
    import loopback  # noqa: F401  isort: skip  (before ray)
    from local_cluster import Gate, local_cluster
    from moto_server import s3_server
    from running_sweep import NET, RunningSweep

    from deepdlt.synthetic import make_synthetic

    seeds = max(1, (trials - SEARCHED) // FOLDS)
    with tempfile.TemporaryDirectory() as folder, s3_server() as server, pytest.MonkeyPatch.context() as patch:
        images = make_synthetic(Path(folder) / "images", "tiny")
        gate = Gate(server)
        gate.open()
        for name, value in gate.environment.items():
            patch.setenv(name, value)
        bucket = server.bucket("scale")
        with local_cluster() as cluster:
            cluster.add(), cluster.add()
            words = [*SWEEP, *NET, "--cv-seeds", str(seeds), "--data", str(images)]
            words += ["--storage", f"s3://{bucket}/sweeps", "--address", cluster.address]
            began = time.monotonic()
            sweep = RunningSweep(words, Path(folder))
            looks = watch(sweep, gate, began)
            code, _, err = sweep.end()
        if code:
            raise SystemExit(err)
        return looks, gate.requests, err


def watch(sweep: Any, gate: Any, began: float) -> list[Look]:
    """A look whenever the number of records has grown, until the driver has ended."""
    driver, looks = psutil.Process(sweep.process.pid), []
    while sweep.process.poll() is None:
        try:
            times, memory = driver.cpu_times(), driver.memory_info().rss / 1e3
        except psutil.Error:
            break
        if not looks or looks[-1].trials < len(gate.records):
            cpu = times.user + times.system
            looks.append(Look(len(gate.records), time.monotonic() - began, cpu, memory))
        time.sleep(0.1)
    return looks


def requests_of(lines: list[str]) -> dict[str, int]:
    """Kind -> how many; a listing is a GET of the bucket."""
    found = {"PUT": 0, "GET": 0, "HEAD": 0, "listings": 0, "DELETE": 0}
    for line in lines:
        method, path = line.split()[:2]
        kind = "listings" if method == "GET" and "list-type=" in path else method
        found[kind] = found.get(kind, 0) + 1
    return found


def table(looks: list[Look], lines: list[str]) -> str:
    """The page's part, as Markdown."""
    last = looks[-1]
    first = next(look for look in looks if look.trials >= max(1, last.trials // 5))
    begun = next(look for look in looks if look.trials >= 1)
    n = last.trials - first.trials
    counts = requests_of(lines)
    of_trials = requests_of([line for line in lines if OF_TRIAL.search(line)])
    cpu, memory, wall = ((b - a) / n for a, b in zip(_numbers(first), _numbers(last), strict=True))
    rows = [
        ("first record in the store after", f"{begun.seconds:.0f} s", ""),
        ("wall time per trial, 2 at a time", f"{wall:.2f} s", f"{wall * MANY / 60:.0f} min"),
        ("driver, processor time per trial", f"{cpu:.3f} s", f"{cpu * MANY:.0f} s"),
        ("driver, memory per trial", f"{memory:.0f} kB", f"{memory * MANY / 1e3:.0f} MB"),
        *(
            (
                f"{kind} per trial",
                f"{of_trials[kind] / last.trials:.1f}",
                f"{of_trials[kind] / last.trials * MANY:,.0f}",
            )
            for kind in ("PUT", "GET", "HEAD")
        ),
        ("listings per trial", f"{counts['listings'] / last.trials:.1f}", ""),
    ]
    body = [f"| {what} | {value} | {many} |" for what, value, many in rows]
    return "\n".join([f"| | {last.trials} trials | {MANY:,}, computed |", "|---|---|---|", *body])


def _numbers(look: Look) -> tuple[float, float, float]:
    return look.cpu_s, look.kb, look.seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, metavar="N", help="default %(default)s")
    parser.add_argument("--page", type=Path, metavar="MD", help="write the table into this page, too")
    args = parser.parse_args()
    looks, lines, _ = measure(args.trials)
    found = table(looks, lines)
    print(found)
    if args.page:
        replace_part(args.page, PART, found)


if __name__ == "__main__":
    main()
