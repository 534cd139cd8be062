"""The page: data as JSON, style and script inline, and a policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from shamisa_cli import __version__
from shamisa_cli.files import MARK
from shamisa_cli.scoring.score import COLUMNS
from shamisa_cli.spelling import escape_name

SHOWS = ("gone", "thumb", "large", "file", "map")
"""What the page has beside the columns of a row: why no picture, and URLs."""

_WEB = Path(__file__).with_name("web")
_STYLES = ("colors.css", "layout.css", "photos.css")
_SCRIPTS = (
    "data.js",
    "storage.js",
    "marks.js",
    "filters.js",
    "histogram.js",
    "grid.js",
    "viewer.js",
    "keys.js",
    "main.js",
)
"""In this order they make one script: each uses what stands before it."""


def page_data(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the script reads: names of columns, and the values of every photo in their order."""
    columns = [*COLUMNS, *SHOWS]
    return {"columns": columns, "rows": [[entry[name] for name in columns] for entry in entries]}


def render(data: dict[str, Any], name: str) -> str:
    """The page on ``data``, titled ``name``.

    Jinja2 escapes texts for HTML, and in the JSON every ``<``, ``>``, ``&`` and ``'``.
    """
    style = _joined(_STYLES)
    script = f'"use strict";\n(() => {{\n{_joined(_SCRIPTS)}}})();\n'
    loader = FileSystemLoader(_WEB, encoding="utf-8")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html").render(
        name=escape_name(name),
        mark=f"shamisa {__version__}, {MARK}",
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=data,
    )


def _joined(names: Sequence[str]) -> str:
    return "\n".join((_WEB / name).read_text(encoding="utf-8") for name in names)


def _policy(style: str, script: str) -> str:
    """A content security policy: this style, this script, pictures inside and in files."""
    allowed = {
        "default-src": "'none'",
        "style-src": _digest(style),
        "script-src": _digest(script),
        "img-src": "data: file: 'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{what} {which}" for what, which in allowed.items())


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
