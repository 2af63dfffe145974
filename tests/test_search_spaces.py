"""The spaces themselves: loadable, valid, documented."""

import re

import pytest
from calling import command, parse

import search_spaces
from sweeps.request.request import make_request
from sweeps.space.tune_space import TuneSpace

SHIPPED = ["cv_report", "exp_grid", "model_grid", "res_grid", "smoke", "vae_grid"]


def test_the_spaces_of_the_readme_exist():
    assert set(SHIPPED) <= set(search_spaces.names())


@pytest.mark.parametrize("name", ["os", "../x", "a.b", "exp_grid;ls", "", "__init__"])
def test_only_modules_of_the_package_can_be_named(name):
    with pytest.raises(ValueError, match="spaces: cv_report"):
        search_spaces.load(name)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_space_is_valid_in_both_protocols_and_says_what_it_costs(name):
    module = search_spaces.load(name)
    for protocol in ("corrected", "report"):
        request = make_request(parse(["--space", name, "--protocol", protocol]))
        assert request.config().protocol == protocol
        assert request.question.endswith("?")
    headings = re.findall(r"^(Question|Axes|Cost|Run)$", module.__doc__, re.MULTILINE)
    assert headings == ["Question", "Axes", "Cost", "Run"]
    assert f"--space {name}" in module.__doc__


@pytest.mark.parametrize("name", SHIPPED)
def test_the_product_in_the_docstring_is_the_size_of_the_grid(name):
    module = search_spaces.load(name)
    stated = re.search(r"= (\d+) configurations", module.__doc__)
    space = TuneSpace(module.SPACE, getattr(module, "CONDITIONS", {}))
    if stated:
        assert len(space.grid()) == int(stated[1])
    else:
        assert not space.axes


def test_a_list_of_spaces_reads_them_as_python_does(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(search_spaces, "__path__", [str(tmp_path)])
    (tmp_path / "marked.py").write_bytes('"With a byte order mark."'.encode("utf-8-sig"))
    (tmp_path / "named.py").write_bytes('# coding: latin-1\n"Größe."'.encode("latin-1"))
    (tmp_path / "wide.py").write_bytes('"Of PowerShell."'.encode("utf-16"))
    assert command("spaces")([]) == 0
    marked, named, wide = capsys.readouterr().out.splitlines()
    assert marked.endswith("With a byte order mark.")
    assert named.endswith("Größe.")
    assert "cannot be read" in wide
