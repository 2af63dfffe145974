"""How close synthetic images are to real ones: mean, contrast, noise, correlation and radial power spectrum.

    python tests/benchmarks/synthetic_statistics.py --real data/dlip/images --preset small full

Compares images of single pulses at 31.25 nm per pixel, evenly spaced over the rows sorted by condition, so always the
same ones. Limits: mean and SD within 10 % of the real images, log10 power within 0.5 in every band. Exit code 1: one
is outside the limits. Real images are only read; the file of `--figure` shows some of them, so do not publish it.
"""

import argparse
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator
from PIL import Image
from scipy import fft, ndimage

from deepdlt.figures.style import COLOURS, GREY, new_figure, png, style_axes
from deepdlt.synthetic.design import CROSSED, DETAILS, DOUBLE, REPEATED, condition_of, design
from deepdlt.synthetic.generator import make_synthetic
from deepdlt.synthetic.surface import surface
from deepdlt.terminal import progress_bar

EDGES = np.geomspace(0.004, 0.5, 10)  # cycles per pixel
BANDS = [f"{low:.3f}-{high:.3f}" for low, high in pairwise(EDGES)]
PERCENTILES = (1, 50, 99)
SCALARS = ["mean", "SD", "noise", "lag-1 correlation", *(f"percentile {p}" for p in PERCENTILES)]
MEAN_LIMIT, BAND_LIMIT = 0.10, 0.5  # relative; in log10 power
LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
EXAMPLES = {
    f"{CROSSED}/1-1": "crossed: H lines (H) first, then flat (V)",
    f"{CROSSED}/5-1": "crossed: dots (H) first, then flat (V)",
    f"{CROSSED}/11-1": "crossed: flat (V) first, then V lines (H)",
    f"{DOUBLE}/12-1": "double pulse: dots, 2 x 21 µJ, NP 100",
    f"{DETAILS}/51A": "detail: H lines, NP 10, 9.4 nm pixels",
    f"{REPEATED}/8-2d": "overview: dots, NP 50, 46.9 nm pixels",
}
EXAMPLE_SIZE = (360, 480)


def image_statistics(pixels: np.ndarray) -> dict[str, float]:
    """Statistics of one 8-bit grey image, on the scale 0 to 1; spectrum in log10 of power per (cycle/pixel)^2.

    Source: noise by Immerkaer, Computer Vision and Image Understanding 64, 300 (1996); it counts fine texture too.
    """
    grey = pixels.astype(np.float32) / 255
    noise = np.sqrt(np.pi / 2) / 6 * np.abs(ndimage.convolve(grey, LAPLACIAN)[1:-1, 1:-1]).mean()
    centred = grey - grey.mean()
    lag = (centred[:, 1:] * centred[:, :-1]).mean() / centred.var()
    scalars = [grey.mean(), grey.std(), noise, lag, *np.percentile(grey, PERCENTILES)]
    return dict(zip(SCALARS + BANDS, [*map(float, scalars), *map(float, radial_log_power(centred))], strict=True))


def radial_log_power(grey: np.ndarray) -> np.ndarray:
    """Log10 of the mean power in each band, of the central square under a Hann window; independent of its size."""
    side = min(grey.shape)
    top, left = ((n - side) // 2 for n in grey.shape)
    window = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    square = grey[top : top + side, left : left + side]
    power = np.abs(fft.rfft2((square - square.mean()) * window)) ** 2 / (window**2).sum()
    radius = np.hypot(fft.fftfreq(side)[:, None], fft.rfftfreq(side)[None])
    return np.array([np.log10(power[(low <= radius) & (radius < high)].mean()) for low, high in pairwise(EDGES)])


def read_sheet(folder: Path) -> pd.DataFrame:
    """The sheet with `file`, `folder` and the patterned pulse's letter; the empty rows of the real one are dropped."""
    sheet = pd.read_excel(folder / "all_images.xlsx").dropna(subset=["Names"])
    sheet["file"] = sheet["Names"].str[:-4] + ".png"
    sheet["folder"] = sheet["Names"].str.rsplit("/", n=1).str[0]
    sheet["pattern"] = sheet["PP1"].astype(str).where(sheet["PP1"].astype(str) != "0", sheet["PP2"].astype(str))
    return sheet


def choose(sheet: pd.DataFrame, n: int) -> pd.DataFrame:
    """At most n rows, evenly spaced over those sorted by condition."""
    rows = sheet.sort_values(["folder", "pattern", "NP", "EP1 [μJ]", "Names"])
    return rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(n, len(rows))).round().astype(int))]


