"""The three questions of a sweep, answered in words: which autoencoder, how sure, which surfaces stay hard?"""

import json
import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sweeps.console import with_option
from sweeps.folds import FoldTable, asked_tables, over_all_folds
from sweeps.reporting.baselines import fold_baselines, latent_size, split_baselines, verdict
from sweeps.reporting.findings import Findings
from sweeps.reporting.logs import SweepLogs, mapping
from sweeps.reporting.tables import words
from sweeps.store import FAILED

FEW_IMAGES = 100  # fewer are named as a limit of the result
HARD_AT = 0.05  # of the hardest of all classes
ENOUGH_IMAGES = 3  # a class of fewer images is not called the hardest while there are larger ones


@dataclass
class Answer:
    """`headline` answers the question at a glance, `detail` says what it rests on."""

    question: str
    headline: str
    detail: str


def answers(found: Findings) -> list[Answer]:
    """The three answers, in the order of the questions."""
    return [which_autoencoder(found), how_sure(found), which_surfaces(found)]


def which_autoencoder(found: Findings) -> Answer:
    """The best configuration and its numbers."""
    question, best = "Which autoencoder?", found.best
    counts = found.counts
    if best is None:
        failed = "see the errors below" if counts[FAILED] else "run the sweep's command again to go on"
        where = "of the present space " if len(found.outside) else ""
        return Answer(question, f"Not known: no trial {where}is complete", f"{_counted(counts)}; {failed}.")
    headline = words(found.logs, best)
    if found.contested:
        return Answer(question, headline, contest_words(found) + _against(found).strip())
    if len(found.ranked):
        counts = {status: int((_search(found) == status).sum()) for status in counts}
        detail = f"Validation: {_numbers(best, 'val')}. Test: {_numbers(best, 'test')}. {_against(found)}"
        detail += f"Trial {best['trial']}, ranked first by validation PSNR. Search trials: {_counted(counts)}."
        return Answer(question, headline, detail)
    complete = complete_tables(found)
    psnr, ssim = (over_all_folds(complete, f"test_{name}") for name in ("psnr_db", "ssim"))
    chosen = "the only configuration" if len(found.groups) == 1 else f"best of {len(found.groups)} configurations"
    if psnr is None or ssim is None:
        done, of = sum(t.n_done for t in found.leading), sum(len(t.rows) for t in found.leading)
        return Answer(question, headline, f"No average yet: {done} of {of} folds are complete. It is {chosen}.")
    part = "" if len(complete) == len(found.leading) else f" of {', '.join(table.label for table in complete)}"
    detail = f"Test PSNR {_db(psnr.mean)}, SSIM {ssim.mean:.3f}, averaged over folds{part}. {_against(found)}"
    return Answer(question, headline, f"{detail}It is {chosen}, cross-validated without a search.")


def contest_words(found: Findings) -> str:
    """The leaderboard in sentences: the first, who is tied with it, the smallest of these, and the catch."""
    places, tied = found.folds.places, found.folds.tied
    units = "process conditions" if found.folds.by_condition else "images"
    whole = len(places) == len(found.groups)
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
        text += f"The smallest of the tied: {words(found.logs, json.loads(smallest.group))}, with"
        text += f" {smallest.parameters:,} instead of {places[0].parameters:,} parameters. "
    elif len(tied) > 1 and places[0].parameters is not None:
        text += "None of the tied has fewer parameters. "
    return text + "Picked by the images that it is measured on, the first looks a little better than it is. "


def _unranked(found: Findings) -> str:
    """`Not ranked: 1 incomplete (kernel_size 3: 4 of 5 cells), 2 stopped by the race. `, or ''."""
    settings = {group: words(found.logs, json.loads(group)) for group in found.groups}
    cells = [f"{settings[group]}: {done} of {of} cells" for group, (done, of) in found.folds.incomplete.items()]
    parts = [f"{len(cells)} incomplete ({'; '.join(cells)})"] if cells else []
    parts += [f"{len(found.folds.stops)} stopped by the race"] if found.folds.stops else []
    parts += [f"{len(found.folds.earlier)} of an earlier grid"] if found.folds.earlier else []
    return f"Not ranked: {', '.join(parts)}. " if parts else ""


