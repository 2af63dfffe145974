"""The pages tell the truth: each command on them runs, options and files exist, links lead somewhere, examples work.

Commands are found by one parser, in code blocks and in the running text. `deepdlt` commands run in a folder that has
the images that the pages name: a sweep is planned, a training prepared, the others run whole. The commands of the
tutorials run whole too (slow).
"""

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from calling import parse

import search_spaces
from deepdlt import make_synthetic
from deepdlt.__main__ import main
from deepdlt.command_line import make_parser
from deepdlt.commands import find_commands, load_command, train
from deepdlt.errors import REFUSED
from deepdlt.machine import Gpus
from sweeps import planning
from sweeps.reporting import answers
from sweeps.request import resources
from sweeps.request.request import make_request

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "data" / "README.md", *sorted(ROOT.glob("docs/*.md"))]
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
TUTORIALS = ("docs/first-sweep.md", "docs/your-data.md")
NOT_RUN = {
    *("pip", "uv", "conda", "tensorboard", "git", "cd", ".", "pytest", "wsl", "nvidia-smi", "docker"),
    *("ray", "kubectl", "sbatch", "export"),
}
"""Programs of others: named on pages, not run."""
OWN = {"deepdlt", "python", "python3", "make", ".venv/bin/python", ".venv/bin/deepdlt"}
PREPARE = {"report": "a sweep", "latents": "a checkpoint", "download": "the network"}
"""Commands of which only the options are checked, since they need something that is not here."""
FOREIGN = {"--constraint", "--editable", "--index-url", "--torch-backend", "--force-reinstall", "--python", "--install",
           "--shm-size", "--gpus", "--logdir", "--randomly-seed",
           "--head", "--port", "--generate", "--working-dir", "--from-literal", "--nodes"}  # fmt: skip
"""Options of other programs."""
SMALL = ["--epochs", "1", "--set", "model=res_ae", "--set", "width=8", "--set", "latent_channels=4"]
FEW = ["--trials", "2", "--folds", "2"]
"""What makes the sweeps of the tutorials short, beside small networks."""


@dataclass(frozen=True)
class Command:
    """One command of a page."""

    page: str
    text: str
    output: tuple[str, ...] = ()
    """What the page shows below it, where it stands behind a `$`."""

    @property
    def words(self) -> list[str]:
        """Without `nice`, settings of the environment, and what comes before a program of ours."""
        words = shlex.split(self.text)
        while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] == "nice"):
            words = words[3:] if words[0] == "nice" else words[1:]
        return words

    @property
    def deepdlt(self) -> list[str] | None:
        """The words behind `deepdlt`; None for other programs."""
        words = self.words
        if words[0].endswith("python") and words[1:2] in (["sweeps/run.py"], ["sweeps/report.py"]):
            return ["sweep" if words[1].endswith("run.py") else "report", *words[2:]]
        if words[0].endswith("python") and words[1:3] == ["-m", "deepdlt"]:
            return words[3:]
        return words[1:] if Path(words[0]).name == "deepdlt" else None

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def blocks(text: str) -> list[tuple[str, list[str]]]:
    """(language, lines) of every code block, fenced or indented."""
    found, fence, indented = [], None, False
    for line in text.splitlines():
        if line.startswith("```"):
            fence = None if fence is not None else line[3:].strip()
            if fence is not None:
                found.append((fence, []))
        elif fence is not None:
            found[-1][1].append(line)
        elif line.startswith("    "):
            if not indented:
                found.append(("", []))
            found[-1][1].append(line[4:])
        indented = fence is None and line.startswith("    ")
    return found


def commands_of(page: str) -> list[Command]:
    """Every command of a page: lines of code blocks that begin with a program, then whole commands in the text."""
    found, text = [], TEXTS[page]
    for language, lines in blocks(text):
        for number, line in enumerate(lines):
            if language != "python" and _is_command(bare := line.removeprefix("$ ")):
                rest = [each for each in lines[number + 1 :] if each.strip()]
                end = next((i for i, each in enumerate(rest) if each.startswith("$ ")), len(rest))
                shown = tuple(rest[:end]) if line.startswith("$ ") else ()
                found.append(Command(page, re.sub(r"\s+#.*", "", bare).strip(), shown))
    prose = re.sub(r"^    .*$", "", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), flags=re.M)
    inline = re.findall(r"`((?:make (?=\w)|deepdlt \w+ (?=[^`]*--(?:data|space|set))) ?[^`\n]+)`", prose)
    known = {each.text for each in found}
    return found + [Command(page, each) for each in dict.fromkeys(inline) if each not in known and _whole(each)]


