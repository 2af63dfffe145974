"""The overhead of a sweep: whole sweeps beside minimal loops, start-up, gaps between trials, reports, many trials.

    python tests/benchmarks/sweep_overhead.py                 # everything, 15 minutes on 2 cores
    python tests/benchmarks/sweep_overhead.py --rounds 1 --many 0
    python tests/benchmarks/sweep_overhead.py --page docs/benchmarks.md

- 16 trainings: `sweeps/run.py`, 2 trials at a time (`--scheduler none`), beside 2 processes of one thread that share
  the same 16 trainings and only call fit() and the test evaluation (minimal loops). Whole processes are timed, with
  their imports; the two alternate.
- Start-up: from the start of the process to the first trial's first line in its event file.
- Gap: from a trial's commit record to the next trial's first line in the same worker process.
- Report: a trial that only reports.
- Many: trials that sleep for one second, 16 at a time; wall time and memory of the driver, with the slope.

Prints Markdown.
"""

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from marked_page import replace_part

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

TRIALS, AT_A_TIME = 16, 2
SWEEP = ["--space", "exp_grid", "--set", "kernel_size=3", "--search", "grid", "--scheduler", "none"]
REPORTS, SLEEPERS_AT_A_TIME = 300, 16


def trainings(epochs: int, cwd: Path) -> tuple[Any, list[Any], Any]:
    """Crops, configurations and the split of the sweep's first trials."""
    os.chdir(cwd)
    from deepdlt.command_line import make_parser
    from sweeps import run as sweep
    from sweeps.identity import data as sweep_data
    from sweeps.planning import plan
    from sweeps.request import request

    asked = request.make_request(
        make_parser(sweep, "sweep").parse_args([*SWEEP, "--trials", str(TRIALS), "--epochs", str(epochs)])
    )
    data = sweep_data.load(None, asked)
    configs = [asked.config(settings) for settings in plan.searched_settings(asked) or []]
    return data.patches.crops, configs, next(iter(data.splits.values()))


def bare_loop(epochs: int, cwd: str, share: int) -> None:
    """Every second training, one after the other, in this process."""
    import torch

    torch.set_num_threads(1)
    from deepdlt.models.checkpoint import load_model
    from deepdlt.training.evaluation import evaluate
    from deepdlt.training.fit import fit

    crops, configs, split = trainings(epochs, Path(cwd))
    for k, config in list(enumerate(configs))[share::AT_A_TIME]:
        for _ in fit(config, crops, split, Path(f"bare/{k}")):
            pass
        model, _ = load_model(Path(f"bare/{k}/best.pt"))
        evaluate(model, config, torch.as_tensor(crops), torch.as_tensor(split.test), "all")


def time_bare(epochs: int, cwd: Path) -> float:
    """Seconds of the 16 trainings without Ray."""
    started = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=bare_loop, args=(epochs, str(cwd), share)) for share in range(AT_A_TIME)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise RuntimeError("the bare loop failed")
    return time.perf_counter() - started


def time_sweep(epochs: int, cwd: Path) -> dict[str, float]:
    """Seconds of the same by run.py, of its start-up, and of the gaps between trials."""
    name = f"t{time.monotonic_ns()}"
    command = [sys.executable, str(ROOT / "sweeps" / "run.py"), *SWEEP, "--name", name, "-q"]
    command += ["--trials", str(TRIALS), "--epochs", str(epochs), "--max-concurrent", str(AT_A_TIME)]
    wall, started = time.time(), time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, capture_output=True)
    seconds = time.perf_counter() - started
    begins: dict[str, list[tuple[float, float]]] = {}
    for trial in (cwd / "ray_results" / name).glob("s0*"):
        first = min(trial.glob("events.out.tfevents.*"))  # the worker's; the driver adds the end
        worker = first.name.split(".")[-2]
        begins.setdefault(worker, []).append((begin_of(trial), (trial / "trial.json").stat().st_mtime))
    gaps = [b[0] - a[1] for found in begins.values() for a, b in zip(sorted(found), sorted(found)[1:], strict=False)]
    ends = [end for found in begins.values() for _, end in found]
    return {
        "seconds": seconds,
        "startup": min(begin for found in begins.values() for begin, _ in found) - wall,
        "gap": statistics.median(gaps),
        "after": wall + seconds - max(ends),
    }


