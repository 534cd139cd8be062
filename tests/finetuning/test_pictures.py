"""Pictures of fine-tuning: what stands in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shamisa_cli.finetuning.plots import plot_paired, plot_training
from shamisa_cli.finetuning.study import Outcome, by_share
from shamisa_cli.finetuning.watch import Check
from shamisa_cli.training.log import RunLog

figure_module = pytest.importorskip("matplotlib.figure")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved."""
    figures: list[Any] = []
    save = figure_module.Figure.savefig

    def savefig(self: Any, path: Path, **options: Any) -> None:
        figures.append(self)
        save(self, path, **options)

    monkeypatch.setattr(figure_module.Figure, "savefig", savefig)
    return figures


def outcome(split: int, share: float, probe: float, tuned: float) -> Outcome:
    return Outcome(split, share, 3, [Check(0, 0.5)], 1.0, {"srcc": probe}, {"srcc": tuned})


OUTCOMES = [
    outcome(k, share, probe, tuned)
    for share, pairs in ((0.5, [(0.5, 0.6), (0.6, 0.55)]), (1.0, [(0.7, 0.75), (0.72, 0.8)]))
    for k, (probe, tuned) in enumerate(pairs)
]


def test_a_point_a_split_and_means_by_share(tmp_path: Path, drawn: list[Any]) -> None:
    plot_paired("mine", by_share(OUTCOMES), tmp_path / "out.png")
    assert Image.open(tmp_path / "out.png").width > 1000
    pairs, shares = drawn[0].axes
    points = [line.get_xydata().tolist() for line in pairs.lines]
    assert points[:2] == [[[0.5, 0.6], [0.6, 0.55]], [[0.7, 0.75], [0.72, 0.8]]]
    labels = [text.get_text() for text in pairs.get_legend().get_texts()]
    assert labels == ["50%: 1 of 2 ahead", "100%: 2 of 2 ahead"]
    means = [line.get_xydata() for line in shares.lines if line.get_marker() in "so"]
    assert means[0].ravel().tolist() == pytest.approx([50, 0.55, 100, 0.71])
    assert means[1].ravel().tolist() == pytest.approx([50, 0.575, 100, 0.775])


def test_one_share_has_one_panel(tmp_path: Path, drawn: list[Any]) -> None:
    plot_paired("mine", by_share(OUTCOMES[2:]), tmp_path / "out.svg")
    assert len(drawn[0].axes) == 1


@pytest.mark.parametrize(
    ("terms", "titles"),
    [
        (["regression"], ["regression", "SRCC"]),
        (["regression", "ladder"], ["total", "regression", "ladder", "SRCC"]),
    ],
)
def test_curves_of_a_run(
    tmp_path: Path, drawn: list[Any], terms: list[str], titles: list[str]
) -> None:
    plot_training(tmp_path, [Check(0, 0.5)])
    assert not (tmp_path / "losses.png").exists()  # no step
    log = RunLog(tmp_path / "log.jsonl", 0)
    for step in range(1, 9):
        log.write({"step": step, "total": 1 / step, **dict.fromkeys(terms, 0.5 / step)})
    log.close()
    plot_training(tmp_path, [Check(0, 0.5), Check(4, 0.7), Check(8, 0.6)])
    assert (tmp_path / "losses.png").is_file()
    axes = [each for half in drawn[0].subfigs for each in half.axes]
    assert [each.get_title() for each in axes] == titles
    looks, kept = axes[-1].lines
    assert looks.get_xydata().tolist() == [[0, 0.5], [4, 0.7], [8, 0.6]]
    assert kept.get_xydata().tolist() == [[4, 0.7]]