def _is_command(line: str) -> bool:
    """Is this line of a code block typed, and no output?"""
    words = line.split()
    while words and (re.match(r"[A-Z_]+=\S*$", words[0]) or words[0] == "nice"):
        words = words[3:] if words[0] == "nice" else words[1:]
    return bool(words) and words[0] in OWN | NOT_RUN and not line.startswith(" ")


def _whole(text: str) -> bool:
    """No form like `deepdlt sweep --space NAME ...`."""
    return "..." not in text and not re.search(r"\b[A-Z]{4,}\b", re.sub(r"[A-Z_]+=", "", text))


EVERY = [command for page in TEXTS for command in commands_of(page)]
OURS = list({each.text: each for each in EVERY if each.deepdlt is not None}.values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the commands run: images at the places that the pages name."""
    root = tmp_path_factory.mktemp("pages")
    example = next(
        block for _, block in blocks(TEXTS["docs/your-data.md"]) if "rng = np.random.default_rng(0)" in block
    )
    subprocess.run([sys.executable, "-c", "\n".join(example)], cwd=root, check=True)
    images = make_synthetic(root / "data" / "synthetic", "small")  # also those of sweeps without --data
    for place in ("data/dlip/images", "path/to/images"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).symlink_to(images)
    return root


@pytest.fixture
def here(folder, monkeypatch) -> Path:
    """The folder, on a machine with a GPU; nothing is timed or trained."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(planning, "estimate", lambda *_: planning.Forecast(None, "not timed"))
    monkeypatch.setattr(train, "_train", lambda task: 0)
    monkeypatch.setattr(resources, "cpu_count", lambda: 8)
    monkeypatch.setattr(resources, "gpus", lambda: Gpus(1, "", "a GPU"))
    return folder


@pytest.fixture
def spaces(monkeypatch, tmp_path) -> None:
    """The spaces that pages say to save are there."""
    for name, code in spaces_of_pages().items():
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])


def spaces_of_pages() -> dict[str, str]:
    """Name -> code of every search space that a page says to save."""
    found = {}
    for text in TEXTS.values():
        pattern = r"`search_spaces/(\w+)\.py`((?:(?!```).)*?)```python\n(.*?)```"
        found.update({name: code for name, _, code in re.findall(pattern, text, re.DOTALL)})
    return found


def test_the_parser_finds_commands_everywhere():
    assert len(OURS) > 60
    assert {each.page for each in EVERY} >= {"README.md", "CONTRIBUTING.md", "docs/install.md", *TUTORIALS}
    assert {each.words[0] for each in EVERY} <= OWN | NOT_RUN
    text = "a\n\n    $ deepdlt check --data x   # why\n    fine\n    deepdlt.py is output\n\n"
    TEXTS["try"] = f"{text}```\nnice -n 10 make sweep\n```\n`deepdlt check --data y` and `deepdlt sweep --space ...`\n"
    assert [(each.text, each.output) for each in commands_of("try")] == [
        ("deepdlt check --data x", ("fine", "deepdlt.py is output")),
        ("nice -n 10 make sweep", ()),
        ("deepdlt check --data y", ()),
    ]
    del TEXTS["try"]


@pytest.mark.parametrize("command", OURS, ids=str)
def test_the_command_runs_and_says_what_the_page_shows(command, here, capsys, request):
    words = list(command.deepdlt)
    if set(words) & set(spaces_of_pages()):
        request.getfixturevalue("spaces")
    if words[0] in PREPARE:
        make_parser(load_command(words[0]), "deepdlt").parse_args(words[1:])
        return
    if "--address" in words or any("://" in word for word in words):  # a cluster's, a store's: options alone
        make_parser(load_command(words[0]), "deepdlt").parse_args(words[1:])
        return
    words = ["tiny" if word == "full" else word for word in words]
    refused = bool(command.output) and command.output[0].startswith("error:")
    assert main([*words, "--plan"] if words[0] == "sweep" else words) == (REFUSED if refused else 0), (
        capsys.readouterr()
    )
    said = capsys.readouterr()
    for line in command.output:
        assert line.split() in [each.split() for each in (said.out + said.err).splitlines()]