def begin_of(trial: Path) -> float:
    """When the trial wrote its first event."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return min(next(iter(EventFileLoader(str(p)).Load())).wall_time for p in trial.glob("events.out.tfevents.*"))


def idle_trial(config: dict[str, Any], crops: Any, job: Any) -> None:
    """Sleeps for a second, reports once, and commits like a trial; or reports many times and measures that."""
    from ray import tune

    from sweeps.store.cell import trial_cell, trial_name
    from sweeps.store.trial_record import COMPLETE, write_record

    metrics = {"best_val_psnr_db": 1.0, "epoch": 1, "finished": 1.0}
    reports = int(os.environ.get("REPORTS", "0"))
    seconds = 0.0
    if reports:
        started = time.perf_counter()
        for epoch in range(reports):
            tune.report(metrics | {"epoch": epoch + 1, "finished": 0.0})
        seconds = (time.perf_counter() - started) / reports
    else:
        time.sleep(1)
    write_record(job.sweep / trial_name(config), trial_cell(config), COMPLETE, metrics=metrics, seconds=seconds)
    tune.report(metrics)


def many(trials: int, cwd: Path) -> dict[str, float]:
    """Seconds and driver megabytes for so many sleeping trials; run in a process of its own."""
    os.chdir(cwd)
    from ray import tune

    from deepdlt.command_line import make_parser
    from sweeps import run as sweep
    from sweeps.execution import sweep_run as ray_runs
    from sweeps.execution.session import ray_session
    from sweeps.identity import data as sweep_data
    from sweeps.planning import plan
    from sweeps.request import request, resources

    options = ["--space", "exp_grid", "--search", "random", "--scheduler", "none", "--trials", str(trials)]
    args = make_parser(sweep, "sweep").parse_args([*options, "-q"])
    asked = request.make_request(args)
    fields = {**asked.tune_space.fields, "lr": tune.loguniform(1e-5, 1e-2)}  # enough different configurations
    asked = replace(asked, tune_space=replace(asked.tune_space, fields=fields))
    data = sweep_data.load(None, asked)
    at_a_time = 1 if os.environ.get("REPORTS") else SLEEPERS_AT_A_TIME
    share = resources.Resources(2 / max(2, at_a_time), 0, at_a_time)
    ray_runs.train_cell = idle_trial
    sweep = cwd / f"many{trials}"
    with ray_session(None, False, print):
        run = ray_runs.SweepRun(asked, share, data, sweep, lambda: None, quiet=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        run.run_search()
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = [json.loads(path.read_text()) for path in sweep.glob("*/trial.json")]
    assert len(done) == min(trials, plan.planned_trials(asked)[0]), f"{len(done)} of {trials} trials"
    return {"seconds": seconds, "mb": peak / 1024, "grown_mb": (peak - before) / 1024, "report_s": done[0]["seconds"]}


def in_process(trials: int, cwd: Path, **environment: str) -> dict[str, float]:
    """`many` in a fresh interpreter."""
    command = [sys.executable, __file__, "--only-many", str(trials), "--folder", str(cwd)]
    done = subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10, help="of each of the 16 trainings")
    parser.add_argument("--many", type=int, default=1000, help="the largest number of sleeping trials; 0 for none")
    parser.add_argument("--page", type=Path, help="write the results into this page, between its marks")
    parser.add_argument("--only-many", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only_many:
        print(json.dumps(many(args.only_many, args.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        cwd = Path(name)
        subprocess.run(
            [sys.executable, str(ROOT / "sweeps/run.py"), "--space", "smoke", "--plan"],
            cwd=cwd,
            check=True,
            capture_output=True,
        )  # the crops are there for both
        bare, swept = [], []
        for _ in range(args.rounds):
            bare.append(time_bare(args.epochs, cwd))
            subprocess.run(["rm", "-rf", str(cwd / "bare")], check=True)
            swept.append(time_sweep(args.epochs, cwd))
        ratios = [s["seconds"] / b for s, b in zip(swept, bare, strict=True)]
        middle = {key: statistics.median(s[key] for s in swept) for key in swept[0]}
        of = f"{TRIALS} trainings of {args.epochs} epochs, {AT_A_TIME} at a time"
        both = f"run.py {middle['seconds']:.1f} s, minimal loops {statistics.median(bare):.1f} s"
        ratio = f"**ratio {statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})"
        lines = [
            f"- {of}: {both}, {ratio}, {args.rounds} rounds.",
            f"- Start-up, from the process to the first trial: {middle['startup']:.1f} s.",
            f"- After the last trial (end of Ray, baselines, report): {middle['after']:.1f} s.",
            f"- Gap between two trials of a worker: {middle['gap']:.2f} s (Ray reuses the worker).",
        ]
        report = in_process(1, cwd, REPORTS=str(REPORTS))
        lines.append(f"- One report (metrics of an epoch to the driver and back): {1000 * report['report_s']:.1f} ms.")
        if args.many:
            lines.append(f"- Trials that sleep for 1 s, {SLEEPERS_AT_A_TIME} at a time: {many_text(args.many, cwd)}")
    print("\n".join(lines))
    if args.page:
        replace_part(args.page, "overhead", "\n".join(lines))


def many_text(largest: int, cwd: Path) -> str:
    """Seconds and memory of three numbers of sleeping trials, and their slopes."""
    sizes = [largest // 4, largest // 2, largest]
    found = [in_process(n, cwd) for n in sizes]
    slopes = {key: (found[-1][key] - found[0][key]) / (sizes[-1] - sizes[0]) for key in ("seconds", "mb")}
    rows = "; ".join(f"{n}: {f['seconds']:.0f} s, {f['mb']:.0f} MB" for n, f in zip(sizes, found, strict=True))
    per_trial = f"{1000 * slopes['seconds']:.0f} ms per trial ({1000 / SLEEPERS_AT_A_TIME:.0f} of them asleep)"
    return f"{rows}. Slope: {per_trial}, {1000 * slopes['mb']:.0f} kB of driver memory."


if __name__ == "__main__":
    main()
