"""Labels and classes in any script, and with signs that mean something elsewhere, are shown as they were typed."""

import csv
import html
import io
import json
import re

import pytest
from written_sweeps import baselines, write_sweep_json, write_trial

from sweeps.console.summary import show_summary, summary_json
from sweeps.reporting.write import write_report
from sweeps.store.baselines_file import write_baselines
from sweeps.store.event_files import read_trial
from sweeps.store.trial_record import read_records

LABELS = {
    "Δτ [ps]": ("0", "500"),
    "λ": ("x & y", "Θ|1"),
    "Größe <b>": ("=1+1", "ß"),
    "`mode` *a*": ("**bold**", "~~struck~~ _x_ $y$"),
    "功率": ("高🔥", "低"),
    "קוטב": ("צפון", "דרום"),
    "nan": ("None", "nan"),
    "a/b": (".", ".."),
    "P" * 120: ("power", "Power"),
}


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """The folder of a small cross-validation by all of these labels, with its report."""
    sweep = tmp_path_factory.mktemp("sweeps") / "typed"
    classes = {label: {one: list(range(15)), two: list(range(15, 30))} for label, (one, two) in LABELS.items()}
    write_sweep_json(sweep, labels=list(LABELS), folds=2, classes=classes, search_label="λ")
    write_trial(sweep, 1, lr=1e-3)
    for label in LABELS:
        for fold in (1, 2):
            write_trial(sweep, cv=(label, fold), n_folds=2, lr=1e-3)
    write_baselines(sweep, baselines([("λ", 0, 0), *((label, fold, 2) for label in LABELS for fold in (1, 2))]))
    write_report(sweep)
    return sweep


def visible(page):
    """The texts of a page without its style."""
    return html.unescape(re.sub(r"<[^>]*>", "\n", page.partition("<body>")[2]))


def plain(markdown):
    """As a reader of Markdown sees it."""
    return html.unescape(re.sub(r"\\([\\`*|\[\]~$_])", r"\1", markdown))


def test_every_fold_has_a_folder_of_its_own_that_every_file_system_can_hold(reported):
    names = [record.name for record in read_records(reported).values() if record.is_fold]
    assert len({name.lower() for name in names}) == 2 * len(LABELS)
    assert all(name.isascii() and re.fullmatch(r"cv-[A-Za-z0-9-]+-f[12]-[0-9a-f]{6}", name) for name in names)


@pytest.mark.parametrize("label", LABELS)
def test_the_page_shows_them_as_typed(reported, label):
    text = visible((reported / "report" / "report.html").read_text(encoding="utf-8"))
    for typed in (label, *LABELS[label]):
        assert typed in text


@pytest.mark.parametrize("label", LABELS)
def test_markdown_shows_them_as_typed_and_its_tables_stay_whole(reported, label):
    page = (reported / "report" / "report.md").read_text(encoding="utf-8")
    for typed in (label, *LABELS[label]):
        assert typed in plain(page)
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in page.splitlines() if line.startswith("|")]
    rules = [i for i, line in enumerate(page.splitlines()) if re.fullmatch(r"\|[-:|]+\|", line)]
    assert rules
    assert all(width > 1 for width in widths)
    lines = page.splitlines()
    for i in rules:
        table = [lines[i - 1]]
        for line in lines[i:]:
            if not line.startswith("|"):
                break
            table.append(line)
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_tables_and_json_hold_them_as_typed(reported):
    folds = list(csv.DictReader(io.StringIO((reported / "report" / "cv.csv").read_text(encoding="utf-8"))))
    assert {row["label"] for row in folds} == set(LABELS)
    texts = json.dumps(json.loads(summary_json(reported, str(reported / "report"))), ensure_ascii=False)
    for label in LABELS:
        assert label in texts


def test_the_console_shows_them_as_typed(reported):
    file = io.StringIO()
    show_summary(reported, file)
    text = re.sub(r"\s+", "", file.getvalue())
    for label in LABELS:
        assert re.sub(r"\s+", "", label)[:40] in text


def test_tensorboard_knows_them_as_typed(reported):
    logged = {read_trial(reported / r.name).hparams["label"] for r in read_records(reported).values() if r.is_fold}
    assert logged == set(LABELS)
