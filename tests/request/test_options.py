"""The parser of run.py."""

import pytest

from deepdlt.command_line import make_parser
from sweeps import run as sweep
from sweeps.request.options import seconds


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2h", 7200), ("45", 45), ("1.5m", 90)]
)
def test_durations_are_read_as_people_write_them(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "10 m", "-5m", "0s", "5x", "m10"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="a duration"):
        seconds(text)


def test_every_option_has_a_help_text():
    assert all(action.help for action in make_parser(sweep, "deepdlt sweep")._actions)
