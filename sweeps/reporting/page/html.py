"""The report as report.html: self-contained; report.html.j2 knows nothing but blocks.

The page holds plotly.js, which draws the charts that answer to the pointer, and report.js. Its content security policy
names the two by their hashes: no other script can run, whatever a label or a file name says, and nothing is fetched.
"""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sweeps.reporting.blocks import Block, Figure, Folded, Heading, Report

HERE = Path(__file__).parent
LIBRARY = "plotly-basic.min.js"  # plotly.js-basic-dist-min of npm, as it is
FEWEST_LINKED = 3  # sections; fewer need no contents


def as_html(report: Report) -> str:
    """The page, its style, scripts and figures in it, all text escaped."""
    page = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.filters.update(kind=_kind, png=_png, static=_static, json=_json)
    scripts = [_script(LIBRARY), _script("report.js")] if _has_charts(report.blocks) else []
    sections = [block for block in report.blocks if isinstance(block, Heading) and block.level == 2]
    return page.get_template("report.html.j2").render(
        report=report,
        style=Markup((HERE / "report.css").read_text(encoding="utf-8")),  # our own, no text of a sweep's
        scripts=[Markup(text) for text, _ in scripts],
        policy=" ".join(f"'sha256-{digest}'" for _, digest in scripts) or "'none'",
        sections=sections if len(sections) >= FEWEST_LINKED else [],
    )


def _has_charts(blocks: Any) -> bool:
    return any(
        (isinstance(block, Figure) and block.spec is not None)
        or (isinstance(block, Folded) and _has_charts(block.blocks))
        for block in blocks
    )


@cache
def _script(name: str) -> tuple[str, str]:
    """A script, and the hash by which the policy lets it run."""
    text = (HERE / name).read_text(encoding="utf-8")
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _kind(block: Block) -> str:
    return type(block).__name__


def _png(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _static(figure: Figure) -> str:
    """A figure as a picture, sharp at every size where it has an SVG."""
    if not figure.svg:
        return _png(figure.png)
    return f"data:image/svg+xml;base64,{base64.b64encode(figure.svg.encode()).decode()}"


def _json(value: Any) -> Markup:
    """JSON inside a script element: no sign of it ends the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)
