"""Pictures of a run: what they say, and a log without a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shamisa_cli.pretraining.plots import GRAPHS, TERMS, plot_run, smoothed

figure_module = pytest.importorskip("matplotlib.figure")


def record(step: int, **changes: Any) -> dict[str, Any]:
    terms = dict.fromkeys(TERMS, 1.0 / step)
    sources = {key: {"knn": 0.5, "ref_ref": 0.5, "degradation": 0.0} for key in GRAPHS}
    return {"step": step, **terms, **sources, **changes}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The figures that are saved, by file name."""
    figures: dict[str, Any] = {}
    save = figure_module.Figure.savefig

    def savefig(self: Any, path: Path, **options: Any) -> None:
        figures[path.name] = self
        save(self, path, **options)

    monkeypatch.setattr(figure_module.Figure, "savefig", savefig)
    return figures


def test_every_term_and_every_statistic_has_its_panel(
    tmp_path: Path, drawn: dict[str, Any]
) -> None:
    made = plot_run([record(1), record(2), record(3)], tmp_path)
    assert [path.name for path in made] == ["losses.png", "graphs.png"]
    assert all(Image.open(path).width > 1000 for path in made)
    losses, graphs = drawn["losses.png"], drawn["graphs.png"]
    assert [axes.get_title() for axes in losses.axes] == list(TERMS)
    assert [axes.get_title() for axes in graphs.axes] == list(GRAPHS.values())
    assert {axes.get_xlabel() for axes in [*losses.axes, *graphs.axes]} == {"step"}
    names = ["knn", "ref_ref", "degradation"]
    for axes in graphs.axes:
        assert [line.get_label() for line in axes.lines] == names
        assert len({line.get_linewidth() for line in axes.lines}) == 3  # equal values stay visible
    assert [text.get_text() for text in graphs.legends[0].texts] == names


@pytest.mark.parametrize("terms", [("total",), ("total", "contrast"), ("total", "a", "b", "c")])
def test_an_objective_of_other_terms(
    tmp_path: Path, drawn: dict[str, Any], terms: tuple[str, ...]
) -> None:
    plot_run([record(1, a=1, b=2, c=3, contrast=4)], tmp_path, terms)
    assert [axes.get_title() for axes in drawn["losses.png"].axes] == list(terms)


def test_a_run_without_a_step_has_no_curves(tmp_path: Path) -> None:
    assert plot_run([], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_smoothed_follows_the_formula() -> None:
    assert smoothed([2.0, 4.0, 0.0], decay=0.5) == [2.0, 3.0, 1.5]
