"""Tones, against the same by sorting pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shamisa_cli.explaining.tones import QUANTILES, TONES, quantiles, shares, tones
from shamisa_cli.imaging.arrays import to_tensor


def by_sorting(photo: Image.Image) -> list[float]:
    """The numbers of :func:`tones` of every second pixel, one by one."""
    pixels = np.asarray(photo)[::2, ::2].reshape(-1, 3).astype(float).tolist()
    luma = [round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in pixels]
    saturation = [round(255 * (max(p) - min(p)) / max(*p, 1)) for p in pixels]
    largest, smallest = [max(p) for p in pixels], [min(p) for p in pixels]
    numbers: list[float] = []
    for levels in (luma, saturation, largest, smallest):
        ordered = sorted(levels)
        q = [ordered[math.ceil(share * len(ordered) - 1e-6) - 1] / 255 for share in QUANTILES]
        numbers += q
        numbers += [math.log(each + 1 / 255) for each in q]
        numbers += [math.log(1 - each + 1 / 255) for each in q]
    ends = ((largest, 255), (smallest, 255), (smallest, 0), (largest, 0))
    return numbers + [math.log(levels.count(end) / len(pixels) + 1e-4) for levels, end in ends]


def test_they_are_those_of_sorted_pixels(sample_photos: list[Image.Image]) -> None:
    for photo in sample_photos:
        small = photo.resize((91, 64))
        found = tones(to_tensor(small))
        assert len(found) == TONES
        assert found.tolist() == pytest.approx(by_sorting(small), abs=0.02)  # ½ of luma rounds


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
def test_quantiles_are_levels_of_the_sorted_values(levels: list[int]) -> None:
    values = torch.tensor(levels).float() / 255
    share = shares(values)
    assert float(share.sum()) == pytest.approx(1)
    ordered = sorted(levels)
    wanted = [ordered[math.ceil(q * len(levels) - 1e-6) - 1] for q in QUANTILES]
    assert (quantiles(share) * 255).round().int().tolist() == wanted


def test_darker_clipped_and_gray_photos_are_told(sample_photos: list[Image.Image]) -> None:
    photo = to_tensor(sample_photos[0])
    count = len(QUANTILES)
    median = QUANTILES.index(0.5)
    as_it_is, darker, gray = (tones(x) for x in (photo, photo / 2, photo[:1].expand(3, -1, -1)))
    assert float(darker[median]) == pytest.approx(float(as_it_is[median]) / 2, abs=2 / 255)
    assert bool((gray[3 * count : 4 * count] == 0).all()), "no saturation"
    brighter = tones((photo * 3).clamp(0, 1))
    assert brighter[-3] > as_it_is[-3] + 1, "more of it is white"
    for flat in (torch.zeros(3, 1, 1), torch.ones(3, 5, 4)):
        assert bool(torch.isfinite(tones(flat)).all())
