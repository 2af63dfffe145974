"""Habits that the tests keep: none judges by the clock, so that a slow or busy machine fails none."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CLOCKS = ("time.monotonic(", "time.perf_counter(", "time.process_time(", "time.time(", "getrusage(")


def clock_asserts(source: str) -> list[int]:
    """Lines of asserts on a clock, or on a name that was set from one, in the same function."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        timed: set[str] = set()
        for node in ast.walk(function):  # in the order of the lines, blocks last
            if isinstance(node, ast.Assign) and reads_clock(node.value, timed):
                timed |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        for node in ast.walk(function):
            if isinstance(node, ast.Assert) and reads_clock(node, timed):
                found.append(node.lineno)
    return found


def reads_clock(node: ast.AST, timed: set[str]) -> bool:
    """Whether it calls a clock, or uses one of the names that were set from one."""
    names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    return bool(names & timed) or any(clock in ast.unparse(node) for clock in CLOCKS)


@pytest.mark.parametrize(
    "path", [p for p in sorted(TESTS.rglob("*.py")) if "benchmarks" not in p.parts], ids=lambda p: p.name
)
def test_no_test_asserts_on_elapsed_time(path: Path) -> None:
    assert clock_asserts(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f():\n    assert time.monotonic() < end", [2]),
        ("def f():\n    took = time.perf_counter() - started\n    assert took < 5", [3]),
        ("def f():\n    a = getrusage(0)\n    b = a.ru_utime\n    assert b < 5", [4]),
        ("def f():\n    started = time.monotonic()\n    assert x\n    time.sleep(1)", []),
        ("def f():\n    assert run.time_budget == 3", []),
    ],
)
def test_the_rule_finds_what_it_is_for(source: str, lines: list[int]) -> None:
    assert clock_asserts(source) == lines


def test_the_citation_and_the_metadata_name_one_version_and_one_author() -> None:
    root = TESTS.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r'^version: "(.+)"$', citation, re.MULTILINE)[1] == project["version"]
    assert f'- name: "{project["authors"][0]["name"]}"' in citation


def test_every_package_is_typed_and_released() -> None:
    root = TESTS.parent
    listed = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    for top in ("deepdlt", "search_spaces", "sweeps"):
        assert (root / top / "py.typed").exists()
        found = {str(p.parent.relative_to(root)).replace("/", ".") for p in (root / top).rglob("__init__.py")}
        assert found == {name for name in listed if name.split(".")[0] == top}
