"""What is released: sources and a wheel, built and installed where nothing of the checkout is seen."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from running_sweep import NET
from waiting import HANG_GUARD_S

ROOT = Path(__file__).parents[2]
PACKAGES = ("deepdlt", "search_spaces", "sweeps")
pytestmark = pytest.mark.slow


def call(command, cwd, **environment):
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, timeout=HANG_GUARD_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Sources and wheel, made as a release makes them: the wheel from the sources."""
    folder = tmp_path_factory.mktemp("dist")
    call([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT], ROOT)
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The folder of an environment's programs; dependencies are those of this one, its own packages are not."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, with_pip=True)
    programs = place / "bin"
    call([programs / "python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", built[1]], place)
    theirs = Path(sysconfig.get_path("purelib"))
    own = Path(
        call([programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], place).strip()
    )
    shared = place / "dependencies"
    shared.mkdir()
    for entry in theirs.iterdir():
        if not entry.name.startswith(("__editable__", "deepdlt")) and entry.suffix != ".pth":
            (shared / entry.name).symlink_to(entry)
    (own / "dependencies.pth").write_text(f"{shared}\n")
    return programs


def test_the_wheel_holds_what_its_code_reads_and_no_tests(built):
    names = zipfile.ZipFile(built[1]).namelist()
    for package in PACKAGES:
        sources = {f"{p.relative_to(ROOT)}" for p in (ROOT / package).rglob("*.py")}
        faces = {f"{p.relative_to(ROOT)}" for p in (ROOT / package).rglob("*.pyi")}
        assert sources | faces | {f"{package}/py.typed"} <= set(names)
    page = {
        f"sweeps/reporting/page/{name}" for name in ("report.html.j2", "report.css", "report.js", "plotly-basic.min.js")
    }
    assert page | {"deepdlt/synthetic/dlip_manifest.csv"} <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert not [name for name in names if "test" in Path(name).name]


def test_the_sources_hold_tests_and_docs(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = ("tests/conftest.py", "docs/statistics.md", "CITATION.cff", "LICENSE", "Makefile", "constraints.txt")
    assert set(wanted) <= names


def test_nothing_of_the_checkout_is_seen(installed, tmp_path):
    places = "; ".join(f"import {package}; print({package}.__file__)" for package in PACKAGES)
    found = call([installed / "python", "-c", places], tmp_path).splitlines()
    assert all(Path(place).is_relative_to(installed.parent) for place in found)


def test_every_command_is_there(installed, tmp_path):
    said = call([installed / "deepdlt", "--version"], tmp_path)
    assert "torch 2." in said
    assert "Ray 2." in said
    commands = call([installed / "deepdlt", "--help"], tmp_path)
    for command in ("sweep", "report", "spaces", "doctor", "check", "train"):
        assert f"\n  {command} " in commands
    assert "exp_grid" in call([installed / "deepdlt", "spaces"], tmp_path)


def test_a_sweep_runs_in_any_folder_and_is_finished_when_typed_again(installed, image_folder, tmp_path):
    options = ["--space", "smoke", *NET, "--trials", "1", "--data", image_folder, "--name", "t"]
    said = call([installed / "deepdlt", "sweep", *options], tmp_path)
    assert "report: ray_results/t/report/report.html" in said
    assert (tmp_path / "ray_results" / "t" / "report" / "report.html").stat().st_size > 10_000
    assert "report: " in call([installed / "deepdlt", "sweep", *options], tmp_path)
