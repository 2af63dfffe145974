"""The study's experiments on the published images, under both protocols; and further settings.

    python tests/benchmarks/reproduction.py --data data/dlip/images                      # hours on 2 cores
    python tests/benchmarks/reproduction.py --data data/dlip/images --only exp1-report
    python tests/benchmarks/reproduction.py --page docs/reproduction.md                  # write its tables

Each row is one `deepdlt train` with the output folder data/runs/<row>. Finished rows are not run again.
"""

import argparse
import json
import math
import shlex
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from marked_page import replace_part

from deepdlt.__main__ import main as deepdlt

RUNS = Path("data/runs")
RESIDUAL = (
    "--set model=res_ae --set activation=silu --set dropout=0 --set augment_symmetry=flips --set optimizer=adamw"
    " --set weight_decay=0.01 --set schedule=cosine --set warmup=0.1"
)
EXPERIMENT = {
    "exp1": "--set lr=1e-3 --set dropout=0.3",
    "exp2": "--set optimizer=sgd --set lr=1e-4 --set activation=elu",
    "exp3": "--set kernel_size=5",
    "vae": "--set model=cnn_vae --set lr=1e-4 --set activation=leaky_relu",
    "cv": "--labels angle --fold 1",
}
TITLES = {
    "exp1": "1: Adam 1e-3, dropout .3, ReLU, k3",
    "exp2": "2: SGD 1e-4, dropout .2, ELU, k3",
    "exp3": "3: Adam 5e-4, dropout .2, ReLU, k5",
    "vae": "VAE: Adam 1e-4, dropout .2, latent 128",
    "cv": "CV: Adam 5e-4, dropout .2, ReLU, k3; angle, fold 1",
}
IN_THE_STUDY = {
    "exp1": "100 epochs: PSNR 12.6 (curve)",
    "exp2": "100 epochs: train .1989, val .1871, PSNR 12.13, SSIM .1350",
    "exp3": "100 epochs: PSNR 12.6 (curve)",
    "vae": "100 epochs: loss 24,400-25,800 (curves)",
    "cv": "10 epochs: train .1819, val .1754, test .1860",
}
EPOCHS = {"exp1": 3, "exp2": 110, "exp3": 3, "vae": 3, "cv": 10}
BASE = "--set dropout=0 --set lr=1e-3"
EFFECTS = {
    "base": ("baseline: Adam 1e-3, constant, MSE, no dropout", ""),
    "seed": ("baseline, seed 1", "--set seed=1"),
    "seed2": ("baseline, seed 2", "--set seed=2"),
    "selu": ("activation=selu", "--set activation=selu"),
    "selu-matched": ("activation=selu, init=matched (LeCun)", "--set activation=selu --set init=matched"),
    "relu-matched": ("init=matched (He)", "--set init=matched"),
    "adamw": ("optimizer=adamw, weight_decay=1e-2", "--set optimizer=adamw --set weight_decay=1e-2"),
    "l2": ("weight_decay=1e-3 (L2)", "--set weight_decay=1e-3"),
    "cosine": ("schedule=cosine, lr=2e-3", "--set schedule=cosine --set lr=2e-3"),
    "onecycle": ("schedule=onecycle, lr=2e-3", "--set schedule=onecycle --set lr=2e-3"),
    "ema": ("ema=0.99", "--set ema=0.99"),
    "ms-ssim": ("ms_ssim_weight=0.05", "--set ms_ssim_weight=0.05"),
    "focal": ("focal_frequency_weight=1", "--set focal_frequency_weight=1"),
    "spectrum": ("spectrum_weight=0.01", "--set spectrum_weight=0.01"),
    "l1": ("loss=l1", "--set loss=l1"),
    "fp32": ("precision=fp32", "--set precision=fp32"),
    "k3-decoder": ("decoder_kernel_size=3 (the study's Table 1)", "--set decoder_kernel_size=3"),
    "dropout": ("dropout=0.2 (the study)", "--set dropout=0.2"),
}
ROWS: dict[str, str] = {
    **{f"{name}-report": f"--protocol report --epochs {EPOCHS[name]} {words}" for name, words in EXPERIMENT.items()},
    **{f"{name}-corrected": f"--epochs {min(EPOCHS[name], 3)} {words}" for name, words in EXPERIMENT.items()},
    "cnn5": "--epochs 5 --set dropout=0 --set lr=2e-3 --set schedule=onecycle",
    "cnn5-ms-ssim": "--epochs 5 --set dropout=0 --set lr=2e-3 --set schedule=onecycle --set ms_ssim_weight=0.05",
    **{f"effect-{name}": f"--epochs 10 {BASE} {words}".strip() for name, (_, words) in EFFECTS.items()},
    "res-vae": f"--epochs 3 {RESIDUAL.replace('res_ae', 'res_vae')} --set lr=2e-3 --set latent_channels=0",
    "vae-gaussian": f"--epochs 3 {EXPERIMENT['vae']} --set vae_likelihood=gaussian --set decoder_sigma=0.1",
    "vae-warmup": f"--epochs 3 {EXPERIMENT['vae']} --set kl_warmup=2",
    "vae-free-bits": f"--epochs 3 {EXPERIMENT['vae']} --set free_bits=0.05",
    "vae-beta": f"--epochs 3 {EXPERIMENT['vae']} --set beta=4",
    "res-8192": f"--epochs 1 {RESIDUAL} --set lr=1e-3 --set latent_channels=128",
    "res-1024": f"--epochs 3 {RESIDUAL} --set lr=2e-3 --set latent_channels=16",
    "res-128": f"--epochs 5 {RESIDUAL} --set lr=2e-3 --set latent_channels=0",
}


