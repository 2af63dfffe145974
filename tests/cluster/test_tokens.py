"""Where the token is, and who else can read it."""

import pytest

from sweeps.cluster.tokens import find_token, read_token, token_problem


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ray").mkdir()
    return tmp_path


def test_it_is_looked_for_where_ray_looks_in_that_order(home):
    written = home / ".ray" / "auth_token"
    assert (find_token({}), read_token({})) == ("", "")
    written.write_text("of the home\n")
    assert (find_token({}), read_token({})) == (str(written), "of the home")
    (home / "named").write_text("of the path\n")
    named = {"RAY_AUTH_TOKEN_PATH": str(home / "named")}
    assert (find_token(named), read_token(named)) == (str(home / "named"), "of the path")
    both = {**named, "RAY_AUTH_TOKEN": " of the variable "}
    assert (find_token(both), read_token(both)) == ("RAY_AUTH_TOKEN", "of the variable")
    assert find_token({"RAY_AUTH_TOKEN_PATH": str(home / "nowhere")}) == ""  # Ray does not look at home then
    written.write_text(" \n")
    assert find_token({}) == ""


def test_without_a_home_there_is_none(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", no_home)
    assert find_token({}) == ""


@pytest.mark.parametrize(("mode", "said"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_can_read_is_named_with_the_remedy(home, mode, said):
    file = home / ".ray" / "auth_token"
    file.write_text("abc")
    file.chmod(mode)
    assert token_problem({}) == (
        f"{file} can be read by other users, who could use the cluster as you do: chmod 600 {file}" if said else ""
    )
    assert token_problem({"RAY_AUTH_TOKEN": "abc"}) == ""
