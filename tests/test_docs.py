"""The documentation: examples run, links lead somewhere, the API page is up to date."""

from __future__ import annotations

import doctest
import importlib
import re
import runpy
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
ROOMS = (PROJECT / name for name in ("docs", "plugins", "weights"))
PAGES = sorted([*PROJECT.glob("*.md"), *(page for room in ROOMS for page in room.rglob("*.md"))])


IN_CLI = [f"shamisa_cli{room}" for room in ("", ".scoring.loading", ".scoring.score")]


@pytest.mark.parametrize("name", ["shamisa", *IN_CLI, "shamisa_cli.scoring.scorer"])
def test_the_examples_of_the_public_api_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_relative_links_lead_to_files_and_headings(page: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"\w+:", link):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not heading or heading in _headings(target), link


def test_the_api_page_is_made_from_the_docstrings_of_today() -> None:
    pytest.importorskip("pdoc")
    made = runpy.run_path(str(PROJECT / "docs" / "make_api.py"))["sections"]()
    page = PROJECT / "docs" / "api.md"
    assert "\n".join(made) == page.read_text(encoding="utf-8"), "run python docs/make_api.py"


def _headings(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
