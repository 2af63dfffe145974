"""Errors with exit codes, and messages that say what is wrong, where, and what to do."""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

SHOWN = 10  # rows or classes in one message
ALONE = 3  # places of one problem that have a line each
MOST_LINES = 20  # problems in one message


DONE, FAILED, REFUSED, STORAGE_FAILED, RUNNING_ELSEWHERE, INTERRUPTED = 0, 1, 2, 3, 75, 130
"""Exit codes of every command."""


class CommandError(Exception):
    """An error that ends a command: the message says what, where and what to do; `exit_code` is the command's."""

    exit_code = REFUSED


class Interrupted(CommandError):
    """A person or a fault ended the work early; the message says what is kept and how to resume."""

    exit_code = INTERRUPTED


class DataError(CommandError, ValueError):
    """The images or their label table cannot be used; one line per problem: what, where, remedy."""


def listing(head: str, problems: list[str]) -> str:
    """A message of several lines: the first problems, and the number of further ones.

    Problems of the form `where: what` that many places have become one line.
    """
    places: dict[str, list[str]] = {}
    for where, _, what in (problem.partition(": ") for problem in problems):
        places.setdefault(what, []).append(where)
    lines = []
    for problem in problems:
        where, _, what = problem.partition(": ")
        same = places[what]
        if len(same) <= ALONE:
            lines.append(problem)
        elif where == same[0]:
            lines.append(f"{', '.join(same[:ALONE])} and {len(same) - ALONE} more: {what}")
    more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    return "\n  ".join([head, *lines[:MOST_LINES], *more])


def row_list(rows: Sequence[int]) -> str:
    """`row 3` or `rows 3, 4`."""
    return f"row{'s' if len(rows) > 1 else ''} {some(rows)}"


def some(items: Sequence[object], shown: int = SHOWN) -> str:
    """The first items, separated by commas, and the number of further ones."""
    listed = ", ".join(short(i) if isinstance(i, str) else str(i) for i in items[:shown])
    return listed + (f" and {len(items) - shown} more" if len(items) > shown else "")


def many(n: int, what: str) -> str:
    """`1 trial`, `3 trials`."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def short(text: str, length: int = 60) -> str:
    """Text in quotes, cut after `length` characters."""
    return repr(text if len(text) <= length else text[:length] + "…")


def either(items: Iterable[object]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *most, last = map(str, items)
    return f"{', '.join(most)} or {last}" if most else last


def some_words(words: Iterable[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = map(str, words)
    return f"{', '.join(most)} and {last}" if most else last


def hint(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the most similar known name, or ''."""
    folded = {fold(k): k for k in known}
    near = difflib.get_close_matches(fold(name), list(folded), 1, 0.75)
    return f" (did you mean {folded[near[0]]!r}?)" if near else ""


def fold(text: str) -> str:
    """Text without differences that readers overlook: capitals, spaces, Unicode form."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def has_control(text: str) -> bool:
    """True if the text could move a terminal's cursor, change its colours or hide other text."""
    return any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in text)
