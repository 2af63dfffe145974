"""`deepdlt COMMAND`: every command under its name, one way from a mistake to one line and an exit code."""

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from calling import parse

from deepdlt.__main__ import main
from deepdlt.command_line import Parser, add_data_options, make_parser, run_command, typed, whole_number
from deepdlt.commands import OWN, find_commands, summary
from deepdlt.errors import DataError, Interrupted

ROOT = Path(__file__).parent.parent
ADDED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"][
    "deepdlt.commands"
]
COMMANDS = {**ADDED, **{name: f"deepdlt.commands.{name}" for name in OWN}}
DATA_OPTIONS = {"--data", "--sheet", "--labels", "--group-by", "--pixel-pitch"}


def module(name):
    return importlib.import_module(COMMANDS[name])


def test_every_command_is_a_module_and_every_module_a_command():
    assert set(OWN) == {path.stem for path in (ROOT / "deepdlt" / "commands").glob("*.py")} - {"__init__"}
    assert find_commands() == COMMANDS


def test_help_has_examples_first_and_lists_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("examples:") < shown.index("images and networks:")
    assert all(f"  {name:10} {summary(where)}" in shown for name, where in COMMANDS.items())


def test_help_and_a_wrong_command_need_nothing_heavy():
    for words in (["--help"], ["trian"]):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "deepdlt", *words], cwd=ROOT, capture_output=True, text=True
        )
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert not imported & {"torch", "ray", "numpy", "pandas", "matplotlib", "rich", "optuna", "sweeps.run"}


@pytest.mark.parametrize(
    ("words", "said"), [(["trian"], "did you mean 'train'?"), (["--data", "x"], "`deepdlt --help` lists the commands")]
)
def test_what_is_no_command_is_one_line_with_the_nearest(words, said, capsys):
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: unknown command ")
    assert said in shown.err
    assert shown.err.count("\n") == 1


def test_version_names_what_a_bug_report_needs(capsys):
    assert main(["--version"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("deepdlt ", "Python ", "torch ", "Ray ", "CPU: ", "GPU: "))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_a_help_with_examples_of_itself(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: deepdlt {name} [options]\n")
    assert f"\n  deepdlt {name}" in shown
    assert "%(" not in shown


@pytest.mark.parametrize("name", ["check", "audit", "crops", "folds", "train", "latents", "sweep"])
def test_commands_that_read_images_have_the_same_data_options(name):
    parser = make_parser(module(name), f"deepdlt {name}")
    assert set(parser._option_string_actions) >= DATA_OPTIONS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_has_a_help_text_that_begins_with_no_of(name):
    for action in make_parser(module(name), f"deepdlt {name}")._actions:
        assert action.help
        assert not action.help.startswith("of ")


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("sweep", ["exp_grid"], "unknown word 'exp_grid'; did you mean --space exp_grid?"),
        ("sweep", ["expgrid"], "did you mean --space exp_grid?"),
        ("sweep", ["--spaces", "exp_grid"], "unknown option --spaces; did you mean --space exp_grid?"),
        ("sweep", ["--space=smoke", "--lr", "0.001"], "unknown option --lr; did you mean --set lr=0.001?"),
        ("sweep", ["--space=smoke", "--lr=0.001"], "unknown option --lr; did you mean --set lr=0.001?"),
        ("sweep", ["--learning-rate", "1e-3"], "did you mean --set lr=1e-3?"),
        ("sweep", ["lr=0.001"], "did you mean --set lr=0.001?"),
        ("sweep", ["--resume"], "resumes when it is typed again"),
        ("sweep", ["--label", "angle"], "did you mean --labels angle?"),
        ("sweep", ["--scheduler", "ASHA"], "--scheduler: must be one of none, asha,"),
        ("sweep", ["--scheduler", "ASHA"], "(did you mean 'asha'?)"),
        ("sweep", ["--out", "x"], "did you mean --storage x?"),
        ("sweep", ["--epoch", "3"], "unknown option --epoch; did you mean --epochs 3?"),
        ("sweep", ["--lables", "angle"], "did you mean --labels angle?"),
        ("train", ["--batch-size", "64"], "did you mean --set batch_size=64?"),
        ("sweep", ["--space", "search_spaces/smoke.py"], "(did you mean 'smoke'?)"),
        ("sweep", ["--space", "smoke", "--storage", ""], "--storage: must name a folder or URL, got ''"),
        ("check", ["--data", "s3://bucket/images"], "got the address 's3://bucket/images'"),
        ("sweep", ["--space", "smoke", "--storage", "~no-such-user/runs"], "'~no-such-user/runs' leads nowhere"),
        ("sweep", ["--space", "smoke", "--address", ""], "auto or local, got ''"),
        ("check", ["--data", " "], "--data: must name a folder or file, got ' '"),
        ("sweep", ["--space", "smoke", "--cv-top", "2", "--race-margin", "inf"], "must be >= 0 dB, got inf"),
        ("sweep", ["--xyz"], "unknown option --xyz; `deepdlt sweep --help` lists the options"),
        ("train", ["--label", "PP1"], "did you mean --labels PP1?"),
        ("train", ["--dropout", "0.3"], "did you mean --set dropout=0.3?"),
        ("train", ["--epochs", "3.5"], "--epochs: must be a whole number of at least 1, got '3.5'"),
        ("check", [], "--data must be given; `deepdlt check --help` has examples"),
        ("latents", ["--data", "x"], "CHECKPOINT must be given"),
        ("folds", [], "give either --data FOLDER or --patches FOLDER"),
        ("report", ["a", "--jsn"], "did you mean --json?"),
    ],
)
def test_a_wrong_word_is_one_line_with_the_nearest_right_one(command, words, said, capsys):
    try:
        code = main([command, *words])
    except SystemExit as ended:
        code = ended.code
    shown = capsys.readouterr()
    assert code == 2
    assert shown.out == ""
    assert said in shown.err
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1


