"""Comparison of the cross-validated configurations: the leaderboard and the fold race."""

from dataclasses import dataclass

from sweeps.folds import Place, p_text
from sweeps.reporting import blocks
from sweeps.reporting.answers import SELECTION_BIAS
from sweeps.reporting.blocks import DB, UNKNOWN, Block, Entry, Heading, Row, Table, Text, interval, shown
from sweeps.reporting.findings import Findings
from sweeps.space import Configuration

TITLES = ("#", "Configuration", "Test PSNR (dB)", "Δ to best (dB)", "p (Holm)", "Significance", "Δ across folds (dB)")


@dataclass(frozen=True)
class StandingRow:
    """A place on the leaderboard; PSNR in dB, differences to the best, None for the best itself."""

    place: int
    title: str
    psnr_db: float
    low: float | None
    high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p_holm: float | None
    over_folds: float | None
    over_folds_low: float | None
    over_folds_high: float | None
    tied: bool
    mark: str
    parameters: int | None
    units: int
    """Images or process conditions compared."""
    suggested: bool
    """The smallest of the tied."""


def standing_rows(found: Findings) -> list[StandingRow]:
    """The leaderboard, best first; empty where there is only one configuration."""
    return [_standing_row(number, place, found) for number, place in enumerate(found.folds.places, 1)]


def leaderboard(found: Findings) -> list[Block]:
    """The table and its note, or why nothing can be ranked yet."""
    rows, left_out = standing_rows(found), not_ranked(found) if len(found.tables) > 1 else {}
    if not rows:
        why = [f"{found.titles[configuration]}: {text}" for configuration, text in left_out.items()]
        cannot = "No cross-validated configuration can be ranked yet:"
        return [Text(cannot), blocks.Items(why)] if why else []
    lines = [_standing_line(row) for row in rows]
    lines += [Row((UNKNOWN, found.titles[c], Entry(text, span=6)), "aside") for c, text in left_out.items()]
    name = "Leaderboard of the cross-validated configurations"
    return [Table((*TITLES, "Parameters"), lines, name=name, width="close"), Text(_note(found), "note")]


def not_ranked(found: Findings) -> dict[Configuration, str]:
    """Configurations that are not on the leaderboard, and why: eliminated ones first."""
    cells = len(found.folds.cells)
    why = {}
    for configuration, stop in found.folds.stops.items():
        if configuration in found.titles:
            rival = found.titles.get(stop.rival, "a rival")
            behind = f"behind {rival} by {stop.difference:.2f} dB (p {p_text(stop.p)})"
            why[configuration] = f"eliminated after {stop.cells} of {cells} fold runs: {behind}"
    for configuration, (done, of) in found.folds.incomplete.items():
        why[configuration] = f"incomplete: {done} of {of} fold runs are complete"
    for configuration in found.folds.earlier:
        folds = max(table.n_folds for table in found.tables[configuration])
        why[configuration] = f"not compared: from an earlier cross-validation ({folds} folds)"
    return why


def race(found: Findings) -> list[Block]:
    """The rule of the fold race, the configurations it eliminated, the epochs it saved; nothing without a race."""
    rule, configurations = found.logs.sweep_file.race, found.logs.sweep_file.cv_configurations or ()
    if rule is None or not found.folds.raced:
        return []
    more = f" by more than {rule.margin:g} dB" if rule.margin else ""
    text = (
        "All configurations run the same folds in the same order. After each fold run, a one-sided paired t-test"
        " compares the test PSNR of every two configurations. A configuration is eliminated once the test shows that"
        f" it can no longer win the full cross-validation{more}. The error rate of {100 * rule.alpha:g} % is shared"
        f" among rivals and interim analyses: at most {100 * rule.alpha:g} % of such races eliminate a configuration"
        f" that would have won{more}."
    )
    reasons = not_ranked(found)
    stopped = [f"{found.titles[c]}: {reasons[c]}" for c in found.folds.stops if c in reasons]
    total = sum(int(each.get("epochs", 0)) for each in configurations) * len(found.folds.cells)
    saved = Text(f"{found.folds.epochs_saved:,} of {total:,} trial-epochs saved.")
    return [
        Heading("Fold racing", 3),
        Text(text),
        *([blocks.Items(stopped), saved] if stopped else [Text("No configuration was eliminated early.")]),
    ]


def _standing_row(number: int, place: Place, found: Findings) -> StandingRow:
    standing, folds, smallest = place.standing, place.over_folds, found.folds.smallest_tied
    return StandingRow(
        place=number,
        title=found.titles[place.configuration],
        psnr_db=standing.mean,
        low=place.low,
        high=place.high,
        difference=standing.difference if number > 1 else None,
        difference_low=standing.low,
        difference_high=standing.high,
        p_holm=standing.p_holm,
        over_folds=folds.mean if folds else None,
        over_folds_low=folds.low if folds else None,
        over_folds_high=folds.high if folds else None,
        tied=standing.tied,
        mark="best" if number == 1 else "tied with the best" if standing.tied else "behind",
        parameters=place.parameters,
        units=standing.n,
        suggested=smallest is not None and smallest.configuration == place.configuration,
    )


def _standing_line(row: StandingRow) -> Row:
    significance = "significantly worse" if row.mark == "behind" else row.mark
    cells = (
        shown(row.place),
        row.title,
        Entry(DB(row.psnr_db), interval(row.low, row.high)),
        Entry(DB(row.difference), interval(row.difference_low, row.difference_high)),
        blocks.Number(p_text(row.p_holm)),
        Entry(blocks.Name(significance + (", smallest" if row.suggested else "")), look="bold" if row.tied else ""),
        Entry(DB(row.over_folds), interval(row.over_folds_low, row.over_folds_high)),
        shown(row.parameters),
    )
    return Row(cells, "first" if row.place == 1 else "")


def _note(found: Findings) -> str:
    units = "process conditions" if found.folds.by_condition else "images"
    n = found.folds.places[0].standing.n
    return (
        f"Mean test PSNR over {n} {units}, each averaged over the fold runs that tested it. Brackets: 95 % CI."
        f" Tied: a paired test over these {units} shows no significant difference to the best (5 %, Holm); this does"
        " not prove equality. Δ across folds: the same difference over folds, corrected for overlapping training sets;"
        " if its interval includes 0, the order may be due to training variability."
        f" {SELECTION_BIAS}"
    )
