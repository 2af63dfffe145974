"""Fetch the 208 published SEM images and their sheet, and check every byte.

    python -m deepdlt download
    python -m deepdlt download --from file:///media/usb/images --out data/dlip

Run again after an interruption: what is there and whole is kept.
"""

import argparse
import shlex
import sys
from pathlib import Path

from deepdlt.synthetic import BASE_URL, MANIFEST, NOT_TRIED, ManifestError, download, read_manifest
from deepdlt.terminal import progress_bar

SHOWN_FAILURES = 10


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 all there, 2 refused input, 3 files missing or wrong, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m deepdlt download",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, default=Path("data/dlip"), help="gets a folder images (default %(default)s)"
    )
    parser.add_argument("--from", dest="base_url", default=BASE_URL, metavar="URL", help="default %(default)s")
    parser.add_argument("--manifest", type=Path, default=MANIFEST, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    folder = args.out / "images"
    try:
        manifest = read_manifest(args.manifest)
        with progress_bar("fetching", "files") as progress:
            outcome = download(args.base_url, folder, manifest, progress)
    except ManifestError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: cannot make {folder}: {error.strerror}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("interrupted: finished files are kept; run the same command to fetch the rest", file=sys.stderr)
        return 130
    if outcome.failed:
        tried = [f"  {path}: {why}" for path, why in sorted(outcome.failed.items()) if why != NOT_TRIED]
        shown = tried[:SHOWN_FAILURES]
        rest = len(outcome.failed) - len(shown)
        more = [f"  and {rest} more"] if rest else []
        head = f"error: {len(outcome.failed)} of {len(manifest)} files could not be fetched from {args.base_url}"
        remedy = "run the same command again (whole files are kept), or name another copy with --from"
        print("\n".join([head, *shown, *more, remedy]), file=sys.stderr)
        return 3
    print(f"{len(outcome.fetched)} fetched, {len(outcome.kept)} kept", file=sys.stderr)
    print(folder)
    print(f"python sweeps/run.py --space exp_grid --data {shlex.quote(str(folder))}")
    return 0
