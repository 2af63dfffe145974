"""What early stopping saves, and whether it finds the winner of the exhaustive grid.

    python tests/benchmarks/scheduler_savings.py                    # exp_grid's 72 configurations x 3 epochs
    python tests/benchmarks/scheduler_savings.py --epochs 9 --schedulers asha,hyperband

Runs the whole grid without a scheduler, then once with each scheduler, all with the same seeds and trials. Prints a
Markdown table: trial-epochs run, factor saved, the best configuration, its place in the exhaustive grid, and what it is
behind the winner of that, in dB of validation PSNR.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sweeps.store.trial_record import FAILED, TrialRecord, read_records  # noqa: E402


def run(scheduler: str, args: argparse.Namespace, cwd: Path) -> dict[str, TrialRecord]:
    """The records of a sweep by identity."""
    command = [sys.executable, str(ROOT / "sweeps" / "run.py"), "--space", args.space, "--search", "grid"]
    command += ["--trials", str(args.trials), "--epochs", str(args.epochs), "--scheduler", scheduler]
    subprocess.run([*command, "--name", scheduler, "-q", *args.options], cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    return {i: r for i, r in read_records(cwd / "ray_results" / scheduler).items() if r.status != FAILED}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="exp_grid")
    parser.add_argument("--trials", type=int, default=72)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--schedulers", default="asha,median")
    parser.add_argument("options", nargs="*", help="more options of run.py, behind --")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        full = run("none", args, Path(name))
        value = {identity: record.metrics["best_val_psnr_db"] for identity, record in full.items()}
        ranking = sorted(value, key=lambda identity: -value[identity])
        epochs = sum(int(record.metrics["epoch"]) for record in full.values())
        print(
            "| scheduler | trial-epochs | saved | winner | place in the full grid | behind |\n|---|---|---|---|---|---|"
        )
        print(f"| none | {epochs} | 1.0 x | {full[ranking[0]].name} | 1 | 0.00 dB |")
        for scheduler in args.schedulers.split(","):
            found = run(scheduler, args, Path(name))
            done = {i: r.metrics["best_val_psnr_db"] for i, r in found.items() if r.is_complete}
            best = max(done, key=lambda identity: done[identity])
            used = sum(int(record.metrics["epoch"]) for record in found.values())
            place, behind = ranking.index(best) + 1, value[ranking[0]] - value[best]
            print(f"| {scheduler} | {used} | {epochs / used:.1f} x | {found[best].name} | {place} | {behind:.2f} dB |")


if __name__ == "__main__":
    main()
