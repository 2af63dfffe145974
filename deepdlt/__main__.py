"""The commands of the library: `python -m deepdlt COMMAND`; each has its own --help."""

import sys
from importlib import import_module

COMMANDS = {
    "check": "what is in a folder of images and its label sheet, and what is wrong with it",
    "audit": "does the picture show the period that its label `angle` says?",
    "crops": "cut the crops of a folder of images",
    "folds": "write stratified folds as tables",
    "synthetic": "make SEM-like images with their sheet",
    "download": "fetch the 208 published micrographs",
    "train": "train one configuration, without Ray",
    "latents": "map what a trained network knows of each image",
}
"""Each is a module of deepdlt.commands."""
REFUSED = 2


def main(argv: list[str] | None = None) -> int:
    """Run the command that is named first; returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in COMMANDS:
        code: int = import_module(f"deepdlt.commands.{words[0]}").main(words[1:])
        return code
    listed = "\n".join(f"  {name:10} {does}" for name, does in COMMANDS.items())
    text = f"usage: python -m deepdlt COMMAND [options]\n\ncommands:\n{listed}"
    if words and words[0] in ("-h", "--help"):
        print(text)
        return 0
    print(f"error: {f'unknown command {words[0]!r}' if words else 'which command?'}\n{text}", file=sys.stderr)
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
