"""The house: packages on floors, arrows down, faces between them. `python tests/house.py` prints its figures."""

import ast
import importlib
import subprocess
import sys

import pytest
from house import (
    ROOT,
    circles,
    import_statements,
    imports_between_files,
    late_imports,
    module_of,
    modules_per_folder,
    source_files,
)

FLOORS = {
    "deepdlt": [
        "metrics",
        "synthetic",
        "tables",
        "images",
        "models",
        "dataset",
        "figures",
        "training",
        "analysis",
        "commands",
    ],
    "sweeps": [
        "space",
        "objects",
        "store",
        "folds",
        "tuning",
        "request",
        "identity",
        "cluster",
        "planning",
        "console",
        "reporting",
        "board",
        "execution",
    ],
}
"""Packages from the ground up; each may import those before it. Modules beside the packages are the ground, but for
those of TOP, which are the roof."""
TOP = {"deepdlt.__main__", "sweeps.run", "sweeps.report", "sweeps.spaces", "sweeps.doctor"}
NEVER = {
    "deepdlt": {"ray", "optuna", "tensorboard", "sweeps", "search_spaces"},
    "search_spaces": {"deepdlt", "sweeps", "torch", "optuna"},
    "sweeps": {"ray.train"},  # the old interface
}
"""What no module of a package imports."""
MOST_MODULES = 14
MOST_LATE = 20
ARROWS = imports_between_files()
FACES = sorted(m for m in ARROWS if (ROOT / m.replace(".", "/") / "__init__.pyi").exists())
FILES = {module_of(path): path for path in source_files()}


def package_of(module):
    """`sweeps.store` of `sweeps.store.lock`; "" of what belongs to none."""
    parts = module.split(".")
    return ".".join(parts[:2]) if len(parts) > 1 and parts[1] in FLOORS.get(parts[0], ()) else ""


def floor_of(module):
    parts = module.split(".")
    if module in TOP:
        return len(FLOORS[parts[0]]) + 1
    return FLOORS[parts[0]].index(parts[1]) + 1 if package_of(module) else 0


def imported(path):
    """Whole names of all that a file imports."""
    for node, _ in import_statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif not node.level:
            yield from ({f"{node.module}.{alias.name}" for alias in node.names} | {node.module})


def test_every_package_has_its_floor():
    for top, floors in FLOORS.items():
        found = {path.parent.name for path in (ROOT / top).glob("*/__init__.py")}
        assert found == set(floors)


@pytest.mark.parametrize("module", sorted(m for m in ARROWS if m.split(".")[0] in FLOORS))
def test_arrows_point_down(module):
    up = {
        other
        for other, _ in ARROWS[module]
        if other.split(".")[0] == module.split(".")[0] != other and floor_of(other) > floor_of(module)
    }
    assert not up


def test_no_files_import_each_other_in_a_circle():
    assert circles({module: {name for name, _ in found} for module, found in ARROWS.items()}) == []


@pytest.mark.parametrize("module", sorted(ARROWS))
def test_packages_are_imported_by_their_faces(module):
    """`from sweeps.store import read_record`; a name that is its file's own name, or a whole file, comes from there."""
    past = []
    for node, _ in import_statements(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, file = node.module.rpartition(".")
            if package in FACES and package not in (package_of(module), "deepdlt"):
                names = {alias.name for alias in node.names}
                past += [] if file in names else sorted(names - {*ALLOWED.get(node.module, ())})
    assert not past


ALLOWED = {"sweeps.request.options": ("make_parser", "seconds")}  # by run.py, which imports nothing else at first


@pytest.mark.parametrize("face", FACES)
def test_a_face_says_what_its_package_does_and_has_what_it_offers(face):
    package = importlib.import_module(face)
    assert package.__doc__
    for name in package.__all__:
        assert getattr(package, name) is not None
    of_files = {name.rpartition(".")[2] for name in FILES if name.rpartition(".")[0] == face}
    own = {name for name in package.__all__ if name in of_files}
    assert all(
        f"from . import {name} as" in (ROOT / face.replace(".", "/") / "__init__.pyi").read_text() for name in own
    )


def test_no_folder_is_a_hall():
    assert max(modules_per_folder().values()) <= MOST_MODULES


def test_late_imports_are_few_and_say_why():
    found = late_imports()
    assert len(found) < MOST_LATE
    for place in found:
        file, _, line = place.partition(":")
        assert "# late: " in (ROOT / file).read_text(encoding="utf-8").splitlines()[int(line) - 1], place


@pytest.mark.parametrize("module", sorted(FILES))
def test_nothing_is_imported_that_has_no_place_there(module):
    forbidden = set(NEVER[module.split(".")[0]]) | (
        {"torch", "ray"} if module.startswith("sweeps.reporting") else set()
    )
    for name in forbidden:
        assert not {found for found in imported(FILES[module]) if found == name or found.startswith(f"{name}.")}


def test_weights_are_never_loaded_as_pickle():
    for path in FILES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert {k.arg: ast.unparse(k.value) for k in node.keywords}.get("weights_only") == "True"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        *((face, {"torch", "ray", "pandas", "numpy", "matplotlib"}) for face in FACES),
        ("sweeps.run", {"torch", "ray", "pandas", "numpy"}),
        ("sweeps.report", {"torch", "ray", "pandas", "numpy"}),
        ("sweeps.reporting.write", {"torch", "ray"}),
        ("deepdlt.__main__", {"torch", "ray", "pandas", "numpy"}),
        ("deepdlt.synthetic.generator", {"torch", "ray"}),
        ("deepdlt.dataset.create_dataset", {"torch", "ray"}),
    ],
)
def test_importing_stays_light(module, absent):
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {absent!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []
