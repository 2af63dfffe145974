"""Write the generated pages: hyperparameters.md, command-line.md and files-and-columns.md.

    make docs                                # write them
    python docs/generate.py --check          # exit code 1 if a page is not what would be written

Hyperparameters come from deepdlt/config.py, options from the parsers of the commands, columns from
written_files.py; tests/docs/test_generated.py compares these with what a sweep writes.
"""

import argparse
import ast
import importlib
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run from a checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from written_files import OTHER_FILES, SWEEP_JSON, TABLES, TAGS, TREE, TRIAL_JSON

from deepdlt.command_line import make_parser
from deepdlt.commands import GROUP, OWN, summary
from deepdlt.config import CHANGEABLE, TrainConfig, make_config
from deepdlt.rules import CHOICES, RULE, USUAL, plain

DOCS = Path(__file__).resolve().parent
GENERATED = "<!-- Written by docs/generate.py (make docs); edit that script or the code, not this page. -->"

# --- hyperparameters -------------------------------------------------------------------------------------------------

STUDY: Mapping[str, Mapping[str, Any]] = {
    "Experiment 1": {"lr": 1e-3, "dropout": 0.3, "epochs": 100},
    "Experiment 2": {"optimizer": "sgd", "lr": 1e-4, "activation": "elu", "epochs": 110},
    "Experiment 3": {"kernel_size": 5, "epochs": 100},
    "cross-validation": {},
    "VAE": {"model": "cnn_vae", "lr": 1e-4, "activation": "leaky_relu", "epochs": 100},
}
"""The study's trainings, as they differ from the defaults."""
APPLIES = ("CNN models", "Residual models", "Autoencoders", "VAEs with `vae_likelihood` gaussian", "VAEs")
"""How the description of a field begins that is for some networks only."""
ONLY_FOR = {
    "latent_dim": "`cnn_vae`; residual models with `latent_channels` 0",
    "weight_decay": "`adam`, `adamw`",
    "momentum": "`sgd`",
    "warmup": "`schedule` other than `plateau`",
}
OWN_SECTION = {"eval_crops": "Validation and test crops"}


