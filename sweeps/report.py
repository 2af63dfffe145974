"""Write the report of a sweep from its TensorBoard logs: report.html, report.md, CSV tables and figures.

example:
  python sweeps/report.py ray_results/exp_grid
"""

import argparse
import json
import sys
from pathlib import Path

if __name__ == "__main__":  # run from a checkout, installed or not
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from sweeps import reporting
from sweeps.errors import DONE, REFUSED, STORAGE_FAILED, NotASweep


def main(argv: list[str] | None = None) -> int:
    """Write the report, print where it is; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python sweeps/report.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit codes: 0 written, 2 not a sweep, 3 storage failed",
    )
    parser.add_argument("sweep", type=Path, help="folder of a sweep; the report goes to its subfolder report/")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON instead of the report's path")
    args = parser.parse_args(argv)
    try:
        summary = reporting.write_report(args.sweep)
    except NotASweep as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(f"error: cannot write the report: {error}; free space or make the folder writable", file=sys.stderr)
        return STORAGE_FAILED
    print(json.dumps(summary, indent=1) if args.json else Path(summary["report"]) / "report.html")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
