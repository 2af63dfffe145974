"""The summary at the end of a run: tables for people, JSON for scripts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from sweeps.console.next_command import next_command
from sweeps.console.plain import console_to
from sweeps.console.train_command import train_command
from sweeps.console.verdict import judge, tested_folds, tested_once
from sweeps.folds import (
    FoldFindings,
    average_text,
    counts_text,
    fold_findings,
    fold_results,
    folds_json,
    interval_text,
    p_text,
)
from sweeps.space import Configuration, show
from sweeps.store import (
    COMPLETE,
    FAILED,
    PRUNED,
    Baselines,
    SweepFile,
    Tally,
    TrialRecord,
    address,
    best_first,
    read_baselines,
    read_records,
    read_sweep,
    shown,
    tally_of,
)

LEADERS = 5
COLOURS = {"above": "bold green", "below": "bold red", "tie": "bold yellow", "open": "yellow"}
"""Of verdicts."""
UNKNOWN = "a rival"
NUMBERS = (("loss", 4), ("psnr_db", 2), ("ssim", 3))  # of a test, with digits


def show_summary(sweep: Path, file: TextIO, tally: Tally | None = None) -> None:
    """Print the best search trials, the cross-validation with its CI, and the next command.

    Args:
        tally: counts of the request; by default those of sweep.json.
    """
    sweep_file, records = read_sweep(sweep) or SweepFile(), list(read_records(sweep).values())
    found, console, ranked = _findings(sweep_file, records), console_to(file), _ranked(records, sweep_file)
    tables = [_leaders(ranked, sweep_file), _fold_averages(found, sweep_file, ranked), _leaderboard(found, sweep_file)]
    for table in (table for table in tables if table.row_count):
        console.print(table)
        console.print()
    beyond = len(best_first(records)) - len(ranked)
    if beyond:
        console.print(f"outside the current search space: {beyond} complete (kept, not ranked)")
    texts = _texts(found, sweep_file)
    for configuration, stop in found.stops.items():
        console.print(
            f"eliminated after {stop.cells} of {len(found.cells)} fold runs: {texts.get(configuration, UNKNOWN)},"
            f" behind {texts.get(stop.rival, UNKNOWN)} by {stop.difference:.2f} dB"
        )
    smallest = found.smallest_tied
    if smallest is not None:
        sizes = f"{smallest.parameters:,} parameters instead of {found.places[0].parameters:,}"
        console.print(f"smallest of the tied configurations: {texts[smallest.configuration]}, {sizes}")
    console.print(counts_text(*([r.status for r in records if r.is_fold == kind] for kind in (False, True))))
    _print_verdict(console, found, ranked, records, sweep_file, sweep)
    if ranked:
        console.print(f"weights of the best: {shown(sweep / ranked[0].name / 'best.pt')}", soft_wrap=True)
    if ranked and (again := train_command(sweep_file, ranked[0])):
        console.print(f"train the best again: {again}", soft_wrap=True)
    command = next_command(sweep_file.command, tally or tally_of(sweep_file, records))
    if command:
        console.print(f"next: {command}", soft_wrap=True)


def _print_verdict(
    console: Console,
    found: FoldFindings,
    ranked: Sequence[TrialRecord],
    records: Sequence[TrialRecord],
    sweep_file: SweepFile,
    sweep: Path,
) -> None:
    """Whether the best beats the linear baselines, in colour on a terminal; nothing while there is no result."""
    tested = tested_folds(found.leading, records)
    if not found.places and ranked and (tested is None or tested.configuration != ranked[0].configuration):
        tested = tested_once(ranked[0])
    if tested is None:
        return
    judged = judge(tested, read_baselines(sweep) or Baselines(), sweep_file)
    console.print(f"{judged.headline} {judged.detail}", style=COLOURS[judged.state], soft_wrap=True)
    if judged.command:
        console.print(f"  {judged.command}", soft_wrap=True)


def summary_json(sweep: Path, report: str) -> str:
    """The same for scripts."""
    sweep_file, records = read_sweep(sweep) or SweepFile(), list(read_records(sweep).values())
    searched = _ranked(records, sweep_file)
    content = {
        "sweep": address(sweep),
        "report": report,
        "trials": _counts(records),
        "best": searched[0].to_json() if searched else None,
        **folds_json(_findings(sweep_file, records)),
    }
    return json.dumps(content, indent=1)


def _findings(sweep_file: SweepFile, records: Sequence[TrialRecord]) -> FoldFindings:
    return fold_findings(fold_results(records), records, sweep_file, _leader(_ranked(records, sweep_file)))


def _ranked(records: Sequence[TrialRecord], sweep_file: SweepFile) -> list[TrialRecord]:
    """Complete search trials of the current space, best first."""
    return best_first(r for r in records if r.is_search and not sweep_file.outside(r.config))


def _leader(ranked: Sequence[TrialRecord]) -> Configuration | None:
    """The configuration that cross-validation runs first."""
    return ranked[0].configuration if ranked else None


def _leaders(ranked: Sequence[TrialRecord], sweep_file: SweepFile) -> Table:
    axes = list(sweep_file.axes)
    table = _table("trial", *axes, "val PSNR dB", "val SSIM", "val loss")
    for r in ranked[:LEADERS]:
        m, settings = r.metrics, sweep_file.current_space.shown(r.ended_with)
        numbers = (
            f"{m['best_val_psnr_db']:.2f}",
            f"{m['best_val_ssim']:.3f}",
            f"{m['best_val_loss']:.3g}",
        )
        table.add_row(r.name, *(_setting(settings.get(name)) for name in axes), *numbers)
    return table


def _fold_averages(found: FoldFindings, sweep_file: SweepFile, ranked: Sequence[TrialRecord]) -> Table:
    """Mean, SD and CI of each configuration and label."""
    named = len(found.tables) > 1 or (bool(ranked) and _leader(ranked) not in found.tables)  # an earlier best's, say
    head = ["configuration"] if named else []
    table = _table(*head, "stratified by", "folds", "test loss", "test PSNR dB", "test SSIM")
    texts = _texts(found, sweep_file)
    for configuration, tables in found.tables.items():
        title = [texts[configuration]] if named else []
        for t in tables:
            cells = (average_text(t, f"test_{name}", digits) for name, digits in NUMBERS)
            done = f"{t.n_done} of {len(t.rows)}" if t.incomplete else str(t.n_folds)
            table.add_row(*title, t.label, done, *cells)
            title = [""] * len(title)
    if any(t.complete for tables in found.tables.values() for t in tables):
        table.caption = "mean ± SD over folds [95 % CI, corrected for overlapping training sets]"
        table.caption_justify = "left"
    return table


def _leaderboard(found: FoldFindings, sweep_file: SweepFile) -> Table:
    unit = "conditions" if found.by_condition else "images"
    table = _table("#", "configuration", f"test PSNR dB over {unit}", "Δ to best dB", "p (Holm)", "", "parameters")
    texts = _texts(found, sweep_file)
    for number, place in enumerate(found.places, 1):
        s = place.standing
        mark = "best" if number == 1 else "tied" if s.tied else ""
        size = f"{place.parameters:,}" if place.parameters is not None else ""
        behind = f"{s.difference:.2f}{interval_text(s.low, s.high, 2)}" if number > 1 else ""
        mean = f"{s.mean:.2f}{interval_text(place.low, place.high, 2)}"
        cells = mean, behind, "" if number == 1 else p_text(s.p_holm)
        table.add_row(str(number), texts[place.configuration], *cells, mark, size)
    return table


def _texts(found: FoldFindings, sweep_file: SweepFile) -> dict[Configuration, str]:
    """The cross-validated configurations, described by the axes in which they differ, to keep lines short."""
    differ = [name for name in sweep_file.swept if len({repr(each.get(name)) for each in found.tables}) > 1]
    return sweep_file.current_space.texts(found.tables, differ or sweep_file.swept)


def _setting(value: Any) -> str:
    return "–" if value is None else show(value)


def _counts(records: Sequence[TrialRecord]) -> dict[str, int]:
    return {s: sum(r.status == s for r in records) for s in (COMPLETE, PRUNED, FAILED)}


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, padding=(0, 2, 0, 0))
