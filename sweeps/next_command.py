"""Which command to type after a sweep: the one that adds what the answer lacks most."""

import shlex
from collections.abc import Mapping
from typing import Any

TOP = 3  # configurations that are worth comparing once the search's best is known


def next_command(asked: Mapping[str, Any], failed: int, searched: int, cross_validated: int) -> str:
    """The sweep's command, extended; '' when there is nothing that a longer command would add.

    Args:
        asked: sweep.json: `command`, `axes`, `search`, `trials`.
        failed: trials that failed.
        searched: complete search trials.
        cross_validated: configurations that were.
    """
    command = str(asked.get("command") or "")
    if not command:
        return ""
    longer = with_option(command, "--retry-failed") if failed else command
    if not cross_validated:
        longer = with_option(longer, "--cv")
    elif failed:
        pass  # first let the failed ones be done
    elif cross_validated == 1 and searched > 1:
        longer = with_option(longer, "--cv-top", str(min(TOP, searched)))
    elif asked.get("axes") and asked.get("search") != "grid" and searched:
        longer = with_option(longer, "--trials", str(2 * int(asked.get("trials") or searched)))
    return longer if longer != command else ""


def with_option(command: str, option: str, value: str | None = None) -> str:
    """The command with this option, in the place of the one that it has."""
    words, kept, skip = shlex.split(command), [], False
    for word in words:
        if skip:
            skip = False
        elif word == option:
            skip = value is not None
        elif not word.startswith(f"{option}="):
            kept.append(word)
    if value is None and option in words:
        return command
    return shlex.join([*kept, option, *([] if value is None else [value])])
