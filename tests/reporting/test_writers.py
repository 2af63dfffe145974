"""One report, two writers: the same contents in HTML and in Markdown, every text as it is."""

import html
import re
from html.parser import HTMLParser

import pytest

from sweeps.reporting.blocks import (
    UNKNOWN,
    Answer,
    Answers,
    Beside,
    Entry,
    Figure,
    Heading,
    Items,
    Name,
    Number,
    Report,
    Row,
    Table,
    Text,
    decimals,
    losses,
    shown,
)
from sweeps.reporting.page.html import as_html
from sweeps.reporting.page.markdown import as_markdown

TABLE = Table(
    ("place", "trial", "what", "dB"),
    [
        Row((Number("1"), Name("s1 one"), "relu", Number("24.10")), "first"),
        Row((UNKNOWN, Name("s2 two"), UNKNOWN, Entry(Number("23.20"), "[22.00, 24.00]")), "aside"),
        Row((Number("3"), Name("s3 three"), Entry("stopped early", look="gap", span=2))),
    ],
    [Row((Entry("mean", "spread", below=True), "", "", Entry(Number("23.00"), "25.00", " to ", below=True)), "bounds")],
    "A table",
    "a caption",
    "close",
)


class Words(HTMLParser):
    """The visible words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(page.partition("<body>")[2])

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def words_of(markdown: str) -> list[str]:
    """Without what Markdown adds: signs of headings, lists, tables and bold, and names of files."""
    plain = re.sub(
        r"\]\(figures/\S+\)|^!\[|^\|[-:|]+\|$|^(#+|-|>) |(?<!\\)[|]|\*\*|(?<!\\)`", " ", markdown, flags=re.M
    )
    return html.unescape(re.sub(r"\\([\\`*|\[\]])", r"\1", plain)).split()


def test_both_writers_say_the_same() -> None:
    blocks = [
        Heading("Which?"),
        Text("a paragraph"),
        Text("a remark", "remark"),
        Answers([Answer("How sure?", "Very", "of much")]),
        Items(["one", "two"]),
        Items(["three"], "Warnings"),
        Heading("A part", 3),
        TABLE,
        Beside([TABLE, TABLE]),
        Table(("", ""), [Row(("command", Entry("run it", look="code")))], width="keys"),
    ]
    report = Report("sweep", "of today", blocks)
    page, markdown = Words(as_html(report)).words, words_of(as_markdown(report))
    both = [{word.strip(".·") for word in words} - {"", "to"} for words in (page, markdown)]
    assert both[0] == both[1]
    assert [word for word in page if word in ("A", "Which?")] == [word for word in markdown if word in ("A", "Which?")]


def test_columns_are_aligned_by_what_stands_in_them() -> None:
    assert TABLE.kinds == ["number", "name", "text", "number"]
    page, markdown = as_html(Report("", "", [TABLE])), as_markdown(Report("", "", [TABLE]))
    assert "|--:|---|---|--:|" in markdown
    assert (
        '<th scope="col" class="n">place</th><th scope="col" class="name">trial</th><th scope="col">what</th>' in page
    )
    assert "| 3 | s3 three | stopped early | |" in markdown
    assert '<td class="gap" colspan="2">stopped early</td>' in page


def test_the_first_row_is_marked_in_both() -> None:
    assert '<tr class="first">' in as_html(Report("", "", [TABLE]))
    assert "| 1 | **s1 one** | relu | 24.10 |" in as_markdown(Report("", "", [TABLE]))


def test_two_lines_of_a_cell_are_one_where_a_cell_has_one() -> None:
    assert '<td class="n">23.00<br><small>25.00</small></td>' in as_html(Report("", "", [TABLE]))
    assert "| mean spread | | | 23.00 to 25.00 |" in as_markdown(Report("", "", [TABLE]))


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", "a|b", "[x](javascript:y)", "`code`", "**bold**", '"&amp;"']
)
def test_every_text_of_every_block_is_escaped(evil: str) -> None:
    table = Table((evil,), [Row((Entry(evil, evil, look=look),)) for look in ("", "bold", "gap")], (), evil, evil)
    blocks = [Heading(evil), Text(evil), Items([evil], evil), Answers([Answer(evil, evil, evil)]), table]
    report = Report(evil, evil, [*blocks, Figure("name", evil, b"")])
    page, markdown = as_html(report), as_markdown(report)
    assert "<script" not in page + markdown
    assert html.unescape(page.partition("<h1>")[2].partition("</h1>")[0]) == evil
    assert page.count(evil) == 0 or html.escape(evil) == evil
    for sign in "|`":  # none but those of tables
        inside = [line for line in markdown.splitlines() if not line.startswith("|")]
        assert not any(re.search(rf"(?<!\\)\{sign}", line) for line in inside)
    assert {line.count("|") - line.count(r"\|") for line in markdown.splitlines() if line.startswith("|")} == {2}


def test_code_in_markdown_holds_neither_of_its_own_signs() -> None:
    table = Table(("", ""), [Row(("command", Entry("a | b `c`", look="code")))])
    assert "| command | `a b c` |" in as_markdown(Report("", "", [table]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (3.0, "3"),
        (12_345, "12,345"),
        (0.0005, "0.0005"),
        ("relu", "relu"),
        (True, "True"),
    ],
)
def test_settings_and_counts_are_written_as_people_do(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(("typical", "text"), [(0.0033, "1.23457"), (0.5, "1.2346"), (250.0, "1.2"), (0.0, "1.2346")])
def test_losses_show_three_digits_of_a_typical_one(typical: float, text: str) -> None:
    assert losses(typical)(1.2345678) == text
    assert decimals(2)(None) == "–"
