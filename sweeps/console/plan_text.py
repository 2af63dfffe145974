"""The plan of a sweep: a table for people, JSON for scripts."""

import json
import sys
from typing import Any, TextIO

from rich.table import Table

from sweeps.console.plain import console_to
from sweeps.planning import span
from sweeps.space import Axis


def show_plan(plan: dict[str, Any], as_json: bool = False, file: TextIO | None = None) -> None:
    """Print what `plan.describe` says."""
    if as_json:
        print(json.dumps(plan, indent=1))
        return
    console = console_to(file or sys.stdout)
    resources = plan["resources"]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    swept = ", ".join(f"{name} {Axis.from_json(values)}" for name, values in plan["axes"].items())
    rows = {
        "question": plan["question"],
        "axes": swept or "none",
        "data": f"{plan['images']} images, {plan['crops']} crops"
        + (" (synthetic, small)" if plan["synthetic"] else ""),
        "protocol": plan["protocol"],
        "leakage": _leakage(plan["leakage"]),
        "trials": f"{plan['search_trials']} search + {plan['cv_trials']} cross-validation,"
        f" {plan['epochs_per_trial']} epochs each; {_left(plan)}",
        "resources": f"{resources['cpus_per_trial']:g} CPU + {resources['gpus_per_trial']:g} GPU per trial,"
        f" {resources['max_concurrent']} at a time",
        "time": _time(plan),
        "disk": f"about {plan['disk_mb']} MB in {plan['sweep']}",
    }
    for name, text in rows.items():
        if text:
            table.add_row(name, text)
    console.print(table)
    for note in plan.get("notes", ()):
        console.print(f"note: {note}")


def _left(plan: dict[str, Any]) -> str:
    """`to run: 2 search + 8 folds; 10 done already; 1 failed (--retry-failed repeats it)`: of this request alone."""
    parts = [f"{n} {what}" for n, what in zip(plan["to_run"], ("search", "folds"), strict=True) if n]
    texts = [f"to run: {' + '.join(parts)}" if parts else "nothing is left to run"]
    texts += [f"{plan['done_already']} done already"] if plan["done_already"] else []
    if failed := plan["failed_already"]:
        repeated = (
            "to be repeated" if plan["retry_failed"] else f"--retry-failed repeats {'it' if failed == 1 else 'them'}"
        )
        texts.append(f"{failed} failed ({repeated})")
    return "; ".join(texts)


def _time(plan: dict[str, Any]) -> str:
    """`about 12-16 min (measured: ...)`, or why it is not known; empty when nothing is left to run."""
    if not plan.get("eta_basis") or not any(plan["to_run"]):
        return ""
    low_high = plan["eta_s"]
    return f"about {span(*low_high)} ({plan['eta_basis'].partition(':')[0]})" if low_high else plan["eta_basis"]


def _leakage(by_label: dict[str, dict[str, Any]]) -> str:
    """`0 % of test crops overlap a training crop, 0 % of test images are trained on`: the worst label."""
    if not by_label:
        return ""
    overlap, image = (max(shares[name] for shares in by_label.values()) for name in ("overlap_share", "image_share"))
    return f"{overlap:.0%} of test crops overlap a training crop, {image:.0%} are of an image that is trained on"
