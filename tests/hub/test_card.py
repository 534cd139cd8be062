"""Model cards: the figures are the heads', what a person wrote stays."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.errors import ShamisaError
from shamisa_cli.hub.names import HubName
from shamisa_cli.models.card import dead_links, updated_card
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.everyday import Everyday
from shamisa_cli.models.head import HeadInfo
from shamisa_cli.models.names import bundled_folder, bundled_models

NAME = HubName("me", "tiny")
CONFIG = ModelConfig("tiny", "test_resnet", 8, default_head="koniq")
HEADS = [
    HeadInfo("koniq", "koniq", (0, 100), True, 10073, 16, 1.0, {"srcc": 0.912345, "plcc": 0.93}),
    HeadInfo("own", "my own photos", (1, 5), True, 40, 16, 1.0, {"srcc": 0.5}),
]


def parts(card: str) -> tuple[dict, str]:
    """The metadata and the text, split by hand."""
    match = re.fullmatch(r"---\n(.*?)\n---\n(.*)", card, re.DOTALL)
    assert match is not None
    return yaml.safe_load(match[1]), match[2]


def figures(data: dict) -> dict[tuple[str, str], float]:
    return {
        (result["dataset"].get("config", ""), metric["type"]): metric["value"]
        for model in data["model-index"]
        for result in model["results"]
        for metric in result["metrics"]
    }


def test_a_new_card_says_what_is_known() -> None:
    card = updated_card(None, CONFIG, HEADS, NAME)
    data, text = parts(card)
    assert data["license"] == "apache-2.0"
    assert data["library_name"] == "shamisa"
    assert data["pipeline_tag"] == "image-classification"
    assert "image-quality-assessment" in data["tags"]
    assert data["datasets"] == ["koniq"]
    assert figures(data) == {
        ("head koniq", "srcc"): 0.9123,
        ("head koniq", "plcc"): 0.93,
        ("head own", "srcc"): 0.5,
    }
    assert updated_card(card, CONFIG, HEADS, NAME) == card
    assert "model-index" not in parts(updated_card(None, CONFIG, [], NAME))[0]
    for words in ("# tiny", "shamisa pull hf://me/tiny", "| `koniq` (default) |", "my own photos"):
        assert words in text


def test_a_new_card_has_the_scores_of_everyday_photos() -> None:
    table = Everyday("9 photos of mine", tuple(n / 2 for n in range(101)))
    card = updated_card(None, CONFIG, [replace(HEADS[0], everyday=table), HEADS[1]], NAME)
    assert "| `koniq` | 9 photos of mine | 2 | 5 | 12 | 25 | 38 | 45 | 48 |\n" in card
    assert "| `own` | 9" not in card
    assert "everyday" not in updated_card(None, CONFIG, HEADS, NAME)


def test_the_metadata_of_a_person_stays() -> None:
    mine = (
        "---\nlicense: mit\ntags: [photos, shamisa]\ndatasets: me/photos\nfunny: {a: 1}\n"
        "model-index:\n- name: Mine\n  results:\n  - task: {type: x}\n"
        "    dataset: {type: kadid, name: KADID-10k}\n    metrics: [{type: srcc, value: 0.7}]\n"
        "  - task: {type: x}\n    dataset: {type: koniq, name: koniq, config: head gone}\n"
        "    metrics: [{type: srcc, value: 0.1}]\n  - task: {type: x}\n"
        "    dataset: {type: koniq, name: koniq, config: 2024}\n"
        "    metrics: [{type: srcc, value: 0.2}]\n---\n\n# Mine\n"
    )
    data, text = parts(updated_card(mine, CONFIG, HEADS, NAME))
    assert data["license"] == "mit"
    assert data["tags"][:2] == ["photos", "shamisa"]
    assert data["tags"].count("shamisa") == 1
    assert data["datasets"] == ["me/photos", "koniq"]
    assert data["funny"] == {"a": 1}
    assert figures(data)["", "srcc"] == 0.7
    assert figures(data)[2024, "srcc"] == 0.2  # type: ignore[index]
    assert ("head gone", "srcc") not in figures(data)
    assert data["model-index"][0]["name"] == "Mine"
    assert text == "\n# Mine\n"
    assert (
        parts(updated_card(mine, CONFIG, HEADS, NAME, "mine: [all"))[0]["license"] == "mine: [all"
    )


def test_links_to_what_does_not_travel_are_dead() -> None:
    card = (
        "[a](../../README.md) [b](https://x.org/y) [c](#part) [d](./heads/koniq.json#strength) "
        "![e](map%201.png) [f](docs/more.md 'title') [g](mailto:me@x.org) [h](../../README.md)"
    )
    files = ["heads/koniq.json", "map 1.png"]
    assert dead_links(card, files) == ["../../README.md", "docs/more.md"]
    assert "map%201.png" in dead_links(card, files[:1])


bodies = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=80)


@settings(max_examples=40)
@given(bodies.filter(lambda text: not text.lstrip().startswith("---")), st.booleans())
def test_the_text_stays_as_it_is(body: str, with_metadata: bool) -> None:
    card = f"---\nlicense: mit\n---\n{body}" if with_metadata else body
    made = updated_card(card, CONFIG, HEADS, NAME)
    assert made.endswith(f"\n---\n{body}")


@pytest.mark.parametrize(
    "card", ["---\nlicense: [\n---\n", "---\n- a\n---\n", "---\nmodel-index: [{}]\n---\n"]
)
def test_metadata_that_cannot_be_read_is_told(card: str) -> None:
    with pytest.raises(ShamisaError, match=r"README\.md: its metadata cannot be read"):
        updated_card(card, CONFIG, HEADS, NAME)


COLUMNS = {
    "strength": "strength",
    "SRCC": "srcc",
    "PLCC": "plcc",
    "PLCC logistic": "plcc_logistic",
    "KRCC": "krcc",
    "RMSE": "rmse",
    "in order, left out": "ladder_in_order",
    "Kendall τ, left out": "ladder_tau",
    "covered": "uncertainty_coverage",
    "SRCC with error": "uncertainty_srcc",
}
"""Columns of the bundled models' cards whose figures are in the heads' files."""


@pytest.mark.parametrize("model", bundled_models())
def test_the_figures_of_a_bundled_card_are_those_of_its_heads(model: str) -> None:
    folder = bundled_folder() / model
    facts = {}
    for path in folder.glob("heads/*.json"):
        info = json.loads(path.read_text())
        facts[path.stem] = {"strength": info["strength"], **info["metrics"]}
    compared = set()
    header: list[str] = []
    for line in (folder / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line[:1] == "|" else []
        header = header if header and cells else cells  # the first line of a table
        head = re.fullmatch(r"`([\w-]+)`(?: \(default\))?", cells[0]) if cells else None
        for column, cell in zip(header, cells, strict=True) if head else ():
            if column in COLUMNS and cell != "–":
                figure = cell.split()[0]  # without ±
                stored = facts[head[1]][COLUMNS[column]]
                decimals = len(figure.partition(".")[2])
                assert f"{stored:.{decimals}f}" == figure, (model, head[1], column)
                compared.add((head[1], COLUMNS[column]))
    assert compared == {(name, key) for name, figures in facts.items() for key in figures}
