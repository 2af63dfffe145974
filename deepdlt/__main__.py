"""Autoencoders on SEM images of laser-textured surfaces: check images, train, sweep, compare.

examples:
  deepdlt check --data my_images                          what is in a folder of images, and what is wrong with it
  deepdlt sweep --space exp_grid --data my_images --cv    search settings, cross-validate the best, write a report
  deepdlt train --data my_images --set lr=1e-3            train one configuration
  deepdlt doctor                                          is this machine ready? is its GPU used?
"""

import sys

from deepdlt.command_line import run_command, written
from deepdlt.commands import OWN, find_commands, load_command, summary
from deepdlt.errors import DONE, REFUSED, hint
from deepdlt.machine import versions
from deepdlt.terminal import leave, own_streams, say

PROG = "deepdlt"


def main(argv: list[str] | None = None) -> int:
    """Run the command that is named first; returns its exit code."""
    own_streams()
    words = sys.argv[1:] if argv is None else argv
    first = words[0] if words else "--help"
    if first in ("-h", "--help", "help"):
        print(_help())
        return written(DONE if words else REFUSED)
    if first in ("-V", "--version", "version"):
        print(versions())
        return written(DONE)
    command = load_command(first)
    if command is None:
        say(f"error: unknown command {first!r}{hint(first, find_commands())}; `{PROG} --help` lists the commands")
        return REFUSED
    return run_command(command, words[1:], f"{PROG} {first}")


def _help() -> str:
    """Examples first, then every command with its summary."""
    found = find_commands()
    lines = [f"usage: {PROG} COMMAND [options]", "", (__doc__ or "").rstrip(), ""]
    for title, names in (("sweeps", [n for n in found if n not in OWN]), ("images and networks", list(OWN))):
        if names:
            lines += [f"{title}:", *(f"  {name:10} {summary(found[name])}" for name in names), ""]
    return "\n".join(
        [*lines, f"`{PROG} COMMAND --help` has the options of a command; `{PROG} --version` the versions."]
    )


def script() -> None:
    """The console script `deepdlt`."""
    leave(main())


if __name__ == "__main__":
    script()
