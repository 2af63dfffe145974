"""What of a sweep counts for what is asked now: edited spaces and other folds leave trials behind that do not.

`plan.tally` asks the request itself; a report that is made again later has nothing but sweep.json (`tally_of`).
"""

import json
import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deepdlt.config import ConfigError, config_dict, make_config
from sweeps.space import active, axes_of, configuration_group, last_settings, outside_space
from sweeps.store.sweep_file import asked_seeds
from sweeps.store.trial_records import COMPLETE, FAILED

Pair = tuple[int, int]
"""Of search and of cross-validation trials."""


@dataclass(frozen=True)
class Tally:
    """The trials of one request."""

    planned: Pair
    to_run: Pair
    done: Pair
    """Complete, or stopped early by a scheduler."""
    failed: Pair
    """Those that `--retry-failed` runs again."""
    searched: int
    """Distinct configurations of complete search trials."""
    compared: int
    """Of these, from the best on, those that have complete folds."""
    space_size: int | None
    """Configurations; None when there is no end of them."""


def outside(asked: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Fields in which a search trial is none of the present space; such trials are kept, but do not count.

    Args:
        asked: sweep.json.
        config: of the trial's record.
    """
    found, axes = outside_space(asked, config), asked.get("axes") or {}
    if found or "settings" not in asked:
        return found
    known = {**asked["settings"], **{name: config[name] for name in axes if name in config}}
    known = active(asked.get("conditions") or {}, known)
    try:
        named = {name: asked[name] for name in ("epochs", "seed")} | known
        now = config_dict(make_config(asked["protocol"], **named))
    except (ConfigError, KeyError):
        return found
    return [name for name, value in config.items() if name not in axes and now.get(name) != value]  # removed axes


def tally_of(asked: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> Tally:
    """The tally from sweep.json and the records: what is left to run is not known from them, and counts as nothing."""
    records = list(records)
    search = [r for r in records if r["kind"] == "search" and not outside(asked, r["config"])]
    folds = [r for r in records if r["kind"] == "cv" and _is_asked(asked, r)]
    complete = [[r for r in of if r["status"] == COMPLETE] for of in (search, folds)]
    failed = [sum(r["status"] == FAILED for r in of) for of in (search, folds)]
    size = math.prod(axis.size or math.inf for axis in axes_of(asked).values())
    return Tally(
        planned=(int(asked.get("trials") or len(search)), len(folds)),
        to_run=(0, 0),
        done=(len(search) - failed[0], len(folds) - failed[1]),
        failed=(failed[0], failed[1]),
        searched=len({configuration_group(r["config"] | last_settings(r)) for r in complete[0]}),
        compared=len({configuration_group(r["config"]) for r in complete[1]}),
        space_size=int(size) if math.isfinite(size) else None,
    )


def _is_asked(asked: Mapping[str, Any], fold: Mapping[str, Any]) -> bool:
    """Whether a fold is of the grid that sweep.json asks for, as far as it says; a search alone asks for none."""
    command, seeds = str(asked.get("command") or ""), asked_seeds(asked)
    if command and asked.get("axes") and "--cv" not in shlex.split(command):
        return False
    config, listed = fold["config"], asked.get("cv_configurations")
    groups = [configuration_group(json.loads(g)) for g in listed] if isinstance(listed, list) else None
    return (
        fold["n_folds"] == asked.get("folds", fold["n_folds"])
        and fold["label"] in (asked.get("labels") or [fold["label"]])
        and (not seeds or config.get("seed", 0) in seeds)
        and (groups is None or configuration_group(config) in groups)
    )
