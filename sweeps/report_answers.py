"""The three questions of a sweep, answered in words: which autoencoder, how sure, which surfaces stay hard?"""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sweeps.records import COMPLETE, FAILED, PRUNED
from sweeps.report_baselines import fold_baselines, latent_size, split_baselines, verdict
from sweeps.report_logs import INTERRUPTED, SweepLogs, mapping
from sweeps.report_tables import (
    FoldTable,
    class_table,
    cv_groups,
    describe,
    described,
    fold_tables,
    hardest_images,
    image_table,
    leaderboard,
)

FEW_IMAGES = 100  # fewer are named as a limit of the result
ENOUGH_IMAGES = 3  # a class of fewer images is not called the hardest while there are larger ones


@dataclass
class Answer:
    """`headline` answers the question at a glance, `detail` says what it rests on."""

    question: str
    headline: str
    detail: str


@dataclass
class Findings:
    """All tables of one report."""

    logs: SweepLogs
    ranked: pd.DataFrame
    groups: dict[str, list[FoldTable]]
    """Cross-validated configuration -> a table per label; the leading configuration first."""
    classes: dict[str, list[dict[str, Any]]]
    """The same configurations -> rows of `class_table`."""
    hardest: list[dict[str, Any]]
    """Images, of the leading configuration."""
    average: float | None
    """Test PSNR in dB, mean over all images that the leading configuration's folds tested."""

    @property
    def counts(self) -> dict[str, int]:
        """Trials by status, of search and cross-validation together."""
        found = self.logs.trials["status"].value_counts()
        return {status: int(found.get(status, 0)) for status in (COMPLETE, PRUNED, FAILED, INTERRUPTED)}

    @property
    def leading(self) -> list[FoldTable]:
        """The fold tables of the leading configuration; empty without cross-validation."""
        return next(iter(self.groups.values()), [])

    @property
    def best(self) -> Any:
        """Row of the best trial: of the search, or without one of the leading cross-validation; None if none."""
        if len(self.ranked):
            return self.ranked.iloc[0]
        trials = self.logs.trials
        folds = trials[(trials["status"] == COMPLETE) & (trials["group"] == next(iter(self.groups), None))]
        return folds.sort_values("val_psnr_db", ascending=False).iloc[0] if len(folds) else None


def find(logs: SweepLogs) -> Findings:
    """Compute every table of the report."""
    groups = {group: fold_tables(logs, group) for group in cv_groups(logs)}
    classes = {group: class_table(logs, group) for group in groups}
    leading = next(iter(groups), None)
    hardest = hardest_images(logs, leading) if leading else []
    average = float(image_table(logs, leading)["psnr_db"].mean()) if leading and hardest else None
    return Findings(logs, leaderboard(logs), groups, classes, hardest, average)


def answers(found: Findings) -> list[Answer]:
    """The three answers, in the order of the questions."""
    return [which_autoencoder(found), how_sure(found), which_surfaces(found)]


def which_autoencoder(found: Findings) -> Answer:
    """The best configuration and its numbers."""
    question, best = "Which autoencoder?", found.best
    counts = found.counts
    if best is None:
        failed = "see the errors below" if counts[FAILED] else "run the sweep's command again to go on"
        return Answer(question, "Not known: no trial is complete", f"{_counted(counts)}; {failed}.")
    headline = describe(best, described(found.logs, best))
    if len(found.ranked):
        counts = {status: int((_search(found) == status).sum()) for status in counts}
        detail = f"Validation: {_numbers(best, 'val')}. Test: {_numbers(best, 'test')}. {_against(found)}"
        detail += f"Trial {best['trial']}, ranked first by validation PSNR. Search trials: {_counted(counts)}."
        return Answer(question, headline, detail)
    tables = [table for table in found.leading if table.n_done]
    psnr = float(np.mean([table.mean["test_psnr_db"] for table in tables]))
    ssim = np.mean([table.mean["test_ssim"] for table in tables])
    chosen = "the only configuration" if len(found.groups) == 1 else f"best of {len(found.groups)} configurations"
    detail = f"Test PSNR {_db(psnr)}, SSIM {ssim:.3f}, averaged over folds. {_against(found)}"
    return Answer(question, headline, f"{detail}It is {chosen}, cross-validated without a search.")


