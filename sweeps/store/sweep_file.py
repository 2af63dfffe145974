"""sweep.json: the request of a sweep, and what may change when the command is repeated."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from deepdlt.atomic import remove_unfinished, write_atomic
from deepdlt.config import PROTOCOLS, TrainConfig, make_config
from sweeps.errors import SweepRefused
from sweeps.space import Axis, Conditions, Configuration, Space
from sweeps.store.cell import GridCell
from sweeps.store.mirror import address, published

SWEEP_FILE = "sweep.json"
FIXED = ("space", "protocol", "epochs", "seed", "settings", "search_label", "data_fingerprint")
"""What cannot change within a sweep; trials, labels, folds and search may. Of `settings` those may that are axes before
or after: see `differences`."""
OF_CROSS_VALIDATION = (
    *("cv", "cv_top", "cv_seeds", "race", "labels", "folds", "classes", "label_digests"),
    *("cv_configurations", "cv_cells"),
)
LEFT_OUT = ("cv_configurations", "cv_cells", "label_digests", "grouped_by")  # where they are not known
KEPT = ("created", "cv_configurations", "cv_cells")


@dataclass(frozen=True)
class RaceRule:
    """Rule of `--race`: eliminate what cannot win by more than `margin` dB, wrongly with probability `alpha`."""

    alpha: float = 0.05
    margin: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """The images and crops of a sweep; None or empty where an older one does not say."""

    name: str | None = None
    synthetic: bool = False
    images: int | None = None
    crops: int | None = None
    crop_size: int | None = None
    """Side in pixels of the image."""
    downsample: int | None = None
    """Pixels of the image, along a side, whose mean is one of the crop's; None for 1."""
    fingerprint: str = ""
    files: tuple[str, ...] = ()
    pixel_um: float | None = None
    """Pixel pitch that most images have, in micrometres."""

    @property
    def shown_um(self) -> float | None:
        """Micrometres per pixel of a crop as a network sees it."""
        return None if self.pixel_um is None else self.pixel_um * (self.downsample or 1)


