"""The design of a synthetic data set: the label table of each preset, before any image is made.

`tiny` and `small` have a balanced design, in which the labels are nearly uncorrelated. `full` repeats the design of the
208 published micrographs (https://github.com/AnLitsas/Laser-CNN): folders, counts and combinations of factors.
"""

from collections import Counter
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import pandas as pd

from deepdlt.synthetic.laser_condition import PIXEL, SPOT_RADIUS, WAVELENGTH, Condition, acting_share, truth

ANGLE = "angle [deg]"
USUAL_ANGLE = 19.0  # in the label table wherever a change was not recorded
WRONG_SHARE = 44 / 208  # of the angles in the published table
TRUE_COLUMNS = ("period_dlip_um", "period_lipss_um", "ripple_angle_deg", "fluence_ratio")


class Block(NamedTuple):
    """Single pulses: the levels of every factor are spread evenly over n images; repeat a level to weight it."""

    n: int
    folders: tuple[str, ...]
    angles: tuple[float, ...]
    patterns: str
    n_pulses: tuple[int, ...]
    energies: tuple[int, ...]


class Campaign(NamedTuple):
    """Samples (pattern x energies) of one folder, each with every number of pulses."""

    folder: str
    angle: float  # half-angle in degrees
    patterns: str
    energies: tuple[tuple[int, int], ...]  # uJ, of the patterned pulse and of the other; other 0: single pulses
    n_pulses: tuple[int, ...]
    delay_ps: int = 0
    crossed: str = ""  # "pattern first" or "flat first": the other pulse is unpatterned and polarised vertically
    written_angle: float | None = None  # the wrong angle in the label table


class Zoom(NamedTuple):
    """Further images of the surface `of`, `width_um` wide; each letter, appended to its name, is one image."""

    of: str
    folder: str
    letters: str
    width_um: float


class Preset(NamedTuple):
    """Images of (height, width) pixels."""

    image_size: tuple[int, int]
    plan: tuple[Block | Campaign | Zoom, ...]


TUNING, CROSSED = "2020-4-30 tuning ripple period", "2020-6-9 Crossed polarized"
DOUBLE, SINGLE = "Paper Data/Double pulses", "Paper Data/Single pulses 2p"
REPEATED, SMALL_ANGLES = "Paper Data/Repetition 6p & 2p 29-4-2020", "Paper Data/Single pulses 4 and half 6"
DETAILS = f"{REPEATED}/Details"
TUNED, REPEATS = ((46, 0), (40, 0), (23, 23), (20, 20)), ((50, 0), (42, 0), (40, 0))
TEN, HUNDRED = (10, 50), (100, 50, 10)

FULL: tuple[Campaign | Zoom, ...] = (
    *(Campaign(TUNING, angle, "V", TUNED, (10, 20, 50), 500, "", USUAL_ANGLE) for angle in (11.6, 8.5, 6.8)),
    Campaign(CROSSED, 19.0, "H", ((26, 44), (16, 27)), (20, 100), 500, "pattern first"),
    Campaign(CROSSED, 19.0, "VD", ((20, 35), (16, 27)), (20, 100), 500, "pattern first"),
    Campaign(CROSSED, 19.0, "VHD", ((14, 23),), (100,), 500, "pattern first"),
    Campaign(CROSSED, 19.0, "VHD", ((20, 35),), (20, 100), 500, "flat first"),
    Campaign(CROSSED, 19.0, "D", ((26, 44),), (20, 100), 500, "flat first"),
    Campaign(CROSSED, 19.0, "H", ((26, 44),), (100,), 500, "flat first"),
    Campaign(CROSSED, 19.0, "V", ((26, 44), (16, 27)), (100,), 500, "flat first"),
    *(Campaign(DOUBLE, angle, "VHD", ((25, 25), (21, 21)), HUNDRED, 500) for angle in (19.0, 5.5)),
    Campaign(DOUBLE, 19.0, "V", ((14, 14),), (100, 50), 500),
    Campaign(DOUBLE, 19.0, "D", ((14, 14),), (100,), 500),
    *(Campaign(REPEATED, angle, "VHD", REPEATS, TEN) for angle in (19.0, 5.5)),
    Zoom("8-2", REPEATED, "d", 60),
    *(Zoom(of, DETAILS, "AB", 12) for of in ("2-1", "5-1", "5-2", "8-1", "8-2")),
    Zoom("2-2", DETAILS, "A", 12),
    Campaign(SINGLE, 19.0, "V", ((94, 0), (78, 0), (61, 0), (41, 0), (21, 0)), HUNDRED),
    Campaign(SINGLE, 19.0, "H", ((61, 0), (41, 0)), HUNDRED),
    Campaign(SINGLE, 19.0, "H", ((21, 0),), (100,)),
    Campaign(SINGLE, 19.0, "D", ((61, 0),), HUNDRED),
    Campaign(SINGLE, 19.0, "D", ((41, 0),), HUNDRED),
    Campaign(SMALL_ANGLES, 8.5, "VHD", ((52, 0), (40, 0)), (500, 50, 10)),
    Campaign(SMALL_ANGLES, 8.5, "VH", ((26, 0),), (500, 50)),
    Campaign(SMALL_ANGLES, 8.5, "D", ((26, 0),), (500,)),
    Campaign(SMALL_ANGLES, 5.5, "V", ((52, 0), (40, 0)), (500, 50, 10), written_angle=USUAL_ANGLE),
    Campaign(SMALL_ANGLES, 5.5, "V", ((26, 0),), (500, 50), written_angle=USUAL_ANGLE),
)
SPREAD = ((5.5, 8.5, 19.0), "VHD")
PRESETS: dict[str, Preset] = {
    "tiny": Preset((160, 200), (Block(12, ("Single pulses",), *SPREAD, (10, 50, 100), (26, 42, 61)),)),
    "small": Preset(
        (480, 640),
        (Block(30, ("Single pulses 1", "Single pulses 2"), *SPREAD, (10, 20, 50, 100, 500), (26, 35, 42, 50, 61)),),
    ),
    "full": Preset((960, 1280), FULL),
}


