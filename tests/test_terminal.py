"""What is printed never ends a run."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, time
from deepdlt.terminal import say, unread
time.sleep(0.5)  # until the reader is gone
for _ in range(3):
    say("line")
with unread(sys.stdout):
    print("x" * 100_000)
    print("not reached, and no matter")
print("y" * 100_000)
raise SystemExit(7)
"""


def test_a_reader_that_is_gone_changes_nothing():
    for streams in ("2>&1 | true", "2>&1 >/dev/null | true", "| true"):
        shell = f"set -o pipefail; \"{sys.executable}\" -c '{PROGRAM}' {streams}"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
        assert done.returncode == 7, (streams, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_line_comes_at_once_on_stderr(capsys):
    from deepdlt.terminal import say

    say("text")
    assert capsys.readouterr() == ("", "text\n")


@pytest.mark.parametrize(
    ("thread", "torn_down"), [("", False), ("threading.Thread(target=time.sleep, args=(1,)).start()", True)]
)
def test_a_process_ends_with_what_is_registered_and_without_taking_its_modules_apart(thread, torn_down):
    code = f"""
import atexit, sys, threading, time
from deepdlt.terminal import leave

class Module:
    def __del__(self):
        print("taken apart", file=sys.__stdout__ or sys.stdout, flush=True)

kept = Module()
atexit.register(print, "registered")
print("printed", end=" ")
{thread}
leave(7)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert done.stdout.split("\n")[0] == "printed registered"
    assert ("taken apart" in done.stdout) == torn_down
