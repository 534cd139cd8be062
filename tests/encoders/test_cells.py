"""Cells against loops over their windows."""

from __future__ import annotations

import math

import pytest
import torch

from shamisa_cli.encoders.cells import cell_features, cell_size
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import UsageError


def _slow(maps: list[torch.Tensor]) -> torch.Tensor:
    """Mean and deviation of each channel over the cells of each window, one number at a time."""
    rows, columns = maps[-1].shape[2:]
    out = []
    for k, found in enumerate(maps):
        height, width = found.shape[2] // rows, found.shape[3] // columns
        mean = torch.zeros(found.shape[1], rows, columns)
        deviation = torch.zeros_like(mean)
        for r in range(rows):
            for c in range(columns):
                top, left = max(0, r - 1) * height, max(0, c - 1) * width
                bottom, right = min(rows, r + 2) * height, min(columns, c + 2) * width
                values = found[0, :, top:bottom, left:right].flatten(1)
                mean[:, r, c] = values.mean(1)
                deviation[:, r, c] = values.std(1, correction=0)
        out += [mean] if k == len(maps) - 1 else [mean, deviation]
    scaled = []
    for part in out:
        unit = part / part.square().sum(0).sqrt()
        root = math.sqrt(len(part))
        scaled.append(torch.asinh(10 * root * unit) / root)
    return torch.cat(scaled)[None]


def test_cells_are_moments_of_windows() -> None:
    draws = torch.Generator().manual_seed(0)
    maps = [
        torch.randn(1, 3, 12, 16, generator=draws),
        torch.randn(1, 5, 6, 8, generator=draws),
        torch.randn(1, 4, 3, 4, generator=draws),
    ]
    found = cell_features(maps)
    assert found.shape == (1, cell_size([3, 5, 4]), 3, 4)
    torch.testing.assert_close(found, _slow(maps), atol=1e-5, rtol=1e-4)


def test_one_pass_gives_the_same_features_and_cells(sample_photos) -> None:
    torch.manual_seed(0)
    encoder = Encoder.from_name("mobilenetv4_conv_small_035", None, "regions", "scene")
    whole = ViewingProtocol(short_side=96, crop=64, crops="whole", scales=(1.0,))
    extractor = FeatureExtractor(encoder, whole, "cpu", "fp32")
    crops = extractor.cut(sample_photos[0])
    features, cells = extractor.features_and_cells(crops)
    torch.testing.assert_close(features, extractor.features_of([crops])[0], atol=0, rtol=0)
    assert cells.shape[1:] == (3, 5)
    five = FeatureExtractor(encoder, ViewingProtocol(crop=64), "cpu", "fp32")
    assert not five.has_cells
    with pytest.raises(UsageError, match="needs pooling regions and crops whole"):
        five.features_and_cells(five.cut(sample_photos[0]))