def design(preset: str, image_size: tuple[int, int] | None = None, label_noise: bool = False) -> pd.DataFrame:
    """The label table of a preset: one row per image, columns and units of the published table, the truth as `true_*`.

    As in the published table, names end in '.bmp' for files that end in '.png', and PP2, EP2, Pol 2 are 0 for single
    pulses.

    Args:
        preset: one of PRESETS.
        image_size: (height, width) in pixels instead of the preset's; the pixel pitch stays the same.
        label_noise: give images of other angles the label 19 degrees, as the published table does for 44 of 208: for
            whole series of samples, not at random. `true_*` keep the truth.

    Raises: ValueError for a preset that is not one of PRESETS.
    """
    if preset not in PRESETS:
        raise ValueError(f"`preset` must be one of {', '.join(PRESETS)}, got {preset!r}")
    height, width = image_size or PRESETS[preset].image_size
    rows = [_sheet_row(row, height, width) for row in _rows(PRESETS[preset].plan)]
    sheet = pd.DataFrame(rows)
    if label_noise:
        sheet["true_angle_deg"] = sheet[ANGLE]
        sheet[ANGLE] = _forgotten(sheet[ANGLE]) if preset != "full" else sheet["written"]
    return sheet.drop(columns="written")


def condition_of(row: dict, image_size: tuple[int, int], seed: int = 0) -> Condition:
    """The process conditions of a row of the label table; `true_angle_deg`, if present, replaces the label `angle`."""
    pulses = [
        (row["PP1"], row["EP1 [μJ]"], row["Pol 1"]),
        (row["PP2"], row["EP2 [μJ]"] * acting_share(row["Δτ [ps]"]), row["Pol 2"]),
    ]
    patterned = [pulse for pulse in pulses if pulse[0] != 0]
    flat = [pulse for pulse in pulses if pulse[0] == 0 and pulse[1] > 0]
    return Condition(
        angle_deg=row.get("true_angle_deg", row[ANGLE]),
        pattern=patterned[0][0],
        n_pulses=row["NP"],
        energy_uj=sum(pulse[1] for pulse in patterned),
        polarization=patterned[0][2],
        image_size=image_size,
        pixel_um=row["DimX [μm]"] / image_size[1],
        seed=seed,
        flat_energy_uj=sum(pulse[1] for pulse in flat),
        flat_polarization=flat[0][2] if flat else "V",
        flat_first=bool(flat) and flat[0] is pulses[0],
    )


