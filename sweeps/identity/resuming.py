"""Checks before a sweep is resumed: other code, another space, another machine.

Other data are refused by sweep.json's fixed keys (`check_sweep`); here it is said what changed in them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from deepdlt.errors import some_words
from deepdlt.models import resolve_precision, slow_precision
from sweeps.errors import SweepRefused
from sweeps.identity import code as code_identity
from sweeps.identity.images import changed, of_labels
from sweeps.request import Request, Resources
from sweeps.space import Axis
from sweeps.store import CODE_FILE, SweepFile, TrialRecord, address, read_record, read_records, read_sweep
from sweeps.tuning import population_members as population
from sweeps.tuning import schedulers

LISTED = 10


def check_code(sweep: Path, files: Mapping[str, str], allowed: bool) -> None:
    """Refuse to add trials to those of other code, with the files that differ.

    Args:
        files: of `code_identity.code_files`.
        allowed: `--allow-code-change`; the report then says which trials are of which code.

    Raises:
        SweepRefused: complete trials were made by other code.
    """
    now = code_identity.digest(files)
    made_by = Counter(r.code for r in read_records(sweep).values() if r.is_complete)
    others = {code: n for code, n in made_by.items() if code not in (None, now)}
    if not others or allowed:
        return
    known = (read_sweep(sweep) or SweepFile()).codes
    lines: list[str] = []
    for code in others:
        lines += code_identity.changed_files(known[code], files) if code in known else ["(files not on record)"]
    listed = "\n".join(f"  {line}" for line in _first(list(dict.fromkeys(lines))))
    raise SweepRefused(
        f"{sum(others.values())} trials of {address(sweep)} were made by other code, so new ones would not be"
        f" comparable:\n{listed}\nchoose another --name, undo the change, or add --allow-code-change (the report marks"
        " them)"
    )


def data_changes(before: SweepFile, now: SweepFile) -> list[str]:
    """Which images, rows or labels in use differ, for the refusal of another data set."""
    if not before.images:
        return []
    if before.labels:
        used = {*before.labels, *now.labels, *(now.grouped_by or ()), now.search_label or ""}
        lines = changed(of_labels(before.images, used), of_labels(now.images, used))
    else:  # an older sweep does not say which are in use
        lines = changed(before.images, now.images)
    is_same = before.data_fingerprint == now.data_fingerprint
    return _first(lines) if lines or is_same else [f"images and labels are the same, {_other_rules(before, now)}"]


def is_older(before: SweepFile, now: SweepFile) -> bool:
    """Whether a sweep has the same images and labels, but is of a version that told data apart by more than these."""
    same = before.images and before.data_fingerprint != now.data_fingerprint
    return bool(same and before.grouped_by is None and not changed(before.images, now.images))


def _other_rules(before: SweepFile, now: SweepFile) -> str:
    """What makes other data of the same images and labels."""
    if is_older(before, now):
        return "but an older version compared more than these: its trials are not counted"
    if before.grouped_by != now.grouped_by:
        were, are = (some_words(map(repr, of.grouped_by)) if of.grouped_by else "no column" for of in (before, now))
        return f"but grouped by {were} in the sweep, by {are} now (--group-by)"
    return "but crops are cut in another way (as --pixel-pitch does)"


def known_codes(sweep: Path, files: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """Digest -> files of every version of the code that worked on the sweep, this one included."""
    return {**(read_sweep(sweep) or SweepFile()).codes, code_identity.digest(files): files}


def notes(request: Request, resources: Resources, sweep: Path, sweep_file: SweepFile, on_cluster: bool) -> list[str]:
    """Lines for people: how the space changed since the last run, and what is not comparable to the last bit."""
    records = list(read_records(sweep).values())
    now = code_identity.digest(code_identity.code_files())
    other = [p.parent for p in sorted(sweep.glob(f"*/{CODE_FILE}")) if p.read_text(encoding="utf-8") != now]
    torn = [p.parent.name for p in sorted(sweep.glob("*/trial.json")) if read_record(p.parent) is None]
    before = read_sweep(sweep)
    return [
        *(f"{name}: trial.json is damaged; the trial is repeated" for name in torn),
        *(f"{folder.name}: begun by other code; it starts again" for folder in other if read_record(folder) is None),
        *(f"{name}: a population changed its settings; it starts again" for name in _former_members(request, sweep)),
        *(_space_changes(before, sweep_file, request, records) if before is not None else []),
        *([] if on_cluster else _machine_changes(request, resources, records)),
        *([] if on_cluster else _slow_precision(request, resources)),
    ]


def _slow_precision(request: Request, resources: Resources) -> list[str]:
    device = torch.device("cuda" if resources.gpus_per_trial else "cpu")
    swept = request.tune_space.axes.get("precision")
    choices = [{"precision": value} for value in swept.choices] if swept else [{}]
    return [note for each in choices for note in slow_precision(replace(request.config(), **each), device)]


def _first(lines: list[str]) -> list[str]:
    return [*lines[:LISTED], *([f"and {len(lines) - LISTED} more"] if len(lines) > LISTED else [])]


def _former_members(request: Request, sweep: Path) -> list[str]:
    """Unfinished trials with settings from a population that is no longer used."""
    if request.scheduler in schedulers.POPULATIONS:
        return []
    folders = [path.parent for path in sorted(sweep.glob(f"*/{population.SCHEDULE}"))]
    return [folder.name for folder in folders if read_record(folder) is None and population.is_changed(folder)]


def _with_constants(of: SweepFile, other: SweepFile) -> dict[str, Axis]:
    """Its axes, and as axes of one value those of its constants that are axes of the other one."""
    constants = {name: Axis((value,)) for name, value in (of.settings or {}).items() if name in other.axes}
    return {**constants, **of.axes}


def _space_changes(before: SweepFile, now: SweepFile, request: Request, records: Iterable[TrialRecord]) -> list[str]:
    were, are = _with_constants(before, now), _with_constants(now, before)
    if not were or were == are:
        return []
    added, removed = [], []
    for name in {**were, **are}:
        old, new = _values(were.get(name)), _values(are.get(name))
        added += [f"{name}={value}" for value in new if value not in old]
        removed += [f"{name}={value}" for value in old if value not in new]
    outside = sum(r.is_search and bool(request.outside(r.config)) for r in records)
    parts = [f"{sign}: {', '.join(found)}" for sign, found in (("added", added), ("removed", removed)) if found]
    kept = f"; {outside} finished trial(s) are outside it now: kept, marked, not counted" if outside else ""
    return [f"the search space changed ({'; '.join(parts)}){kept}"] if parts or kept else []


def _values(axis: Axis | None) -> list[str]:
    """The choices of an axis as text; a range is one text."""
    if axis is None:
        return []
    return [str(choice) for choice in axis.choices] or [str(axis)]


def _machine_changes(request: Request, resources: Resources, records: Iterable[TrialRecord]) -> list[str]:
    device = "cuda" if resources.gpus_per_trial else "cpu"
    precision = str(resolve_precision(request.config(), torch.device(device))).removeprefix("torch.")
    now = code_identity.environment(max(1, int(resources.cpus_per_trial)), device, precision)
    found: Counter[str] = Counter()
    for record in records:
        if record.is_complete and (lines := code_identity.differences(record.environment, now)):
            found["; ".join(lines)] += 1
    return [f"{n} finished trial(s) are not comparable to the last bit: {lines}" for lines, n in found.items()]
