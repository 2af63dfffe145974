"""Which command to type after a sweep: the one that adds what the answer lacks most."""

import shlex

from sweeps.store import Tally

TOP = 3  # configurations that are worth comparing once the search's best is known


def next_command(command: str, tally: Tally) -> str:
    """The sweep's command, extended, or as it is while some of it is left; '' when there is nothing to add.

    Args:
        command: of sweep.json; '' where that does not say.
        tally: its trials.
    """
    failed = any(tally.failed)
    if not command or any(tally.to_run):
        return command
    longer = with_option(command, "--retry-failed") if failed else command
    if not tally.compared and not tally.searched:
        return longer if longer != command or not failed else ""
    if not tally.compared:
        longer = with_option(longer, "--cv")
    elif failed:
        pass  # first let the failed ones be done
    elif tally.compared == 1 and tally.searched > 1:
        longer = with_option(with_option(longer, "--cv"), "--cv-top", str(min(TOP, tally.searched)))
    elif tally.searched and (tally.space_size is None or tally.planned[0] < tally.space_size):
        longer = with_option(longer, "--trials", str(2 * tally.planned[0]))
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
