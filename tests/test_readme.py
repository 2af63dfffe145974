"""The README tells the truth: commands parse, names exist, the tree is the disk, the Python example runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from calling import parse

import search_spaces

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"(?:^    |`)python (sweeps/run\.py[^`#\n]*)", README, re.MULTILINE)


def test_it_is_short_and_finished():
    assert len(README.splitlines()) < 150
    assert not re.search(r"PLACEHOLDER|TODO|FIXME", README)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_the_tool_understands(command):
    args = parse(shlex.split(command)[1:])
    assert args.space in search_spaces.names()


def test_there_are_commands_to_check():
    assert len(COMMANDS) >= 4


def test_the_two_commands_and_the_board_are_make_targets():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"sweep", "test", "setup", "lint", "fix", "report", "board", "bench", "clean"} <= set(targets)
    assert set(re.findall(r"`?make ([a-z]+)", README)) <= set(targets) | {"synthetic"}


def test_every_package_is_on_the_page_for_newcomers():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## The house")[2]
    for top in ("deepdlt", "sweeps"):
        for face in (ROOT / top).glob("*/__init__.py"):
            assert re.search(rf"^    +{top}/.*\n(    +.*\n)*?    +{face.parent.name} ", page, re.MULTILINE), face


def test_every_picture_exists():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) >= 3
    for picture in pictures:
        assert (ROOT / picture).stat().st_size > 10_000


def blocks():
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_example_space_is_valid(tmp_path, monkeypatch):
    from sweeps.request.request import make_request

    code = next(block for block in blocks() if "SPACE" in block)
    (tmp_path / "dropout.py").write_text(code)
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    request = make_request(parse(["--space", "dropout"]))
    assert request.question == "Does dropout help at all?"
    assert request.trials == 8


def test_the_python_example_runs(tmp_path):
    code = next(block for block in blocks() if "load_model" in block)
    code = code.replace('"small"', '"tiny"')
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["1", "2"]
