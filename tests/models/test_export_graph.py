"""The graph says what the scorer says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import UsageError
from shamisa_cli.models.export import trace
from shamisa_cli.models.export_graph import graph_input, make_graph, sample_inputs
from shamisa_cli.models.head import Head, HeadInfo, to_score
from shamisa_cli.scoring import Scorer, load


@pytest.fixture(scope="module")
def scorer(tiny_model: Path) -> Scorer:
    return load(tiny_model, device="cpu", precision="fp32")


def test_scores_are_those_of_the_scorer(scorer: Scorer, sample_photos: list[Image.Image]) -> None:
    graph = make_graph(scorer.extractor, scorer.head)
    first, second = sample_photos
    photos = [first, second, first.resize((300, 200)), second.resize((90, 60))]
    crops = torch.cat([graph_input(scorer.extractor, photo) for photo in photos])
    assert crops.shape == (4, 5, 2, 3, 224, 224)
    with torch.inference_mode():
        scores, raws = graph(crops)
    wanted = [scorer.score(photo) for photo in photos]
    np.testing.assert_allclose(scores, [each.score for each in wanted], atol=1e-3)
    np.testing.assert_allclose(raws, [each.raw for each in wanted], atol=1e-3)
    assert np.ptp(scores.numpy()) > 1


@pytest.mark.parametrize(
    ("higher_is_better", "calibration"),
    [
        (True, ()),
        (False, ()),
        (True, ((-1.0, 0.0), (0.0, 70.0), (0.5, 75.0), (3.0, 100.0))),
        (False, ((-2.0, 100.0), (1.0, 90.0), (1.5, 5.0))),
    ],
)
def test_raw_predictions_are_mapped_and_clipped_as_the_head_does(
    scorer: Scorer, higher_is_better: bool, calibration: tuple[tuple[float, float], ...]
) -> None:
    info = HeadInfo("x", "x", (-1.0, 2.0), higher_is_better, 9, scorer.head.info.features, 1.0)
    info = dataclasses.replace(info, calibration=calibration)
    crops = sample_inputs(scorer.extractor)[1]
    for bias in (-5.0, -1.2, -0.3, 0.2, 0.9, 1.4, 5.0):
        graph = make_graph(scorer.extractor, Head(scorer.head.weight * 0.01, bias, info))
        with torch.inference_mode():
            scores, raws = graph(crops)
        assert float(scores) == pytest.approx(to_score(float(raws), info.knots).score, abs=1e-3)


def make_model(
    protocol: ViewingProtocol, backbone: str = "test_resnet", **options: Any
) -> tuple[FeatureExtractor, Head]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = Encoder.from_name(backbone, **options).eval()
    return with_head(encoder, protocol)


def with_head(encoder: Encoder, protocol: ViewingProtocol) -> tuple[FeatureExtractor, Head]:
    extractor = FeatureExtractor(encoder, protocol, "cpu", "fp32")
    weight = torch.randn(extractor.size, generator=torch.Generator().manual_seed(1))
    info = HeadInfo("x", "x", (-50.0, 50.0), True, 9, len(weight), 1.0)
    return extractor, Head(weight, 1.0, info)


def test_stages_and_tiles(sample_photos: list[Image.Image]) -> None:
    protocol = ViewingProtocol(short_side=None, crop=64, crops="tiles", scales=(1.0, 0.5, 0.25))
    extractor, head = make_model(protocol, pooling="log_stages")
    photo = sample_photos[0].resize((200, 100))
    crops = graph_input(extractor, photo)
    assert crops.shape == (1, 8, 3, 3, 64, 64)
    with torch.inference_mode():
        scores, _ = make_graph(extractor, head)(crops)
    assert float(scores) == pytest.approx(head.score(extractor.features(photo)).score, abs=1e-3)


def test_scene_statistics_and_any_number_of_photos_can_be_traced() -> None:
    protocol = ViewingProtocol(short_side=256, crop=64)
    extractor, head = make_model(protocol, pooling="log_stages", statistics="scene")
    compare_traced(extractor, head)


class TwoMaps(nn.Module):
    """A backbone as timm makes them, with few layers, as each of them costs a trace seconds."""

    num_features = 8

    def __init__(self) -> None:
        super().__init__()
        self.pretrained_cfg: dict[str, Any] = {}
        self.first = Conv2dSame(3, 8, 3, 2, bias=False)
        self.second = nn.Conv2d(8, 8, 3, 2, padding=1)

    def forward_intermediates(self, x: Tensor, *, intermediates_only: bool) -> list[Tensor]:
        first = F.relu(self.first(x))
        return [first, F.relu(self.second(first))]


def test_whole_photos_of_any_size_can_be_traced() -> None:
    """Even where padding depends on the size, as of tf_ networks."""
    protocol = ViewingProtocol(short_side=256, crops="whole", scales=(1.0,))
    with torch.random.fork_rng():
        torch.manual_seed(7)
        encoder = Encoder(TwoMaps(), pooling="regions", statistics="scene").eval()
    compare_traced(*with_head(encoder, protocol))


def compare_traced(extractor: FeatureExtractor, head: Head) -> None:
    graph, inputs = make_graph(extractor, head), sample_inputs(extractor)
    traced = trace(graph, inputs[0][:2]).module()
    with torch.inference_mode():
        for some in inputs:
            torch.testing.assert_close(traced(some)[1], graph(some)[1], rtol=1e-3, atol=1e-3)


def test_a_whole_photo_has_the_score_of_the_scorer(sample_photos: list[Image.Image]) -> None:
    protocol = ViewingProtocol(short_side=256, crops="whole", scales=(1.0,))
    extractor, head = make_model(protocol, pooling="regions", statistics="scene")
    pixels = graph_input(extractor, sample_photos[0])
    assert pixels.shape == (1, 3, 256, 384)
    with torch.inference_mode():
        score, _ = make_graph(extractor, head)(pixels)
    wanted = head.score(extractor.features(sample_photos[0])).score
    assert float(score) == pytest.approx(wanted, abs=1e-3)


def test_whole_photos_at_several_scales_have_no_graph(scorer: Scorer) -> None:
    protocol = dataclasses.replace(scorer.extractor.protocol, crops="whole")
    whole = FeatureExtractor(scorer.extractor.encoder, protocol, "cpu", "fp32")
    with pytest.raises(UsageError, match="one scale"):
        make_graph(whole, scorer.head)