@dataclass(frozen=True, kw_only=True)
class SweepFile:
    """Request of a sweep; None or empty where an older sweep.json does not say, or where there is none at all."""

    space: str = ""
    question: str = ""
    protocol: str = ""
    """`corrected`, `report`, or `mixed`."""
    epochs: int | None = None
    seed: int | None = None
    settings: Configuration | None = None
    """Fields that are not swept."""
    axes: Mapping[str, Axis] = field(default_factory=dict)
    conditions: Conditions = field(default_factory=dict)
    search: str = ""
    scheduler: str = ""
    minimize: str | None = None
    trials: int | None = None
    cv: bool = False
    cv_top: int = 1
    cv_seeds: tuple[int, ...] = ()
    race: RaceRule | None = None
    search_label: str | None = None
    """Stratifies the search's split; "" for none."""
    labels: tuple[str, ...] = ()
    folds: int | None = None
    data_fingerprint: str = ""
    data: DataSummary = field(default_factory=DataSummary)
    images: Mapping[str, Any] = field(default_factory=dict)
    """Image digests of `sweeps.identity.images`."""
    leakage: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, list[int]]] = field(default_factory=dict)
    """Label -> class -> image ids."""
    label_digests: Mapping[str, str] = field(default_factory=dict)
    """Label of the cross-validation -> digest of its values."""
    conditions_of_images: tuple[Any, ...] | None = None
    """(n_images,) process condition of each image."""
    grouped_by: tuple[str, ...] | None = None
    """Columns that make the conditions; () if each image is its own."""
    code: Mapping[str, Any] = field(default_factory=dict)
    """`digest`, `files`: file -> digest."""
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    command: str = ""
    created: str = ""
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Digest -> files of every version of the code that worked on the sweep."""
    cv_configurations: tuple[Configuration, ...] | None = None
    """Configurations of the last cross-validation, without seeds; None before one has run."""
    cv_cells: tuple[GridCell, ...] | None = None
    """The cells of each, in the order in which they run."""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "SweepFile":
        """What `to_json` made, of this version or an older one. What is of another kind than it should be is left out.

        In files of before November 2026 ranges have no step; they are read as continuous.
        """
        found: dict[str, Any] = {}
        for each in fields(cls):
            value = content.get(each.name)
            try:
                known = READERS.get(each.name, _plain)(value)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue
            if value is not None and isinstance(known, KINDS.get(each.name, object)):
                found[each.name] = known
        return cls(**found)

    def to_json(self) -> dict[str, Any]:
        """As it is written: without the grid where none has run."""
        content: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        content |= {
            "settings": None if self.settings is None else self.settings.to_json(),
            "axes": {name: axis.to_json() for name, axis in self.axes.items()},
            "conditions": {name: dict(needs) for name, needs in self.conditions.items()},
            "race": None if self.race is None else vars(self.race),
            "data": {name: v for name, v in vars(self.data).items() if v is not None},
            "cv_configurations": self.cv_configurations and [each.text for each in self.cv_configurations],
        }
        return {name: v for name, v in content.items() if v not in (None, {}) or name not in LEFT_OUT}

    @property
    def current_space(self) -> Space:
        """The space as it was asked for last."""
        return Space(self.axes, self.settings, self.conditions, self.protocol)

    @property
    def swept(self) -> list[str]:
        """Axes of more than one value."""
        return self.current_space.swept

    def outside(self, config: Configuration) -> list[str]:
        """Fields in which a search trial is none of the current space, see `Space.outside`."""
        known = self.settings is not None and self.protocol in PROTOCOLS and None not in (self.epochs, self.seed)
        return self.current_space.outside(config, self._config if known else None)

    def condition_of(self, image: str) -> str | None:
        """The process condition of an image id; None where it is not known."""
        listed = self.conditions_of_images
        return str(listed[int(image)]) if listed and image.isdecimal() and int(image) < len(listed) else None

    def _config(self, settings: Configuration) -> TrainConfig:
        known = {"epochs": self.epochs, "seed": self.seed, **self.current_space.fields(settings)}
        return make_config(self.protocol, **known)


Explain = Callable[[SweepFile, SweepFile], list[str]]


def open_sweep(sweep: Path, now: SweepFile) -> None:
    """Create the sweep folder and its sweep.json, or check that an existing one asked for the same.

    Raises:
        SweepRefused: something of `FIXED` differs; every difference is listed.
    """
    check_sweep(sweep, now)
    before = read_sweep(sweep)
    if before is not None:
        kept = OF_CROSS_VALIDATION if before.cv and not now.cv else ()  # what was cross-validated stays in the report
        now = replace(now, **{name: v for name in (*KEPT, *kept) if (v := getattr(before, name)) not in (None, "")})
    sweep.mkdir(parents=True, exist_ok=True)
    for folder in (sweep, *(path for path in sweep.iterdir() if path.is_dir())):
        remove_unfinished(folder)  # of writers that were killed
    _write(sweep, now)


def update_sweep(sweep: Path, **content: Any) -> None:
    """Replace fields of sweep.json by what is only known while the sweep runs."""
    before = read_sweep(sweep)
    if before is None:
        lost = f"{address(sweep / SWEEP_FILE)} was removed or damaged while the sweep ran"
        raise SweepRefused(f"{lost}; run the command again")
    _write(sweep, replace(before, **content))


def check_sweep(sweep: Path, now: SweepFile, explain: Explain | None = None) -> None:
    """The refusals of `open_sweep`, without writing anything.

    Args:
        explain: of the old content and the new: lines that say more about the difference.
    """
    before = read_sweep(sweep)
    if before is None and (sweep / SWEEP_FILE).exists():
        damaged = f"{address(sweep / SWEEP_FILE)} is damaged"
        raise SweepRefused(f"{damaged}; delete it and run the command again: it is written anew")
    if before is None:
        return
    if different := differences(before, now):
        there, here = before.to_json(), now.to_json()
        lines = [
            f"  {key}: {there[key]!r} in the sweep, {here[key]!r} requested"
            for key in different
            if key != "label_digests"
        ]
        lines += [f"  {line}" for line in (explain(before, now) if explain else [])]
        raise SweepRefused(
            f"the sweep {address(sweep)} was made with other settings; choose another --name\n" + "\n".join(lines)
        )


def differences(before: SweepFile, now: SweepFile) -> list[str]:
    """The fixed fields in which a sweep is not what is asked for.

    `settings`, the constants of a space, may differ where the space was edited: a constant became an axis that has its
    value, or an axis became a constant. Trials hold whole configurations, so that those outside are known.
    """
    different = [name for name in FIXED if getattr(before, name) != getattr(now, name)]
    if before.cv and any(now.label_digests.get(name, of) != of for name, of in before.label_digests.items()):
        different.append("label_digests")  # finished folds are stratified by values that a label has no more
    return [name for name in different if name != "settings" or not _is_edited(before, now)]


def read_sweep(sweep: Path) -> SweepFile | None:
    """sweep.json, or None when it is absent or unreadable."""
    try:
        content = json.loads((sweep / SWEEP_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return SweepFile.from_json(content) if isinstance(content, dict) else None


def _write(sweep: Path, content: SweepFile) -> None:
    write_atomic(sweep / SWEEP_FILE, json.dumps(content.to_json(), indent=1).encode())
    published(sweep / SWEEP_FILE)


def _is_edited(before: SweepFile, now: SweepFile) -> bool:
    """Whether constants differ only in fields that are axes on the other side; an old one is a value of its axis."""
    old, new = before.settings or Configuration(), now.settings or Configuration()
    same = all(name in before.axes if name not in old else old[name] == value for name, value in new.items())
    kept = all(name in new or name in now.axes for name in old)
    return same and kept and not now.current_space.off_axis({**old, **new})


def _plain(value: Any) -> Any:
    return value


def _axes(value: Any) -> dict[str, Axis]:
    return {name: Axis.from_json(v) for name, v in value.items() if isinstance(v, Mapping | list) and v}


def _classes(value: Any) -> dict[str, dict[str, list[int]]]:
    kinds = {label: of for label, of in value.items() if isinstance(of, Mapping)}
    return {label: {name: ids for name, ids in of.items() if isinstance(ids, list)} for label, of in kinds.items()}


def _data(value: Any) -> DataSummary:
    known = {each.name: value[each.name] for each in fields(DataSummary) if value.get(each.name) is not None}
    return DataSummary(**{**known, "files": tuple(map(str, known.get("files", ())))})


READERS: Mapping[str, Callable[[Any], Any]] = {
    "settings": Configuration.from_json,
    "axes": _axes,
    "cv_seeds": lambda value: tuple(int(seed) for seed in value),
    "race": lambda value: RaceRule(value.get("alpha", RaceRule.alpha), value.get("margin", RaceRule.margin)),
    "labels": lambda value: tuple(map(str, value)),
    "data": _data,
    "classes": _classes,
    "conditions_of_images": tuple,
    "grouped_by": lambda value: tuple(map(str, value)),
    "cv_configurations": lambda value: tuple(Configuration.from_json(json.loads(text)).unseeded for text in value),
    "cv_cells": lambda value: tuple((str(label), int(fold), int(seed)) for label, fold, seed in value),
}
KINDS: Mapping[str, type] = {
    **dict.fromkeys(("conditions", "images", "leakage", "label_digests", "code", "versions", "codes"), Mapping),
    **dict.fromkeys(("epochs", "seed", "trials", "folds", "cv_top"), int),
}
