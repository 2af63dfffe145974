"""Results of a finished training: metrics.csv, result.json, figures, and a summary in text."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from deepdlt import figures
from deepdlt.analysis.baselines import baseline_table
from deepdlt.analysis.generation import sample_images, traversals
from deepdlt.analysis.latents import encode_crops, folder_names, per_image, project, shown_labels
from deepdlt.analysis.whole_images import reconstruct_image, seen_by, wave_fidelity
from deepdlt.atomic import write_atomic
from deepdlt.config import CHOICES, REFERENCE_SIZE, VAES, TrainConfig, config_dict
from deepdlt.dataset import Patches, Split
from deepdlt.images import Source
from deepdlt.models import BEST, LAST, load_model, reconstruct
from deepdlt.training import evaluate

MAPPED_CROPS, FEWEST_MAPPED = 16, 4  # crops per image, images
CURVES = ("train_loss", "val_loss", "val_psnr_db", "val_ssim")
SAMPLES = 24
WHOLE_IMAGES, CENTRE = 12, 256  # test images that are reconstructed whole; side of the shown part in px
SHOWN = 5  # crops per figure, as in the study
DEFINITIONS = {"standard": "standard", "report": "study's"}  # of `TrainConfig.metrics`, in words


@dataclass(frozen=True)
class Training:
    """One configuration on one split, and the folder for its files."""

    config: TrainConfig
    patches: Patches
    split: Split
    source: Source
    directory: Path
    device: str


def read_history(directory: Path) -> dict[int, dict[str, float]]:
    """Epoch -> metrics, from metrics.csv; empty if the file or one of the columns for the figures is missing."""
    try:
        table = pd.read_csv(directory / "metrics.csv")
    except (OSError, ValueError):
        return {}
    if not {"epoch", *CURVES} <= set(table):
        return {}
    return {int(row["epoch"]): row for row in table[table["epoch"].notna()].to_dict("records")}


def write_history(directory: Path, history: Mapping[int, Mapping[str, float]]) -> None:
    """Write metrics.csv: one row per epoch."""
    rows = pd.DataFrame([history[epoch] for epoch in sorted(history)])
    write_atomic(directory / "metrics.csv", rows.to_csv(index=False).encode())


def summarize(training: Training, history: Mapping[int, Mapping[str, float]]) -> list[str]:
    """Test once, write result.json and figures/*.png; return the lines of the summary."""
    config, directory = training.config, training.directory
    model, _ = load_model(directory / (BEST if config.evaluate == "best" else LAST))
    model.to(training.device).to(memory_format=torch.channels_last)
    crops = torch.as_tensor(training.patches.crops).to(training.device)
    test = _test(model, config, crops, torch.as_tensor(training.split.test).to(training.device))
    wholes = _whole_images(training, model)
    sizes = {REFERENCE_SIZE, config.latent_size}
    split = training.split
    baselines = baseline_table(
        training.patches.crops, split.train, split.test, sorted(sizes), fit_crops=len(split.train)
    )
    result = {
        "config": config_dict(config),
        "parameters": sum(p.numel() for p in model.parameters()),
        "latent_size": config.latent_size,
        "validation": dict(history[max(history)]),
        "test": test,
        "waves": wave_fidelity((recon, original) for original, recon in wholes),
        "baselines": baselines,
    }
    write_atomic(directory / "result.json", json.dumps(_plain(result), indent=1, allow_nan=False).encode())
    _draw(training, model, history, wholes)
    return _lines(training, result)


def _plain(value: Any) -> Any:
    """The same value with None for numbers that JSON lacks (an infinite PSNR, the period of no wave)."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _test(model: nn.Module, config: TrainConfig, crops: Tensor, indices: Tensor) -> dict[str, dict[str, float]]:
    """Definition of the metrics (standard and the study's) -> name -> mean over the test crops."""
    values = {}
    for definition in CHOICES["metrics"]:
        found = evaluate(model, replace(config, metrics=definition), crops, indices, "all")
        values[definition] = {name: float(v.mean()) for name, v in found.items()}
    return values


def _whole_images(training: Training, model: nn.Module) -> list[tuple[np.ndarray, np.ndarray]]:
    """(original, reconstruction) of some whole test images, in [0, 1]."""
    tested = np.unique(training.patches.image_id[training.split.test])
    chosen = np.unique(tested[np.linspace(0, len(tested) - 1, WHOLE_IMAGES).astype(int)])
    originals = [training.source.pixels(int(image)) for image in chosen]
    shown = [seen_by(training.config, original) / np.float32(255) for original in originals]
    return [(s, reconstruct_image(model, training.config, o)) for s, o in zip(shown, originals, strict=True)]


def _draw(
    training: Training,
    model: nn.Module,
    history: Mapping[int, Mapping[str, float]],
    wholes: Sequence[tuple[np.ndarray, np.ndarray]],
) -> None:
    config, crops = training.config, training.patches.crops
    folder = training.directory / "figures"
    folder.mkdir(exist_ok=True)
    series = {name: {epoch: row[name] for epoch, row in history.items()} for name in CURVES}
    drawn = {"curves": figures.training_curves({"run": series}, {"run": "validation"})}
    for part in ("train", "test"):
        indices = getattr(training.split, part)
        chosen = indices[np.linspace(0, len(indices) - 1, SHOWN).astype(int)]
        output = reconstruct(model, config, torch.as_tensor(crops[chosen]).to(training.device)).cpu().numpy()
        pairs = list(zip(crops[chosen, 0] / np.float32(255), output[:, 0], strict=True))
        drawn[f"reconstructions_{part}"] = figures.reconstruction_pairs(pairs)
        if part == "test":
            drawn["error_maps"] = figures.error_maps(pairs)
    drawn["whole_images"] = figures.error_maps([(_centre(o), _centre(r)) for o, r in wholes[:SHOWN]])
    if latents := _latents(training, model):
        drawn["latents"] = latents
    if config.model in VAES:
        drawn |= _generated(training, model)
    for name, figure in drawn.items():
        write_atomic(folder / f"{name}.png", figures.png(figure))


def _centre(image: np.ndarray) -> np.ndarray:
    """The central part of an image, at most CENTRE px wide and high."""
    height, width = (min(side, CENTRE) for side in image.shape)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _latents(training: Training, model: nn.Module) -> Figure | None:
    """A map of all images by the first two principal components of their latents, coloured by each label."""
    patches = training.patches
    ranks = pd.Series(patches.image_id).groupby(patches.image_id).cumcount().to_numpy()
    few = np.flatnonzero(ranks < MAPPED_CROPS)
    images, means = per_image(encode_crops(model, training.config, patches.crops[few]), patches.image_id[few])
    if len(images) < FEWEST_MAPPED:
        return None
    table = patches.images.set_index("image_id").loc[images]
    colours = {name: table[name].tolist() for name in shown_labels(patches.images)}
    tested, validated = (set(patches.image_id[part]) for part in (training.split.test, training.split.val))
    colours["folder"] = folder_names(table["file"]).tolist()
    colours["part"] = ["test" if i in tested else "validation" if i in validated else "training" for i in images]
    return figures.latent_map(project(means, "pca"), colours)


def _generated(training: Training, model: nn.Module) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(training.config.seed)
    samples = sample_images(model, SAMPLES, generator).float().cpu().numpy()
    shown = training.patches.crops[training.split.val]
    latents = torch.as_tensor(encode_crops(model, training.config, shown, pool=False))
    strongest = latents.var(0).argsort(descending=True)[:SHOWN].tolist()
    steps = [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0]  # standard deviations of the prior
    images = traversals(model, latents.mean(0).to(training.device), strongest, steps)
    names = [f"z{i}" for i in strongest]
    return {
        "samples": figures.sample_grid(samples),
        "traversals": figures.traversal_grid(images.float().cpu().numpy(), names, steps),
    }


def _lines(training: Training, result: dict[str, Any]) -> list[str]:
    config, test = training.config, result["test"][training.config.metrics]
    other = next(name for name in CHOICES["metrics"] if name != config.metrics)
    lines = [
        f"{config.model}, protocol {config.protocol}: {result['parameters']:,} parameters,"
        f" {result['latent_size']:,} latent dimensions",
        f"test ({config.evaluate} checkpoint): loss {test['loss']:.5g}, {_quality(test)}",
        f"  with the {DEFINITIONS[other]} PSNR and SSIM: {_quality(result['test'][other])}",
    ]
    if result["validation"]["epoch"] < config.epochs:
        lines.insert(1, f"stopped early after epoch {result['validation']['epoch']:.0f} of {config.epochs}")
    if config.model in VAES:
        lines.append(
            f"  ELBO {test['elbo_nats']:.1f} nats = {test['bits_per_dim']:.3f} bits/dim,"
            f" KL {test['kl_nats']:.1f} nats, {test['active_units']:.0f} active units"
        )
    waves = result["waves"]
    kept = waves["images"] - waves["lost"]
    period, orientation = waves["period_error_percent"], waves["orientation_error_deg"]
    off = f"; period error {period:.2f} %, orientation error {orientation:.2f} deg"
    lines.append(f"  whole images: dominant wave kept in {kept} of {waves['images']}{off if kept else ''}")
    for row in result["baselines"]:
        size = f" with {row['numbers']:,} coefficients" if row["numbers"] > 1 else ""
        lines.append(f"  {row['baseline']}{size}: PSNR {row['psnr_db']:.2f} dB, SSIM {row['ssim']:.3f}")
    return [*lines, f"figures, tables and checkpoints: {training.directory}"]


def _quality(values: Mapping[str, float]) -> str:
    spectrum = f"log-spectral distance {values['spectrum_db']:.1f} dB"
    return f"PSNR {values['psnr_db']:.2f} dB, SSIM {values['ssim']:.3f}, {spectrum}"
