"""A member of a population: settings that change while it trains, weights of another member, what was when.

Population based training (Jaderberg et al. 2017) replaces the worst members by copies of the best, with other
hyperparameters. A member keeps its name, directory and identity; of a better one it takes weights, optimizer and
settings. last.pt says which settings hold now, schedule.json says since when; Ray's state is only a messenger.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune

from deepdlt.atomic import write_atomic
from deepdlt.config import CHANGEABLE, OWN, TrainConfig, config_dict
from deepdlt.models import BEST, LAST, load_last
from deepdlt.training import complete_transplant
from deepdlt.training.transplant import transplant
from sweeps.space import Configuration
from sweeps.store import TuneConfig, trial_cell, trial_name

POPULATION = "population"
"""Key of Tune's config that makes a trial a member; the changeable fields are keys beside it."""
SCHEDULE, _GENERATIONS, _MARKER, _SET_ASIDE = "schedule.json", ".generations", "marker.json", ".set_aside"
Mark = dict[str, Any]
"""Reference to a kept state: `member`, `epoch`, `state`, a folder."""
Entry = dict[str, Any]
"""Entry of a member's history: `epoch`, the first one trained with these settings; fields with their values."""
_KEPT = 2  # the newest, and the one that Tune knows until it has been told of that


def generation_epochs(epochs: int) -> int:
    """Epochs between two rounds of replacement: about six rounds in a training."""
    return max(1, epochs // 6)


def member(trial: TuneConfig, directory: Path, axes: list[str], epochs: int, anew: bool = False) -> TuneConfig:
    """What Tune hands to the trainable: the trial and the settings that it has reached, if it has begun already.

    Args:
        trial: of `sweeps.store.trial_config`.
        directory: of the trial; it need not exist.
        axes: swept fields; those that may change while training are varied.
        anew: the trainable will give up what is in the directory, and so the settings that it has reached.
    """
    complete_transplant(directory)
    state = None if anew else load_last(directory)
    start = trial_cell(trial).config
    now = start | (Configuration.of(state["config"]).only(start) if state else {})
    values = now.only(name for name in axes if name in CHANGEABLE)
    begun = {**trial, **values, POPULATION: {"every": generation_epochs(epochs), "adopted": {}}}
    return _with_settings(begun, now, values)


def settings(config: TuneConfig) -> Configuration:
    """All fields of the TrainConfig that a trial is to train with now, a member of a population or not."""
    adopted = config.get(POPULATION, {}).get("adopted", {})
    return trial_cell(config).config | adopted | _values(config)


def train_config(config: TuneConfig) -> TrainConfig:
    """`settings` as a TrainConfig."""
    return TrainConfig(**settings(config))


def inherit(own: TuneConfig, donor: TuneConfig, values: Mapping[str, Any]) -> TuneConfig:
    """The config of a member that takes over another's weights: its own trial, the donor's settings, new values."""
    return _with_settings(own, settings(donor), values)


def take_over(config: TuneConfig, directory: Path, to_train: TrainConfig) -> int:
    """Make the directory what the population has decided; to be called before fit().

    Args:
        to_train: `train_config(config)`.

    Returns:
        The last epoch that Tune was told of; fit() yields it once more. 0 when this is a start or a restart.

    Raises:
        DamagedCheckpoint, FileNotFoundError: the donor's checkpoint cannot be read.
    """
    if POPULATION not in config:
        return 0
    complete_transplant(directory)
    noted = {name for entry in history(directory) for name in entry} - {"epoch", "from"}
    now = {name: getattr(to_train, name) for name in sorted(noted | {*_values(config), *config[POPULATION]["adopted"]})}
    reported = tune.get_checkpoint()
    if reported is None:
        for name in (_GENERATIONS, _SET_ASIDE):
            shutil.rmtree(directory / name, ignore_errors=True)  # of an earlier run, whose marks are gone
        state = load_last(directory)
        note(directory, state["epoch"] + 1 if state else 1, now)
        return 0
    with reported.as_directory() as folder:
        mark = json.loads((Path(folder) / _MARKER).read_text(encoding="utf-8"))
    if mark["member"] != directory.name and not _has_taken_over(directory, mark, to_train):
        kept = directory / _SET_ASIDE / _name_of(mark)
        epoch = transplant(kept if kept.exists() else Path(mark["state"]), directory, to_train)
        note(directory, epoch + 1, now | {"from": mark["member"]})
    return mark["epoch"]


def checkpoint(config: TuneConfig, directory: Path, metrics: dict[str, float]) -> tune.Checkpoint | None:
    """What to report with an epoch: at the end of a generation a mark that leads to this state, else None.

    The state is kept as hard links to last.pt and best.pt, which are never changed in place; Ray copies the mark.
    """
    epoch = int(metrics["epoch"])
    if POPULATION not in config or metrics["finished"] or epoch % config[POPULATION]["every"]:
        return None
    kept = directory / _GENERATIONS / f"{epoch:06d}"
    shutil.rmtree(kept, ignore_errors=True)
    (kept / "mark").mkdir(parents=True)
    for name in (LAST, BEST):
        _link(directory / name, kept / name)
    mark = {"member": directory.name, "epoch": epoch, "state": str(kept.resolve())}
    (kept / "mark" / _MARKER).write_text(json.dumps(mark), encoding="utf-8")
    for old in sorted(kept.parent.iterdir())[:-_KEPT]:
        shutil.rmtree(old)
    return tune.Checkpoint.from_directory(kept / "mark")


def set_aside(donor: tune.Checkpoint, config: TuneConfig) -> None:
    """Keep the state that a mark leads to for a member which is to take it over, until it takes over another one.

    That member may start long after the donor has gone on, which keeps its newest states alone.

    Args:
        donor: what `checkpoint` returned.
        config: of the member that is replaced.

    Raises:
        OSError: the state is not there, or cannot be kept.
    """
    with donor.as_directory() as folder:
        mark = json.loads((Path(folder) / _MARKER).read_text(encoding="utf-8"))
    state = Path(mark["state"])
    place = state.parents[2] / trial_name(config) / _SET_ASIDE
    shutil.rmtree(place, ignore_errors=True)
    kept = place / _name_of(mark)
    kept.mkdir(parents=True)
    for name in (LAST, BEST):
        _link(state / name, kept / name)


def forget_generations(sweep: Path) -> None:
    """Remove the kept states of all members; for the end of a search, when they are no longer needed."""
    for directory in (*sweep.glob(f"*/{_GENERATIONS}"), *sweep.glob(f"*/{_SET_ASIDE}")):
        shutil.rmtree(directory, ignore_errors=True)


def history(directory: Path) -> list[Entry]:
    """The settings of a member: [{"epoch": the first one trained with them, field: value, ...}, ...].

    Where weights were taken over, `from` names the member whose they were.
    """
    try:
        return json.loads((directory / SCHEDULE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []


def is_changed(directory: Path) -> bool:
    """Whether a population changed settings or weights there, so that this is the training of no single cell."""
    entries = history(directory)
    return len(entries) > 1 or any("from" in entry for entry in entries)


def note(directory: Path, epoch: int, now: Mapping[str, Any]) -> None:
    """Add to the history that these settings hold from this epoch on; what was noted for it and later is replaced."""
    before = [entry for entry in history(directory) if entry["epoch"] < epoch]
    changed = not before or "from" in now or any(before[-1].get(name) != value for name, value in now.items())
    entries = [*before, {"epoch": epoch, **now}] if changed else before
    directory.mkdir(parents=True, exist_ok=True)
    write_atomic(directory / SCHEDULE, json.dumps(entries, indent=1).encode())


def _has_taken_over(directory: Path, mark: Mark, to_train: TrainConfig) -> bool:
    """Whether an earlier attempt, which died, did so already and has perhaps trained on."""
    last, state = history(directory)[-1:], load_last(directory)
    noted = [(entry.get("from"), entry["epoch"]) for entry in last] == [(mark["member"], mark["epoch"] + 1)]
    return noted and state is not None and state["config"] == config_dict(to_train)


def _name_of(mark: Mark) -> str:
    return f"{mark['member']}-{mark['epoch']:06d}"


def _values(config: TuneConfig) -> Configuration:
    return Configuration.of(config).only(CHANGEABLE)


def _with_settings(own: TuneConfig, now: Configuration, values: Mapping[str, Any]) -> TuneConfig:
    """A member's config whose settings are `now`, with other values of the changeable axes."""
    start = trial_cell(own).config
    adopted = {name: v for name, v in now.without(*values, *OWN).items() if start[name] != v}
    return {"trial": own["trial"], **values, POPULATION: {**own[POPULATION], "adopted": adopted}}


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
