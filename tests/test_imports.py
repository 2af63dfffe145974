"""Imports point down, heavy ones are late: the house of the README, enforced."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [p for package in ("deepdlt", "search_spaces", "sweeps") for p in sorted((ROOT / package).rglob("*.py"))]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ({f"{node.module}.{alias.name}" for alias in node.names} | {node.module})


def forbidden_for(path):
    room = path.relative_to(ROOT)
    if room.parts[0] == "search_spaces":
        return {"deepdlt", "sweeps", "torch", "optuna"}
    if room.parts[0] == "sweeps":
        return {"torch", "ray"} if room.name.startswith("report") else set()
    upwards = {"ray", "optuna", "tensorboard", "sweeps", "search_spaces"}
    leaves = {"config.py", "losses.py", "metrics.py", "figures.py", "atomic.py", "progress_bar.py"}
    if room.name in leaves:
        upwards |= {"deepdlt.training", "deepdlt.models", "deepdlt.dataset_loader", "deepdlt.checkpoint"}
    if room.parts[1] == "models":
        upwards |= {"deepdlt.training", "deepdlt.checkpoint", "deepdlt.dataset_loader", "deepdlt.losses"}
    return upwards


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    found = set(imported(path))
    for name in forbidden_for(path):
        assert not {module for module in found if module == name or module.startswith(f"{name}.")}


def test_the_old_ray_train_interface_is_not_used():
    assert not [p for p in FILES if any(str(m).startswith("ray.train") for m in imported(p))]


def test_weights_are_never_loaded_as_pickle():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert {k.arg: ast.unparse(k.value) for k in node.keywords}.get("weights_only") == "True"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("deepdlt", {"torch", "ray", "pandas"}),
        ("sweeps.run", {"torch", "ray", "pandas", "numpy"}),
        ("sweeps.report", {"torch", "ray"}),
        ("deepdlt.synthetic", {"torch", "ray"}),
        ("deepdlt.create_dataset", {"torch", "ray"}),
    ],
)
def test_importing_stays_light(module, absent):
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {absent!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []
