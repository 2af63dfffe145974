"""Reconstructions of the best, the median and the worst image, beside a linear code of equal size."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from deepdlt import figures
from deepdlt.config import REFERENCE_SIZE
from deepdlt.metrics import lowpass_dct
from sweeps.console import latent_size
from sweeps.reporting.blocks import Gallery, Tile
from sweeps.reporting.findings import Findings
from sweeps.reporting.logs import Trial, read_events
from sweeps.store import COMPLETE

PLACES = ("Best", "Median", "Worst")
SIDE = 128  # px of a small picture at most


@dataclass(frozen=True)
class Pair:
    """A crop and its reconstruction, (size, size) in [0, 1]."""

    original: np.ndarray
    reconstruction: np.ndarray
    psnr_db: float
    """Of this crop."""
    image: str = ""
    """Its name, or '' where it is not known."""
    of: float | None = None
    """PSNR of the whole image, mean over its crops."""
    trial: str = ""


class Logged:
    """Pictures that trials logged; each trial's files are read once."""

    def __init__(self, found: Findings, sweep: Path) -> None:
        self._found, self._sweep = found, sweep
        self._images: dict[str, Mapping[str, bytes]] = {}

    def pairs(self, trial: Trial, tag: str) -> list[Pair]:
        """The pairs of a logged picture; of `extremes/test` with the images that the trial's record names."""
        if trial.name not in self._images:
            self._images[trial.name] = read_events(self._sweep / trial.name).images
        picture = self._images[trial.name].get(tag)
        return [] if picture is None else _pairs(self._found, trial, tag, picture)


def make_gallery(found: Findings, logged: Logged, part: str) -> tuple[Gallery, figures.Figure] | None:
    """Best, median and worst image of `test` or `train`, of the leading configuration; None without pictures."""
    if found.best is None:
        return None
    trials = _trials(found)
    chosen, whole = _chosen(logged, trials, part)
    if not chosen:
        return None
    size, pixels = latent_size(found.best.configuration), chosen[0].original.size
    k = size if size is not None and size < pixels else REFERENCE_SIZE
    name, low_pass = f"DCT-{k}", lowpass_dct(k)
    shown = [(pair, np.clip(low_pass(pair.original), 0, 1)) for pair in chosen]
    limit = figures.error_limit([pair.reconstruction - pair.original for pair in chosen])
    pitch = found.logs.sweep_file.data.shown_um
    rows, drawn = [], []
    for place, (pair, linear) in zip(PLACES, shown, strict=False):
        title = _title(place, pair, whole)
        error = pair.reconstruction - pair.original
        share, bar = figures.scale_bar(pair.original.shape[1], pitch)
        tiles = (
            Tile(_png(pair.original), "original", share, bar),
            Tile(_png(pair.reconstruction), f"reconstruction, {pair.psnr_db:.2f} dB"),
            Tile(_colour_png(figures.error_colours(error, limit)), f"error, ±{limit:.2f}"),
            Tile(_png(linear), f"{name}, {_psnr(linear, pair.original):.2f} dB"),
        )
        rows.append((title, tiles))
        drawn.append((title, (pair.original, pair.reconstruction, error, linear)))
    caption = _caption(found, part, trials, whole, name, k, size, pitch, limit)
    return Gallery(f"extremes_{part}", caption, rows), figures.reconstruction_gallery(drawn, name, limit, pitch)


def make_fold_gallery(found: Findings, logged: Logged) -> tuple[Gallery, figures.Figure] | None:
    """The median test image of each fold of the first label; None without cross-validation or pictures."""
    if not found.leading:
        return None
    table, pairs = found.leading[0], []
    by_name = {trial.name: trial for trial in found.logs.trials}
    for row in table.rows:
        trial = by_name.get(row.trial or "")
        own = logged.pairs(trial, "extremes/test") if trial is not None and trial.status == COMPLETE else []
        if len(own) == len(PLACES) and trial is not None:
            pairs.append((f"fold {row.fold}/{table.n_folds}", own[1]))
    if not pairs or found.best is None:
        return None
    pitch, size = found.logs.sweep_file.data.shown_um, latent_size(found.best.configuration)
    k = size if size is not None and size < pairs[0][1].original.size else REFERENCE_SIZE
    limit = figures.error_limit([pair.reconstruction - pair.original for _, pair in pairs])
    rows, drawn = [], []
    for fold, pair in pairs:
        linear = np.clip(lowpass_dct(k)(pair.original), 0, 1)
        error = pair.reconstruction - pair.original
        share, bar = figures.scale_bar(pair.original.shape[1], pitch)
        title = f"{fold}{f': {pair.image}' if pair.image else ''}"
        tiles = (
            Tile(_png(pair.original), "original", share, bar),
            Tile(_png(pair.reconstruction), f"reconstruction, {pair.psnr_db:.2f} dB"),
            Tile(_colour_png(figures.error_colours(error, limit)), f"error, ±{limit:.2f}"),
            Tile(_png(linear), f"DCT-{k}, {_psnr(linear, pair.original):.2f} dB"),
        )
        rows.append((title, tiles))
        drawn.append((title, (pair.original, pair.reconstruction, error, linear)))
    caption = (
        f"A crop of the median test image of each fold, stratified by {table.label}. Error: reconstruction − original."
    )
    return Gallery("extremes_folds", caption, rows), figures.reconstruction_gallery(drawn, f"DCT-{k}", limit, pitch)