def run(row: str, data: Path, threads: int) -> int:
    """Train a row, or resume it."""
    if (RUNS / row / "result.json").exists():
        return 0
    images = [] if row.startswith("effect-") else ["--data", str(data)]  # effects: the built-in images
    words = [*images, "--threads", str(threads), "--out", str(RUNS / row), *shlex.split(ROWS[row])]
    print(f"== {row}: {shlex.join(words)}", flush=True)
    return deepdlt(["train", *words])


def found(row: str) -> dict[str, Any] | None:
    """Last epoch, test and settings of a finished row."""
    try:
        result = json.loads((RUNS / row / "result.json").read_text())
    except OSError:
        return None
    last = pd.read_csv(RUNS / row / "metrics.csv").iloc[-1].to_dict()
    return {**result, "last": last, "epochs": int(last["epoch"])}


def tables() -> str:
    """The tables of all finished rows, as Markdown."""
    return "\n".join([*experiments(), "", *sizes(), "", *vaes(), "", *effects(), "", *commands()])


def experiments() -> list[str]:
    """The study's numbers beside ours, under both protocols."""
    lines = [
        "| experiment | the study | ours, `--protocol report` | ours, `--protocol corrected` |",
        "|---|---|---|---|",
    ]
    for name, title in TITLES.items():
        cells = [cell(name, protocol) for protocol in ("report", "corrected")]
        lines.append(f"| {title} | {IN_THE_STUDY[name]} | {cells[0]} | {cells[1]} |")
    return lines


def cell(name: str, protocol: str) -> str:
    """`100 epochs: train .1989, val .1871 (floor .1761), PSNR 12.13, SSIM .135; test loss .1860`."""
    row = found(f"{name}-{protocol}")
    if row is None:
        return "not run"
    last, test = row["last"], row["test"][protocol if protocol == "report" else "standard"]
    digits = ",.0f" if abs(last["val_loss"]) > 10 else ".4f"
    floor = f" (floor {last['val_loss_floor']:{digits}})" if "val_loss_floor" in last else ""
    text = f"{row['epochs']} epochs: train {last['train_loss']:{digits}}, val {last['val_loss']:{digits}}{floor},"
    text += f" PSNR {last['val_psnr_db']:.2f}, SSIM {last['val_ssim']:.3f}; test {test['loss']:{digits}}"
    if protocol == "corrected":
        text += f", {test['psnr_db']:.2f} dB, SSIM {test['ssim']:.3f}"
    return text + (f"; {test['bits_per_dim']:.2f} bits per pixel" if "bits_per_dim" in test else "")


