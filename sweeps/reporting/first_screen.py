"""The first screen of a report: the verdict, the three answers, pictures, how to use the network, how it was made."""

import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from deepdlt.command_line import short_path
from sweeps.console.train_command import train_command
from sweeps.folds import counts_text, groups_text, leakage_text
from sweeps.reporting import blocks
from sweeps.reporting.answers import answers, verdict
from sweeps.reporting.blocks import Block, Code, Link, Links, Row, Table, Text
from sweeps.reporting.findings import Findings
from sweeps.reporting.logs import SweepLogs
from sweeps.space import show
from sweeps.store import COMPLETE, DataSummary, address

WARNINGS = 10
FEW_IMAGES = 100  # below this the report warns of wide intervals
GLOSSARY = blocks.Items(
    (
        "PSNR: peak signal-to-noise ratio of a reconstruction in dB, higher is better; +6 dB halves the error.",
        "SSIM: structural similarity, 1 for identical images.",
        "Log-spectral distance: difference of the radial power spectra in dB, lower is better.",
        "Fold: part of the images that a training did not see; each image is tested once per label.",
        "95 % CI: confidence interval; other data of the same kind would give a mean inside it 19 times in 20.",
        "PCA-k, DCT-k: linear codes of k values per crop; they need little or no training.",
        "Latent dimensions: values per crop that the decoder gets.",
        "Pruned: ended early by the scheduler, because it was behind at that epoch.",
        "angle: half-angle of the interfering beams (°). PP1: pattern (V, H lines, D dots). NP: number of pulses."
        " EP1: energy of the first pulse (µJ). All terms: docs/glossary.md and docs/labels.md.",
    )
)
FILES = {
    "trials.csv": "trials.csv",
    "cv.csv": "cv.csv",
    "classes.csv": "classes.csv",
    "leaderboard.csv": "leaderboard.csv",
    "baselines.csv": "baselines.csv",
    "report.md": "Markdown",
}


def first_screen(found: Findings, pictures: Mapping[str, blocks.Figure | blocks.Gallery], sweep: Path) -> list[Block]:
    """Everything above the first section."""
    judged, remark, warnings = verdict(found), _remark(found.logs.sweep_file.data), found.warnings
    shown: list[Block] = [blocks.Verdict(judged.state, judged.headline, judged.detail, judged.command)]
    shown += [blocks.Answers(answers(found))]
    shown += [Text(remark, "remark")] if remark else []
    if warnings:
        more = f"and {len(warnings) - WARNINGS} more: see below, from_record in trials.csv, or --json"
        shown += [blocks.Items([*warnings[:WARNINGS], *([more] if len(warnings) > WARNINGS else [])], "Warnings")]
    shown += [pictures["extremes_test"]] if "extremes_test" in pictures else []
    return [*shown, *_use(found, sweep), _links(found)]


def _use(found: Findings, sweep: Path) -> list[Block]:
    """Where the weights are, and how to apply them; nothing without a complete trial."""
    best = found.best
    if best is None:
        return []
    weights = short_path(sweep / best.name / "best.pt")
    pitch = found.logs.sweep_file.data.pixel_um
    at = f" at {1000 * pitch:.4g} nm per pixel" if pitch else ""
    kind = "the search trial" if best.record.is_search else "a fold run"
    snippet = (
        "import numpy as np\nfrom pathlib import Path\nfrom PIL import Image\n"
        "from deepdlt.analysis.whole_images import reconstruct_image\nfrom deepdlt.models import load_model\n\n"
        f"model, config = load_model(Path({str(weights)!r}))\n"
        f'image = np.asarray(Image.open("image.png").convert("L"))  # (h, w) uint8{at}\n'
        "reconstruction = reconstruct_image(model, config, image)  # (h, w) in [0, 1]"
    )
    again = train_command(found.logs.sweep_file, best.record)
    parts: list[Block] = [Code(f"Use this model: weights of {kind} {best.name} in {weights}", snippet)]
    return [blocks.Folded("Use this model", [*parts, *([Code("Train it again", again)] if again else [])])]


