"""The command to type next: the sweep's own, with what the answer lacks most."""

import pytest

from sweeps.next_command import next_command, with_option

RUN = "python sweeps/run.py --space exp_grid"
AXES = {"lr": {"low": 1e-4, "high": 1e-2}}


@pytest.mark.parametrize(
    ("command", "failed", "searched", "cross_validated", "asked", "expected"),
    [
        (RUN, 0, 5, 0, {}, f"{RUN} --cv"),
        (RUN, 2, 5, 0, {}, f"{RUN} --retry-failed --cv"),
        (f"{RUN} --cv", 1, 5, 1, {}, f"{RUN} --cv --retry-failed"),
        (f"{RUN} --cv", 0, 5, 1, {}, f"{RUN} --cv --cv-top 3"),
        (f"{RUN} --cv", 0, 2, 1, {}, f"{RUN} --cv --cv-top 2"),
        (f"{RUN} --cv --cv-top 3", 0, 16, 3, {"trials": 16}, f"{RUN} --cv --cv-top 3 --trials 32"),
        (f"{RUN} --trials=16 --cv", 0, 16, 3, {"trials": 16}, f"{RUN} --cv --trials 32"),
        (f"{RUN} --trials 16 --cv", 0, 16, 3, {"trials": 16}, f"{RUN} --cv --trials 32"),
        (f"{RUN} --cv", 0, 4, 3, {"search": "grid"}, ""),
        (f"{RUN} --cv", 0, 0, 1, {"axes": {}}, ""),
        (f"{RUN} --cv --retry-failed", 1, 5, 3, {}, ""),
        ("", 1, 5, 0, {}, ""),
    ],
)
def test_the_next_command_adds_what_is_missing(command, failed, searched, cross_validated, asked, expected):
    asked = {"command": command, "axes": AXES, "search": "optuna", **asked}
    assert next_command(asked, failed, searched, cross_validated) == expected


def test_paths_with_spaces_survive():
    command = f"{RUN} --data 'my images'"
    assert with_option(command, "--cv") == f"{RUN} --data 'my images' --cv"
    assert with_option(f"{command} --cv", "--cv") == f"{command} --cv"