def sizes() -> list[str]:
    """What networks and linear baselines reach, by latent size."""
    lines = [
        "| model | latent values | parameters | epochs | test PSNR, dB | PSNR of pooled MSE, dB | test SSIM"
        " | log-spectral distance, dB | row |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    names = {
        "cnn5": "CNNAutoencoder",
        "cnn5-ms-ssim": "CNNAutoencoder, MS-SSIM in the loss",
        "res-8192": "residual autoencoder",
        "res-1024": "residual autoencoder",
        "res-128": "residual autoencoder",
    }
    entries: list[tuple[int, str]] = []
    baselines: dict[tuple[str, int], dict[str, Any]] = {}
    for row, name in names.items():
        if (result := found(row)) is None:
            continue
        test = result["test"]["standard"]
        of_all = pooled(test.get("mse", test["loss"]))
        quality = f"{test['psnr_db']:.2f} | {of_all:.2f} | {test['ssim']:.3f} | {test['spectrum_db']:.1f}"
        size, parameters = result["latent_size"], f"{result['parameters']:,}"
        entries.append((size, f"| {name} | {size} | {parameters} | {result['epochs']} | {quality} | `{row}` |"))
        baselines |= {(b["baseline"], b["numbers"]): b for b in result["baselines"]}
    for (name, numbers), b in baselines.items():
        quality = f"{b['psnr_db']:.2f} | {b['pooled_psnr_db']:.2f} | {b['ssim']:.3f}"
        entries.append((numbers, f"| {name} | {numbers} | | | {quality} | | |"))
    return lines + [line for _, line in sorted(entries, key=lambda entry: entry[0])]


def vaes() -> list[str]:
    """The terms of the ELBO."""
    lines = [
        "| VAE, 128 latent dimensions | epochs | -ELBO, nats | bits per pixel | KL, nats | active units"
        " | test PSNR, dB | test SSIM |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in ("vae-corrected", "vae-gaussian", "vae-beta", "vae-warmup", "vae-free-bits", "res-vae"):
        if (result := found(row)) is not None:
            t = result["test"]["standard"]
            lines.append(
                f"| `{row}` | {result['epochs']} | {-t['elbo_nats']:.0f} | {t['bits_per_dim']:.3f} | {t['kl_nats']:.0f}"
                f" | {t['active_units']:.0f} | {t['psnr_db']:.2f} | {t['ssim']:.3f} |"
            )
    return lines


def pooled(mse: float) -> float:
    """PSNR of the mean squared error over all crops, in dB."""
    return -10 * math.log10(mse)


def effects() -> list[str]:
    """One line per setting that the study did not try."""
    lines = [
        "| setting | val PSNR, dB | Δ to baseline, dB | val SSIM | test log-spectral distance, dB |",
        "|---|---|---|---|---|",
    ]
    base = found("effect-base")
    for name, (title, _) in EFFECTS.items():
        if (row := found(f"effect-{name}")) is None or base is None:
            continue
        last = row["last"]
        change = last["val_psnr_db"] - base["last"]["val_psnr_db"]
        lines.append(
            f"| {title} | {last['val_psnr_db']:.2f} | {change:+.2f} | {last['val_ssim']:.3f} |"
            f" {row['test']['standard']['spectrum_db']:.1f} |"
        )
    return lines


def commands() -> list[str]:
    """Row -> the options of its `deepdlt train`."""
    made = [row for row in ROWS if found(row)]
    return ["```", *(f"{row:<18} {ROWS[row]}" for row in made), "```"]


def main() -> int:
    """Run rows, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="IMAGES", help="folder of the published images")
    parser.add_argument("--only", nargs="*", choices=ROWS, metavar="ROW", help="default all")
    parser.add_argument("--threads", type=int, default=1, help="the losses' last digits depend on it")
    parser.add_argument("--page", type=Path, help="write the tables into this page, between its marks")
    args = parser.parse_args()
    if args.data:
        for row in args.only or ROWS:
            if code := run(row, args.data, args.threads):
                return code
    if args.page:
        replace_part(args.page, "measured", tables())
    else:
        print(tables())
    return 0


if __name__ == "__main__":
    sys.exit(main())