@pytest.mark.parametrize("command", [each for each in EVERY if each.deepdlt is None], ids=str)
def test_the_other_commands_name_what_exists(command):
    program, *words = command.words
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    if program == "make":
        assert {word for word in words if "=" not in word} <= set(targets)
    elif program.endswith(("python", "python3")) and words[0] not in ("-m", "-c", "-X"):
        named = f"Save this as `{words[0]}`" in TEXTS[command.page]
        assert named or (ROOT / words[0]).is_file()
    for word in words:
        if word.startswith("tests/") or word.endswith("constraints.txt"):
            assert (ROOT / word.partition("::")[0]).exists()


@pytest.mark.parametrize("page", TEXTS)
def test_every_option_of_the_page_exists(page):
    known = set(FOREIGN)
    for name in find_commands():
        known |= set(make_parser(load_command(name), f"deepdlt {name}")._option_string_actions)
    scripts = [*ROOT.glob("tests/benchmarks/*.py"), ROOT / "docs" / "generate.py"]
    known |= {option for path in scripts for option in re.findall(r'"(--[a-z-]+)"', path.read_text(encoding="utf-8"))}
    known |= {"--version", "--help", "--dist", "--durations"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXTS[page])) <= known


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_somewhere(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def anchors(file: Path) -> set[str]:
    """Of the headings of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", file.read_text(encoding="utf-8"), flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", TEXTS)
def test_the_page_is_finished_and_up_to_date(page):
    assert not re.search(r"PLACEHOLDER|TODO|FIXME|OUTPUT$", TEXTS[page], re.MULTILINE)
    assert not re.search(r"python3? -m deepdlt\.", TEXTS[page])
    assert len(TEXTS["README.md"].splitlines()) <= 120


def test_every_page_is_in_the_index_and_every_picture_is_one():
    listed = set(re.findall(r"\]\(([\w-]+\.(?:md|ipynb))", TEXTS["docs/README.md"]))
    assert listed == {p.name for p in ROOT.glob("docs/*") if p.suffix in (".md", ".ipynb")} - {"README.md"}
    for page, text in TEXTS.items():
        for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text):
            assert ((ROOT / page).parent / picture).stat().st_size > 10_000


def test_the_report_has_the_sections_of_its_page():
    written = (ROOT / "sweeps" / "reporting" / "sections.py").read_text(encoding="utf-8")
    named = [answers.BEST, answers.QUALITY, answers.LOWEST, *re.findall(r'Heading\("([^"]+)"\)', written)]
    sections = re.findall(r"^## (.+)$", TEXTS["docs/read-the-report.md"], re.MULTILINE)
    assert set(named) <= set(sections)
    assert [each for each in sections if each in named[:3]] == named[:3]


@pytest.mark.parametrize("name", search_spaces.names())
def test_every_space_is_on_its_page(name):
    assert f"| `{name}` |" in TEXTS["docs/search-spaces.md"]


@pytest.mark.parametrize(("name", "code"), spaces_of_pages().items())
def test_the_spaces_of_the_pages_are_valid(name, code, spaces):
    request = make_request(parse(["--space", name]))
    assert request.question.endswith("?")
    assert request.trials == int(re.search(r"TRIALS = (\d+)", code)[1])


def test_every_package_is_on_the_page_for_newcomers():
    page = TEXTS["CONTRIBUTING.md"].partition("## The house")[2]
    for top in ("deepdlt", "sweeps"):
        for face in (ROOT / top).glob("*/__init__.py"):
            assert re.search(rf"^    +{top}/.*\n(    +.*\n)*?    +{face.parent.name} ", page, re.MULTILINE), face


def test_the_python_example_of_the_readme_runs(tmp_path):
    code = "\n".join(
        next(b for language, b in blocks(TEXTS["README.md"]) if language == "python" and "fit(" in "".join(b))
    )
    code = code.replace('"small"', '"tiny"')
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["1", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS)
def test_the_tutorial_runs_whole(page, tmp_path):
    script = next((b for language, b in blocks(TEXTS[page]) if language == "python"), None)
    if script:
        (tmp_path / "make_example.py").write_text("\n".join(script))
        subprocess.run([sys.executable, "make_example.py"], cwd=tmp_path, check=True)
    ran = 0
    for command in commands_of(page):
        words = command.deepdlt
        if words is None and command.words[0] in NOT_RUN:
            continue
        start = [sys.executable, *([] if words is None else ["-m", "deepdlt"])]
        words = command.words[1:] if words is None else words
        small = {"sweep": [*SMALL, *FEW], "train": SMALL}.get(words[0], [])
        done = subprocess.run([*start, *words, *small], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        ran += 1
    assert ran >= 5
    assert list(tmp_path.glob("ray_results/*/report/report.html"))
    assert list(tmp_path.glob("data/runs/*/best.pt"))
