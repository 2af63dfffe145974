"""The leaderboard of cross-validated configurations and the fold race, in the words and rows of the report."""

import json
from typing import Any

from sweeps.folds import Place, Stop, p_text
from sweeps.reporting.findings import Findings
from sweeps.space import configuration_words


def titles(found: Findings) -> dict[str, str]:
    """Cross-validated configuration -> its settings in words."""
    return configuration_words(found.groups, found.logs.asked, found.logs.axes)


def standings_content(found: Findings) -> dict[str, Any]:
    """`standings` (rows, best first), `out` (who is not ranked), `standing_note`, `race` (None without)."""
    named = titles(found)
    rows = [_row(number, place, named) for number, place in enumerate(found.folds.places, 1)]
    smallest = found.folds.smallest_tied
    for row in rows:
        row["suggested"] = smallest is not None and row["group"] == smallest.group
    return {
        "standings": rows,
        "out": _out(found, named) if len(named) > 1 else [],
        "standing_note": _note(found) if rows else "",
        "race": _race(found, named),
    }


def _row(number: int, place: Place, named: dict[str, str]) -> dict[str, Any]:
    standing, folds = place.standing, place.over_folds
    mark = "best" if number == 1 else "tied with the best" if standing.tied else "behind"
    return {
        "place": number,
        "group": place.group,
        "title": named[place.group],
        "psnr_db": standing.mean,
        "low": place.low,
        "high": place.high,
        "difference": standing.difference if number > 1 else None,
        "difference_low": standing.low,
        "difference_high": standing.high,
        "p_holm": standing.p_holm,
        "over_folds": folds.mean if folds else None,
        "over_folds_low": folds.low if folds else None,
        "over_folds_high": folds.high if folds else None,
        "tied": standing.tied,
        "mark": mark,
        "parameters": place.parameters,
        "units": standing.n,
    }


def _out(found: Findings, named: dict[str, str]) -> list[dict[str, Any]]:
    """Configurations that are not ranked, and why."""
    rows = [
        {"group": group, "title": named[group], "state": "stopped", "why": _stopped(stop, found, named)}
        for group, stop in found.folds.stops.items()
        if group in named
    ]
    for group, (done, of) in found.folds.incomplete.items():
        why = f"incomplete: {done} of {of} cells are done"
        rows.append({"group": group, "title": named[group], "state": "incomplete", "why": why})
    for group in found.folds.earlier:
        folds = max(table.n_folds for table in found.groups[group])
        why = f"not compared: it ran an earlier grid ({folds} folds)"
        rows.append({"group": group, "title": named[group], "state": "earlier", "why": why})
    return rows


def _stopped(stop: Stop, found: Findings, named: dict[str, str]) -> str:
    rival = named.get(stop.rival, "a rival")
    behind = f"behind {rival} by {stop.difference:.2f} dB (p {p_text(stop.p)})"
    return f"stopped after {stop.cells} of {len(found.folds.cells)} cells: {behind}"


def _note(found: Findings) -> str:
    units = "process conditions" if found.folds.by_condition else "images"
    n = found.folds.places[0].standing.n
    return (
        f"Mean test PSNR over {n} {units}, each averaged over the cells that tested it. Brackets: 95 % intervals."
        f" Tied: a paired test over these {units} does not show at 5 % (Holm) that the configuration is worse than the"
        " best; it need not be equal. “Other trainings” is the same difference over folds, corrected for the training"
        " images that folds share: where its interval includes 0, the luck of training may decide the order."
        " As the first is picked by the same images, it looks a little better than it is."
    )


def _race(found: Findings, named: dict[str, str]) -> dict[str, Any] | None:
    asked = found.logs.asked.get("race")
    if not isinstance(asked, dict) or not found.folds.raced:
        return None
    alpha, margin = asked.get("alpha", 0.05), asked.get("margin", 0.0)
    level = f"at {alpha:g} in all, shared among rivals and looks"
    chance = f"win the grid by more than {margin:g} dB" if margin else "win the grid"
    rule = (
        "Configurations run the grid cell by cell; after each cell the paired differences in test PSNR of every two are"
        " taken as a sample of those that the full grid would give. Whoever, by a one-sided Student test"
        f" ({level}), cannot {chance} any more runs no further cell."
    )
    won = f"would have won the full grid by more than {margin:g} dB" if margin else "would have won the full grid"
    risk = f"Risk: in at most {100 * alpha:g} % of such races, a configuration is stopped that {won}."
    rows = [row for row in _out(found, named) if row["state"] == "stopped"]
    epochs = [int(json.loads(group).get("epochs", 0)) for group in found.logs.asked["cv_configurations"]]
    total = sum(epochs) * len(found.folds.cells)
    saved = f"{found.folds.epochs_saved:,} of {total:,} trial-epochs saved"
    return {"rule": rule, "risk": risk, "rows": rows, "saved": saved}
