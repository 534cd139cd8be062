"""What is read of features and cells, against the same by hand."""

from __future__ import annotations

import pytest
import torch

from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.explaining.kinds import WORDS, KindHeads, Likeness, heard, in_words
from shamisa_cli.explaining.places import PlaceHead, QualityMap, quality_map
from shamisa_cli.explaining.tones import tones
from shamisa_cli.explaining.traces import traces


def kind_heads(threshold: float = 0.6) -> KindHeads:
    detect = torch.tensor([[2.0, 0.0, -1.0], [0.0, 3.0, -2.0]])
    severity = torch.tensor([[0.1, 0.2, 0.3], [9.0, 0.0, 0.0]])
    return KindHeads(("jpeg", "white_noise"), detect, severity, threshold)


def test_every_distortion_has_its_words() -> None:
    assert WORDS.keys() == DISTORTIONS.keys()
    assert len(set(WORDS.values())) == len(WORDS)


def test_kinds_are_logistic_and_sorted() -> None:
    found = kind_heads().read(torch.tensor([0.5, 1.0]))
    assert [each.kind for each in found] == ["white_noise", "jpeg"]
    assert found[0].probability == pytest.approx(1 / (1 + 2.718281828**-1), abs=1e-6)
    assert found[1].probability == pytest.approx(0.5)
    assert found[1].severity == pytest.approx(0.05 + 0.2 + 0.3)
    assert found[0].severity == 1.0, "what lies beyond is clipped"
    assert [each.kind for each in kind_heads().named(found)] == ["white_noise"]
    assert kind_heads(0.9).named(found) == []
    assert in_words(found) == "noise 1.0, JPEG compression 0.6"
    assert in_words([]) == ""
    assert Likeness("not ours", 1, 0).words == "not ours 0.0"


def test_crops_are_heard_as_their_mean_then_tones_and_traces() -> None:
    crops, photo = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.rand(3, 40, 48)
    told = heard(crops, photo)
    assert told[:2].tolist() == [0.5, 1.0]
    torch.testing.assert_close(told[2:], torch.cat([tones(photo), traces(photo)]))


def test_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="both have 2 rows of equal length"):
        KindHeads(("a", "b"), torch.zeros(2, 3), torch.zeros(2, 4), 0.5)
    with pytest.raises(ValueError, match="threshold must be between"):
        kind_heads(1.0)
    with pytest.raises(ValueError, match="shapes do not fit"):
        PlaceHead(torch.zeros(3), torch.ones(3), torch.zeros(2, 6), torch.zeros(3), 80.0)


def place_head(size: int = 3, hidden: int = 4) -> PlaceHead:
    draws = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draws)

    deviation = normal(size).abs() + 0.1
    return PlaceHead(normal(size), deviation, normal(hidden, 2 * size + 1), normal(hidden + 1), 80)


def test_a_place_is_read_beside_the_mean_of_its_photo() -> None:
    head = place_head()
    cells = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(2)) * 3
    found = quality_map(cells, head, 47.0, (160, 64), (160, 64))
    mean = (cells.mean((1, 2)) - head.center) / head.deviation
    for row in range(2):
        for column in range(5):
            cell = (cells[:, row, column] - head.center) / head.deviation
            cell, beside = cell.clamp(-6, 6), mean.clamp(-6, 6)
            inputs = [*cell.tolist(), *(cell - beside).tolist(), 1.0]
            hidden = [
                max(0.0, sum(w * x for w, x in zip(weights.tolist(), inputs, strict=True)))
                for weights in head.hidden
            ]
            wanted = sum(w * x for w, x in zip(head.output.tolist(), [*hidden, 1.0], strict=True))
            assert float(found.points[row, column]) == pytest.approx(wanted, abs=1e-3)
    assert found.base + float(found.points.mean()) + found.left_over == pytest.approx(47.0)


def test_maps_lie_on_the_photo_and_name_their_extremes() -> None:
    points = torch.zeros(3, 4)
    points[0, 0], points[2, 3] = -30.0, 5.0
    quality = QualityMap(points, 80.0, 0.0, (128, 96), (100, 60))  # padded by 14 and 18 px
    view = quality.on_view()
    assert view.shape == (60, 100)
    whole = QualityMap(points, 80.0, 0.0, (128, 96), (128, 96)).on_view()
    torch.testing.assert_close(view, whole[18:78, 14:114])
    assert float(whole.min()) >= -30
    assert float(whole.max()) <= 5
    assert whole[:16, :16].mean() < -20
    assert quality.on_photo((50, 30)).shape == (30, 50)
    worst, best = quality.extremes()
    assert (worst.where, worst.points) == ("upper left", -30.0)
    assert (best.where, best.points) == ("lower right", 5.0)
    center = torch.zeros(3, 3)
    center[1, 1] = -1
    assert QualityMap(center, 0, 0, (9, 9), (9, 9)).extremes()[0].where == "center"
