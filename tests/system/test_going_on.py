"""Each ending that names a command to go on with: that command goes on. What would fail again is refused instead."""

import errno
import html
import shlex
import sys
from pathlib import Path

import pytest
from calling import command

from sweeps import execution, stopping
from sweeps.errors import RayFailed, RayNotStarted, SweepRefused
from sweeps.store.sweep_file import read_sweep

pytestmark = pytest.mark.usefixtures("nothing_asks_for_the_end")
NAMES = ["results", "it's a share & $more", "Müller; x"]


class Ending(Exception):
    """In the place of the end of this process."""


class Sweep:
    """`deepdlt sweep` in a folder, with a stand-in for its trials that ends as it is told."""

    def __init__(self, folder, images, monkeypatch, capsys):
        self.capsys, self.ran, self.ends = capsys, [], None
        self.words = ["--space", "smoke", "--quiet", "--trials", "2", "--data", str(images)]
        self.words += ["--storage", str(folder)]
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(execution, "run_sweep", self.run_sweep, raising=False)
        monkeypatch.setattr(execution.RaySession, "begin", lambda _: None)
        monkeypatch.setattr(execution, "compute_baselines", lambda *_: None, raising=False)
        monkeypatch.setattr("os._exit", self.leave)

    def run_sweep(self, request, resources, data, sweep, args, session):
        assert read_sweep(sweep).space == "smoke"
        self.ran.append(sweep)
        if callable(self.ends):
            self.ends(session._lost)
        elif self.ends is not None:
            raise self.ends

    def leave(self, code):
        raise Ending(code)

    def __call__(self, words, ends=None):
        """Exit code, stdout and stderr."""
        self.ends = ends
        self.monkeypatch.setattr(sys, "argv", ["deepdlt", "sweep", *words])
        stopping.set_deadline(None)
        try:
            code = command("sweep")(words)
        except Ending as ending:
            code = ending.args[0]
        shown = self.capsys.readouterr()
        return code, shown.out, shown.err


@pytest.fixture
def sweep(request, tmp_path, image_folder, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    return Sweep(tmp_path / request.param, image_folder, monkeypatch, capsys)


def out_of_time(lost):
    stopping.set_deadline(0.0)


ENDINGS = {
    "Ray is busy": (RayNotStarted("Ray did not start (timed out); is the machine very busy"), 130),
    "Tune gave up": (RayFailed("Ray Tune gave up (x)"), 130),
    "a connection broke": (BrokenPipeError(), 130),
    "Ctrl-C twice": (KeyboardInterrupt(), 130),
    "Ray died": (lambda lost: lost("raylet"), 130),
    "out of time": (out_of_time, 130),
    "trials are left": (None, 1),
}


@pytest.mark.parametrize("sweep", NAMES[1:2], indirect=True)
def test_the_command_that_is_named_goes_on_in_the_same_sweep(sweep):
    for name, (ends, expected) in ENDINGS.items():
        code, _, said = sweep(sweep.words, ends)
        assert code == expected, name
        *_, message, named = said.splitlines()
        assert "Completed trials are saved. Resume with:" in message, name
        program, word, *words = shlex.split(named)
        assert (Path(program).name, word, words) == ("deepdlt", "sweep", sweep.words), name
        code, out, said = sweep(words)
        assert code == 1, said  # the stand-in makes no trials, and is asked for them again
        assert "report: " in out
    assert len(sweep.ran) == 2 * len(ENDINGS)
    assert len(set(sweep.ran)) == 1


@pytest.mark.parametrize("sweep", NAMES[:1], indirect=True)
def test_a_full_disk_names_what_to_do_before_the_same_command(sweep):
    code, _, said = sweep(sweep.words, OSError(errno.ENOSPC, "No space left on device", "a/b"))
    assert code == 3
    assert "free some space, then run the same command again" in said
    assert sweep(sweep.words)[0] == 1
    assert len(set(sweep.ran)) == 1


@pytest.mark.parametrize("sweep", NAMES[:1], indirect=True)
def test_what_would_fail_again_is_no_reason_to_go_on(sweep):
    code, _, said = sweep(sweep.words, SweepRefused("Ray cannot start here (x); raise the limit of open files"))
    assert code == 2
    assert "error: Ray cannot start here" in said
    assert "esume" not in said
    assert " again" not in said


@pytest.mark.parametrize("sweep", NAMES, indirect=True)
def test_commands_that_are_printed_can_be_typed(sweep):
    _, out, _ = sweep(sweep.words)
    storage = Path(sweep.words[-1])
    printed = dict(line.split(": ", 1) for line in out.splitlines() if ": " in line)
    *_, option, logs = shlex.split(printed["compare"])
    assert (option, Path(logs).resolve()) == ("--logdir", storage)
    assert shlex.split(printed["next"])[-len(sweep.words) :] == sweep.words
    page = (sweep.ran[0] / "report" / "report.md").read_text(encoding="utf-8")
    assert shlex.join(["tensorboard", "--logdir", str(sweep.ran[0])]) in html.unescape(page)
