"""How fast is fit(), compared with what? Everything in one run, interleaved; medians over rounds.

    python tests/benchmarks/training_speed.py                          # 4 minutes on 2 cores
    python tests/benchmarks/training_speed.py --out docs/performance.md

fit() includes validation with PSNR and SSIM, the training loss in eval mode, and checkpoints. It is compared with the
study's data path, reimplemented from its text (report_way.py), with a minimal PyTorch loop (forward, backward and step
on preloaded tensors), and with the peak throughput of matrix products on this machine.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import report_way
import torch
from marked_page import replace_part
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from deepdlt.config import TrainConfig
from deepdlt.dataset.stratified_split import Split
from deepdlt.models import build_model
from deepdlt.models.inference import resolve_precision
from deepdlt.training.fit import fit

TRAIN, VAL = 1664, 208  # a tenth of the study's 16,640 and 2,080
STUDY, MINIMAL = "study's data path, reimplemented", "minimal PyTorch loop"
SIZES = (832, 1664, 3328, 6656)


def make_crops(n: int) -> np.ndarray:
    """Noise: the speed does not depend on the images."""
    return np.random.default_rng(0).integers(0, 256, (n, 1, 64, 64), dtype=np.uint8)


def bare_loop(crops: np.ndarray, config: TrainConfig) -> Callable[[], None]:
    """One epoch of the minimal PyTorch loop, with the settings of fit()."""
    x = torch.from_numpy(crops[:TRAIN]).float().div(255).contiguous(memory_format=torch.channels_last)
    model = build_model(config).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    bf16 = resolve_precision(config, torch.device("cpu")) is torch.bfloat16

    def epoch() -> None:
        for batch in x.split(config.batch_size):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                output = model(batch)
            torch.nn.functional.mse_loss(output.float(), batch).backward()
            optimizer.step()

    return epoch


def fit_epoch(crops: np.ndarray, config: TrainConfig, n_train: int = TRAIN, n_val: int = VAL) -> float:
    """Seconds of an epoch of fit(): the second one, from the end of the first to its own."""
    split = Split(np.arange(n_train), np.arange(n_train, n_train + n_val), np.arange(0))
    with tempfile.TemporaryDirectory() as directory:
        run = fit(config, crops, split, Path(directory))
        next(run)
        started = time.perf_counter()
        next(run)
        return time.perf_counter() - started


def compare(rounds: int) -> dict[str, list[float]]:
    """Seconds per epoch of each way, round by round."""
    crops = make_crops(TRAIN + VAL)
    auto, fp32 = TrainConfig(epochs=2), TrainConfig(epochs=2, precision="fp32")
    bare = bare_loop(crops, auto)
    seconds: dict[str, list[float]] = {STUDY: [], MINIMAL: [], "fit()": [], "fit(), fp32": []}
    with tempfile.TemporaryDirectory() as directory:
        train, val = Path(directory, "train"), Path(directory, "val")
        report_way.write_bmp(crops[:TRAIN], train)
        report_way.write_bmp(crops[TRAIN:], val)
        naive = report_way.make_model()
        ways = {
            STUDY: lambda: timed(lambda: report_way.epoch(*naive, train, val)),
            MINIMAL: lambda: timed(bare),
            "fit()": lambda: fit_epoch(crops, auto),
            "fit(), fp32": lambda: fit_epoch(crops, fp32),
        }
        for number in range(rounds + 1):
            for name, run in ways.items():
                taken = run()
                if number:  # the first round warms up
                    seconds[name].append(taken)
    return seconds


def timed(run: Callable[[], object]) -> float:
    """Seconds that `run` takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def flops_per_image(config: TrainConfig) -> float:
    """Forward and backward of one image, as counted by PyTorch (convolutions and matrix products)."""
    model = build_model(config).train()
    x = torch.rand(32, 1, 64, 64)
    with FlopCounterMode(display=False) as counter:
        torch.nn.functional.mse_loss(model(x), x).backward()
    return counter.get_total_flops() / len(x)


def peak_flops(dtype: torch.dtype) -> float:
    """Throughput of a large matrix product on this machine: an upper bound."""
    a, b = (torch.rand(2048, 2048, dtype=dtype) for _ in range(2))
    best = min(timed(lambda: a @ b) for _ in range(20))
    return 2 * 2048**3 / best