def _trials(found: Findings) -> list[Trial]:
    """The fold runs of the leading configuration; without them, the best search trial."""
    names = {row.trial for table in found.leading for row in table.rows}
    folds = [trial for trial in found.logs.trials if trial.name in names and trial.status == COMPLETE]
    return folds or [trial for trial in (found.best,) if trial is not None]


def _chosen(logged: Logged, trials: Sequence[Trial], part: str) -> tuple[list[Pair], bool]:
    """Best, median and worst of all these trials show, and whether they are of images by their mean over crops."""
    shown = [logged.pairs(trial, f"extremes/{part}") for trial in trials]
    triples = [own for own in shown if len(own) == len(PLACES)]
    if triples:

        def score(pair: Pair) -> float:
            return pair.psnr_db if pair.of is None else pair.of

        middles = sorted((own[1] for own in triples), key=score, reverse=True)
        best, worst = max((own[0] for own in triples), key=score), min((own[2] for own in triples), key=score)
        return [best, middles[len(middles) // 2], worst], part == "test"
    older = [pair for trial in trials for pair in logged.pairs(trial, f"reconstruction/{part}")]
    order = sorted(older, key=lambda pair: -pair.psnr_db)
    return ([order[0], order[len(order) // 2], order[-1]] if len(order) >= len(PLACES) else order), False


def _pairs(found: Findings, trial: Trial, tag: str, picture: bytes) -> list[Pair]:
    """Originals over reconstructions, cut apart."""
    try:
        with Image.open(io.BytesIO(picture), formats=("PNG",)) as image:
            pixels = np.asarray(image.convert("L"), dtype=np.float64) / 255
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        warning = f"{trial.name}: the picture {tag} is not readable"
        if warning not in found.logs.warnings:
            found.logs.warnings.append(warning)
        return []
    size = len(pixels) // 2
    columns = range(0, pixels.shape[1] - size + 1, size) if size else ()
    pairs = [(pixels[:size, x : x + size], pixels[size : 2 * size, x : x + size]) for x in columns]
    names = _images(found, trial) if tag == "extremes/test" else []
    about = names if len(names) == len(pairs) else [("", None)] * len(pairs)
    return [Pair(o, r, _psnr(r, o), name, of, trial.name) for (o, r), (name, of) in zip(pairs, about, strict=True)]


def _images(found: Findings, trial: Trial) -> list[tuple[str, float | None]]:
    """Name and PSNR of the best, the median and the worst image that a trial tested, as it chose them itself."""
    psnr = {str(image): values.get("psnr_db") for image, values in trial.record.test_by_image.items()}
    known = {image: float(value) for image, value in psnr.items() if value is not None and np.isfinite(value)}
    if not known:
        return []
    order = sorted(known, key=lambda image: (-known[image], image))
    files = found.logs.sweep_file.data.files
    chosen = (order[0], order[len(order) // 2], order[-1])
    return [(_name(image, files), known[image]) for image in chosen]


def _name(image: str, files: Sequence[str]) -> str:
    return files[int(image)] if image.isdecimal() and int(image) < len(files) else f"image {image}"


def _title(place: str, pair: Pair, whole: bool) -> str:
    if whole and pair.image and pair.of is not None:
        return f"{place} image: {pair.image}, {pair.of:.2f} dB over its crops"
    return f"{place} of the logged crops, {pair.psnr_db:.2f} dB"


def _caption(
    found: Findings,
    part: str,
    trials: Sequence[Trial],
    whole: bool,
    name: str,
    k: int,
    size: int | None,
    pitch: float | None,
    limit: float,
) -> str:
    """What is shown, and beside what."""
    where = f"{len(trials)} fold runs" if len(trials) > 1 else f"trial {trials[0].name}"
    kind = "test images (never trained on)" if part == "test" else "training crops"
    text = f"{'Best, median and worst' if whole else 'Crops of'} {kind} of {where}."
    text += (
        f" Error: reconstruction − original, blue darker, red brighter, full colour at ±{limit:.2f} of the grey range."
    )
    text += f" {name}: the {k} lowest cosine frequencies"
    if size is not None:
        text += ", of equal size." if k == size else f"; the autoencoder has {size:,} latent dimensions."
    else:
        text += "."
    return text + ("" if pitch else " No scale bar: the pixel pitch is not known.")


def _psnr(image: np.ndarray, original: np.ndarray) -> float:
    """dB, of images in [0, 1]."""
    return float(-10 * np.log10(max(float(np.mean((image - original) ** 2)), 1e-10)))


def _png(image: np.ndarray) -> bytes:
    return _saved(Image.fromarray((np.clip(image, 0, 1) * 255).round().astype(np.uint8)))


def _colour_png(pixels: np.ndarray) -> bytes:
    return _saved(Image.fromarray(pixels))


def _saved(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
