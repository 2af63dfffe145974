"""Tables of every fold of every cross-validated configuration, with the baselines below."""

from collections.abc import Mapping, Sequence

import numpy as np

from sweeps.folds import FoldTable, finite, most_leaked
from sweeps.reporting import blocks
from sweeps.reporting.baselines import OTHER_DEFINITION, Baseline, fold_baselines, fold_notes, is_standard
from sweeps.reporting.blocks import DB, SSIM, Block, Entry, Heading, Name, Number, Row, Table, Text, Write
from sweeps.reporting.findings import Findings
from sweeps.reporting.logs import OPTIONAL, SweepLogs, settings
from sweeps.reporting.paper.study import TITLES, study_losses
from sweeps.reporting.standings import race
from sweeps.reporting.trial_notes import FROM_RECORD
from sweeps.store import COMPLETE

COLUMNS = {
    "test_psnr_db": "PSNR (dB)",
    "test_ssim": "SSIM",
    "train_loss": "Train loss",
    "val_loss": "Val loss",
    "test_loss": "Test loss",
    "test_spectrum_db": "LSD (dB)",
}
NOTES = {
    "test_spectrum_db": "LSD: log-spectral distance, the difference between the radial power spectra of original and"
    " reconstruction; lower is better.",
    "val_loss_floor": "Floor: the lowest validation loss that outputs in [0, 1] can reach.",
}
LOSS = blocks.decimals(4)  # as the study prints its losses
Study = Sequence[tuple[float, float, float]]
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
        each = [_fold_table(table, own, writes, logs) for table, own in pairs]
        shown: Block = blocks.Beside(each)
        leading = configuration == next(iter(found.tables))
        parts += [shown if leading else blocks.Folded("Fold by fold", [shown])]
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


def _fold_table(table: FoldTable, baselines: list[Baseline], all_writes: Writes, logs: SweepLogs) -> Table:
    """A label's folds as in the study's Tables 3 to 6, their averages, the study's own numbers, and the baselines."""
    writes = {name: write for name, write in all_writes.items() if _has(table, name)} or all_writes
    study = study_losses(logs.sweep_file, table.label, table.n_folds)
    rows = []
    for row in table.rows:
        seed, sign = f"seed {row.seed}" if table.n_seeds > 1 else "", FROM_RECORD if row.from_record else ""
        name = Entry(Name(f"{row.fold}/{table.n_folds}"), " ".join(filter(None, (seed, sign))))
        numbers = [write(row.numbers.get(column)) for column, write in writes.items()]
        cells = numbers if row.state == COMPLETE else [_gap(row.state, len(writes))]
        rows.append(Row((name, *cells, *(map(LOSS, study[row.fold - 1]) if study else ()))))
    if table.complete:
        foot = _averages(table, writes, study)
    else:
        foot = [Row(("Mean", _gap(f"{table.incomplete}: no average", len(writes)), *_blank(study)), "first")]
    if floor := table.averages.get("val_loss_floor"):
        cells = [write(floor.mean) if column == "val_loss" else "" for column, write in writes.items()]
        foot.append(Row(("Floor", *cells, *_blank(study)), "reference"))
    if baselines and not is_standard(logs):
        other = f"{OTHER_DEFINITION.capitalize()}, not comparable with the rows above:"
        foot.append(Row([Entry(other, span=len(writes) + 1), *_blank(study)], "reference"))
    foot += [_baseline_row(baseline, writes, study) for baseline in baselines]
    caption = " · ".join(filter(None, ("" if table.current else "from an earlier cross-validation", table.incomplete)))
    titles = ("Fold", *(COLUMNS[column] for column in writes), *(TITLES if study else ()))
    return Table(titles, rows, foot, f"Cross-validation, stratified by {table.label}", caption, "narrow")


def _has(table: FoldTable, column: str) -> bool:
    """Whether any fold run has this number."""
    return any(finite(row.numbers.get(column)) for row in table.rows)


def _blank(study: Study) -> list[str]:
    return [""] * len(TITLES) if study else []


def _averages(table: FoldTable, writes: Writes, study: Study) -> list[Row]:
    """Mean with SD and CI."""
    known = [(table.averages.get(column), write) for column, write in writes.items()]
    means = (blocks.spread(average, write) for average, write in known)
    bounds = (Entry(write(of and of.low), write(of and of.high), " to ", below=True) for of, write in known)
    return [
        Row((Entry("Mean", "± SD", below=True), *means, *_study_means(study)), "first"),
        Row((Entry("95 %", "CI", below=True), *bounds, *_blank(study)), "bounds"),
    ]


def _study_means(study: Study) -> list[Entry]:
    """Mean and SD of the study's folds; it gives only the mean of the test loss itself."""
    columns = [np.array(values) for values in zip(*study, strict=True)]
    return [Entry(LOSS(of.mean()), f"± {LOSS(of.std(ddof=1))}", below=True) for of in columns]


def _baseline_row(baseline: Baseline, writes: Writes, study: Study) -> Row:
    numbers = ((baseline.mean.get(column), baseline.sd.get(column), write) for column, write in writes.items())
    cells = (
        Entry(write(mean), f"± {write(sd)}", below=True) if blocks.known(mean) else "" for mean, sd, write in numbers
    )
    return Row((baseline.name, *cells, *_blank(study)), "reference")


def _gap(why: str, span: int = 1) -> Entry:
    return Entry(Number(why), look="gap", span=span)
