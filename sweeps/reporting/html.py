"""The report as report.html: self-contained, without scripts; report.html.j2 knows nothing but blocks."""

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sweeps.reporting.blocks import Block, Figure, Report


def as_html(report: Report) -> str:
    """The page, its style and figures in it, all text escaped."""
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.filters.update(kind=_kind, data=_data)
    return page.get_template("report.html.j2").render(report=report)


def _kind(block: Block) -> str:
    return type(block).__name__


def _data(figure: Figure) -> str:
    return f"data:image/png;base64,{base64.b64encode(figure.png).decode()}"
