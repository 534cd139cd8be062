"""Figures have one source: a head's JSON has what its fit measured, a card what was measured after.

README, docs/weights.md and the cards repeat them; ``shamisa models`` prints those of the JSON.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from shamisa_cli.cli import app

PROJECT = Path(__file__).resolve().parents[1]
README, WEIGHTS = (
    (PROJECT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/weights.md")
)
MODELS = ("duo", "lite0", "fast")
CARDS = {
    model: (PROJECT / "weights" / model / "README.md").read_text(encoding="utf-8")
    for model in MODELS
}


def metrics(model: str, head: str) -> dict[str, float]:
    """What the fit measured."""
    path = PROJECT / "weights" / model / "heads" / f"{head}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))["metrics"])


def cells(text: str, begins: str, after: str = "") -> list[str]:
    """The row of a table whose first cell begins so, without that cell; the first after a text."""
    rows = re.findall(r"^\| *(.*?) *\|$", text[text.index(after) :], flags=re.MULTILINE)
    row = next(row for row in rows if row.startswith(begins))
    return [cell.split(" ±")[0].strip("* ") for cell in row.split("|")][1:]


EXPLAINED = {
    "a part is damaged": "map_pointing",
    "the same of a random map": "map_chance",
    "overlap of the worst": "map_overlap",
    "kind of single damage": "kinds_map_single",
    "two or three kinds together": "kinds_map_few",
    "the engine's compositions": "kinds_map_composition",
    "severity 0.5 or more": "kinds_top",
    "untouched photos": "kinds_accused",
    "severity: mean": "severity_srcc",
}


def test_the_page_on_explanations_says_what_their_files_say() -> None:
    page = (PROJECT / "docs" / "explaining.md").read_text(encoding="utf-8")
    for n, model in enumerate(MODELS):
        path = PROJECT / "weights" / model / "explain.json"
        found = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        assert set(EXPLAINED.values()) == set(found)
        for row, name in EXPLAINED.items():
            assert cells(page, row, "## How right it is")[n] == f"{found[name]:.3f}", (model, name)


def test_the_readme_says_what_the_heads_say() -> None:
    scored = cells(README, "the default head", "SRCC with human scores")
    alone = cells(README, "a head fitted on human scores alone")
    left_out = cells(README, "the default head, ladders left out")
    for n, model in enumerate(MODELS):
        assert scored[n] == f"{metrics(model, 'mixed')['srcc']:.2f}"
        assert alone[n] == f"{metrics(model, 'clive')['srcc']:.2f}"
        assert left_out[n] == f"{metrics(model, 'mixed')['ladder_in_order']:.2f}"


@pytest.mark.parametrize(("n", "model"), list(enumerate(MODELS)))
def test_the_pages_say_what_the_cards_and_the_heads_say(n: int, model: str) -> None:
    card = CARDS[model]
    for head in ("mixed", "clive"):
        of_head = metrics(model, head)
        assert cells(card, f"`{head}`", "## Measured")[0] == f"{of_head['srcc']:.3f}"
    on_ladders = cells(card, "`mixed`", "Severity ladders of 20")
    of_head = metrics(model, "mixed")
    assert on_ladders[4:6] == [f"{of_head[f'ladder_{key}']:.3f}" for key in ("in_order", "tau")]

    in_order = cells(WEIGHTS, "adjacent severity levels in order")[1 + 2 * n]
    assert in_order == on_ladders[0]
    assert cells(README, "the default head, 24 distortions")[n] == f"{float(in_order):.2f}"
    left_out = cells(WEIGHTS, "the same, of ladders left out")[1 + 2 * n]
    assert left_out == f"{of_head['ladder_in_order']:.3f}"

    good, damaged, everyday = (
        cells(card, begins, "What the numbers mean")[1]
        for begins in ("110 good photos", "20 of these", "650 photos")
    )
    assert cells(WEIGHTS, "good photos, strongest damage")[1 + 2 * n] == f"{good}, {damaged}"
    assert cells(WEIGHTS, "650 everyday photos")[1 + 2 * n] == everyday


def test_the_readme_says_what_good_and_everyday_photos_get() -> None:
    """In a sentence, so its numbers are compared in their order: good, damaged, everyday."""
    sentence = README[README.index("Scores are calibrated") : README.index("Each score has")]
    said = [int(number) for number in re.findall(r"\b\d+\b", sentence)]
    card = [
        int(cells(CARDS[model], begins, "What the numbers mean")[1])
        for begins in ("110 good photos", "20 of these", "650 photos")
        for model in MODELS
    ]
    assert said == [110, *card[:3], 20, *card[3:6], 650, *card[6:]]


@pytest.mark.parametrize("model", MODELS)
def test_the_cards_show_the_tables_of_the_heads(model: str) -> None:
    card = CARDS[model]
    for head in ("mixed", "clive"):
        path = PROJECT / "weights" / model / "heads" / f"{head}.json"
        scores = json.loads(path.read_text(encoding="utf-8"))["everyday"]["scores"]
        shown = cells(card, f"`{head}`", "**Better than.**")
        assert shown == [f"{scores[share]:.0f}" for share in (5, 10, 25, 50, 75, 90, 95)]


def test_models_prints_what_the_heads_say() -> None:
    shown = CliRunner().invoke(app, ["models"]).output
    for model in MODELS:
        assert f"ladder_in_order {metrics(model, 'mixed')['ladder_in_order']:.3f}" in shown
