"""Pages of measurements: what they say of the published images is what the commands say, and their scripts exist."""

import re
from pathlib import Path

import pytest

from deepdlt.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")}
MEASURED = ("benchmarks.md", "performance.md", "reproduction.md", "synthetic-data.md")


def test_the_counts_of_the_audit_are_those_of_the_command(real_images, capsys):
    assert main(["audit", "--data", str(real_images)]) == 0
    agree, inconsistent, unclear = re.findall(r"\d+", capsys.readouterr().out.splitlines()[0])
    page = " ".join(PAGES["labels.md"].split())
    assert f"{agree} agree with the measured period, {inconsistent} are inconsistent and {unclear} are unclear" in page
    assert f"finds {inconsistent}" in " ".join(PAGES["protocols.md"].split())


def test_the_counts_of_the_labels_are_those_of_the_command(real_images, capsys):
    assert main(["check", "--data", str(real_images)]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if len(line.split()) > 1)
    page = " ".join(PAGES["labels.md"].split())
    assert f"{said['conditions']} conditions for {said['images']} images" in page
    for label in ("angle", "PP1", "NP"):
        (row,) = re.findall(rf"^\| `{label}` \|.*\|(.*)\|$", PAGES["labels.md"], re.MULTILINE)
        on_page, by_command = (dict(re.findall(r"'?([\w.]+)'? \((\d+)", text)) for text in (row, said[label]))
        assert {k.removesuffix(".0"): n for k, n in by_command.items()} == on_page, label


@pytest.mark.parametrize("name", MEASURED)
def test_every_measured_part_has_the_script_that_writes_it(name):
    parts = re.findall(r"^<!-- (\w+) -->$", PAGES[name], re.MULTILINE)
    assert parts.count("end") == len(parts) / 2 > 0
    scripts = re.findall(r"python (tests/benchmarks/\w+\.py)", PAGES[name])
    code = "".join((ROOT / script).read_text(encoding="utf-8") for script in scripts)
    for part in {*parts} - {"end"}:
        assert f'"{part}"' in code, part


@pytest.mark.parametrize("name", MEASURED)
def test_every_script_and_option_of_a_command_exists(name):
    commands = re.findall(r"python (tests/benchmarks/\w+\.py)([^\n#]*)", PAGES[name])
    assert commands
    for script, options in commands:
        code = (ROOT / script).read_text(encoding="utf-8")
        for option in re.findall(r"--[\w-]+", options):
            assert f'"{option}"' in code, (script, option)
