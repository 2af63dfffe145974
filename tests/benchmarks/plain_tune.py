"""A whole sweep beside the same trials written as Ray Tune's tutorial for PyTorch shows it.

    python tests/benchmarks/plain_tune.py                 # 2 rounds of 8 trials x 3 epochs, about 10 minutes on 2 cores
    python tests/benchmarks/plain_tune.py --out docs/performance.md

Both train the first configurations of exp_grid's grid on the same crops and the same split, two trials at a time, from
the start of the process to its end; they take turns. The tutorial's way: a Dataset and a DataLoader without workers,
the study's network layer by layer, PSNR and SSIM image by image with scikit-image, a checkpoint and a report per epoch,
Ray's own loggers. Beside them, in the same rounds: `import torch, ray; ray.init()`, without which nothing runs on Ray;
from the start of a sweep to its first training step; from the end of the last trial to the prompt.
"""

import argparse
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from marked_page import replace_part

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SPACE = ["--space", "exp_grid", "--search", "grid", "--scheduler", "none"]
FLOOR = "import torch, ray; ray.init()"


def train(space: dict[str, Any], crops: Any = None, parts: Any = None) -> None:
    """The tutorial's trainable."""
    import torch
    from ray import tune
    from report_way import measure
    from torch import nn
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    from deepdlt.config import TrainConfig
    from deepdlt.models import build_model

    class Crops(Dataset):
        def __init__(self, rows: Any) -> None:
            self.rows = rows
            self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, item: int) -> torch.Tensor:
            return self.transform(crops[self.rows[item], 0])

    torch.set_num_threads(1)
    wanted = TrainConfig(**space["config"])
    model = build_model(wanted)
    model.encoder = nn.Sequential(*model.encoder)  # layer by layer, in the order of the study's Table 1
    optimizer = torch.optim.Adam(model.parameters(), lr=wanted.lr, weight_decay=wanted.weight_decay)
    criterion = nn.MSELoss()
    training = DataLoader(Crops(parts["train"]), batch_size=wanted.batch_size, shuffle=True)
    held_out = {name: DataLoader(Crops(parts[name]), batch_size=wanted.batch_size) for name in ("val", "test")}
    for epoch in range(1, wanted.epochs + 1):
        model.train()
        for x in training:
            optimizer.zero_grad()
            loss = criterion(model(x), x)
            loss.backward()
            optimizer.step()
        found = measure(model, held_out["val"])
        if epoch == wanted.epochs:
            measure(model, held_out["test"])
        with tempfile.TemporaryDirectory() as folder:
            torch.save((model.state_dict(), optimizer.state_dict()), Path(folder) / "checkpoint.pt")
            tune.report(found, checkpoint=tune.Checkpoint.from_directory(folder))


def plain(trials: int, epochs: int, cwd: Path) -> None:
    """The tutorial's program."""
    os.chdir(cwd)
    sys.path.insert(0, str(Path(__file__).parent))
    from ray import tune

    from deepdlt.command_line import make_parser
    from deepdlt.config import config_dict
    from sweeps import run as sweep
    from sweeps.identity import data as sweep_data
    from sweeps.planning import plan
    from sweeps.request import request

    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    words = [*SPACE, "--trials", str(trials), "--epochs", str(epochs)]
    asked = request.make_request(make_parser(sweep, "sweep").parse_args(words))
    data = sweep_data.load(None, asked)
    split = next(iter(data.splits.values()))
    configs = [config_dict(asked.config(settings)) for settings in plan.searched_settings(asked) or []]
    parts = {name: getattr(split, name) for name in ("train", "val", "test")}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(train, crops=data.patches.crops, parts=parts), {"cpu": 1}),
        param_space={"config": tune.grid_search(configs)},
        run_config=tune.RunConfig(storage_path=str(cwd / "plain"), name=f"t{time.monotonic_ns()}", verbose=0),
    )
    results = tuner.fit()
    assert not results.errors, results.errors[0]
    results.get_best_result("val_psnr_db", "max")


def seconds(*command: str, cwd: Path) -> float:
    """Of a whole process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=cwd, check=True, capture_output=True)
    return time.perf_counter() - started


def written(events: Path) -> float:
    """When the first event of a file was written; its record has a header of 12 bytes, then field 1, a double."""
    return float(struct.unpack("<d", events.read_bytes()[13:21])[0])


def sweep(trials: int, epochs: int, cwd: Path) -> tuple[float, float, float]:
    """Seconds of the whole sweep, from its start to the first training step, from its last trial to the prompt."""
    name = f"t{time.monotonic_ns()}"
    words = [*SPACE, "--trials", str(trials), "--epochs", str(epochs), "--name", name, "-q"]
    begun = time.time()
    whole = seconds(str(ROOT / "sweeps" / "run.py"), *words, cwd=cwd)
    folders = [path.parent for path in (cwd / "ray_results" / name).glob("s0*/trial.json")]
    firsts = [min(map(written, folder.glob("events.out.tfevents.*"))) for folder in folders]
    ends = [(folder / "trial.json").stat().st_mtime for folder in folders]
    return whole, min(firsts) - begun, begun + whole - max(ends)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the results into this page, between its marks")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.plain:
        plain(args.trials, args.epochs, args.plain)
        return
    with tempfile.TemporaryDirectory() as name:
        cwd = Path(name)
        seconds(str(ROOT / "sweeps" / "run.py"), "--space", "exp_grid", "--plan", cwd=cwd)  # the crops are there
        rows = []
        for _ in range(args.rounds):
            floor = seconds("-c", FLOOR, cwd=cwd)
            ours = sweep(args.trials, args.epochs, cwd)
            options = ["--trials", str(args.trials), "--epochs", str(args.epochs), "--plain", name]
            rows.append((floor, *ours, seconds(__file__, *options, cwd=cwd)))
            print("  ".join(f"{value:.1f}" for value in rows[-1]), file=sys.stderr, flush=True)
    floor, whole, start, end, theirs = (statistics.median(column) for column in zip(*rows, strict=True))
    ratios = [row[4] / row[1] for row in rows]
    starts = [row[2] / row[0] for row in rows]
    lines = [
        f"- {args.trials} trials of {args.epochs} epochs, 2 at a time, whole processes: run.py {whole:.0f} s,"
        f" Ray Tune as in its tutorial {theirs:.0f} s: **{statistics.median(ratios):.2f} times** ({min(ratios):.2f} to"
        f" {max(ratios):.2f}), {args.rounds} rounds.",
        f"- From the command to the first training step {start:.1f} s; `{FLOOR}` {floor:.1f} s; ratio"
        f" **{statistics.median(starts):.2f}** ({min(starts):.2f} to {max(starts):.2f}).",
        f"- From the end of the last trial to the prompt, with the report: {end:.1f} s.",
    ]
    print("\n".join(lines))
    if args.out:
        replace_part(args.out, "plain", "\n".join(lines))


if __name__ == "__main__":
    main()
