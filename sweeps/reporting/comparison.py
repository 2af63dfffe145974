"""Two sweeps beside each other: the settings that differ, the winners, and paired differences on the same images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.folds import over_all_folds, p_text, paired_image_test
from sweeps.reporting.answers import complete_tables, verdict
from sweeps.reporting.blocks import DB, SSIM, UNKNOWN, Block, Entry, Heading, Report, Row, Table, Text, interval, shown
from sweeps.reporting.findings import Findings, find
from sweeps.reporting.logs import read_logs
from sweeps.reporting.page.html import as_html
from sweeps.reporting.write import check_sweep_folder
from sweeps.space import show

ASKED = (
    "space",
    "protocol",
    "search",
    "scheduler",
    "trials",
    "epochs",
    "labels",
    "folds",
    "seed",
    "git_commit",
    "command",
)
FEWEST_PAIRS = 3  # images that both tested; fewer say nothing


def write_comparison(first: Path, second: Path) -> Path:
    """Compare two sweeps; the page goes to the first one's folder.

    Returns:
        `<first>/comparison-<second>.html`.

    Raises:
        NotASweep: one of the folders is none.
        OSError: the page cannot be written.
    """
    for sweep in (first, second):
        check_sweep_folder(sweep)
    page = first / f"comparison-{second.resolve().name}.html"
    report = compare(*((sweep.resolve().name, find(read_logs(sweep))) for sweep in (first, second)))
    page.write_text(as_html(report), encoding="utf-8", errors="backslashreplace")
    return page


def compare(first: tuple[str, Findings], second: tuple[str, Findings]) -> Report:
    """The page of two sweeps, each with its name."""
    names, found = (first[0], second[0]), (first[1], second[1])
    blocks: list[Block] = [
        Heading("Settings that differ"),
        _settings(names, found),
        Heading("Winners"),
        _winners(names, found),
        Heading("Same images, both winners"),
        *_paired(names, found),
    ]
    return Report(f"{names[0]} and {names[1]}", "Comparison of two sweeps", blocks)


def _settings(names: tuple[str, str], found: tuple[Findings, Findings]) -> Table:
    columns = [_asked(each) for each in found]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [
        Row((key, *(column.get(key, UNKNOWN) for column in columns)))
        for key in keys
        if columns[0].get(key) != columns[1].get(key)
    ]
    return Table(("Setting", *names), rows, caption="" if rows else "None of what the two sweeps record differs.")


def _asked(found: Findings) -> dict[str, str]:
    """What a sweep was asked, in words."""
    sweep_file = found.logs.sweep_file
    asked: dict[str, Any] = {name.replace("_", " "): getattr(sweep_file, name) for name in ASKED}
    data = sweep_file.data
    asked |= {"images": data.images, "crops": data.crops, "data fingerprint": data.fingerprint[:16]}
    asked |= {f"axis {name}": axis for name, axis in sweep_file.axes.items()}
    asked |= {f"version of {name}": version for name, version in sweep_file.versions.items()}
    return {name: _text(value) for name, value in asked.items() if value not in (None, "", ())}


def _text(value: Any) -> str:
    return (
        ", ".join(map(str, value))
        if isinstance(value, tuple)
        else show(value)
        if isinstance(value, int | float)
        else str(value)
    )


def _winners(names: tuple[str, str], found: tuple[Findings, Findings]) -> Table:
    rows = []
    for name, each in zip(names, found, strict=True):
        best, total = each.best, over_all_folds(complete_tables(each))
        if best is None:
            rows.append(Row((name, Entry("no complete trial", look="gap", span=5))))
            continue
        low, high = (total.low, total.high) if total else (None, None)
        test = total.mean if total else best.numbers.get("test_psnr_db")
        numbers = (DB(best.numbers.get("val_psnr_db")), Entry(DB(test), interval(low, high)))
        more = (SSIM(best.numbers.get("test_ssim")), shown(best.numbers.get("parameters")))
        rows.append(Row((name, each.logs.describe(best.configuration), *numbers, *more)))
    titles = ("Sweep", "Configuration", "Val PSNR (dB)", "Test PSNR (dB)", "Test SSIM", "Parameters")
    said = " ".join(f"{name}: {verdict(each).headline}" for name, each in zip(names, found, strict=True))
    return Table(titles, rows, caption=f"Brackets: 95 % CI over folds. {said}")


def _paired(names: tuple[str, str], found: tuple[Findings, Findings]) -> list[Block]:
    """The difference between the winners on the images that both tested, image by image."""
    files = [each.logs.sweep_file.data for each in found]
    if files[0].fingerprint != files[1].fingerprint or not files[0].fingerprint:
        return [Text("The two sweeps have other images or crops (data fingerprints differ): no paired comparison.")]
    values: list[Mapping[str, float]] = [{i.image_id: i.psnr_db for i in each.tested} for each in found]
    both = sorted(values[0].keys() & values[1].keys())
    if len(both) < FEWEST_PAIRS:
        text = f"{len(both)} images were tested by the folds of both: too few. Run both with --cv."
        return [Text(text)]
    conditions = {image: found[0].logs.sweep_file.condition_of(image) or image for image in both}
    test = paired_image_test({i: values[0][i] for i in both}, {i: values[1][i] for i in both}, conditions)
    row = Row((shown(len(both)), DB(test.mean_difference), interval(test.low, test.high), p_text(test.p)))
    caption = f"Test PSNR of {names[0]} minus {names[1]}, paired by image; units are process conditions where known."
    return [Table(("Images", "Difference (dB)", "95 % CI", "p"), [row], caption=caption, width="small")]
