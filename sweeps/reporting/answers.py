"""The three questions of a sweep and their answers: best configuration, quality on new surfaces, lowest PSNR."""

import math

from deepdlt.errors import many
from sweeps.console import Tested, Verdict, judge, tested_folds
from sweeps.folds import FoldTable, current_tables, over_all_folds
from sweeps.reporting.baselines import fold_baselines
from sweeps.reporting.blocks import Answer
from sweeps.reporting.findings import Findings, count
from sweeps.reporting.logs import SweepLogs, Trial
from sweeps.reporting.surfaces import ENOUGH_IMAGES, HARD_AT
from sweeps.store import COMPLETE, FAILED

FEW_FOLDS = 5  # below, the SD that an interval is made of is hardly known itself
FEW_RANKING = 10  # validation images
NO_TRIALS = "no trials"

BEST = "Which configuration is best?"
QUALITY = "What quality can be expected on new surfaces?"
LOWEST = "Which surfaces have the lowest PSNR?"
SELECTION_BIAS = "Selection bias: the winner was chosen on these test images, so its score is slightly optimistic."


def answers(found: Findings) -> list[Answer]:
    """The three answers, in the order of the questions."""
    return [which_autoencoder(found), how_sure(found), which_surfaces(found)]


def which_autoencoder(found: Findings) -> Answer:
    """The best configuration and its numbers."""
    question, best = BEST, found.best
    if best is None:
        failed = "see the errors below" if found.counts[FAILED] else "run the sweep's command again to resume"
        where = "of the current search space " if found.outside else ""
        return Answer(question, f"Not known yet: no trial {where}is complete", f"{_counted(found.counts)}; {failed}.")
    headline = found.logs.describe(best.configuration)
    if found.contested:
        return Answer(question, headline, leaderboard_text(found).strip())
    if found.ranked:
        counts = count(trial for trial in found.logs.trials if trial.record.is_search)
        val_psnr, val_ssim = best.number("val_psnr_db"), best.number("val_ssim")
        detail = f"Validation PSNR {_db(val_psnr)}, SSIM {val_ssim:.3f}{_ranked_on(found, best)}. "
        detail += f"Trial {best.name}, first of {counts[COMPLETE]} complete search trials"
        others = _counted({status: n for status, n in counts.items() if status != COMPLETE})
        return Answer(question, headline, f"{detail}{'' if others == NO_TRIALS else f' ({others})'}.")
    complete = complete_tables(found)
    psnr, ssim = (over_all_folds(complete, f"test_{name}") for name in ("psnr_db", "ssim"))
    chosen = "the only configuration" if len(found.tables) == 1 else f"best of {len(found.tables)} configurations"
    if psnr is None or ssim is None:
        done, of = sum(t.n_done for t in found.leading), sum(len(t.rows) for t in found.leading)
        return Answer(question, headline, f"No average yet: {done} of {of} fold runs are complete. This is {chosen}.")
    part = "" if len(complete) == len(found.leading) else f" ({', '.join(table.label for table in complete)})"
    detail = f"Mean over folds{part}: test PSNR {_db(psnr.mean)}, SSIM {ssim.mean:.3f}. "
    return Answer(question, headline, f"{detail}This is {chosen}, cross-validated without a search.")


def leaderboard_text(found: Findings) -> str:
    """The leaderboard in sentences: the first, those tied with it, the smallest of these, the selection bias."""
    places, tied = found.folds.places, found.folds.tied
    units = "process conditions" if found.folds.by_condition else "images"
    whole = len(places) == len(found.tables)
    of = f"the highest of {len(places)} {'' if whole else 'completely '}cross-validated configurations"
    of = "the only completely cross-validated configuration" if len(places) == 1 else of
    text = f"Mean test PSNR {_db(places[0].standing.mean)} over {units}, {of}. {_unranked(found)}"
    if len(tied) > 1:
        others = "1 other configuration does" if len(tied) == 2 else f"{len(tied) - 1} other configurations do"
        text += f"{others} not differ significantly from it. "
    elif len(places) > 1:
        text += "All other ranked configurations are significantly worse. "
    smallest = found.folds.smallest_tied
    if smallest is not None:
        text += f"The smallest of these tied configurations: {found.logs.describe(smallest.configuration)}, with"
        text += f" {smallest.parameters:,} instead of {places[0].parameters:,} parameters. "
    elif len(tied) > 1 and places[0].parameters is not None:
        text += "No tied configuration has fewer parameters. "
    return text + SELECTION_BIAS + " "