def _links(found: Findings) -> Links:
    there = {"trials.csv", "report.md"}
    there |= {"cv.csv"} if found.tables else set()
    there |= {"classes.csv"} if any(found.classes.values()) else set()
    there |= {"leaderboard.csv"} if found.contested else set()
    there |= {"baselines.csv"} if any(split.rows for split in found.logs.baselines.splits) else set()
    return Links("Files beside this page", [Link(text, name) for name, text in FILES.items() if name in there])


def subtitle(found: Findings) -> str:
    """What was asked, of which images, where it ran and what it cost."""
    logs, sweep_file = found.logs, found.logs.sweep_file
    statuses = ([t.status for t in logs.trials if t.record.is_fold == kind] for kind in (False, True))
    devices = sorted({record.device for record in logs.records if record.device})
    seconds = [record.seconds for record in logs.records if record.seconds is not None]
    parts = [
        sweep_file.question,
        _data(found),
        f"protocol {sweep_file.protocol or 'not known'}",
        sweep_file.created[:10],
        f"trained on {', '.join(devices)} in {duration(sum(seconds))} of trials" if seconds and devices else "",
        counts_text(*statuses),
    ]
    return " · ".join(filter(None, parts))


def _data(found: Findings) -> str:
    """`30 synthetic images, 960 crops of 64x64 px at 31.25 nm, seed 42`, as far as known."""
    sweep_file, data = found.logs.sweep_file, found.logs.sweep_file.data
    size = f" of {data.crop_size}x{data.crop_size} px" if data.crop_size else ""
    size += f" ({data.crop_size * data.pixel_um:.3g} µm)" if data.crop_size and data.pixel_um else ""
    size += f", {data.downsample}-fold downsampled" if data.crop_size and data.downsample else ""
    known = {
        f"{data.images} {'synthetic images' if data.synthetic else 'images'}": data.images,
        f"{data.crops} crops{size}": data.crops,
        f"seed {sweep_file.seed}": sweep_file.seed,
    }
    return ", ".join(text for text, value in known.items() if value is not None) or "data not described (no sweep.json)"


def _remark(data: DataSummary) -> str:
    """What these data cannot show, or ''."""
    if data.synthetic:
        return (
            "These images are synthetic. The ranking shows that the system works and how settings behave on such"
            " structures. To choose a model for real micrographs, run the sweep on your own images (--data FOLDER)."
        )
    if data.images is not None and data.images < FEW_IMAGES:
        return f"Only {data.images} images: intervals are wide, and some classes may have very few images."
    return ""


def how_made(logs: SweepLogs, sweep: Path) -> Table:
    """Name and value, as far as known."""
    sweep_file, records = logs.sweep_file, logs.records
    names = ("space", "question", "search", "scheduler", "trials", "epochs", "folds", "seed", "git_commit", "created")
    values = {name.replace("_", " "): getattr(sweep_file, name) for name in names}
    values["versions"] = ", ".join(f"{name} {version}" for name, version in sweep_file.versions.items())
    values["groups"] = groups_text(sweep_file)
    values["leakage"] = leakage_text(sweep_file.leakage)
    values["data fingerprint"] = sweep_file.data.fingerprint[:16]
    for name, field in (("device", "device"), ("precision", "precision"), ("threads per trial", "threads")):
        values[name] = ", ".join(sorted(map(show, {getattr(record, field) for record in records} - {None})))
    seconds = [record.seconds for record in records if record.seconds is not None]
    if seconds:
        values["time"] = f"{duration(sum(seconds))} (sum over trials), {duration(float(np.median(seconds)))} (median)"
    best = sorted((r for r in records if r.status == COMPLETE), key=lambda r: r.name)
    board = shlex.join(["tensorboard", "--logdir", address(sweep)])
    commands = {"command": sweep_file.command, "compare trials": board}
    rows = [Row((name, str(value))) for name, value in values.items() if value not in (None, "")]
    rows += [Row((name, blocks.Entry(text, look="code"))) for name, text in commands.items() if text]
    rows += [Row(("weights", blocks.Entry(f"{short_path(sweep)}/<trial>/best.pt", look="code")))] if best else []
    return Table(("", ""), rows, width="keys")


def duration(seconds: float) -> str:
    """`95 s`, `12 min`, `3.1 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
