"""One way for every command: options in, an exit code out.

A command is a module with a docstring (its first line is the summary, the rest its help, examples first),
`add_options(parser)` and `run(args)`, which returns an exit code or raises. `run_command` runs it; there is no other
place where an error becomes an exit code.
"""

import argparse
import difflib
import errno
import itertools
import logging
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol

from deepdlt.atomic import write_atomic
from deepdlt.config import CROP_SIZES, DOWNSAMPLINGS, TrainConfig, field_called
from deepdlt.errors import INTERRUPTED, REFUSED, STORAGE_FAILED, CommandError, DataError, hint
from deepdlt.headings import split_headings
from deepdlt.machine import missing_module, without_home
from deepdlt.terminal import own_streams, say

START_AGAIN = "nothing was finished. Start again with:"
MOVED = {"--label": "--labels", "--storage": "--out", "--out": "--storage", "--minimise": "--minimize"}
"""Options of other names: of before, or of another command."""
CLOSE, VERY_CLOSE = 0.7, 0.8  # of difflib: a misspelt option comes before a hyperparameter that is like it
NOT_NEEDED = {"--resume": "an interrupted command resumes when it is typed again, without an option"}


class Command(Protocol):
    """What a module of `deepdlt.commands`, or one that another package adds, offers."""

    __doc__: str | None

    def add_options(self, parser: "Parser") -> None:
        """Say which options there are."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; returns the exit code."""


