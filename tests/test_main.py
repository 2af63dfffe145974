"""`python -m deepdlt COMMAND`: every module of deepdlt.commands is one, and nothing heavy is needed to say so."""

import subprocess
import sys
from pathlib import Path

import pytest

from deepdlt.__main__ import COMMANDS, main

ROOT = Path(__file__).parent.parent


def test_every_command_is_a_module_and_every_module_a_command():
    assert set(COMMANDS) == {path.stem for path in (ROOT / "deepdlt" / "commands").glob("*.py")} - {"__init__"}


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown and does in shown for name, does in COMMANDS.items())


@pytest.mark.parametrize("words", [[], ["training"], ["--data", "x"]])
def test_what_is_no_command_is_refused_with_those_there_are(words, capsys):
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert all(name in shown.err for name in COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_has_a_help_of_its_own_under_its_name(command):
    done = subprocess.run(
        [sys.executable, "-m", "deepdlt", command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"usage: python -m deepdlt {command} ")


def test_the_exit_code_is_the_commands_own(tmp_path, capsys):
    assert main(["check", "--data", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err
