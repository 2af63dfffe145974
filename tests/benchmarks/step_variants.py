"""Is there a faster training step? Ways to compute it, on the processor's own instructions and on AVX2 alone.

    python tests/benchmarks/step_variants.py                          # 6 minutes on 2 cores
    python tests/benchmarks/step_variants.py --out docs/performance.md

One thread, as a trial has. All ways take turns within a process; a process per set of instructions, in turns too. AVX2
alone is this processor with the newer instructions switched off in PyTorch and its libraries (ONEDNN_MAX_CPU_ISA and so
on), so that the two columns differ in nothing else. A processor that has AVX2 alone has other clocks and caches.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from marked_page import replace_part
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from training_speed import cpu_name, flops_per_image, make_crops, peak_flops, timed

from deepdlt.config import TrainConfig
from deepdlt.models import build_model
from deepdlt.models.autoencoder import Encoder
from deepdlt.models.inference import resolve_precision

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
KINDS = {"own": {}, "avx2": AVX2}
CROPS = 512
TRAINED = "as trained: batch 32, channels last"
FP32, BF16 = "the same in 32-bit", "the same in bfloat16"
KERNEL = "as trained, kernel 5"
LAST, FIRST = torch.channels_last, torch.contiguous_format


def block(norm: nn.Module, after: nn.Module, pool: nn.Module, x: Tensor) -> Tensor:
    """What follows a convolution in an encoder."""
    return after(pool(norm(x)))


class FusedEncoder(Encoder):
    """An encoder whose batch norm, pool and activation are one compiled function."""

    fused: Callable[..., Tensor]

    def forward(self, x: Tensor) -> Tensor:
        """As `Encoder`'s, for a non-decreasing activation."""
        layers = list(self)
        for start in range(0, len(layers), 5):
            convolution, norm, activate, dropout, pool = layers[start : start + 5]
            x = dropout(self.fused(norm, activate, pool, convolution(x)))
        return x


