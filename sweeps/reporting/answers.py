"""The three questions of a sweep, answered in words: which autoencoder, how sure, which surfaces stay hard?"""

import math

from sweeps.folds import FoldTable, current_tables, over_all_folds
from sweeps.reporting.baselines import fold_baselines, latent_size, split_baselines, verdict
from sweeps.reporting.blocks import Answer
from sweeps.reporting.findings import Findings, count
from sweeps.reporting.logs import SweepLogs, Trial
from sweeps.store import FAILED

HARD_AT = 0.05  # of the hardest of all classes
ENOUGH_IMAGES = 3  # a class of fewer images is not called the hardest while there are larger ones


def answers(found: Findings) -> list[Answer]:
    """The three answers, in the order of the questions."""
    return [which_autoencoder(found), how_sure(found), which_surfaces(found)]


def which_autoencoder(found: Findings) -> Answer:
    """The best configuration and its numbers."""
    question, best = "Which autoencoder?", found.best
    if best is None:
        failed = "see the errors below" if found.counts[FAILED] else "run the sweep's command again to go on"
        where = "of the current space " if found.outside else ""
        return Answer(question, f"Not known: no trial {where}is complete", f"{_counted(found.counts)}; {failed}.")
    headline = found.logs.describe(best.configuration)
    if found.contested:
        return Answer(question, headline, leaderboard_text(found) + _against(found, best).strip())
    if found.ranked:
        counts = count(trial for trial in found.logs.trials if trial.record.is_search)
        detail = f"Validation: {_numbers(best, 'val')}. Test: {_numbers(best, 'test')}. {_against(found, best)}"
        detail += f"Trial {best.name}, ranked first by validation PSNR. Search trials: {_counted(counts)}."
        return Answer(question, headline, detail)
    complete = complete_tables(found)
    psnr, ssim = (over_all_folds(complete, f"test_{name}") for name in ("psnr_db", "ssim"))
    chosen = "the only configuration" if len(found.tables) == 1 else f"best of {len(found.tables)} configurations"
    if psnr is None or ssim is None:
        done, of = sum(t.n_done for t in found.leading), sum(len(t.rows) for t in found.leading)
        return Answer(question, headline, f"No average yet: {done} of {of} folds are complete. It is {chosen}.")
    part = "" if len(complete) == len(found.leading) else f" of {', '.join(table.label for table in complete)}"
    detail = f"Test PSNR {_db(psnr.mean)}, SSIM {ssim.mean:.3f}, averaged over folds{part}. {_against(found, best)}"
    return Answer(question, headline, f"{detail}It is {chosen}, cross-validated without a search.")


def leaderboard_text(found: Findings) -> str:
    """The leaderboard in sentences: the first, who is tied with it, the smallest of these, and the catch."""
    places, tied = found.folds.places, found.folds.tied
    units = "process conditions" if found.folds.by_condition else "images"
    whole = len(places) == len(found.tables)
    of = f"first of {len(places)} " + ("cross-validated" if whole else "completely cross-validated") + " configurations"
    of = "the only completely cross-validated configuration" if len(places) == 1 else of
    text = f"Test PSNR {_db(places[0].standing.mean)} over {units}, {of}. {_unranked(found)}"
    if len(tied) > 1:
        others = "1 other is" if len(tied) == 2 else f"{len(tied) - 1} others are"
        text += f"{others} tied with it: these images do not show that it is better. "
    elif len(places) > 1:
        text += "None is tied with it. "
    smallest = found.folds.smallest_tied
    if smallest is not None:
        text += f"The smallest of the tied: {found.logs.describe(smallest.configuration)}, with"
        text += f" {smallest.parameters:,} instead of {places[0].parameters:,} parameters. "
    elif len(tied) > 1 and places[0].parameters is not None:
        text += "None of the tied has fewer parameters. "
    return text + "Picked by the images that it is measured on, the first looks a little better than it is. "


def _unranked(found: Findings) -> str:
    """`Not ranked: 1 incomplete (kernel_size 3: 4 of 5 cells), 2 stopped by the race. `, or ''."""
    incomplete = found.folds.incomplete.items()
    cells = [f"{found.logs.describe(each)}: {done} of {of} cells" for each, (done, of) in incomplete]
    parts = [f"{len(cells)} incomplete ({'; '.join(cells)})"] if cells else []
    parts += [f"{len(found.folds.stops)} stopped by the race"] if found.folds.stops else []
    parts += [f"{len(found.folds.earlier)} of an earlier grid"] if found.folds.earlier else []
    return f"Not ranked: {', '.join(parts)}. " if parts else ""


