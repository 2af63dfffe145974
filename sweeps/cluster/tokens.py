"""The token by which the processes of a Ray cluster know one another: where it is, and who else can read it."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
ON = "token"
"""The mode in which nobody gets in without one."""


def find_token(environment: Mapping[str, str] | None = None) -> str:
    """Where Ray finds one: the name of a variable, or a file; "" where it finds none."""
    environment = os.environ if environment is None else environment
    if environment.get(TOKEN, "").strip():
        return TOKEN
    named = environment.get(TOKEN_PATH)
    file = Path(named) if named else default_file()
    try:
        return str(file) if file and file.read_text(encoding="utf-8").strip() else ""
    except (OSError, ValueError):
        return ""


def read_token(environment: Mapping[str, str] | None = None) -> str:
    """The token itself, never to be printed; "" where there is none."""
    found = find_token(environment)
    if found == TOKEN:
        return (os.environ if environment is None else environment)[TOKEN].strip()
    return Path(found).read_text(encoding="utf-8").strip() if found else ""


def default_file() -> Path | None:
    """Where `ray get-auth-token --generate` writes it; None without a home folder."""
    try:
        return Path.home() / ".ray" / "auth_token"
    except RuntimeError:
        return None


def token_problem(environment: Mapping[str, str] | None = None) -> str:
    """One line where the file of the token can be read by others than its owner; "" where that is not so."""
    found = find_token(environment)
    if found in ("", TOKEN):
        return ""
    others = Path(found).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return f"{found} can be read by other users, who could use the cluster as you do: chmod 600 {found}" * bool(others)
