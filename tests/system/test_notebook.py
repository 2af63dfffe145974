"""docs/main.ipynb: what is committed is one whole and clean run, and it still runs.

`python tests/test_notebook.py` runs it again and writes the outputs into the file.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

import deepdlt
import deepdlt.figures

NOTEBOOK = Path(__file__).parents[2] / "docs" / "main.ipynb"
LARGEST_BYTES = 1_500_000


def execute(folder: Path) -> dict:
    """The notebook with fresh outputs, run in `folder`; nothing of a person's Jupyter settings is read or written."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as own:
        names = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
        settings = dict.fromkeys(names, own) | {"JUPYTER_PLATFORM_DIRS": "1", "OMP_NUM_THREADS": "1"}
        with mock.patch.dict(os.environ, settings):
            NotebookClient(
                notebook,
                timeout=600,
                record_timing=False,
                resources={"metadata": {"path": str(folder)}},
            ).execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.validate(notebook)
    return json.loads(nbformat.writes(notebook))


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def outputs(notebook: dict) -> Iterator[dict]:
    for cell in code_cells(notebook):
        yield from cell["outputs"]


def check_run(notebook: dict) -> None:
    """One run from top to bottom, without errors and warnings, with a picture below every cell that shows one."""
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert [o for o in outputs(notebook) if o["output_type"] == "error" or o.get("name") == "stderr"] == []
    drawing = [cell for cell in cells if re.search(r"^show\(", source(cell), re.MULTILINE)]
    assert len(drawing) > 10
    for cell in drawing:
        assert any("image/png" in output.get("data", {}) for output in cell["outputs"]), source(cell)


@pytest.fixture(scope="module")
def committed() -> dict:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def test_the_committed_notebook_is_one_whole_run(committed):
    check_run(committed)


def test_it_has_no_traces_of_the_machine_it_ran_on(committed):
    without_pictures = json.dumps(
        [committed["metadata"], [{**cell, "outputs": None} for cell in committed["cells"]]]
    ) + json.dumps([{**o, "data": {**o.get("data", {}), "image/png": ""}} for o in outputs(committed)])
    without_pictures = re.sub(r"https://[\w./-]+", "", without_pictures)
    assert not re.search(r"(?<![\w.<])/\w[\w.-]*/|[A-Z]:\\\\|0x[0-9a-f]{6}|site-packages", without_pictures)
    assert set(committed["metadata"]) == {"kernelspec", "language_info"}
    assert committed["metadata"]["kernelspec"]["name"] == "python3"
    assert not [cell for cell in committed["cells"] if cell["metadata"]]


def test_it_is_small_enough_to_be_opened_in_a_browser():
    assert NOTEBOOK.stat().st_size < LARGEST_BYTES


def test_it_writes_where_git_does_not_look(committed):
    first = source(code_cells(committed)[0])
    assert 'DATA = Path("../data" if Path.cwd().name == "docs" else "data")' in first
    assert not re.search(r"""["'](ray_results|docs)/""", "".join(map(source, code_cells(committed))))


def test_its_links_lead_to_files(committed):
    text = "".join(source(cell) for cell in committed["cells"] if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    for link in (link for link in links if not link.startswith("https://")):
        assert (NOTEBOOK.parent / link).is_file()


@pytest.mark.parametrize("name", deepdlt.__all__)
def test_every_name_at_the_top_of_the_library_is_there(name):
    assert getattr(deepdlt, name).__name__ == name


def test_every_figure_that_it_draws_is_there(committed):
    used = set(re.findall(r"\bfigures\.([A-Za-z_]+)", "".join(map(source, code_cells(committed)))))
    assert len(used) > 5
    assert used <= set(deepdlt.figures.__all__)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_runs_from_the_docs_folder(committed, tmp_path):
    (tmp_path / "docs").mkdir()
    again = execute(tmp_path / "docs")
    check_run(again)
    assert list(map(source, code_cells(again))) == list(map(source, code_cells(committed)))
    assert {path.name for path in tmp_path.iterdir()} == {"docs", "data"}
    assert list((tmp_path / "docs").iterdir()) == []


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as root:
        NOTEBOOK.write_text(json.dumps(execute(Path(root)), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
