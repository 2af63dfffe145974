"""Download the 208 published SEM images and their label table, and check every byte.

examples:
  deepdlt download
  deepdlt download --from file:///media/usb/images --out data/dlip

Run it again after an interruption: files that are there and whole are kept.
"""

import argparse
import shlex
from pathlib import Path

from deepdlt.command_line import Parser
from deepdlt.errors import DONE, STORAGE_FAILED
from deepdlt.synthetic import BASE_URL, MANIFEST, NOT_TRIED, download, read_manifest
from deepdlt.terminal import progress_bar, say

SHOWN_FAILURES = 10
AFTER_INTERRUPT = "complete files are kept. Fetch the rest with:"


def add_options(parser: Parser) -> None:
    """Where from, where to."""
    add = parser.add_argument
    add("--out", type=Path, default=Path("data/dlip"), metavar="FOLDER",
        help="folder that receives a folder images; default %(default)s")  # fmt: skip
    add("--from", dest="base_url", default=BASE_URL, metavar="URL", help="default %(default)s")
    add("--manifest", type=Path, default=MANIFEST, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Fetch what is missing; prints the folder and what to type next."""
    folder = args.out / "images"
    manifest = read_manifest(args.manifest)
    with progress_bar("fetching", "files") as progress:
        outcome = download(args.base_url, folder, manifest, progress)
    if outcome.failed:
        tried = [f"  {path}: {why}" for path, why in sorted(outcome.failed.items()) if why != NOT_TRIED]
        shown = tried[:SHOWN_FAILURES]
        rest = len(outcome.failed) - len(shown)
        more = [f"  and {rest} more"] if rest else []
        head = f"error: {len(outcome.failed)} of {len(manifest)} files could not be fetched from {args.base_url}"
        remedy = "run the same command again (complete files are kept), or name another copy with --from"
        say("\n".join([head, *shown, *more, remedy]))
        return STORAGE_FAILED
    say(f"{len(outcome.fetched)} fetched, {len(outcome.kept)} kept")
    print(folder)
    say(f"next: deepdlt sweep --space exp_grid --data {shlex.quote(str(folder))}")
    return DONE
