"""What pruning saves, and whether it finds the best configuration of the full grid.

    python tests/benchmarks/scheduler_savings.py                    # exp_grid's 72 configurations x 3 epochs
    python tests/benchmarks/scheduler_savings.py --epochs 9 --schedulers asha,hyperband
    python tests/benchmarks/scheduler_savings.py --page docs/benchmarks.md

Runs the full grid without a scheduler, then once with each scheduler, all with the same seeds and trials. Prints a
Markdown table: epochs trained, speed-up, the best configuration and its validation PSNR, its rank in the full grid, and
its difference to the best of the full grid in dB of validation PSNR.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from marked_page import replace_part  # noqa: E402

from sweeps.store.trial_record import FAILED, TrialRecord, read_records  # noqa: E402


def run(scheduler: str, args: argparse.Namespace, cwd: Path) -> dict[str, TrialRecord]:
    """The records of a sweep by identity."""
    command = [sys.executable, str(ROOT / "sweeps" / "run.py"), "--space", args.space, "--search", "grid"]
    command += ["--trials", str(args.trials), "--epochs", str(args.epochs), "--scheduler", scheduler]
    subprocess.run([*command, "--name", scheduler, "-q", *args.options], cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    return {i: r for i, r in read_records(cwd / "ray_results" / scheduler).items() if r.status != FAILED}


def words(records: dict[str, TrialRecord], best: str) -> str:
    """Name and settings of a trial: the fields in which the trials of the sweep differ."""
    configs = [record.config for record in records.values()]
    swept = [name for name in configs[0] if len({config[name] for config in configs}) > 1]
    return f"{records[best].name}: " + ", ".join(f"{name} {records[best].config[name]}" for name in swept)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="exp_grid")
    parser.add_argument("--trials", type=int, default=72)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--schedulers", default="asha,median")
    parser.add_argument("--page", type=Path, help="write the table into this page, between its marks")
    parser.add_argument("options", nargs="*", help="further options of run.py, after --")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        full = run("none", args, Path(name))
        value = {identity: record.metrics["best_val_psnr_db"] for identity, record in full.items()}
        ranking = sorted(value, key=lambda identity: -value[identity])
        epochs = sum(int(record.metrics["epoch"]) for record in full.values())
        lines = [
            "| scheduler | epochs trained | speed-up | best configuration | val PSNR, dB | rank in the full grid"
            " | Δ to the best, dB |",
            "|---|---|---|---|---|---|---|",
            f"| none | {epochs} | 1.0 | {words(full, ranking[0])} | {value[ranking[0]]:.2f} | 1 | 0.00 |",
        ]
        for scheduler in args.schedulers.split(","):
            found = run(scheduler, args, Path(name))
            done = {i: r.metrics["best_val_psnr_db"] for i, r in found.items() if r.is_complete}
            best = max(done, key=lambda identity: done[identity])
            used = sum(int(record.metrics["epoch"]) for record in found.values())
            quality = f"{value[best]:.2f} | {ranking.index(best) + 1} | {value[best] - value[ranking[0]]:.2f}"
            lines.append(f"| {scheduler} | {used} | {epochs / used:.1f} | {words(found, best)} | {quality} |")
    print("\n".join(lines))
    if args.page:
        replace_part(args.page, "schedulers", "\n".join(lines))


if __name__ == "__main__":
    main()
