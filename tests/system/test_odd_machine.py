"""A machine that has everything wrong at once, and a sweep that runs on it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from running_sweep import NET, RUN
from waiting import HANG_GUARD_S

from sweeps.store.trial_record import COMPLETE, read_records

pytestmark = pytest.mark.slow


def test_a_python_in_a_folder_with_spaces_without_home_temporary_folder_or_unicode(tmp_path, image_folder):
    here = tmp_path / "My Projects & 'more' Müller"
    here.mkdir()
    environment = here.parent / "My env & $HOME"
    environment.symlink_to(sys.prefix)
    python = environment / "bin" / Path(sys.executable).name
    arguments = ["--space", "smoke", *NET, "--trials", "1", "--epochs", "1", "--data", str(image_folder)]
    done = subprocess.run(
        [str(python), *RUN[1:], *arguments, "--storage", "all results"],
        cwd=here,
        env={**os.environ, "HOME": "/proc/nohome", "TMPDIR": str(here), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=HANG_GUARD_S,
    )
    said = done.stderr.decode("ascii")
    assert done.returncode == 0, said
    assert "Ray's sockets and logs go to /tmp" in said
    assert "Traceback" not in said
    assert "atplotlib" not in said
    [sweep] = (here / "all results").iterdir()
    assert [record.status for record in read_records(sweep).values()] == [COMPLETE]
    [compare] = re.findall(r"^compare: (.*)$", done.stdout.decode("ascii"), re.MULTILINE)
    assert shlex.split(compare)[-2:] == ["--logdir", "all results"]


def test_a_sweep_runs_without_any_stream(tmp_path, image_folder):
    arguments = ["--space", "smoke", *NET, "--trials", "1", "--epochs", "1", "--data", str(image_folder)]
    shell = f"{shlex.join([*RUN, *arguments])} <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", shell], cwd=tmp_path, timeout=HANG_GUARD_S).returncode == 0
    [sweep] = (tmp_path / "ray_results").iterdir()
    assert [record.status for record in read_records(sweep).values()] == [COMPLETE]
