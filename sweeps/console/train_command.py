"""Which command trains a trial's configuration again, on the trial's own split, outside the sweep."""

import shlex
from collections.abc import Sequence

from deepdlt.config import config_dict, make_config
from deepdlt.headings import join_headings
from sweeps.store import SweepFile, TrialRecord

DATA_OPTIONS = ("--data", "--sheet", "--group-by", "--pixel-pitch")
DEFAULT_SPLIT_SEED = 42


def train_command(sweep_file: SweepFile, record: TrialRecord) -> str:
    """`deepdlt train ...`; "" where sweep.json does not say how the sweep was started."""
    if not sweep_file.command or sweep_file.seed is None or "epochs" not in record.ended_with:
        return ""
    words, cell = shlex.split(sweep_file.command), record.cell
    protocol = "report" if sweep_file.protocol == "report" else "corrected"
    config = record.ended_with
    usual = config_dict(make_config(protocol, epochs=config["epochs"]))
    command = [*_program(words), *_data_options(words)]
    command += ["--protocol", protocol] if protocol != "corrected" else []
    command += ["--labels", join_headings([cell.label])] if cell.label else []
    command += ["--fold", str(cell.fold), "--folds", str(cell.n_folds)] if cell.fold else []
    command += ["--split-seed", str(sweep_file.seed)] if sweep_file.seed != DEFAULT_SPLIT_SEED else []
    if "augment_brightness" in sweep_file.axes and not config["augment_brightness"]:
        command += ["--brightness", "0"]  # as the sweep's crops are cut
    command += ["--epochs", str(config["epochs"])]
    for name, value in config.items():
        if name in usual and usual[name] != value:
            command += ["--set", f"{name}={value}"]
    return shlex.join(command)


def _program(words: Sequence[str]) -> list[str]:
    """How `deepdlt train` is called where the sweep was called like this."""
    if "sweep" in words[:4]:
        return [*words[: words.index("sweep")], "train"]
    return [words[0], "-m", "deepdlt", "train"]


def _data_options(words: Sequence[str]) -> list[str]:
    """Options of the sweep's command that say how its images are read."""
    found = []
    for number, word in enumerate(words):
        if word in DATA_OPTIONS:
            found += [word, *words[number + 1 : number + 2]]
        elif word.partition("=")[0] in DATA_OPTIONS:
            found.append(word)
    return found
