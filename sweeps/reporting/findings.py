"""All tables of one report, computed from the logs."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from sweeps.folds import FoldFindings, FoldTable, fold_findings, grid_rows
from sweeps.reporting.logs import INTERRUPTED, SweepLogs
from sweeps.reporting.marks import not_comparable
from sweeps.reporting.tables import class_table, hardest_images, image_table, leaderboard, log_rows
from sweeps.store import COMPLETE, FAILED, PRUNED


@dataclass
class Findings:
    """What a report says before it is said."""

    logs: SweepLogs
    ranked: pd.DataFrame
    """Complete search trials of the present space, best first."""
    outside: pd.DataFrame
    """Those outside it: kept, not ranked."""
    folds: FoldFindings
    classes: dict[str, list[dict[str, Any]]]
    """Cross-validated configuration -> rows of `class_table`; the leading configuration first."""
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
    def warnings(self) -> list[str]:
        """Damage, and what makes trials of this sweep not comparable to the last bit."""
        return [*self.logs.warnings, *not_comparable(self.logs)]

    @property
    def groups(self) -> dict[str, list[FoldTable]]:
        """Cross-validated configuration -> a table per label; the leading configuration first."""
        return self.folds.tables

    @property
    def leading(self) -> list[FoldTable]:
        """The fold tables of the leading configuration; empty without cross-validation."""
        return self.folds.leading

    @property
    def contested(self) -> bool:
        """Several configurations were cross-validated, and their leaderboard decides which one leads."""
        return bool(self.folds.places)

    @property
    def best(self) -> Any:
        """Row of the trial that stands for the report; None if there is none.

        The search's first; with a leaderboard the search trial of its first, or failing that its best fold.
        """
        leading, ranked = next(iter(self.groups), None), self.ranked
        if self.contested:
            ranked = ranked[ranked["group"] == leading]
        if len(ranked):
            return ranked.iloc[0]
        trials = self.logs.trials
        folds = trials[(trials["status"] == COMPLETE) & (trials["group"] == leading)]
        return folds.sort_values("val_psnr_db", ascending=False).iloc[0] if len(folds) else None


def find(logs: SweepLogs) -> Findings:
    """Compute every table of the report."""
    rows, ranked = log_rows(logs), leaderboard(logs)
    folds = fold_findings(rows, logs.records.values(), logs.asked, ranked["group"].iloc[0] if len(ranked) else None)
    cells = {group: grid_rows(rows, logs.asked, group) for group in folds.tables}
    classes = {group: class_table(logs, of_group) for group, of_group in cells.items()}
    leading = next(iter(cells.values()), [])
    hardest = hardest_images(logs, leading)
    average = float(image_table(leading)["psnr_db"].mean()) if hardest else None
    return Findings(logs, ranked, leaderboard(logs, inside=False), folds, classes, hardest, average)