def _unranked(found: Findings) -> str:
    """`Not ranked: 1 incomplete (kernel_size 3: 4 of 5 fold runs), 2 eliminated by the race. `, or ''."""
    incomplete = found.folds.incomplete.items()
    cells = [f"{found.logs.describe(each)}: {done} of {of} fold runs" for each, (done, of) in incomplete]
    parts = [f"{len(cells)} incomplete ({'; '.join(cells)})"] if cells else []
    parts += [f"{len(found.folds.stops)} eliminated by the race"] if found.folds.stops else []
    parts += [f"{len(found.folds.earlier)} from an earlier cross-validation"] if found.folds.earlier else []
    return f"Not ranked: {', '.join(parts)}. " if parts else ""


def how_sure(found: Findings) -> Answer:
    """The interval over folds, and what the spread means for the ranking."""
    question, tables = QUALITY, current_tables(found.leading) or found.leading
    complete = complete_tables(found)
    total = over_all_folds(complete)
    if total is None or total.low is None or total.high is None or total.sd is None:
        done = ", ".join(f"{t.label} {t.n_done} of {len(t.rows)}" for t in tables)
        have = f"complete folds: {done}" if found.tables else "every trial used the same single split"
        text = f"The spread over folds is not known: {have}."
        return Answer(question, "Not known yet", f"{text} {how_to_cross_validate(found.logs)}")
    n = sum(table.n_folds for table in complete)
    detail = f"Mean test PSNR over {many(n, 'fold')}{_tested_on(found)}; fold-to-fold SD {_db(total.sd)}."
    detail += _below_mean(found, total.mean)
    if n < FEW_FOLDS:
        detail += f" Only {n} folds: this interval is a rough guess, use --folds 5 or more."
    missing = [f"{table.label} ({table.incomplete})" for table in tables if table not in complete]
    detail += f" Not included: {', '.join(missing)}." if missing else ""
    means = [table.averages["test_psnr_db"].mean for table in complete]
    if len(means) > 1:
        gap = max(means) - min(means)
        relation = "less than" if gap < total.sd else "more than"
        detail += f" Changing the stratification label changes the mean by at most {_db(gap)}, {relation} one SD."
    detail += _near(found, total.sd)
    headline = f"{total.mean:.2f} dB (95 % CI {total.low:.2f} to {total.high:.2f} dB)"
    other = other_configuration(found)
    if other:
        headline += f" for {other}"
        detail += f" The search's best configuration is not cross-validated yet. {how_to_cross_validate(found.logs)}"
    return Answer(question, headline, detail)


def _tested_on(found: Findings) -> str:
    """`, which tested 30 images of 15 process conditions`, as far as known."""
    if not found.n_tested:
        return ""
    of = f" of {many(found.n_conditions, 'process condition')}" if found.n_conditions else ""
    return f", which tested {many(found.n_tested, 'image')}{of}"


def other_configuration(found: Findings) -> str:
    """The cross-validated configuration in words, where it is not the one that the first answer names; or ''."""
    leading = next(iter(found.tables), None)
    if leading is None or found.best is None or found.best.configuration == leading:
        return ""
    return found.logs.describe(leading)


def complete_tables(found: Findings) -> list[FoldTable]:
    """Labels of the leading configuration that have an average; of the requested cross-validation where it ran."""
    tables = current_tables(found.leading) or found.leading
    return [table for table in tables if "test_psnr_db" in table.averages]


def _near(found: Findings, spread: float) -> str:
    """How many search trials are within one fold SD of the best; '' where a leaderboard says it."""
    if len(found.ranked) < 2 or found.contested:
        return ""
    first, *others_psnr = (trial.number("val_psnr_db") for trial in found.ranked)
    near = sum(value > first - spread for value in others_psnr)
    others = {0: "No other trial is", 1: "1 other trial is"}.get(near, f"{near} other trials are")
    swap = "; the ranking may change on new surfaces" if near else ""
    return f" {others} within one SD of the best validation PSNR{swap}."


