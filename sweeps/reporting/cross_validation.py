"""Tables of every fold of every cross-validated configuration, with the baselines below."""

from collections.abc import Mapping

from sweeps.folds import FoldTable, most_leaked
from sweeps.reporting import blocks
from sweeps.reporting.baselines import OTHER_DEFINITION, Baseline, fold_baselines, fold_notes, is_standard, strongest
from sweeps.reporting.blocks import DB, SSIM, UNKNOWN, Block, Entry, Heading, Name, Number, Row, Table, Text, Write
from sweeps.reporting.findings import Findings
from sweeps.reporting.logs import OPTIONAL, settings
from sweeps.reporting.standings import race
from sweeps.reporting.trial_notes import FROM_RECORD
from sweeps.store import COMPLETE

COLUMNS = {
    "train_loss": "Train loss",
    "val_loss": "Val loss",
    "test_loss": "Test loss",
    "test_psnr_db": "PSNR (dB)",
    "test_ssim": "SSIM",
    "test_spectrum_db": "Log-spectral distance (dB)",
}
NOTES = {
    "test_spectrum_db": "Log-spectral distance: difference between the radial power spectra of original and"
    " reconstruction; lower is better.",
    "val_loss_floor": "Floor: the lowest validation loss that outputs in [0, 1] can reach.",
}
Writes = Mapping[str, Write]
"""Column -> format of its numbers."""


def fold_blocks(found: Findings, loss: Write, said: list[str]) -> list[Block]:
    """The tables of all configurations, their notes, and the race.

    Args:
        loss: format of losses.
        said: notes about baselines that are on the page already.
    """
    logs = found.logs
    styles = {"test_psnr_db": DB, "test_ssim": SSIM, "test_spectrum_db": DB}
    writes = {name: styles.get(name, loss) for name in COLUMNS if name not in OPTIONAL or logs.has(name)}
    parts: list[Block] = [Text(fold_note(found))]
    under = []
    for configuration, tables in found.tables.items():
        baselines = [fold_baselines(logs, table) for table in tables]
        under += baselines
        if len(found.tables) > 1 or found.ranked or found.outside:
            parts.append(Heading(found.titles[configuration], 3))
        pairs = zip(tables, baselines, strict=True)
        each = [_fold_table(table, own, writes, is_standard(logs)) for table, own in pairs]
        parts += [_loss_table(tables, baselines, loss), blocks.Beside(each)]
    notes = ["Losses of the tested checkpoint. ±: SD over folds (n − 1)."]
    notes += [_interval_note(found), *(note for name, note in NOTES.items() if logs.has(name))]
    more = [note for note in fold_notes(logs, under) if note not in said]
    return [*parts, *(Text(note, "note") for note in (" ".join(notes), *more)), *race(found)]


def fold_note(found: Findings) -> str:
    """How the test images of a fold are related to its training images."""
    folds = [trial for trial in found.logs.trials if trial.record.is_fold]
    units = settings(folds, "split_unit")
    if units == {"crop"}:
        note = "These folds leak, as in the study: crops are split, not images. In the study's setting 67 % of the test"
        note += " crops overlap a training crop, so the spread says little about unseen surfaces."
    elif units and units <= {"image", "condition"}:
        grouped = units == {"condition"} and found.logs.sweep_file.grouped_by != ()
        kept = "surfaces (process conditions)" if grouped else "images"
        note = f"Tested {kept} were never trained on: each split keeps all crops of one together."
        if share := most_leaked(found.logs.sweep_file.leakage, "replicate_share"):
            note += (
                f" But {share:.0%} of the test crops come from a probable replicate of an image that was trained on,"
            )
            note += " so the averages say less about new surfaces; `--group-by` keeps replicates together."
    else:
        note = "These folds were split in different ways (split_unit); compare with care."
    if settings(folds, "metrics") == {"report"}:
        note += " PSNR and SSIM use the study's own formulas; do not compare them with other work."
    if found.ranked:
        chosen = "Configurations were" if len(found.tables) > 1 else "The configuration was"
        note += f" {chosen} chosen by a search on the same images, so the averages are slightly optimistic."
    return note


