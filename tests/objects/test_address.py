"""Where sweeps are kept: what is a folder, what is a URL, and what is neither."""

import argparse
import importlib.util
import re
from pathlib import Path

import pytest
from calling import command

from sweeps.errors import SweepRefused
from sweeps.objects import is_url, place
from sweeps.objects.address import PACKAGES, check_package


@pytest.mark.parametrize("text", ["ray_results", "/data/sweeps", "~/sweeps", "a:b", "s3", "2026-11-27T12:00"])
def test_what_has_no_scheme_is_a_folder(text):
    assert place(text) == Path(text)
    assert not is_url(place(text))


@pytest.mark.parametrize("scheme", [name for name in PACKAGES if name != "gcs"])
def test_a_url_stays_one_and_loses_its_last_slashes(scheme):
    assert place(f"{scheme}://bucket/a/b//") == f"{scheme}://bucket/a/b"
    assert place(f"{scheme.upper()}://Bucket") == f"{scheme}://Bucket"
    assert is_url(place(f"{scheme}://bucket"))


def test_the_url_of_a_file_is_its_path():
    assert place("file:///data/sweeps") == Path("/data/sweeps")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must name a folder or URL"),
        ("s3n://bucket/x", "did you mean 's3'"),
        ("ftp://host/x", "cannot be kept at ftp://; give a folder or one of s3://, gs://, az://"),
        ("https://bucket.s3.amazonaws.com/x", "cannot be kept at https://"),
        ("s3:/bucket/x", "s3://bucket/x"),
        ("s3:bucket/x", "s3://bucket/x"),
        ("s3://", "must be like s3://BUCKET/FOLDER"),
        ("s3:///x", "must be like s3://BUCKET/FOLDER"),
        ("s3://bucket/../other", "must be like"),
        ("s3://bucket/a//b", "must be like"),
        ("s3://bucket/a?versionId=1", "must be like"),
        ("s3://bucket/a\x1b[31m", "must be like"),
    ],
)
def test_what_is_neither_is_refused_with_what_to_give(text, says):
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(says)) as refused:
        place(text)
    assert "\x1b" not in str(refused.value)


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(argparse.ArgumentTypeError, match="environment") as refused:
        place("s3://AKIA123:secret@bucket/x")
    assert "secret" not in str(refused.value)
    assert place("abfs://container@account.dfs.core.windows.net/x").startswith("abfs://container@")


def test_a_package_that_is_not_there_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("sweeps.objects.address.find_spec", lambda name: None)
    for scheme, (package, extra) in PACKAGES.items():
        if extra:
            with pytest.raises(SweepRefused, match=f"{package}: pip install 'deepdlt-sweeps\\[{extra}\\]'"):
                check_package(f"{scheme}://bucket")


@pytest.mark.parametrize("words", [["sweep", "--space", "smoke", "--storage", "s9://b"], ["report", "s9://b"]])
def test_commands_refuse_a_scheme_that_they_do_not_know_and_make_nothing(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        command(words[0])(words[1:])
    assert ended.value.code == 2
    assert "cannot be kept at s9://" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