def which_surfaces(found: Findings) -> Answer:
    """The class with a significantly lower PSNR, if there is one, and the image with the lowest; complete labels only.

    Of many classes one is always the lowest: p-values are multiplied by their number (Bonferroni).
    """
    question, complete = LOWEST, {table.label for table in complete_tables(found)}
    if not found.tables or found.average is None or not math.isfinite(found.average):
        return Answer(question, "Not known yet", how_to_cross_validate(found.logs))
    image = found.hardest[0]
    single = f"Image with the lowest PSNR{'' if complete else ' so far'}: {image.title}, {_db(image.psnr_db)}."
    if not complete:
        return Answer(question, "Not known yet", f"No label has complete folds. {single}")
    rows = [row for row in next(iter(found.classes.values())) if row.label in complete]
    rows = [row for row in rows if row.n_images >= ENOUGH_IMAGES] or rows
    if not rows:
        return Answer(question, image.title, f"{single} Mean of all tested images: {_db(found.average)}.")
    hard = [row for row in rows if row.p_harder is not None and len(rows) * row.p_harder < HARD_AT]
    worst = min(hard or rows, key=lambda row: row.psnr_db)
    name = f"{worst.label} = {worst.name}"
    interval = f"; 95 % CI {worst.low:.2f} to {worst.high:.2f} dB" if worst.low is not None else ""
    of = "" if worst.n_images == worst.of else f" of {worst.of}"
    numbers = f"{_db(worst.psnr_db)} ({worst.n_images}{of} image{'' if worst.n_images == 1 else 's'}{interval})"
    numbers += f"; mean of all tested images {_db(found.average)}"
    other = other_configuration(found)
    single += f" These results are for {other}." if other else ""
    if hard:
        significant = "Significantly below the other images, after Bonferroni correction."
        return Answer(question, name, f"{numbers}. {significant} {single}")
    lowest = f"Lowest of {len(rows)} classes: {name}, {numbers}. Not significant after Bonferroni correction."
    return Answer(question, "No class is significantly worse than the others", f"{lowest} {single}")


def how_to_cross_validate(logs: SweepLogs) -> str:
    """The command that adds cross-validation."""
    return f"Run: {logs.command_with('--cv')}"


def verdict(found: Findings) -> Verdict:
    """Whether the best configuration beats the linear baselines: over its folds, else on the search's split."""
    logs, best, tested = found.logs, found.best, None
    if best is not None:
        folds = tested_folds(found.leading, logs.records)
        tested = folds if folds and folds.configuration == best.configuration else None
        psnr = best.number("test_psnr_db")
        if tested is None and best.record.is_search and math.isfinite(psnr):
            split = {(best.record.label, 0, 0): psnr}
            tested = Tested(best.configuration, split, n_train=best.record.n_train)
    return judge(tested, logs.baselines, logs.sweep_file)


def _ranked_on(found: Findings, best: Trial) -> str:
    """`on 3 validation images: few, so the order may change`, as far as known."""
    n_images, record = found.logs.sweep_file.data.images, best.record
    if record.units != "images" or not (n_images and record.n_train and record.n_test):
        return ""
    n = n_images - record.n_train - record.n_test
    few = "; so few images rank configurations poorly" if n < FEW_RANKING else ""
    return f" on {many(n, 'validation image')}{few}" if n > 0 else ""


def _below_mean(found: Findings, psnr: float) -> str:
    """That the mean grey value alone does better, where it does."""
    means = [
        b.mean.get("test_psnr_db")
        for t in complete_tables(found)
        for b in fold_baselines(found.logs, t)
        if b.method == "patch mean"
    ]
    known = [value for value in means if value is not None]
    standard = {t.config.get("metrics", "standard") for t in found.logs.trials} == {"standard"}
    if not known or not standard or psnr >= sum(known) / len(known):
        return ""
    return f" This is below the mean grey value of each crop alone ({_db(sum(known) / len(known))})."


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {status}" for status, n in counts.items() if n) or NO_TRIALS


def _db(value: float) -> str:
    return f"{value:.2f} dB"
