"""How spread out the places of one photo are: the ratio, and on a held-out part."""

from __future__ import annotations

import math

import pytest
import torch
from finetuning_toy import halved

from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.finetuning.kept import keep_early
from shamisa_cli.finetuning.manifold import held_out_spread, spread_ratio


def slow_ratio(h: list[list[float]], image: list[int]) -> float:
    """By loops over pairs."""
    means = []
    for same in (True, False):
        found = []
        for i, a in enumerate(h):
            for j, b in enumerate(h):
                if i < j and (image[i] == image[j]) == same:
                    dot = sum(x * y for x, y in zip(a, b, strict=True))
                    found.append(1 - dot / (math.hypot(*a) * math.hypot(*b)))
        means.append(sum(found) / len(found))
    return means[0] / means[1]


def test_ratio_against_loops() -> None:
    h = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    image = torch.tensor([0, 0, 3, 3, 3, 1, 1, 0, 2])
    assert spread_ratio(h, image) == pytest.approx(slow_ratio(h.tolist(), image.tolist()), 1e-4)


def test_photos_that_are_points_have_none() -> None:
    h = torch.eye(3).repeat_interleave(4, 0)
    assert spread_ratio(h, torch.arange(3).repeat_interleave(4)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("apart", [True, False])
def test_places_of_a_held_out_part(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split, apart: bool
) -> None:
    """Alike pictures of noise: their places differ less than the pictures do."""
    config = halved(method="lml", contrast={"places": 2, "side": 48})
    kept = keep_early(whole, seen, config) if apart else None
    found = held_out_spread(whole, seen, split, config, kept)
    assert set(found) == {"plain", "standard"}
    assert 0 < found["standard"] < 1
    assert found == held_out_spread(whole, seen, split, config, kept)