def how_sure(found: Findings) -> Answer:
    """The interval over folds, and what the spread means for the ranking."""
    question, tables = "How sure?", asked_tables(found.leading) or found.leading
    complete = complete_tables(found)
    total = over_all_folds(complete)
    if total is None or total.low is None or total.high is None or total.sd is None:
        done = ", ".join(f"{t.label} {t.n_done} of {len(t.rows)}" for t in tables)
        have = f"complete folds: {done}" if found.groups else "every trial saw the same single split"
        text = f"There is no spread over all folds of a label: {have}."
        return Answer(question, "Not known yet", f"{text} {how_to_cv(found.logs)}")
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
        detail += f" The search's best has not been cross-validated yet. {how_to_cv(found.logs)}"
    return Answer(question, headline, detail)


def other_configuration(found: Findings) -> str:
    """The cross-validated configuration in words, where it is not the one that the first answer names; or ''."""
    leading = next(iter(found.groups), None)
    if leading is None or found.best is None or found.best["group"] == leading:
        return ""
    return words(found.logs, json.loads(leading))


def complete_tables(found: Findings) -> list[FoldTable]:
    """Of the leading configuration those labels that have an average, of the grid that was asked for where it ran."""
    tables = asked_tables(found.leading) or found.leading
    return [table for table in tables if "test_psnr_db" in table.averages]


def _near(found: Findings, spread: float) -> str:
    """How many search trials are so near to the first that folds could turn the order, where no leaderboard says it."""
    if len(found.ranked) < 2 or found.contested:
        return ""
    near = int((found.ranked["val_psnr_db"] > found.ranked["val_psnr_db"].iloc[0] - spread).sum()) - 1
    others = {0: "No other trial is", 1: "1 other trial is"}.get(near, f"{near} other trials are")
    swap = ": on other surfaces the order could change" if near else ""
    return f" {others} within that spread of the best one's validation PSNR{swap}."


def which_surfaces(found: Findings) -> Answer:
    """The class that is harder than the others, if one stands out, and the hardest image; of complete labels only.

    Of many classes one is always the worst: p-values are multiplied by their number (Bonferroni).
    """
    question, complete = "Which surfaces stay hard?", {table.label for table in complete_tables(found)}
    if not found.groups or found.average is None or not math.isfinite(found.average):
        return Answer(question, "Not known yet", how_to_cv(found.logs))
    image = found.hardest[0]
    single = f"Hardest single image{'' if complete else ' so far'}: {image_name(image)}, {_db(image['psnr_db'])}."
    if not complete:
        return Answer(question, "Not known yet", f"No label has all its folds. {single}")
    rows = [row for row in next(iter(found.classes.values())) if row["label"] in complete]
    rows = [row for row in rows if row["n_images"] >= ENOUGH_IMAGES] or rows
    if not rows:
        return Answer(question, image_name(image), f"{single} Average of all tested images: {_db(found.average)}.")
    hard = [row for row in rows if row["p_harder"] is not None and len(rows) * row["p_harder"] < HARD_AT]
    worst = min(hard or rows, key=lambda row: row["psnr_db"])
    name = f"{worst['label']} = {worst['class']}"
    interval = f", 95 % interval {worst['low']:.2f} to {worst['high']:.2f} dB" if worst["low"] is not None else ""
    of = "" if worst["n_images"] == worst["of"] else f" of {worst['of']}"
    numbers = f"{_db(worst['psnr_db'])} over {worst['n_images']}{of} image{'' if worst['n_images'] == 1 else 's'}"
    numbers += f"{interval}; all tested images: {_db(found.average)}"
    other = other_configuration(found)
    single += f" All of {other}." if other else ""
    if hard:
        return Answer(question, name, f"{numbers}. {single}")
    return Answer(
        question, "None stands out", f"Lowest of {len(rows)} classes: {name}, {numbers}, which may be chance. {single}"
    )


