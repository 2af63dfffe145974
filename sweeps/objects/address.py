"""Where sweeps are kept: a folder, or the URL of an object store. Imports nothing, so that the parser can use it."""

import argparse
import re
from importlib.util import find_spec
from pathlib import Path

from deepdlt.errors import has_control, hint
from sweeps.errors import SweepRefused

PACKAGES = {
    "s3": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "az": ("adlfs", "azure"),
    "abfs": ("adlfs", "azure"),
    "abfss": ("adlfs", "azure"),
    "memory": ("fsspec", ""),
}
"""Scheme -> package that knows it, extra that installs it. Their stores create an object only if there is none, which
the hold of a sweep needs; fsspec looks first and then writes for all others, so that two runs would mix."""
SHOWN = ("s3", "gs", "az")
URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)


def place(text: str) -> Path | str:
    """The type of options that say where sweeps are: a folder, or a URL without a slash at its end.

    Raises:
        argparse.ArgumentTypeError: neither, or a URL with a password, which would be kept in sweep.json.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError(f"must name a folder or URL, got {text!r}")
    found = URL.fullmatch(text)
    return _folder(text) if found is None else _url(text, found["scheme"].lower(), found["rest"].rstrip("/"))


def is_url(place: Path | str) -> bool:
    """Whether a place is in an object store."""
    return isinstance(place, str) and URL.fullmatch(place) is not None


def check_package(url: str) -> None:
    """Refuse a URL whose package is not installed.

    Raises:
        SweepRefused: as said, with the command that installs it.
    """
    scheme = url.partition(":")[0]
    package, extra = PACKAGES[scheme]
    if find_spec(package) is None:
        raise SweepRefused(f"{scheme}:// needs the package {package}: pip install 'deepdlt-sweeps[{extra}]'")


def _folder(text: str) -> Path:
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in PACKAGES:
        raise argparse.ArgumentTypeError(f"a URL has two slashes: {scheme.lower()}://{rest.lstrip('/')}")
    try:
        Path(text).expanduser().resolve()
    except RuntimeError as error:  # no such user's home, or links in a circle
        raise argparse.ArgumentTypeError(f"{text!r} leads nowhere: {error}") from error
    return Path(text)


def _url(text: str, scheme: str, rest: str) -> Path | str:
    if scheme == "file":
        return Path(rest)
    if scheme not in PACKAGES:
        known = ", ".join(f"{name}://" for name in SHOWN)
        problem = f"sweeps cannot be kept at {scheme}://{hint(scheme, SHOWN)}; give a folder or one of {known}"
        raise argparse.ArgumentTypeError(problem)
    bucket, *parts = rest.split("/")
    if "@" in bucket and scheme not in ("abfs", "abfss"):  # there it is container@account
        problem = f"a user or password in a {scheme}:// URL would be kept in sweep.json: set it in the environment"
        raise argparse.ArgumentTypeError(problem)
    if not bucket or {"", ".", ".."} & {*parts} or has_control(rest) or set("?#\\") & set(rest):
        raise argparse.ArgumentTypeError(f"must be like {scheme}://BUCKET/FOLDER, got {text!r}")
    return f"{scheme}://{rest}"