def _interval_note(found: Findings) -> str:
    """Meaning of the intervals over folds."""
    note = "CI: 95 % confidence interval, corrected for overlapping training sets (Nadeau and Bengio, 2003)."
    seeds = max((table.n_seeds for table in found.leading), default=1)
    note += f" The {seeds} runs of a fold (seeds) are averaged first." if seeds > 1 else ""
    if any(table.assumed for tables in found.tables.values() for table in tables):
        note += " This sweep does not record how many images each fold run trained and tested on: its intervals"
        note += " assume the widest case, n_test / n_train = 1 / (folds - 1)."
    return f"{note} A label with a missing or failed fold run has no average."


def _loss_table(tables: list[FoldTable], baselines: list[list[Baseline]], loss: Write) -> Table:
    """Test loss, label x fold, with the best linear baseline where losses can be compared."""
    codes, rows = [strongest(own) for own in baselines], []
    for table, code in zip(tables, codes, strict=True):
        cells: list[Entry | str] = [
            loss(value) if s == COMPLETE else _gap(s) for value, s in table.by_fold("test_loss")
        ]
        average = table.averages.get("test_loss")
        if average:
            sd = f" ± {loss(average.sd)}" if average.sd is not None else ""
            cells += [
                Entry(Number(loss(average.mean) + sd), look="bold"),
                blocks.interval(average.low, average.high, loss),
            ]
        else:
            cells += [Entry(UNKNOWN, span=2) if table.complete else _gap(table.incomplete, 2)]
        linear = Number(f"{code.name}: {loss(code.mean['test_loss'])}") if code else ""
        rows.append(Row((table.label, *cells, *([linear] if any(codes) else []))))
    folds = (f"Fold {fold}" for fold in range(1, tables[0].n_folds + 1))
    titles = ("Stratified by", *folds, "Mean ± SD", "95 % CI", *(["Linear baseline"] if any(codes) else []))
    return Table(titles, rows, name="Test loss, label × fold")


def _fold_table(table: FoldTable, baselines: list[Baseline], writes: Writes, standard: bool) -> Table:
    """A label's folds, their averages, and the baselines."""
    rows = []
    for row in table.rows:
        seed, sign = f"seed {row.seed}" if table.n_seeds > 1 else "", FROM_RECORD if row.from_record else ""
        name = Entry(Name(f"{row.fold}/{table.n_folds}"), " ".join(filter(None, (seed, sign))))
        numbers = [write(row.numbers.get(column)) for column, write in writes.items()]
        rows.append(Row((name, *(numbers if row.state == COMPLETE else [_gap(row.state, len(writes))]))))
    if table.complete:
        foot = _averages(table, writes)
    else:
        foot = [Row(("Mean", _gap(f"{table.incomplete}: no average", len(writes))), "first")]
    if floor := table.averages.get("val_loss_floor"):
        cells = (write(floor.mean) if column == "val_loss" else "" for column, write in writes.items())
        foot.append(Row(("Floor", *cells), "reference"))
    if baselines and not standard:
        other = f"{OTHER_DEFINITION.capitalize()}, not comparable with the rows above:"
        foot.append(Row([Entry(other, span=len(writes) + 1)], "reference"))
    foot += [_baseline_row(baseline, writes) for baseline in baselines]
    caption = " · ".join(filter(None, ("" if table.current else "from an earlier cross-validation", table.incomplete)))
    titles = ("Fold", *(COLUMNS[column] for column in writes))
    return Table(titles, rows, foot, f"Cross-validation, stratified by {table.label}", caption, "narrow")


def _averages(table: FoldTable, writes: Writes) -> list[Row]:
    """Mean with SD and CI."""
    known = [(table.averages.get(column), write) for column, write in writes.items()]
    means = (blocks.spread(average, write) for average, write in known)
    bounds = (Entry(write(of and of.low), write(of and of.high), " to ", below=True) for of, write in known)
    return [
        Row((Entry("Mean", "± SD", below=True), *means), "first"),
        Row((Entry("95 %", "CI", below=True), *bounds), "bounds"),
    ]


def _baseline_row(baseline: Baseline, writes: Writes) -> Row:
    numbers = ((baseline.mean.get(column), baseline.sd.get(column), write) for column, write in writes.items())
    cells = (
        Entry(write(mean), f"± {write(sd)}", below=True) if blocks.known(mean) else "" for mean, sd, write in numbers
    )
    return Row((baseline.name, *cells), "reference")


def _gap(why: str, span: int = 1) -> Entry:
    return Entry(Number(why), look="gap", span=span)