def data_remark(data: dict[str, Any]) -> str:
    """What the data cannot show, or ''."""
    images = data.get("images")
    if data.get("synthetic"):
        return (
            "These images are synthetic. The ranking shows that the system works and how settings behave on such"
            " structures; which autoencoder suits real micrographs, only those can tell (--data FOLDER)."
        )
    if isinstance(images, int) and images < FEW_IMAGES:
        return f"Only {images} images: intervals are wide, and a class may consist of a few images."
    return ""


def fold_note(found: Findings) -> str:
    """What the test images of a fold have to do with its training images."""
    folds = found.logs.trials[found.logs.trials["kind"] == "cv"]
    units = set(folds["split_unit"].dropna()) if "split_unit" in folds else set()
    if units == {"crop"}:
        note = "These folds leak, as the report's do: crops are split, not images. In the report's setting 67 % of the"
        note += " test crops overlap a training crop, so the spread says little about surfaces never seen."
    elif units and units <= {"image", "condition"}:
        kept = "surfaces (process conditions)" if units == {"condition"} else "images"
        note = f"Tested {kept} were never trained on: all crops of one stay on one side of each split."
    else:
        note = "Folds of different kinds are mixed here (split_unit); compare with care."
    if "metrics" in folds and set(folds["metrics"].dropna()) == {"report"}:
        note += " PSNR and SSIM follow the report's own formulas; do not compare them with other work."
    if len(found.ranked):
        chosen = "Configurations were" if len(found.groups) > 1 else "The configuration was"
        note += f" {chosen} chosen by a search on the same images, which makes the averages a little optimistic."
    return note


def how_to_cv(logs: SweepLogs) -> str:
    """The command that adds cross-validation."""
    return f"Run: {with_option(str(logs.asked.get('command') or 'python sweeps/run.py --space SPACE'), '--cv')}"


def data_line(asked: dict[str, Any]) -> str:
    """`30 synthetic images, 960 crops of 64x64 px, seed 42`, as far as known."""
    data = mapping(asked, "data")
    kind = "synthetic images" if data.get("synthetic") else "images"
    parts = [f"{data['images']} {kind}"] if "images" in data else []
    if "crops" in data:
        size = data.get("crop_size")
        parts.append(f"{data['crops']} crops" + (f" of {size}x{size} px" if size else ""))
    if "seed" in asked:
        parts.append(f"seed {asked['seed']}")
    return ", ".join(parts) or "data not described (no sweep.json)"


def image_name(image: dict[str, Any]) -> str:
    """`image 12 (file.png)`."""
    return f"image {image['image_id']}" + (f" ({image['file']})" if image.get("file") else "")


def _numbers(trial: Any, part: str) -> str:
    """`PSNR 25.84 dB, SSIM 0.796, loss 0.002608 (floor 0.001: ...)`."""
    psnr, ssim, loss = (trial[f"{part}_{name}"] for name in ("psnr_db", "ssim", "loss"))
    floor = trial.get(f"{part}_loss_floor")
    note = f" (floor {floor:.4g}: outputs in [0, 1] cannot go lower)" if _finite(floor) else ""
    return f"PSNR {_db(psnr)}, SSIM {ssim:.3f}, loss {loss:.4g}{note}" if _finite(psnr) else "no result"


def _against(found: Findings) -> str:
    """The best configuration beside a linear code on the same test crops, with a space behind, or ''."""
    best = found.best
    if len(found.ranked) and not found.contested:
        psnr, baselines = best["test_psnr_db"], [split_baselines(found.logs, best["label"])]
    else:
        tables = complete_tables(found)
        total = over_all_folds(tables)
        psnr = total.mean if total else math.nan
        baselines = [fold_baselines(found.logs, table) for table in tables]
    sentence = verdict(found.logs, psnr, latent_size(json.loads(best["group"])), baselines) if _finite(psnr) else ""
    return f"{sentence} " if sentence else ""


def _search(found: Findings) -> pd.Series:
    return found.logs.trials.loc[found.logs.trials["kind"] == "search", "status"]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {status}" for status, n in counts.items() if n) or "no trials"


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _db(value: float) -> str:
    return f"{value:.2f} dB"
