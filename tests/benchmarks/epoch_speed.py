"""How much of a bare training loop's speed does fit() keep? Both in one process, interleaved.

    python tests/benchmarks/epoch_speed.py --rounds 5

fit() includes validation with PSNR and SSIM and two checkpoints; the bare loop is forward, backward and step on
preloaded tensors, nothing else. Printed: images per second of each (median over rounds) and the ratio.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from deepdlt.config import TrainConfig
from deepdlt.models import build_model
from deepdlt.stratified_split import Split
from deepdlt.training import fit, resolve_precision

N_TRAIN, N_VAL = 1600, 200


def bare_epoch(crops: np.ndarray, config: TrainConfig) -> float:
    """Images per second of the loop that nothing can be taken from."""
    x = torch.from_numpy(crops[:N_TRAIN]).float().div(255).contiguous(memory_format=torch.channels_last)
    model = build_model(config).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    bf16 = resolve_precision(config, torch.device("cpu")) is torch.bfloat16
    started = time.perf_counter()
    for batch in x.split(config.batch_size):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            output = model(batch)
        torch.nn.functional.mse_loss(output.float(), batch).backward()
        optimizer.step()
    return N_TRAIN / (time.perf_counter() - started)


def fit_epoch(crops: np.ndarray, config: TrainConfig) -> float:
    """Images per second of one epoch of fit(), everything included."""
    split = Split(np.arange(N_TRAIN), np.arange(N_TRAIN, N_TRAIN + N_VAL), np.arange(0))
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        list(fit(config, crops, split, Path(directory)))
        return N_TRAIN / (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    crops = np.random.default_rng(0).integers(0, 256, (N_TRAIN + N_VAL, 1, 64, 64), dtype=np.uint8)
    config = TrainConfig(epochs=1)
    bare_epoch(crops, config), fit_epoch(crops, config)  # warm up
    pairs = [(bare_epoch(crops, config), fit_epoch(crops, config)) for _ in range(args.rounds)]
    bare, ours = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"threads {torch.get_num_threads()}, {resolve_precision(config, torch.device('cpu'))}")
    print(f"bare loop {bare:.0f} images/s, fit() {ours:.0f} images/s, ratio {ratio:.2f} (median of {args.rounds})")


if __name__ == "__main__":
    main()
