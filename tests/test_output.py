"""Streams that cannot be written end no command: a reader that leaves, a full disk, closed ones, ASCII alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepdlt.commands import find_commands
from deepdlt.terminal import Output, to_nowhere

ROOT = Path(__file__).parent.parent
SCRIPTS = [str(ROOT / "sweeps" / name) for name in ("run.py", "report.py")]
ONE_AFTER_THE_OTHER = """
import json, sys
from deepdlt.__main__ import main

codes = []
for words in json.loads(sys.argv[1]):
    sys.stdout = sys.__stdout__
    try:
        codes.append(main(words))
    except SystemExit as ended:
        codes.append(ended.code)
    sys.stdout.flush()
with open(sys.argv[2], "w") as file:
    json.dump(codes, file)
"""


def run(words, cwd, stdout=None, stderr=None, **environment):
    """Exit code and what was printed on stderr, with these descriptors for streams."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=stdout, stderr=subprocess.PIPE if stderr is None else stderr,
    )  # fmt: skip
    return done.returncode, (done.stderr or b"").decode()


@pytest.fixture
def unread():
    """A pipe that nobody reads: every write fails, however little it is."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.fixture
def full():
    with open("/dev/full", "wb") as file:  # noqa: PTH123
        yield file.fileno()


def codes_of(commands, cwd, stdout):
    """Exit codes of commands in one process: starting each costs a second or two."""
    code, said = run(["-c", ONE_AFTER_THE_OTHER, json.dumps(commands), str(cwd / "codes")], cwd, stdout=stdout)
    assert code == 0, said
    assert "Traceback" not in said
    assert "Broken" not in said
    return json.loads((cwd / "codes").read_text())


def test_a_reader_that_has_left_is_no_error_of_any_command(tmp_path, unread):
    commands = [[name, "--help"] for name in sorted(find_commands())] + [["--help"], ["--version"], ["spaces"]]
    assert dict(zip(map(str, commands), codes_of(commands, tmp_path, unread), strict=True)) == {
        str(words): 0 for words in commands
    }


@pytest.mark.parametrize("words", [["-m", "deepdlt", "--help"], *([script, "--help"] for script in SCRIPTS)])
def test_nor_is_it_when_the_process_ends(words, tmp_path, unread):
    assert run(words, tmp_path, stdout=unread) == (0, "")


def test_work_is_done_to_its_end_whoever_reads(tmp_path, image_folder, unread):
    data, out = ["--data", str(image_folder)], ["--out", str(tmp_path / "made")]
    two = [*data, "--labels", "PP1,angle", "--folds", "2", *out]
    found = codes_of([["check", *data], ["audit", *data], ["folds", *two]], tmp_path, unread)
    assert found == [0, 0, 0]
    assert len(list((tmp_path / "made").rglob("*2*"))) >= 2  # the last fold of each label


@pytest.mark.parametrize("words", [["spaces"], ["spaces", "--help"]])
def test_a_disk_that_is_full_is_told_in_one_line(words, tmp_path, full):
    code, said = run(["-m", "deepdlt", *words], tmp_path, stdout=full)
    assert code == 3
    assert said == "error: cannot write what the command prints: No space left on device; all else is done\n"


def test_notes_that_cannot_be_written_end_nothing(tmp_path, full):
    words = ["-m", "deepdlt", "synthetic", "--preset", "tiny", "--out", str(tmp_path)]
    assert run(words, tmp_path, stdout=subprocess.DEVNULL, stderr=full)[0] == 0
    assert len(list(tmp_path.glob("*/*.xlsx"))) == 1


def test_what_is_closed_is_taken_by_no_other_file(tmp_path):
    """The lowest free descriptor is the next file's: what is printed would be written into it."""
    code = "import sys\nfrom deepdlt.terminal import own_streams\nown_streams()\nprint('lost')\n"
    code += "print('lost', file=sys.stderr)\n"
    code += "file = open('kept', 'w')\nassert file.fileno() > 2\nimport os\nos.system('echo lost')\nfile.write('kept')"
    command = f'{sys.executable} -c "{code}" <&- >&- 2>&-'
    done = subprocess.run(command, shell=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0
    assert (tmp_path / "kept").read_text() == "kept"


def test_characters_that_a_stream_lacks_are_escapes_on_both(tmp_path):
    code = "import sys\nfrom deepdlt.terminal import own_streams, say\nown_streams()\nprint('a ± b')\nsay('µm')\n"
    code += "sys.stdout.flush()\nsys.stderr.write('\\udce4')"
    with (tmp_path / "out").open("wb") as out:
        found = run(["-c", code], tmp_path, stdout=out, PYTHONIOENCODING="ascii")
    assert found == (0, "\\xb5m\n\\udce4")
    assert (tmp_path / "out").read_bytes() == b"a \\xb1 b\n"


def test_rich_does_not_end_the_process_when_its_reader_leaves(tmp_path, unread):
    """Its own answer to a broken pipe is exit code 1."""
    code = "from deepdlt.terminal import own_streams\nown_streams()\nfrom rich.console import Console\n"
    code += "console = Console(stderr=True)\nconsole.print('a')\nconsole.print('b')\nopen('after', 'w')"
    assert run(["-c", code], tmp_path, stderr=unread)[0] == 0
    assert (tmp_path / "after").exists()


def test_streams_of_a_notebook_or_a_test_stay(capsys):
    before = sys.stdout
    from deepdlt.terminal import own_streams

    own_streams()
    assert sys.stdout is before
    assert not isinstance(before, Output)


def test_a_stream_that_failed_says_why_and_goes_on(tmp_path):
    number = os.open("/dev/full", os.O_WRONLY)
    stream = Output(number, "utf-8")
    stream.write("text")
    stream.flush()
    assert stream.failed.strerror == "No space left on device"
    failed = stream.failed
    stream.write("more")
    stream.flush()
    assert stream.failed is failed
    to_nowhere(stream)
    stream.close()
    os.close(number)
