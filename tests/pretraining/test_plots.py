"""Pictures of a run: what they say, and a log without a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from shamisa_cli.distortions.engine import sample_metadata
from shamisa_cli.distortions.layout import BatchLayout, BatchMetadata
from shamisa_cli.distortions.registry import get_entries
from shamisa_cli.imaging.sheet import Row
from shamisa_cli.pretraining import plots
from shamisa_cli.pretraining.plots import (
    GRAPHS,
    SCALES,
    TERMS,
    batch_sheet,
    composition_text,
    plot_run,
)
from shamisa_cli.training.curves import smoothed, window_of

figure_module = pytest.importorskip("matplotlib.figure")


NAMES = ["knn", "ref_ref", "degradation"]


def record(step: int, **changes: Any) -> dict[str, Any]:
    terms = dict.fromkeys(TERMS, 1.0 / step)
    sources = {key: dict(zip(NAMES, (0.5, 0.5, 0.0), strict=True)) for key in GRAPHS}
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
    assert {axes.get_xlabel() for axes in losses.axes} == {"step"}


def test_shares_that_never_change_are_bars_with_their_numbers(
    tmp_path: Path, drawn: dict[str, Any]
) -> None:
    plot_run([record(step) for step in range(1, 9)], tmp_path)
    alpha = drawn["graphs.png"].axes[0]
    assert [label.get_text() for label in alpha.get_yticklabels()] == NAMES
    assert [text.get_text() for text in alpha.texts] == ["0.5", "0.5", "0"]
    assert [bar.get_width() for bar in alpha.patches] == [0.5, 0.5, 0]
    assert alpha.get_xlabel() == "the same at all 8 steps"


def test_numbers_that_change_are_lines_of_different_widths_with_their_last_values(
    tmp_path: Path, drawn: dict[str, Any]
) -> None:
    values = [[10.0 * step, 1000.0, 0.0] for step in range(1, 31)]
    changes = [{"edges": dict(zip(NAMES, each, strict=True))} for each in values]
    plot_run([record(step, **each) for step, each in enumerate(changes, 1)], tmp_path)
    edges = drawn["graphs.png"].axes[1]
    labels = [text.get_text() for text in edges.get_legend().texts]
    assert labels == ["knn: 300", "ref_ref: 1000", "degradation: 0"]
    lines = {line.get_label(): line for line in edges.lines}
    assert len({lines[label].get_linewidth() for label in labels}) == 3  # equal values stay visible
    assert edges.get_yscale() == "log"
    assert lines["knn: 300"].get_ydata() == pytest.approx([each[0] for each in values])


@pytest.mark.parametrize("terms", [("total",), ("total", "contrast"), ("total", "a", "b", "c")])
def test_an_objective_of_other_terms(
    tmp_path: Path, drawn: dict[str, Any], terms: tuple[str, ...]
) -> None:
    plot_run([record(1, a=1, b=2, c=3, contrast=4)], tmp_path, terms)
    assert [axes.get_title() for axes in drawn["losses.png"].axes] == list(terms)


def test_a_run_without_a_step_has_no_curves(tmp_path: Path) -> None:
    assert plot_run([], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("steps", "window"), [(1, 1), (2, 1), (3, 3), (40, 5), (2000, 55)])
def test_smoothed_is_the_mean_around_and_a_line_at_the_ends(steps: int, window: int) -> None:
    assert window_of(steps) == window
    values = np.random.default_rng(steps).normal(size=steps).cumsum()
    half = window // 2
    found = smoothed(values.tolist(), window)
    assert len(found) == steps
    for i in range(half, steps - half):
        assert found[i] == pytest.approx(sum(values[i - half : i + half + 1]) / window)
    if window > 1:
        x = np.arange(window)
        first = np.polynomial.Polynomial.fit(x, values[:window], 1)
        last = np.polynomial.Polynomial.fit(x, values[-window:], 1)
        assert found[:half] == pytest.approx(first(x)[:half])
        assert found[-half:] == pytest.approx(last(x)[-half:])


def test_smoothed_neither_lags_nor_clings_to_the_first_value() -> None:
    falling = [100.0 - step for step in range(80)]
    assert smoothed(falling, 7) == pytest.approx(falling)
    outlier = [1000.0, *falling]
    assert smoothed(outlier, 7)[0] < 700


def test_the_sheet_of_a_mini_batch_rises_in_severity_within_each_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: list[Row] = []
    monkeypatch.setattr(plots, "contact_sheet", lambda found: rows.extend(found))
    layout = BatchLayout(tiny_batches=1, references=2)
    metadata = sample_metadata(layout, torch.Generator().manual_seed(3))
    crops = torch.arange(layout.n).float()[:, None, None, None].expand(-1, 3, 56, 56) / 255
    batch_sheet(crops, metadata, layout)
    assert len(rows) == layout.groups * layout.views
    for k, row in enumerate(rows):
        group, view = divmod(k, layout.views)
        assert row.title.startswith(f"composition group {group + 1} of 4, {SCALES[view]} scale: ")
        assert row.title.count("(varies)") == 1
        assert {picture.size for picture in row.pictures} == {(224, 224)}
        shown = [picture.getpixel((0, 0))[0] for picture in row.pictures]
        places = layout.coordinates[shown].tolist()
        assert places[0] == [0, view, 0, -1, -1]
        assert [place[:4] for place in places[1:]] == [[0, view, 0, group]] * 5
        severities = [float(metadata.varying_severity[0, group, place[4]]) for place in places[1:]]
        assert severities == sorted(severities)
        assert row.captions[0] == "reference"
        for caption, severity in zip(row.captions[1:], severities, strict=True):
            assert caption.startswith(f"severity {severity:.2f}, ")


def test_a_composition_is_told_with_its_units() -> None:
    functions = torch.full((1, 1, 7), -1)
    severities = torch.zeros(1, 1, 2, 7)
    chosen = [("jpeg", 0.5), ("gaussian_blur", 0.75), ("mean_shift-", 1.0)]
    for place, (name, severity) in enumerate(chosen):
        functions[0, 0, place], severities[0, 0, :, place] = get_entries(name)[0], severity
    metadata = BatchMetadata(functions, severities, torch.tensor([[1]]))
    expected = "jpeg (quality 24) → gaussian_blur (varies) → mean_shift (offset −0.185)"
    assert composition_text(metadata, 0, 0) == expected