def step(
    config: TrainConfig, *, layout: torch.memory_format = LAST, compiled: str = "", parts: int = 1
) -> Callable[[], None]:
    """A function that trains on CROPS crops once.

    Args:
        config: batch size, kernel, precision.
        layout: of images and weights in memory.
        compiled: "" for nothing, "network", or "block": batch norm, pool and activation together.
        parts: of a batch, whose gradients are added up before the optimizer's step.
    """
    x = torch.from_numpy(make_crops(CROPS)).float().div(255).contiguous(memory_format=layout)
    network = build_model(config).to(memory_format=layout).train()
    if compiled == "block":
        network.encoder.__class__ = FusedEncoder
        network.encoder.fused = torch.compile(block)
    model = torch.compile(network) if compiled == "network" else network
    optimizer = torch.optim.Adam(network.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    bf16 = resolve_precision(config, torch.device("cpu")) is torch.bfloat16

    def epoch() -> None:
        for batch in x.split(config.batch_size):
            optimizer.zero_grad(set_to_none=True)
            for part in batch.chunk(parts):
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                    output = model(part)
                (nn.functional.mse_loss(output.float(), part) / parts).backward()
            optimizer.step()

    return epoch


def ways() -> dict[str, Callable[[], None]]:
    """Each way to compute the same epoch, or nearly the same."""
    usual = TrainConfig()
    return {
        TRAINED: step(usual),
        FP32: step(TrainConfig(precision="fp32")),
        BF16: step(TrainConfig(precision="bf16")),
        "channels first": step(usual, layout=FIRST),
        "batch 32 in two parts of 16": step(usual, parts=2),
        "batch 64": step(TrainConfig(batch_size=64)),
        "batch 128": step(TrainConfig(batch_size=128)),
        "batch norm, pool and activation compiled": step(usual, compiled="block"),
        "`torch.compile` of the network": step(usual, compiled="network"),
        KERNEL: step(TrainConfig(kernel_size=5)),
    }


def measure(rounds: int) -> dict[str, object]:
    """In this process: images/s of each way, round by round; shares of operators; throughput of a matrix product."""
    torch.set_num_threads(1)
    each = ways()
    speeds: dict[str, list[float]] = {name: [] for name in each}
    for number in range(rounds + 1):
        for name, run in each.items():
            taken = timed(run)
            if number:  # the first round warms up, and compiles
                speeds[name].append(CROPS / taken)
    with warnings.catch_warnings(), profile(activities=[ProfilerActivity.CPU]) as profiler:
        warnings.simplefilter("ignore")
        each[TRAINED]()
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    shares = sorted(((e.self_cpu_time_total / total, e.key.removeprefix("aten::")) for e in events), reverse=True)
    dtype = resolve_precision(TrainConfig(), torch.device("cpu"))
    return {
        "speeds": speeds,
        "shares": shares[:8],
        "peak": peak_flops(dtype),
        "dtype": str(dtype),
        "convolution": convolution_flops(TrainConfig()),
    }


def convolution_flops(config: TrainConfig) -> float:
    """Throughput of the largest convolution, 32 -> 64 channels of 32 x 32, forward and backward."""
    x = torch.rand(32, 32, 32, 32).contiguous(memory_format=LAST).requires_grad_()
    layer = nn.Conv2d(32, 64, 3, padding=1).to(memory_format=LAST)
    bf16 = resolve_precision(config, torch.device("cpu")) is torch.bfloat16
    out = torch.ones(32, 64, 32, 32, dtype=torch.bfloat16 if bf16 else torch.float32).contiguous(memory_format=LAST)

    def run() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            made = layer(x)
        made.backward(out)

    best = min(timed(run) for _ in range(20))
    return 3 * 2 * 9 * 32 * 64 * 32 * 32 * 32 / best  # forward, gradient of the input, gradient of the weights


def collect(rounds: int) -> dict[str, list[dict]]:
    """Kind -> what each of two processes measured; the kinds take turns."""
    found: dict[str, list[dict]] = {kind: [] for kind in KINDS}
    for _ in range(2):
        for kind, variables in KINDS.items():
            command = [sys.executable, __file__, "--rounds", str(rounds), "--child"]
            done = subprocess.run(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True, check=True)
            found[kind].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def table(found: dict[str, list[dict]]) -> str:
    """Markdown: ratios to the way that trials take, within each process and round; then where the time goes."""
    lines = [
        f"1 thread, PyTorch {torch.__version__}, {cpu_name()}; {CROPS} crops of 64 x 64; images/s, and in brackets the"
        " ratio to the first row, median of the rounds",
        "",
        f"| step | this processor, {found['own'][0]['dtype'].removeprefix('torch.')} | its AVX2 alone,"
        f" {found['avx2'][0]['dtype'].removeprefix('torch.')} |",
        "|---|---|---|",
    ]
    for way in found["own"][0]["speeds"]:
        cells = []
        for kind in KINDS:
            runs = [run["speeds"] for run in found[kind]]
            speed = statistics.median(value for run in runs for value in run[way])
            ratios = [a / b for run in runs for a, b in zip(run[way], run[TRAINED], strict=True)]
            cells.append(f"{speed:.0f} ({statistics.median(ratios):.2f})")
        lines.append(f"| {way} | {' | '.join(cells)} |")
    gflop = flops_per_image(TrainConfig()) / 1e9
    lines.append("")
    for kind, name in (("own", "This processor"), ("avx2", "AVX2 alone")):
        run = found[kind][0]
        speed = statistics.median(value for each in found[kind] for value in each["speeds"][TRAINED])
        shares = ", ".join(f"{key} {share:.0%}" for share, key in run["shares"])
        largest, product = (run[what] / 1e9 for what in ("convolution", "peak"))
        lines.append(
            f"- {name}: the step runs at {speed * gflop:.0f} GFLOP/s, its largest convolution alone (forward and"
            f" backward) at {largest:.0f}, a matrix product of 2048 at {product:.0f}. Time by operator: {shares}."
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the results into this page, between its marks")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.rounds)))
        return
    text = table(collect(args.rounds))
    print(text)
    if args.out:
        replace_part(args.out, "variants", text)


if __name__ == "__main__":
    main()
