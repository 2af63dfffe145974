"""Write the report of a sweep from its TensorBoard logs: report.html, report.md, CSV tables and figures.

examples:
  deepdlt report ray_results/my-sweep
  deepdlt report ray_results/my-sweep --json
  deepdlt report s3://bucket/sweeps/my-sweep
  deepdlt report ray_results/first ray_results/second         compare two sweeps, folders or URLs
"""

import argparse
import json
import sys
from pathlib import Path

if __name__ == "__main__":  # run from a checkout, installed or not
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from deepdlt.command_line import Parser, run_command
from deepdlt.errors import DONE
from deepdlt.terminal import leave
from sweeps import reporting, store
from sweeps.objects import place

EPILOG = "exit codes: 0 written, 2 not a sweep, 3 storage failed"


def main(argv: list[str] | None = None) -> int:
    """The command `python sweeps/report.py`; returns its exit code."""
    return run_command(sys.modules[__name__], argv, "python sweeps/report.py", called="deepdlt report")


def add_options(parser: Parser) -> None:
    """Which sweep, and what to print."""
    what = "folder or URL of a sweep; the report goes to report/ in it"
    parser.add_argument("sweep", type=place, metavar="SWEEP", help=what)
    parser.add_argument(
        "other", type=place, nargs="?", metavar="OTHER", help="a second sweep, to compare with the first"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON instead of the report's path")


def run(args: argparse.Namespace) -> int:
    """Write the report, or the comparison of two sweeps; print where it is."""
    if args.other is not None:
        page = reporting.write_comparison(store.fetch(args.sweep), store.fetch(args.other))
        print(store.publish_page(page))
        return DONE
    sweep = store.fetch(args.sweep)
    summary = reporting.write_report(sweep)
    summary["report"] = store.publish_report(sweep)
    print(json.dumps(summary, indent=1) if args.json else f"{summary['report']}/report.html")
    return DONE


if __name__ == "__main__":
    leave(main())