def _sheet_row(row: dict, height: int, width: int) -> dict:
    """One row with the columns of the published table, in their order, and the truth. Pulse 2 comes after the delay."""
    patterned = (row["pattern"], row["energy"], "H")
    other: tuple = (0, 0, 0)
    if row["delay"]:
        other = (0, row["other"], "V") if row["crossed"] else (row["pattern"] if row["other"] else 0, row["other"], "H")
    first, second = (other, patterned) if row["crossed"] == "flat first" else (patterned, other)
    pitch = PIXEL * row["width_um"] / 40
    full = {
        "Names": f"{row['folder']}/{row['name']}.bmp",
        "DimY [μm]": round(height * pitch, 6), "DimX [μm]": round(width * pitch, 6),
        "wavelength [nm]": round(WAVELENGTH * 1000), "Spot size [μm]": round(SPOT_RADIUS),
        ANGLE: row["angle"], "PP1": first[0], "PP2": second[0], "Δτ [ps]": row["delay"],
        "NP": row["n_pulses"], "EP1 [μJ]": first[1], "EP2 [μJ]": second[1], "Pol 1": first[2], "Pol 2": second[2],
    }  # fmt: skip
    known = truth(condition_of(full, (height, width)))
    columns = (*TRUE_COLUMNS, "ripple_share") if row["campaign"] else TRUE_COLUMNS
    full |= {f"true_{name}": round(getattr(known, name), 6) for name in columns}
    if row["campaign"]:
        full["true_pattern"] = row["pattern"]  # PP1 is 0 if the second pulse has the pattern
    return full | {"written": row["written"]}


def _rows(plan: tuple[Block | Campaign | Zoom, ...]) -> list[dict]:
    rng = np.random.default_rng(0)  # the design is part of the preset; only the surfaces depend on the user's seed
    rows: list[dict] = []
    samples: Counter[str] = Counter()
    for part in plan:
        if isinstance(part, Block):
            rows += _block_rows(part, rng)
        elif isinstance(part, Campaign):
            rows += _campaign_rows(part, samples)
        else:
            parent = next(row for row in rows if (row["folder"], row["name"]) == (REPEATED, part.of))
            # "21A" is a detail of "2-1" in a folder of its own, "8-2d" lies beside "8-2"
            stem = part.of if part.folder == REPEATED else part.of.replace("-", "")
            rows += [
                parent | {"folder": part.folder, "name": stem + letter, "width_um": part.width_um}
                for letter in part.letters
            ]
    return rows


def _campaign_rows(part: Campaign, samples: Counter[str]) -> list[dict]:
    rows = []
    for pattern, (energy, other) in product(part.patterns, part.energies):
        samples[part.folder] += 1
        for shot, n_pulses in enumerate(part.n_pulses, start=1):
            name = f"{samples[part.folder]}-{shot}"
            row = _row(part.folder, name, part.angle, pattern, n_pulses, energy)
            written = part.written_angle or part.angle
            extra = {"other": other, "delay": part.delay_ps, "crossed": part.crossed, "written": written}
            rows.append(row | extra | {"campaign": True})
    return rows


def _block_rows(part: Block, rng: np.random.Generator) -> list[dict]:
    places = [(part.folders[i % len(part.folders)], f"{i + 1:02d}") for i in range(part.n)]
    return [_row(*place, *factors) for place, factors in zip(places, _spread(part, rng), strict=True)]


def _row(folder: str, name: str, angle: float, pattern: str, n_pulses: int, energy: int) -> dict:
    """A single pulse of horizontal polarisation at the usual magnification."""
    return {
        "folder": folder, "name": name, "angle": angle, "pattern": pattern, "n_pulses": n_pulses, "energy": energy,
        "other": 0, "delay": 0, "crossed": "", "written": angle, "width_um": 40, "campaign": False,
    }  # fmt: skip


def _forgotten(angles: pd.Series) -> pd.Series:
    """Labels with the usual angle for the first images of other angles, with the share of the published table."""
    wrong = angles.index[angles != USUAL_ANGLE][: round(WRONG_SHARE * len(angles))]
    return angles.mask(angles.index.isin(wrong), USUAL_ANGLE)


def _spread(block: Block, rng: np.random.Generator) -> list[tuple]:
    """Rows (angle, pattern, NP, EP1) with balanced levels: the shuffle with fewest repeats, then lowest association."""
    factors = (block.angles, tuple(block.patterns), block.n_pulses, block.energies)
    best, best_score = np.zeros((len(factors), 0), int), np.inf
    for _ in range(300):
        codes = np.stack([rng.permutation(np.resize(np.arange(len(f)), block.n)) for f in factors])
        repeats = block.n - len(np.unique(codes, axis=1).T)
        chi2 = 0.0
        for a, b in combinations(range(len(factors)), 2):
            cells = np.bincount(codes[a] * len(factors[b]) + codes[b], minlength=len(factors[a]) * len(factors[b]))
            chi2 += np.square(cells - cells.mean()).sum() / cells.mean()
        if (score := 1e6 * repeats + chi2) < best_score:
            best, best_score = codes, score
    return [tuple(f[i] for f, i in zip(factors, row, strict=True)) for row in best.T.tolist()]