def test_a_folder_without_its_option_is_the_data(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["check", str(tmp_path)])
    assert f"did you mean --data {tmp_path}?" in capsys.readouterr().err


class Made:
    """A command made for a test.

    examples:
      made
    """

    def __init__(self, ends):
        self.ends = ends

    def add_options(self, parser):
        parser.add_argument("--out")

    def run(self, args):
        if isinstance(self.ends, BaseException):
            raise self.ends
        return self.ends


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [
        (0, 0, ""),
        (1, 1, ""),
        (DataError("row 3: no such image"), 2, "error: row 3: no such image\n"),
        (Interrupted("interrupted; resume with: x"), 130, "interrupted; resume with: x\n"),
        (OSError(28, "No space left on device", "a/b"), 3, "error: cannot write a/b: No space left on device; free"),
        (KeyboardInterrupt(), 130, "interrupted; nothing was finished. Start again with:\n  "),
        (ModuleNotFoundError("x", name="fcntl"), 2, "WSL2"),
        (
            OSError(13, "Permission denied", "a/b"),
            3,
            "make it possible to write there, then run the same",
        ),
    ],
)
def test_whatever_ends_a_command_is_one_message_and_an_exit_code(ends, code, said, capsys):
    assert run_command(Made(ends), [], "made") == code
    shown = capsys.readouterr().err
    assert said in shown
    assert bool(shown) == bool(said)
    assert "Traceback" not in shown


def test_what_is_unforeseen_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_command(Made(ZeroDivisionError()), [], "made")


@pytest.mark.parametrize(
    ("argv", "again"),
    [
        (["sweeps/run.py", "--space", "a b"], "python sweeps/run.py --space 'a b'"),
        (["/x/deepdlt/__main__.py", "check"], "python -m deepdlt check"),
        (["/nowhere/bin/deepdlt", "check"], "/nowhere/bin/deepdlt check"),
    ],
)
def test_what_was_typed_can_be_typed_again(argv, again, monkeypatch):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "executable", "python")
    assert typed() == again


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_head_of_a_help_is_no_error(name):
    done = subprocess.run(
        f"{sys.executable} -m deepdlt {name} --help | head -1; exit ${{PIPESTATUS[0]}}",
        cwd=ROOT, shell=True, executable="/bin/bash", capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, 141)
    assert done.stderr == ""


def test_a_terminal_of_ascii_alone_gets_escapes():
    code = "from deepdlt.command_line import run_command\nfrom calling import Say\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "run_command(Say('20 µm'), [], 'say')"],
        cwd=ROOT, capture_output=True, text=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": f"{ROOT}:{ROOT}/tests"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "20 \\xb5m\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_output_ends_no_command(closed, tmp_path):
    command = f"{sys.executable} -m deepdlt synthetic --preset tiny --out {tmp_path} {closed}"
    done = subprocess.run(command, cwd=ROOT, shell=True, executable="/bin/bash", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*/*.xlsx"))) == 1
    assert "Traceback" not in done.stderr


def test_options_that_mean_nothing_without_cross_validation_ask_for_it():
    from sweeps.request import make_request

    for words in (["--cv-top", "2"], ["--cv-seeds", "2"], ["--folds", "3"], ["--labels", "angle"]):
        assert make_request(parse(["--space", "exp_grid", *words])).cv, words
    raced = make_request(parse(["--space", "exp_grid", "--cv-top", "3", "--race-margin", "0.1"]))
    assert raced.race == 0.1
    assert not make_request(parse(["--space", "exp_grid"])).cv


def test_numbers_have_their_range():
    parser = Parser("p")
    parser.add_argument("--n", type=whole_number(0, 7))
    add_data_options(parser, "labels")
    assert parser.parse_args(["--n", "7"]).n == 7
    for wrong in ("8", "-1", "x", "1.0", "٣"):
        with pytest.raises(SystemExit):
            parser.parse_args(["--n", wrong])


def test_a_working_folder_that_cannot_be_written_is_left(monkeypatch, tmp_path, capsys):
    """Crops are kept in it, so that another --out would not do."""
    error = OSError(30, "Read-only file system", "data")
    assert run_command(Made(error), [], "made") == 3
    assert "make it possible to write there" in capsys.readouterr().err
    monkeypatch.setattr("os.access", lambda place, how: False)
    assert run_command(Made(error), [], "made") == 3
    assert "go to a folder of yours, then run the same command again\n" in capsys.readouterr().err


def test_a_name_that_is_too_long_is_to_be_shortened(capsys):
    assert run_command(Made(OSError(36, "File name too long", "x" * 300)), [], "made") == 3
    assert "give a shorter --out, then run the same command again\n" in capsys.readouterr().err


def test_a_user_without_a_home_gets_one_in_which_nothing_can_be_made(monkeypatch):
    """Ray asks for it when it is imported, and fails without."""
    monkeypatch.setattr("os.environ", {**os.environ})
    os.environ.pop("HOME", None)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: (_ for _ in ()).throw(KeyError(uid)))
    assert run_command(Made(0), [], "made") == 0
    with pytest.raises(NotADirectoryError):
        (Path.home() / ".cache").mkdir(parents=True)
    os.environ["HOME"] = "/mine"
    assert run_command(Made(0), [], "made") == 0
    assert Path.home() == Path("/mine")
