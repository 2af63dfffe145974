"""How well plans predict the time of a sweep: small sweeps of every kind, planned and run.

    python tests/benchmarks/eta_range.py                       # all, about half an hour on 2 cores
    python tests/benchmarks/eta_range.py --only grid --only cv  # names that contain one of these words
    python tests/benchmarks/eta_range.py --json sweeps.json    # the numbers, too

Each request is planned with `--plan --json`, and run at once behind that; the wall time of the whole command, imports
included, is compared with the plan's range. All sweeps share one folder, so that some go on with what others left.
Prints a Markdown table. The aim: the real time is inside in at least 8 of 10, and the range's ends are at most 2.5
times apart, 3.5 times where a scheduler stops trials. Let nothing else work meanwhile: a sweep that shares its
processors with others takes as long as these let it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, str(ROOT / "sweeps" / "run.py")]

GRID = "--space exp_grid --search grid --scheduler none --epochs 2 --name grid"
CHOSEN = "--space exp_grid --trials 8 --name chosen"
FOLDS = "--labels PP1 --folds 2"
SWEEPS = {
    "smoke": "--space smoke",
    "grid": f"{GRID} --trials 4",
    "grid, extended": f"{GRID} --trials 10",
    "grid, one at a time": f"{GRID}1 --trials 4 --max-concurrent 1",
    "optuna, asha": CHOSEN,
    "optuna, asha, cv of its best": f"{CHOSEN} --cv --cv-top 2 {FOLDS}",
    "random, median": "--space exp_grid --search random --trials 9 --scheduler median --name median",
    "optuna, hyperband": "--space exp_grid --trials 9 --scheduler hyperband --name hyperband",
    "search and cv": f"--space smoke --trials 4 --epochs 3 --scheduler none --cv {FOLDS} --name both",
    "folds of the study": "--space cv_report --labels PP1,angle --folds 3 --epochs 4",
    "vae, random": "--space vae_grid --search random --trials 6 --epochs 3 --scheduler none --name vae",
    "four models, random": "--space model_grid --search random --trials 6 --epochs 2 --scheduler none --name models",
}
"""Name -> options; in this order, for some go on with others."""


def measure(options: str, cwd: Path) -> dict[str, Any]:
    """The plan's JSON, and `real_s` of the run behind it."""
    command = [*COMMAND, *options.split()]
    done = subprocess.run([*command, "--plan", "--json"], cwd=cwd, check=True, capture_output=True, text=True)
    started = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, capture_output=True)
    return json.loads(done.stdout) | {"real_s": time.perf_counter() - started}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="WORD",
        help="part of a name; repeatable",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="plans and wall times")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="folder to run in (default: a temporary one)")
    args = parser.parse_args()
    chosen = {name: o for name, o in SWEEPS.items() if not args.only or any(word in name for word in args.only)}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        cwd = args.keep or Path(temporary)
        cwd.mkdir(parents=True, exist_ok=True)
        subprocess.run([*COMMAND, "--space", "smoke", "--plan"], cwd=cwd, check=True, capture_output=True)  # the crops
        print("| sweep | low, s | high, s | high/low | real, s | inside | from |\n|---|---|---|---|---|---|---|")
        for name, options in chosen.items():
            found[name] = measure(options, cwd)
            (low, high), real = found[name]["eta_s"], found[name]["real_s"]
            inside = "yes" if low <= real <= high else "no"
            basis = found[name]["eta_basis"]
            print(
                f"| {name} | {low:.0f} | {high:.0f} | {high / low:.1f} | {real:.0f} | {inside} | {basis} |", flush=True
            )
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