def comparable(sheet: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Single pulses at the usual magnification, 31.25 nm per pixel."""
    with Image.open(folder / sheet["file"].iloc[0]) as image:
        pitch = sheet["DimX [μm]"] / image.width
    return sheet[(sheet["Δτ [ps]"] == 0) & np.isclose(pitch, 0.03125, rtol=0.01)]


def measure(folder: Path, rows: pd.DataFrame, title: str = "") -> pd.DataFrame:
    """One row of statistics per image."""
    found = []
    with progress_bar(f"measuring {title or folder.name}", "images") as progress:
        for done, file in enumerate(rows["file"], start=1):
            with Image.open(folder / file) as image:
                found.append(image_statistics(np.asarray(image)))
            progress(done, len(rows))
    return pd.DataFrame(found)


def outside_limits(real: pd.DataFrame, made: pd.DataFrame) -> list[str]:
    """Every statistic whose mean over the images misses its limit, with both values."""
    real_mean, made_mean = real.mean(), made.mean()
    wrong = [name for name in ("mean", "SD") if abs(made_mean[name] / real_mean[name] - 1) > MEAN_LIMIT]
    wrong += [band for band in BANDS if abs(made_mean[band] - real_mean[band]) > BAND_LIMIT]
    return [f"{name}: real {real_mean[name]:.3f}, synthetic {made_mean[name]:.3f}" for name in wrong]


def table(measured: Mapping[str, pd.DataFrame]) -> str:
    """Markdown: means over the images, and beside `real` the gap of every other column."""
    real = measured.get("real")
    heads = ["", *(f"{name} (n={len(found)})" for name, found in measured.items())]
    heads += [f"{name} - real" for name in measured if real is not None and name != "real"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for key in SCALARS + BANDS:
        label = f"log10 power, {key} cycles/px" if key in BANDS else key
        digits = 2 if key in BANDS else 3
        cells = [f"{found[key].mean():.{digits}f}" for found in measured.values()]
        for name, found in measured.items():
            if real is not None and name != "real":
                gap = round(found[key].mean() - real[key].mean(), digits) + 0.0  # no "-0.00"
                share = f" ({gap / real[key].mean():+.0%})" if key in ("mean", "SD") else ""
                cells.append(f"{gap:+.{digits}f}{share}")
        lines.append("| " + " | ".join([label, *cells]) + " |")
    return "\n".join(lines)


def folder_table(real: Path, made: Path, n: int) -> str:
    """Markdown: the same for every folder of the real design, without limits, n images of each."""
    sheets = {place: read_sheet(place) for place in (real, made)}
    lines = [
        "| folder | mean real / full | SD | noise | lag-1 | largest gap in log10 power |",
        "|---|---|---|---|---|---|",
    ]
    for name in sheets[real]["folder"].unique():
        found = [
            measure(place, choose(sheet[sheet["folder"] == name], n), name).mean() for place, sheet in sheets.items()
        ]
        gaps = found[1][BANDS] - found[0][BANDS]
        worst = gaps.abs().idxmax()
        pairs = [f"{found[0][key]:.3f} / {found[1][key]:.3f}" for key in SCALARS[:4]]
        lines.append("| " + " | ".join([name, *pairs, f"{gaps[worst]:+.2f} at {worst}"]) + " |")
    return "\n".join(lines)


def spectrum_figure(measured: Mapping[str, pd.DataFrame]) -> bytes:
    """Radial spectra: mean over the images, with the spread (one sd) of the single images. Numbers only."""
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    centres = np.sqrt(EDGES[1:] * EDGES[:-1]) / 0.03125
    colours = {"real": GREY, **dict(zip([name for name in measured if name != "real"], COLOURS, strict=False))}
    for name, found in measured.items():
        mean, spread = found[BANDS].mean().to_numpy(), found[BANDS].std().to_numpy()
        label = "real" if name == "real" else f"synthetic, {name}"
        axes.plot(centres, mean, "o-", color=colours[name], markersize=4, label=f"{label} ({len(found)} images)")
        axes.fill_between(centres, mean - spread, mean + spread, color=colours[name], alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks := [0.2, 0.5, 1, 2, 5, 10], [f"{tick:g}" for tick in ticks])
    style_axes(axes, "spatial frequency (1/µm)", "log10 power per (cycle/pixel)²")
    axes.legend(frameon=False)
    return png(figure)


def side_by_side(folders: Mapping[str, tuple[Path, pd.DataFrame]], n: int = 4) -> bytes:
    """The central 10 µm of n images of each folder, one row per folder."""
    figure = new_figure(2.6 * n, 2.8 * len(folders))
    axes = figure.subplots(len(folders), n, squeeze=False)
    for line, (name, (folder, rows)) in zip(axes, folders.items(), strict=True):
        for cell, (_, row) in zip(line, choose(rows, n).iterrows(), strict=False):
            with Image.open(folder / row["file"]) as image:
                pixels = np.asarray(image)
            top, left = ((side - 320) // 2 for side in pixels.shape)
            cell.imshow(pixels[top : top + 320, left : left + 320], cmap="gray", vmin=0, vmax=255)
            title = f"{name}: {row['pattern']}, {row['angle [deg]']:g}°, NP {row['NP']}, {row['EP1 [μJ]']} µJ"
            cell.set_title(title, fontsize=7)
            cell.set_axis_off()
    return png(figure)


def examples() -> bytes:
    """What only the preset `full` has: crossed and double pulses, a detail and an overview; all synthetic."""
    rows = {row["Names"][:-4]: row for row in design("full", EXAMPLE_SIZE).to_dict("records")}
    figure = new_figure(9.6, 5.2)
    for number, (name, title) in enumerate(EXAMPLES.items(), start=1):
        axes = figure.add_subplot(2, 3, number)
        condition = condition_of(rows[name], EXAMPLE_SIZE, seed=number)
        extent = (0, EXAMPLE_SIZE[1] * condition.pixel_um, EXAMPLE_SIZE[0] * condition.pixel_um, 0)
        axes.imshow(surface(condition), cmap="gray", vmin=0, vmax=255, extent=extent)
        axes.set_title(title, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_xlabel("x (µm)", fontsize=7)
        axes.set_ylabel("y (µm)", fontsize=7)
    return png(figure, dpi=96)


def report(real: Path | None, made: Mapping[str, tuple[Path, pd.DataFrame]], measured: Mapping[str, pd.DataFrame],
           n_folder: int) -> tuple[str, bool]:  # fmt: skip
    """The tables and the verdicts, and whether every preset is within the limits."""
    parts, verdicts, fine = [table(measured)], [], True
    if real:
        for name in made:
            wrong = outside_limits(measured["real"], measured[name])
            fine &= not wrong
            verdicts.append(f"`{name}`: " + ("; ".join(wrong) if wrong else "all within the limits") + ".")
        if "full" in made and n_folder:
            verdicts.append(f"All folders ({n_folder} images each, evenly spaced, without limits):")
        parts.append(" ".join(verdicts))
        if "full" in made and n_folder:
            parts.append(folder_table(real, made["full"][0], n_folder))
    return "\n\n".join(parts), fine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="real images with their all_images.xlsx")
    parser.add_argument("--preset", nargs="+", choices=("small", "full"), default=["small"])
    parser.add_argument(
        "--synthetic",
        type=Path,
        default=Path("data/synthetic"),
        help="folder of the synthetic data sets; missing ones are made",
    )
    parser.add_argument("--images", type=int, default=24, help="largest number of images of each (24)")
    parser.add_argument(
        "--per-folder", type=int, default=0, help="also compare this many images of each folder of `full` (0)"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the tables into a page, between its marks")
    parser.add_argument("--spectrum", type=Path, metavar="PNG", help="draw the radial spectra")
    parser.add_argument("--figure", type=Path, metavar="PNG", help="draw synthetic beside real images")
    parser.add_argument(
        "--examples", type=Path, metavar="PNG", help="draw images that only the preset full has, and stop"
    )
    options = parser.parse_args()
    if options.examples:
        options.examples.write_bytes(examples())
        return 0
    folders = {"real": options.real} if options.real else {}
    for preset in options.preset:
        with progress_bar(f"making {preset}", "images") as progress:
            folders[preset] = make_synthetic(options.synthetic, preset, progress=progress)
    rows = {name: (folder, comparable(read_sheet(folder), folder)) for name, folder in folders.items()}
    chosen = {name: (folder, choose(sheet, options.images)) for name, (folder, sheet) in rows.items()}
    for name, (_, picked) in chosen.items():
        print(f"{name}: " + ", ".join(picked["file"]), file=sys.stderr)
    measured = {name: measure(folder, picked, name) for name, (folder, picked) in chosen.items()}
    made = {name: place for name, place in chosen.items() if name != "real"}
    text, fine = report(options.real, made, measured, options.per_folder)
    print(text)
    if options.write:
        from marked_page import replace_part  # late: beside this script, which a test imports from elsewhere

        replace_part(options.write, "statistics", text)
    if options.spectrum:
        options.spectrum.write_bytes(spectrum_figure(measured))
    if options.figure:
        options.figure.write_bytes(side_by_side(chosen))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