class Parser(argparse.ArgumentParser):
    """A parser that answers a wrong word with one line that names the nearest right one."""

    def __init__(self, prog: str, description: str = "", epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            usage=f"{prog} [options]",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.register("type", Path, _path)
        self.words: dict[str, Iterable[str]] = {}
        """Option -> the values that a person may type without it."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but unknown words are told before what is missing, and `given` names the options typed."""
        typed_words = self._options_among(sys.argv[1:] if args is None else args)
        needed = [action for action in self._actions if action.required]
        for action in needed:
            action.required = False
        try:
            found, unknown = self.parse_known_args(args, namespace)
        finally:
            for action in needed:
                action.required = True
        if unknown:
            self.error(self._about(unknown))
        missing = ["/".join(each.option_strings) or each.metavar for each in needed if not getattr(found, each.dest)]
        if missing:
            self.error(f"{' and '.join(map(str, missing))} must be given; `{self.prog} --help` has examples")
        self._note_repeated(typed_words, found)
        found.given = frozenset(action.option_strings[-1] for action in typed_words)
        return found

    def _options_among(self, words: Iterable[str]) -> list[argparse.Action]:
        """The options of a command line, in order."""
        before = itertools.takewhile(lambda word: word != "--", words)
        known = (self._option_string_actions.get(word.partition("=")[0]) for word in before)
        return [action for action in known if action is not None]

    def _note_repeated(self, typed_words: list[argparse.Action], found: argparse.Namespace) -> None:
        """Say of an option that is there twice, and takes one value, and of a repeated --set KEY, which one counts."""
        for action in dict.fromkeys(typed_words):
            if typed_words.count(action) > 1 and type(action).__name__ == "_StoreAction":
                say(f"note: {action.option_strings[-1]} is given more than once; {getattr(found, action.dest)} counts")
        settings = getattr(found, "set", None) or []
        values = {name: value for name, _, value in (text.partition("=") for text in settings)}
        for name, value in values.items():
            if settings_named(settings).count(name) > 1:
                say(f"note: --set {name} is given more than once; {value} counts")

    def error(self, message: str) -> NoReturn:
        """End with one line and exit code 2."""
        self.exit(REFUSED, f"error: {message.removeprefix('argument ')}\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End; a help that cannot be written is an error, too."""
        super().exit(written(status), message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(
                action, f"must be one of {', '.join(known)}; got {value!r}{hint(str(value), known)}"
            )

    def _about(self, unknown: list[str]) -> str:
        """What to say of words that belong to no option."""
        word, _, value = unknown[0].partition("=")
        value = value or next((text for text in unknown[1:2] if not text.startswith("-")), "")
        if word in NOT_NEEDED:
            return f"unknown option {word}: {NOT_NEEDED[word]}"
        near = self._nearest(unknown[0], word, value)
        shown = f"option {word}" if word.startswith("-") else f"word {unknown[0]!r}"
        return f"unknown {shown}; " + (f"did you mean {near}?" if near else f"`{self.prog} --help` lists the options")

    def _nearest(self, typed: str, word: str, value: str) -> str:
        """What would be right; "" where nothing is like it."""
        options = set(self._option_string_actions)
        name = field_called(word.lstrip("-").replace("-", "_"))
        if word.startswith("-"):
            if MOVED.get(word) in options:
                return f"{MOVED[word]} {value}".strip()
            near = difflib.get_close_matches(word, options, 1, VERY_CLOSE)
            if name and "--set" in options and not near:
                return f"--set {name}={value or 'VALUE'}"
            near = near or difflib.get_close_matches(word, options, 1, CLOSE)
            return f"{near[0]} {value}".strip() if near else ""
        for option, known in self.words.items():
            near = difflib.get_close_matches(typed, list(known), 1, CLOSE)
            if near:
                return f"{option} {near[0]}"
        if "=" in typed and name and "--set" in options:
            return f"--set {name}={value}"
        if "--data" in options and Path(typed).is_dir():
            return f"--data {shlex.quote(typed)}"
        return ""


def _path(text: str) -> Path:
    """The path of an option. An empty text, as of a variable that is not set, would be the folder one is in."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"must name a folder or file, got {text!r}")
    if "://" in text:
        raise argparse.ArgumentTypeError(f"must be on a disk or a mounted share, got the address {text!r}")
    try:
        Path(text).expanduser().resolve()
    except RuntimeError as error:  # no such user's home, or links in a circle
        raise argparse.ArgumentTypeError(f"{text!r} leads nowhere: {error}") from error
    return Path(text)


def run_command(command: Command, words: list[str] | None, prog: str, called: str = "") -> int:
    """Parse, run, and turn whatever ends the command into one message on stderr and an exit code.

    Args:
        words: after the command's name; None for those of this process.
        prog: how the command is started: `deepdlt check`, `python sweeps/run.py`.
        called: what its docstring calls it where that is something else.
    """
    own_streams()
    without_home()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns of a home that cannot be written, and needs none
    args = make_parser(command, prog, called).parse_args(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return written(command.run(args))
    except CommandError as error:
        say(f"error: {error}" if error.exit_code != INTERRUPTED else str(error))
        return error.exit_code
    except ModuleNotFoundError as error:
        say(f"error: {missing_module(error)}")
        return REFUSED
    except KeyboardInterrupt:
        kept = getattr(command, "AFTER_INTERRUPT", START_AGAIN)
        say(f"interrupted; {kept}\n  {typed()}")
        return INTERRUPTED
    except OSError as error:
        say(f"error: {_storage_problem(error, args)}")
        return STORAGE_FAILED


def written(code: int) -> int:
    """The exit code of a command that has come to its end, or that of an output that could not be written."""
    sys.stdout.flush()
    failed = getattr(sys.stdout, "failed", None)
    if failed is None:
        return code
    say(f"error: cannot write what the command prints: {failed.strerror}; all else is done")
    return STORAGE_FAILED


def make_parser(command: Command, prog: str, called: str = "") -> Parser:
    """The parser of a command, see `run_command`."""
    parser = Parser(prog, (command.__doc__ or "").replace(called or prog, prog), getattr(command, "EPILOG", ""))
    command.add_options(parser)
    return parser


def add_data_options(parser: Parser, labels: str, *, data: str = "", required: bool = False) -> None:
    """The five options that say which images, which labels and what belongs together; the same for every command.

    Args:
        labels: what this command does with `--labels`.
        data: what is taken without `--data`.
    """
    add = parser.add_argument_group("data").add_argument
    what = "folder of images with one label table (.xlsx or .csv)"
    add("--data", type=Path, required=required, metavar="FOLDER", help=f"{what}; default: {data}" if data else what)
    add("--sheet", metavar="NAME", help="worksheet of a workbook that has several")
    add("--labels", metavar="A,B", help=labels)
    add("--group-by", metavar="A,B", help="keep rows with the same values together; default: the process columns")
    pitch = "native (as they are, the default), exclude (only the most frequent scale), or nm per pixel (resample)"
    add("--pixel-pitch", default="native", metavar="P", help=pitch)


def add_crop_options(parser: Parser) -> None:
    """What a network sees of an image; hyperparameters of the same names."""
    add = parser.add_argument_group("crops").add_argument
    default = TrainConfig()
    sizes, factors = (", ".join(map(str, values)) for values in (CROP_SIZES, DOWNSAMPLINGS))
    size = f"side of a crop in pixels of the image: {sizes}; default {default.crop_size}"
    add("--crop-size", type=int, choices=CROP_SIZES, metavar="PX", help=size)
    factor = f"pixels of the image, along a side, whose mean is one of the network's: {factors}"
    add("--downsample", type=int, choices=DOWNSAMPLINGS, metavar="N", help=f"{factor}; default {default.downsample}")


def crop_settings(args: Any, settings: Mapping[str, Any]) -> dict[str, int]:
    """The hyperparameters that the options of `add_crop_options` set; notes those that `--set` names as well."""
    found = {name: getattr(args, name) for name in ("crop_size", "downsample") if getattr(args, name) is not None}
    for name in found.keys() & settings.keys():
        say(f"note: --set {name} has no effect: --{name.replace('_', '-')} says it")
    return found


def data_options(args: Any) -> dict[str, Any]:
    """Those of `add_data_options` that say how a folder is read, as `read_source` takes them."""
    return {"sheet": args.sheet, "group_by": args.group_by, "pixel_pitch": args.pixel_pitch}


def settings_named(texts: Iterable[str]) -> list[str]:
    """The hyperparameters that `--set` names."""
    return [text.partition("=")[0] for text in texts]


def note_idle(args: Any, *options: str, why: str) -> None:
    """Say on stderr which of these options were typed and have no effect here."""
    for option in options:
        if option in getattr(args, "given", ()):
            say(f"note: {option} has no effect: {why}")


def label_list(text: str | None, *, most: int | None = None) -> tuple[str, ...]:
    """`"angle, PP1"` -> ("angle", "PP1"); () for None. A name with a comma is typed in quotes, as in CSV.

    Raises:
        DataError: an empty or repeated name, or more than `most`.
    """
    if text is None:
        return ()
    names = split_headings(text)
    if not all(names) or len(set(names)) < len(names):
        raise DataError(f"--labels must be distinct names separated by commas, got {text!r}")
    if most is not None and len(names) > most:
        raise DataError(f"--labels: this command takes {most}, got {len(names)}: {text}")
    return names


def whole_number(low: int, high: int | None = None) -> Any:
    """A `type` of argparse: a whole number in low..high.

    Args:
        high: None for no limit.
    """

    def number(text: str) -> int:
        digits = text.isascii() and text.removeprefix("-").isdigit()
        if not digits or int(text) < low or (high is not None and int(text) > high):
            rule = f"of at least {low}" if high is None else f"in {low}..{high}"
            raise argparse.ArgumentTypeError(f"must be a whole number {rule}, got {text!r}")
        return int(text)

    return number


def typed() -> str:
    """The command of this process, to be typed again."""
    program = Path(sys.argv[0])
    python = str(short_path(Path(sys.executable)))
    if program.name == "__main__.py":
        start = [python, "-m", program.parent.name]
    elif program.suffix == ".py":
        start = [python, sys.argv[0]]
    else:
        found = shutil.which(program.name)
        start = [program.name if found and Path(found) == program else str(short_path(program))]
    return shlex.join([*start, *sys.argv[1:]])


def short_path(path: Path) -> Path:
    """Relative to here when that is shorter to type."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def write_outputs(outputs: Mapping[Path | None, bytes]) -> list[Path]:
    """Write whole files, folders made as needed; None is not asked for. Returns the paths.

    Raises:
        OSError: with the name of the file that could not be written.
    """
    written = []
    for path, content in outputs.items():
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        written.append(path)
    return written


def _storage_problem(error: OSError, args: argparse.Namespace) -> str:
    """What could not be written, and what lets the same command do so."""
    option = next((name for name in ("storage", "out") if hasattr(args, name)), None)
    where = error.filename or (getattr(args, option) if option else None) or "the output"
    anew = f" (another --{option} begins anew)" if option else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some space"
    elif error.errno == errno.ENAMETOOLONG:
        remedy, anew = f"give a shorter --{option}" if option else "move it to a folder with a shorter name", ""
    elif not Path(where).is_absolute() and not os.access(Path.cwd(), os.W_OK):
        remedy, anew = "go to a folder of yours", ""
    else:
        remedy = "make it possible to write there"
    return f"cannot write {where}: {error.strerror or error}; {remedy}, then run the same command again{anew}"