def how_sure(found: Findings) -> Answer:
    """The spread over folds, and what it means for the ranking."""
    question = "How sure?"
    tables = [t for t in found.leading if t.n_done >= 2 and _finite(t.sd["test_psnr_db"])]
    if not tables:
        done = max((table.n_done for table in found.leading), default=0)
        have = f"complete folds per label: at most {done}" if found.groups else "every trial saw the same single split"
        return Answer(question, "Not known yet", f"There is no spread over folds: {have}. {how_to_cv(found.logs)}")
    means = np.array([table.mean["test_psnr_db"] for table in tables])
    spread = max(table.sd["test_psnr_db"] for table in tables)
    done, of = sum(t.n_done for t in found.leading), sum(t.n_folds for t in found.leading)
    detail = f"Test PSNR, mean and largest standard deviation over folds ({done} of {of} folds complete)."
    if len(means) > 1:
        gap = means.max() - means.min()
        relation = "less than" if gap < spread else "more than"
        detail += f" The label used for stratification moves the mean by {_db(gap)}, {relation} the folds do."
    if len(found.ranked) > 1:
        near = int((found.ranked["val_psnr_db"] > found.ranked["val_psnr_db"].iloc[0] - spread).sum()) - 1
        others = {0: "No other trial is", 1: "1 other trial is"}.get(near, f"{near} other trials are")
        swap = ": on other surfaces the order could change" if near else ""
        detail += f" {others} within that of the best one's validation PSNR{swap}."
    return Answer(question, f"{means.mean():.2f} ± {spread:.2f} dB from fold to fold", detail)


def which_surfaces(found: Findings) -> Answer:
    """The class with the lowest mean, if it stands out, and the hardest image."""
    question, average = "Which surfaces stay hard?", found.average
    if not found.groups or average is None or not math.isfinite(average):
        return Answer(question, "Not known yet", how_to_cv(found.logs))
    image = found.hardest[0]
    single = f"Hardest single image: {image_name(image)}, {_db(image['psnr_db'])}."
    rows = next(iter(found.classes.values()))
    rows = [row for row in rows if row["n_images"] >= ENOUGH_IMAGES] or rows
    if not rows:
        return Answer(question, image_name(image), f"{single} Average of all images: {_db(average)}.")
    worst = min(rows, key=lambda row: row["psnr_db"])
    name = f"{worst['label']} = {worst['class']}"
    interval = f", 95 % interval {worst['low']:.2f} to {worst['high']:.2f} dB" if worst["low"] is not None else ""
    numbers = f"{_db(worst['psnr_db'])} over {_images(worst['n_images'])}{interval}; all images: {_db(average)}"
    if worst["high"] is not None and worst["high"] < average:
        return Answer(question, name, f"{numbers}. {single}")
    return Answer(question, "None stands out", f"Lowest: {name}, {numbers}, which the interval includes. {single}")


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
        note += " The configuration was chosen by a search on the same images, which makes the averages a little"
        note += " optimistic."
    return note


def how_to_cv(logs: SweepLogs) -> str:
    """The command that adds cross-validation."""
    command = str(logs.asked.get("command") or "python sweeps/run.py --space SPACE")
    return f"Run: {command if '--cv' in command.split() else f'{command} --cv'}"


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
    if len(found.ranked):
        psnr, baselines = best["test_psnr_db"], [split_baselines(found.logs, best["label"])]
    else:
        tables = [table for table in found.leading if table.n_done]
        psnr = float(np.mean([table.mean["test_psnr_db"] for table in tables]))
        baselines = [fold_baselines(found.logs, table) for table in tables]
    sentence = verdict(found.logs, psnr, latent_size(json.loads(best["group"])), baselines) if _finite(psnr) else ""
    return f"{sentence} " if sentence else ""


def _images(n: int) -> str:
    return "1 image" if n == 1 else f"{n} images"


def _search(found: Findings) -> pd.Series:
    return found.logs.trials.loc[found.logs.trials["kind"] == "search", "status"]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {status}" for status, n in counts.items() if n) or "no trials"


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _db(value: float) -> str:
    return f"{value:.2f} dB"