def profile_step(config: TrainConfig) -> list[tuple[str, float]]:
    """Share of CPU time by operator, largest first."""
    epoch = bare_loop(make_crops(TRAIN), config)
    epoch()
    with warnings.catch_warnings(), profile(activities=[ProfilerActivity.CPU]) as profiler:
        warnings.simplefilter("ignore")
        epoch()
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    shares = [(event.key, event.self_cpu_time_total / total) for event in events]
    return sorted(shares, key=lambda pair: -pair[1])[:8]


def peak_memory_mb(n: int) -> float:
    """Peak resident memory of a process that trains on n crops."""
    code = f"import training_speed as t; t.fit_epoch(t.make_crops({n} + 208), t.TrainConfig(epochs=2), {n}, 208)"
    code += "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout)


def scaling(rounds: int) -> dict[int, float]:
    """Training crops -> median seconds per epoch, with the same 208 for validation."""
    crops, config = make_crops(max(SIZES) + VAL), TrainConfig(epochs=2)
    taken = {n: [] for n in SIZES}
    for _ in range(rounds):
        for n in SIZES:
            taken[n].append(fit_epoch(crops, config, n))
    return {n: statistics.median(values) for n, values in taken.items()}


def report(rounds: int) -> str:
    """Measure everything; Markdown."""
    seconds = compare(rounds)
    median = {name: statistics.median(values) for name, values in seconds.items()}

    def ratio(other: str, ours: str = "fit()") -> str:
        ratios = [a / b for a, b in zip(seconds[other], seconds[ours], strict=True)]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

    config = TrainConfig()
    dtype = resolve_precision(config, torch.device("cpu"))
    flops, peak = flops_per_image(config), peak_flops(dtype)
    floor = flops * TRAIN / peak
    shares = profile_step(config)
    sizes = scaling(max(2, rounds // 2))
    slope, start = np.polyfit(list(sizes), list(sizes.values()), 1)
    fitted = slope * np.array(list(sizes)) + start
    off = np.abs(fitted / np.array(list(sizes.values())) - 1).max()
    memory = {n: peak_memory_mb(n) for n in (1664, 16640)}
    lines = [
        f"{torch.get_num_threads()} threads, {dtype}, PyTorch {torch.__version__}, {cpu_name()};"
        f" CNNAutoencoder, kernel 3, batches of 32, {TRAIN} crops trained and {VAL} validated per epoch,"
        f" median of {rounds} rounds",
        "",
        "| implementation | training images/s | s per epoch of 16,640 crops |",
        "|---|---|---|",
        *(f"| {name} | {TRAIN / s:.0f} | {10 * s:.1f} |" for name, s in median.items()),
        f"| peak-throughput bound | {TRAIN / floor:.0f} | {10 * floor:.1f} |",
        "",
        f"- fit() is **{ratio(STUDY)} times as fast** as the study's data path"
        f" (in fp32: {ratio(STUDY, 'fit(), fp32')}).",
        f"- fit() reaches **{ratio(MINIMAL)}** of the speed of the minimal loop; validation, metrics and checkpoints"
        " are included.",
        f"- Arithmetic: {flops / 1e9:.4f} GFLOP per image, forward and backward; a {dtype} matrix product of 2048"
        f" reaches {peak / 1e9:.0f} GFLOP/s here. fit() runs at {floor / median['fit()']:.0%} of this bound, the"
        f" minimal loop at {floor / median[MINIMAL]:.0%}.",
        "- CPU time of a step by operator: "
        + ", ".join(f"{name.removeprefix('aten::')} {share:.0%}" for name, share in shares)
        + ".",
        f"- Peak memory of a training process: {memory[1664]:.0f} MB with 1,664 crops, {memory[16640]:.0f} MB with"
        " 16,640.",
        f"- Time of an epoch by size: {', '.join(f'{n} crops {s:.2f} s' for n, s in sizes.items())}; {1000 * slope:.3f}"
        f" ms per crop plus {start:.2f} s, linear within {off:.0%}.",
    ]
    return "\n".join(lines)


def cpu_name() -> str:
    """Model of the processor, as Linux calls it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the results into this page, between its marks")
    args = parser.parse_args()
    text = report(args.rounds)
    print(text)
    if args.out:
        replace_part(args.out, "measured", text)


if __name__ == "__main__":
    main()