def hyperparameters() -> str:
    """Every field of TrainConfig, by section."""
    number = len(fields(TrainConfig))
    lines = [
        GENERATED,
        "# Hyperparameters",
        "",
        f"The {number} settings of a training. A search space varies some of them; `--set NAME=VALUE` fixes one"
        " (`deepdlt sweep`, `deepdlt train`). All others keep their default. The defaults are the settings of the"
        " study's cross-validation under the `corrected` [protocol](protocols.md).",
        "",
        "- **Allowed**: other values are refused. *Usual* values are where good settings lie; others get a note.",
        "- **Applies to**: other networks or optimizers do not use the value. *CNN models*: `cnn_ae`, `cnn_vae`."
        " *Residual models*: `res_ae`, `res_vae`. *Autoencoders*: `cnn_ae`, `res_ae`. *VAEs*: `cnn_vae`, `res_vae`.",
        f"- **Study**: values in the study's trainings ({', '.join(STUDY)}), with `--protocol report`.",
        f"- With `--scheduler pbt` and `pb2` these may change during a training: {_code(CHANGEABLE)}.",
    ]
    for title, names in _sections().items():
        heads = ("name", "default", "allowed", "applies to", "meaning", "study")
        lines += ["", f"## {title}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        lines += [f"| {' | '.join(_field_cells(name))} |" for name in names]
    return "\n".join(lines) + "\n"


def _sections() -> dict[str, list[str]]:
    """Title -> fields, by the comments in the body of TrainConfig."""
    found: dict[str, list[str]] = {}
    title = ""
    for line in inspect.getsource(TrainConfig).splitlines():
        if comment := re.match(r"    # --- (.*?) -*$", line):
            title = re.split("[:,]", comment[1])[0].capitalize()
        elif name := re.match(r"    (\w+): \w+ = ", line):
            found.setdefault(OWN_SECTION.get(name[1], title), []).append(name[1])
    return found


def descriptions() -> dict[str, str]:
    """Field -> the text below it in TrainConfig."""
    (node,) = ast.parse(inspect.getsource(TrainConfig)).body
    body = node.body if isinstance(node, ast.ClassDef) else []
    found = {}
    for each, text in pairwise(body):
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and isinstance(text, ast.Expr):
            found[each.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found


def _field_cells(name: str) -> list[str]:
    (field,) = (f for f in fields(TrainConfig) if f.name == name)
    text, start = _split_off(descriptions()[name])
    applies = start or ONLY_FOR.get(name, "all")
    study = "not used" if applies == "Residual models" else _in_the_study(name)
    return [f"`{name}`", f"`{_value(field.default)}`", _allowed(field), applies, text, study]


def _split_off(text: str) -> tuple[str, str]:
    """`VAEs: weight of ...` -> ("Weight of ...", "VAEs")."""
    for start in APPLIES:
        if text.startswith(f"{start}: "):
            text = text.removeprefix(f"{start}: ")
            return text[0].upper() + text[1:], start
    return text, ""


def _allowed(field: Any) -> str:
    if CHOICES in field.metadata:
        return ", ".join(f"`{choice}`" for choice in field.metadata[CHOICES])
    kind = "whole number, " if field.type is int else ""
    texts = [f"{kind}{field.metadata[RULE]}"]
    for usual in field.metadata.get(USUAL, ()):
        texts.append(f"usual {usual}" + (f" ({', '.join(usual.where[1])})" if usual.where else ""))
    return "; ".join(texts)


def _in_the_study(name: str) -> str:
    values: dict[str, list[str]] = {}
    for experiment, settings in STUDY.items():
        values.setdefault(_value(getattr(make_config("report", **settings), name)), []).append(experiment)
    if len(values) == 1:
        return f"`{next(iter(values))}`"
    return "; ".join(f"`{value}` ({', '.join(where)})" for value, where in values.items())


def _value(value: Any) -> str:
    return plain(value) if isinstance(value, float) else str(value)


def _code(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


# --- command line ----------------------------------------------------------------------------------------------------


EXIT_CODES = {
    0: "done",
    1: "some trials failed; `--retry-failed` runs them again",
    2: "wrong input: one message says what is wrong, and nothing is written",
    3: "the output cannot be written",
    75: "the same sweep is already running",
    130: "interrupted (Ctrl-C, `--time-budget`, end of Ray): the same command resumes",
}


def command_line() -> str:
    """Every command with its options."""
    found = _commands()
    lines = [
        GENERATED,
        "# Command line",
        "",
        "One program, `deepdlt` (also `python -m deepdlt`). From a checkout, `python sweeps/run.py` is `deepdlt sweep`,"
        " and `python sweeps/report.py` is `deepdlt report`. `deepdlt --version` prints the versions. Results go to"
        " stdout, progress and messages to stderr.",
        "",
        "| command | what it does |",
        "|---|---|",
        *(f"| [`{name}`](#deepdlt-{name}) | {_cell(summary(module))} |" for name, module in found.items()),
        "",
        "## Exit codes",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()),
    ]
    for name, module in found.items():
        lines += ["", f"## deepdlt {name}", *_help_of(name, module)]
    return "\n".join(lines) + "\n"


def _commands() -> dict[str, str]:
    """Name -> module: those that `sweeps` adds in pyproject.toml, then the library's own."""
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {**project["entry-points"][GROUP], **{name: f"deepdlt.commands.{name}" for name in OWN}}


def _help_of(name: str, module: str) -> list[str]:
    """The docstring of a command, then a table of its options per group."""
    parser = make_parser(importlib.import_module(module), f"deepdlt {name}")
    formatter, lines = parser._get_formatter(), []
    for part in (parser.description or "").strip().split("\n\n"):
        if examples := re.match(r"examples?:\s*", part):
            lines += ["", "```", *map(_example, part[examples.end() :].splitlines()), "```"]
        elif part.strip():
            lines += ["", _cell(" ".join(part.split()))]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.dest != "help"]
        if actions:
            lines += ["", f"{str(group.title).capitalize()}:", "", "| option | meaning |", "|---|---|"]
        for action in actions:
            words = ", ".join(action.option_strings) or str(action.metavar)
            value = formatter._format_args(action, action.dest.upper()) if action.option_strings else ""
            lines.append(f"| `{f'{words} {value}'.strip()}` | {_cell(formatter._expand_help(action))} |")
    return lines


def _example(line: str) -> str:
    """`deepdlt x    what for` -> `deepdlt x    # what for`, as a shell takes it."""
    return re.sub(r"^(\S.*?  +)(?=\S)", r"\1# ", line.strip())


# --- files and columns -----------------------------------------------------------------------------------------------


def files_and_columns() -> str:
    """Trees of files, then every table."""
    lines = [
        GENERATED,
        "# Files and columns",
        "",
        "What a sweep and the other commands write. Sizes, units and rules of the numbers: [glossary](glossary.md),"
        " [statistics](statistics.md).",
        "",
        "## A sweep",
        "",
        *("```", TREE, "```"),
        "",
        "`report/` can be deleted: `deepdlt report ray_results/SWEEP` writes it again.",
        "",
        "## Other files",
        "",
        *("```", OTHER_FILES, "```"),
        "",
        "Deleting anything below `data/synthetic` and `data/patches` is safe: it is made again when it is needed.",
    ]
    for file, (text, columns) in TABLES.items():
        lines += ["", f"## {file.removeprefix('report/')}", "", text, ""]
        lines += ["| column | unit | meaning |", "|---|---|---|"]
        for name, (unit, meaning) in columns.items():
            lines.append(f"| `{name}` | {unit} | {meaning} |")
            if file == "report/trials.csv" and name == "n_folds":
                lines += [f"| `{field}` | | hyperparameter: {_brief(field)} |" for field in sorted(descriptions())]
    for file, keys in {"sweep.json": SWEEP_JSON, "trial.json": TRIAL_JSON}.items():
        lines += ["", f"## {file}", "", "| key | meaning |", "|---|---|"]
        lines += [f"| `{key}` | {meaning} |" for key, meaning in keys.items()]
    lines += ["", "## TensorBoard", "", "| tag | meaning |", "|---|---|"]
    lines += [f"| `{'`, `'.join(tags.split(', '))}` | {meaning} |" for tags, meaning in TAGS.items()]
    return "\n".join(lines) + "\n"


def _brief(field: str) -> str:
    """The beginning of a hyperparameter's description, without its choices."""
    text, _ = _split_off(descriptions()[field])
    text = re.sub(r" \([^)]*\)|, (>=? \d|in \[[^\])]*[\])])(,(?= )|(?=[.;]))", "", text)
    text = re.split(r"[:;] |\. |\.$|, (?=[a>P]|the |or |both )", text)[0]
    return text[0].lower() + text[1:] if text[1].islower() else text


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


PAGES: Mapping[str, Callable[[], str]] = {
    "hyperparameters.md": hyperparameters,
    "files-and-columns.md": files_and_columns,
    "command-line.md": command_line,
}


def main(argv: list[str] | None = None) -> int:
    """Write the pages, or compare."""
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page differs")
    check, stale = parser.parse_args(argv).check, []
    for name, make in PAGES.items():
        page, text = DOCS / name, make()
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                page.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/{name}: {'run `make docs`' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
