"""Refusals that need neither PyTorch nor Ray's processes come before them."""

import subprocess
import sys

import pytest

CODE = """
import sys
from sweeps import run
from sweeps.execution import session
session.RaySession.begin = lambda self: sys.exit("Ray is started")
code = run.main(sys.argv[1:])
print(code, *sorted({"torch", "sklearn", "matplotlib", "optuna"} & set(sys.modules)))
"""
CV = ("--cv", "--labels", "PP1")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--space", "exp_gird"), "unknown space"),
        (("--data", "nowhere"), "no such folder"),
        (("--cv", "--labels", "Foo"), "unknown label"),
        ((*CV, "--folds", "1"), "--folds must be at least 2"),
        ((*CV, "--folds", "300"), "is too many"),
        ((*CV, "--group-by", "nix"), "unknown column"),
        (("--sheet", "nix"), "nix"),
        (("--set", "lr=0,1"), "decimals need a point"),
        (("--trials", "0"), "--trials must be in"),
        (("--storage", "images/all_images.xlsx"), "is a file"),
    ],
)
def test_a_refusal_of_the_command_line_or_the_sheet_imports_no_torch(options, says, image_folder, tmp_path):
    (tmp_path / "images").symlink_to(image_folder)
    arguments = ["--space", "smoke", "--data", "images", *options]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert says in done.stderr
    assert done.stdout.split() == ["2"]
