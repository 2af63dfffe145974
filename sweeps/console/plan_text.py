"""The plan of a sweep: a table for people, JSON for scripts."""

import json
import sys
from typing import TextIO

from rich.table import Table

from deepdlt.errors import many
from sweeps.console.plain import console_to
from sweeps.folds import groups_text, leakage_text
from sweeps.planning import Plan, span
from sweeps.request import Room, fitting
from sweeps.store import address


def show_plan(plan: Plan, as_json: bool = False, file: TextIO | None = None) -> None:
    """Print it, for people or as JSON."""
    if as_json:
        print(json.dumps(plan.to_json(), indent=1))
        return
    console = console_to(file or sys.stdout)
    resources, data = plan.resources, plan.sweep_file.data
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    n_search, n_cv = plan.tally.planned
    rows = {
        "question": plan.request.question,
        "axes": ", ".join(f"{name} {axis}" for name, axis in plan.axes.items()) or "none",
        "data": f"{data.images} images, {data.crops} crops" + (" (synthetic)" if data.synthetic else ""),
        "groups": "" if data.synthetic else groups_text(plan.sweep_file),
        "protocol": plan.sweep_file.protocol,
        "leakage": leakage_text(plan.sweep_file.leakage),
        "trials": f"{many(n_search, 'search trial')} + {many(n_cv, 'fold run')},"
        f" {many(plan.request.epochs, 'epoch')} each; {_left(plan)}",
        "cluster": plan.cluster.text if plan.cluster else "",
        "resources": f"{resources.cpus_per_trial:g} CPU + {resources.gpus_per_trial:g} GPU per trial,"
        f" {resources.max_concurrent} at a time{_for_more(plan)}",
        "time": _time(plan),
        "disk": f"about {plan.disk_mb} MB in {address(plan.sweep)}",
    }
    for name, text in rows.items():
        if text:
            table.add_row(name, text)
    console.print(table)
    for note in plan.notes:
        console.print(f"note: {note}", soft_wrap=True)  # commands in it can be copied


def _for_more(plan: Plan) -> str:
    """` (room for 2 now; the others wait for nodes)`, where more were asked for than a cluster has room for."""
    if plan.cluster is None or not plan.resources.grows:
        return ""
    now = fitting(plan.resources, [Room(node.cpus, node.gpus) for node in plan.cluster.nodes])
    return f" (room for {now} now; the others wait for nodes)" if now < plan.resources.max_concurrent else ""


def _left(plan: Plan) -> str:
    """`to run: 2 search trials + 8 fold runs; 10 done already; 1 failed (...)`: counts of this request only."""
    tally = plan.tally
    parts = [many(n, what) for n, what in zip(tally.to_run, ("search trial", "fold run"), strict=True) if n]
    texts = [f"to run: {' + '.join(parts)}" if parts else "nothing is left to run"]
    texts += [f"{sum(tally.done)} done already"] if any(tally.done) else []
    if failed := sum(tally.failed):
        remedy = f"--retry-failed repeats {'it' if failed == 1 else 'them'}"
        texts.append(f"{failed} failed ({'to be repeated' if plan.retry_failed else remedy})")
    return "; ".join(texts)


def _time(plan: Plan) -> str:
    """`about 12-16 min (timed: ...)`, or why it is not known; empty when nothing is left to run."""
    if plan.forecast is None or plan.is_done:
        return ""
    low_high, basis = plan.forecast.eta_s, plan.forecast.basis
    return f"about {span(*low_high)} ({basis})" if low_high else basis