def how_sure(found: Findings) -> Answer:
    """The interval over folds, and what the spread means for the ranking."""
    question, tables = "How sure?", current_tables(found.leading) or found.leading
    complete = complete_tables(found)
    total = over_all_folds(complete)
    if total is None or total.low is None or total.high is None or total.sd is None:
        done = ", ".join(f"{t.label} {t.n_done} of {len(t.rows)}" for t in tables)
        have = f"complete folds: {done}" if found.tables else "every trial saw the same single split"
        text = f"There is no spread over all folds of a label: {have}."
        return Answer(question, "Not known yet", f"{text} {how_to_cross_validate(found.logs)}")
    n = sum(table.n_folds for table in complete)
    detail = f"Test PSNR, mean over {n} folds with its 95 % interval, corrected for the training images that folds"
    detail += f" share; ± {_db(total.sd)} from fold to fold."
    missing = [f"{table.label} ({table.incomplete})" for table in tables if table not in complete]
    detail += f" Not in it: {', '.join(missing)}." if missing else ""
    means = [table.averages["test_psnr_db"].mean for table in complete]
    if len(means) > 1:
        gap = max(means) - min(means)
        relation = "less than" if gap < total.sd else "more than"
        detail += f" The label used for stratification moves the mean by {_db(gap)}, {relation} the folds do."
    detail += _near(found, total.sd)
    headline = f"{total.mean:.2f} dB, 95 % interval {total.low:.2f} to {total.high:.2f} dB"
    other = other_configuration(found)
    if other:
        headline += f", of {other}"
        detail += f" The search's best has not been cross-validated yet. {how_to_cross_validate(found.logs)}"
    return Answer(question, headline, detail)


def other_configuration(found: Findings) -> str:
    """The cross-validated configuration in words, where it is not the one that the first answer names; or ''."""
    leading = next(iter(found.tables), None)
    if leading is None or found.best is None or found.best.configuration == leading:
        return ""
    return found.logs.describe(leading)


def complete_tables(found: Findings) -> list[FoldTable]:
    """Of the leading configuration those labels that have an average, of the grid that was asked for where it ran."""
    tables = current_tables(found.leading) or found.leading
    return [table for table in tables if "test_psnr_db" in table.averages]


def _near(found: Findings, spread: float) -> str:
    """How many search trials are so near to the first that folds could turn the order, where no leaderboard says it."""
    if len(found.ranked) < 2 or found.contested:
        return ""
    first, *others_psnr = (trial.number("val_psnr_db") for trial in found.ranked)
    near = sum(value > first - spread for value in others_psnr)
    others = {0: "No other trial is", 1: "1 other trial is"}.get(near, f"{near} other trials are")
    swap = ": on other surfaces the order could change" if near else ""
    return f" {others} within that spread of the best one's validation PSNR{swap}."


def which_surfaces(found: Findings) -> Answer:
    """The class that is harder than the others, if one stands out, and the hardest image; of complete labels only.

    Of many classes one is always the worst: p-values are multiplied by their number (Bonferroni).
    """
    question, complete = "Which surfaces stay hard?", {table.label for table in complete_tables(found)}
    if not found.tables or found.average is None or not math.isfinite(found.average):
        return Answer(question, "Not known yet", how_to_cross_validate(found.logs))
    image = found.hardest[0]
    single = f"Hardest single image{'' if complete else ' so far'}: {image.title}, {_db(image.psnr_db)}."
    if not complete:
        return Answer(question, "Not known yet", f"No label has all its folds. {single}")
    rows = [row for row in next(iter(found.classes.values())) if row.label in complete]
    rows = [row for row in rows if row.n_images >= ENOUGH_IMAGES] or rows
    if not rows:
        return Answer(question, image.title, f"{single} Average of all tested images: {_db(found.average)}.")
    hard = [row for row in rows if row.p_harder is not None and len(rows) * row.p_harder < HARD_AT]
    worst = min(hard or rows, key=lambda row: row.psnr_db)
    name = f"{worst.label} = {worst.name}"
    interval = f", 95 % interval {worst.low:.2f} to {worst.high:.2f} dB" if worst.low is not None else ""
    of = "" if worst.n_images == worst.of else f" of {worst.of}"
    numbers = f"{_db(worst.psnr_db)} over {worst.n_images}{of} image{'' if worst.n_images == 1 else 's'}"
    numbers += f"{interval}; all tested images: {_db(found.average)}"
    other = other_configuration(found)
    single += f" All of {other}." if other else ""
    if hard:
        return Answer(question, name, f"{numbers}. {single}")
    return Answer(
        question, "None stands out", f"Lowest of {len(rows)} classes: {name}, {numbers}, which may be chance. {single}"
    )


def how_to_cross_validate(logs: SweepLogs) -> str:
    """The command that adds cross-validation."""
    return f"Run: {logs.command_with('--cv')}"


def _numbers(trial: Trial, part: str) -> str:
    """`PSNR 25.84 dB, SSIM 0.796, loss 0.002608 (floor 0.001: ...)`."""
    psnr, ssim, loss, floor = (trial.number(f"{part}_{name}") for name in ("psnr_db", "ssim", "loss", "loss_floor"))
    note = f" (floor {floor:.4g}: outputs in [0, 1] cannot go lower)" if math.isfinite(floor) else ""
    return f"PSNR {_db(psnr)}, SSIM {ssim:.3f}, loss {loss:.4g}{note}" if math.isfinite(psnr) else "no result"


def _against(found: Findings, best: Trial) -> str:
    """The best configuration beside a linear code on the same test crops, with a space behind, or ''."""
    if found.ranked and not found.contested:
        psnr, baselines = best.number("test_psnr_db"), [split_baselines(found.logs, best.record.label)]
    else:
        tables = complete_tables(found)
        total = over_all_folds(tables)
        psnr = total.mean if total else math.nan
        baselines = [fold_baselines(found.logs, table) for table in tables]
    known = math.isfinite(psnr)
    sentence = verdict(found.logs, psnr, latent_size(best.configuration), baselines) if known else ""
    return f"{sentence} " if sentence else ""


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {status}" for status, n in counts.items() if n) or "no trials"


def _db(value: float) -> str:
    return f"{value:.2f} dB"
