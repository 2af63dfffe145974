"""The plan and the summary as text: tables for people, JSON for scripts."""

import json
import sys
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from sweeps.records import COMPLETE, FAILED, PRUNED

LEADERS = 5


def show_plan(plan: dict[str, Any], as_json: bool = False, file: TextIO | None = None) -> None:
    """Print what `plan.describe` says."""
    if as_json:
        print(json.dumps(plan, indent=1))
        return
    console = Console(file=file or sys.stdout, highlight=False, width=_width(file))
    resources = plan["resources"]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    swept = ", ".join(f"{name} {_values(values)}" for name, values in plan["axes"].items())
    rows = {
        "question": plan["question"],
        "axes": swept or "none",
        "data": f"{plan['images']} images, {plan['crops']} crops"
        + (" (synthetic, small)" if plan["synthetic"] else ""),
        "protocol": plan["protocol"],
        "leakage": _leakage(plan["leakage"]),
        "trials": f"{plan['search_trials']} search + {plan['cv_trials']} cross-validation,"
        f" {plan['epochs_per_trial']} epochs each; {plan['done_already']} done already",
        "resources": f"{resources['cpus_per_trial']:g} CPU + {resources['gpus_per_trial']:g} GPU per trial,"
        f" {resources['max_concurrent']} at a time",
        "disk": f"about {plan['disk_mb']} MB in {plan['sweep']}",
    }
    for name, text in rows.items():
        if text:
            table.add_row(name, text)
    console.print(table)


def show_summary(records: list[dict[str, Any]], averages: list[dict[str, Any]], axes: list[str], file: TextIO) -> None:
    """The leaders of the search and the cross-validation's averages."""
    console = Console(file=file, highlight=False, width=_width(file))
    complete = [r for r in records if r["kind"] == "search" and r["status"] == COMPLETE]
    leaders = sorted(complete, key=lambda r: -r["metrics"]["best_val_psnr_db"])[:LEADERS]
    if leaders:
        table = Table(
            "trial", *axes, "val PSNR dB", "val SSIM", "val loss", "test PSNR dB", box=None, padding=(0, 2, 0, 0)
        )
        for r in leaders:
            m, settings = (
                r["metrics"],
                [
                    f"{r['config'][name]:g}" if isinstance(r["config"][name], float) else str(r["config"][name])
                    for name in axes
                ],
            )
            table.add_row(
                r["name"],
                *settings,
                f"{m['best_val_psnr_db']:.2f}",
                f"{m['best_val_ssim']:.3f}",
                f"{m['best_val_loss']:.4f}",
                f"{r['test']['psnr_db']:.2f}",
            )
        console.print(table)
    if averages:
        table = Table(
            "stratified by", "folds", "test loss", "test PSNR dB", "test SSIM", box=None, padding=(0, 2, 0, 0)
        )
        for row in averages:
            cells = [_mean_sd(row, name, digits) for name, digits in (("loss", 4), ("psnr_db", 2), ("ssim", 3))]
            table.add_row(row["label"], str(row["folds"]), *cells)
        console.print()
        console.print(table)
    counts = {s: sum(r["status"] == s for r in records) for s in (COMPLETE, PRUNED, FAILED)}
    console.print("\ntrials: " + ", ".join(f"{n} {status}" for status, n in counts.items() if n))


def summary_json(
    sweep: Path,
    report: Path,
    records: list[dict[str, Any]],
    averages: list[dict[str, Any]],
    best: dict[str, Any] | None,
) -> str:
    """The same for scripts."""
    counts = {s: sum(r["status"] == s for r in records) for s in (COMPLETE, PRUNED, FAILED)}
    content = {"sweep": str(sweep), "report": str(report), "trials": counts, "best": best, "cross_validation": averages}
    return json.dumps(content, indent=1)


def _leakage(by_label: dict[str, dict[str, Any]]) -> str:
    """`0 % of test crops overlap a training crop, 0 % of test images are trained on`: the worst label."""
    if not by_label:
        return ""
    overlap, image = (max(shares[name] for shares in by_label.values()) for name in ("overlap_share", "image_share"))
    return f"{overlap:.0%} of test crops overlap a training crop, {image:.0%} are of an image that is trained on"


def _mean_sd(row: dict[str, Any], name: str, digits: int) -> str:
    mean, sd = row[f"test_{name}_mean"], row[f"test_{name}_sd"]
    if mean is None:
        return "missing"
    return f"{mean:.{digits}f}" + (f" ± {sd:.{digits}f}" if sd is not None else "")


def _values(values: Any) -> str:
    if isinstance(values, dict):
        return f"{values['low']:g}..{values['high']:g}"
    return "{" + ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values) + "}"


def _width(file: TextIO | None) -> int | None:
    """Terminals wrap at their own width; files and pipes must not be cut at 80 columns."""
    return None if (file or sys.stdout).isatty() else 160
