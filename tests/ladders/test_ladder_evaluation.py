"""The protocol with ladders: nothing leaks, and without weight it is the plain protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shamisa_cli.evaluation.evaluate import evaluate
from shamisa_cli.evaluation.splits import random_splits
from shamisa_cli.ladders.differences import LadderTerm
from shamisa_cli.ladders.evaluate import divide_ladders, evaluate_with_ladders, score_ladders
from shamisa_cli.ladders.fit import fit_head
from shamisa_cli.ladders.ladder import Ladders

SIZE = 6
ALPHAS = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64)


def _ladders(n_photos: int, per_photo: int = 2, seed: int = 1) -> Ladders:
    generator = torch.Generator().manual_seed(seed)
    n = n_photos * per_photo
    falling = torch.linspace(1, 0, 5)[None, :, None] * torch.ones(SIZE)
    noise = 0.2 * torch.randn(n, 5, SIZE, generator=generator)
    photos = tuple(Path(f"{i // per_photo}.png") for i in range(n))
    return Ladders(falling + noise, ("jpeg", "darken") * (n // 2), photos)


def _scored(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, 3, SIZE, generator=generator)
    return features, 50 + 10 * features[:, :, 0].mean(1) + 3 * torch.randn(n, generator=generator)


@pytest.mark.parametrize("n_photos", [5, 12, 50])
def test_no_photo_is_in_two_parts(n_photos: int) -> None:
    parts = divide_ladders(_ladders(n_photos))
    photos = [set(part.photos) for part in (parts.fit, parts.choose, parts.test)]
    assert sum(map(len, photos)) == len(set.union(*photos)) == n_photos
    assert len(photos[1]) == len(photos[2]) == round(0.2 * n_photos)
    assert len(parts.fit.features) == 2 * len(photos[0])
    assert set(parts.fit_and_choose.photos) == photos[0] | photos[1]


def test_with_weight_0_it_is_the_plain_protocol_of_the_same_strengths() -> None:
    features, scores = _scored()
    splits = random_splits([str(i) for i in range(60)], n_splits=3)
    plain = evaluate(features, scores, splits, alphas=ALPHAS)
    flat = Ladders(torch.zeros(4, 5, SIZE), ("jpeg",) * 4, (Path("a.png"),) * 4)
    term = LadderTerm(_ladders(5), 0.0, 2.0)
    joint = evaluate_with_ladders(features, scores, splits, term, flat, ALPHAS)
    for a, b in zip(plain, joint, strict=True):
        np.testing.assert_allclose(b.validation, a.validation, atol=1e-9)
        assert b.alpha == a.alpha
        np.testing.assert_allclose(b.predictions, a.predictions)
        assert b.measures == pytest.approx(a.measures)


def test_each_split_is_a_fit_of_its_own() -> None:
    """Starting from another split's weights leaves no trace of that split."""
    features, scores = _scored()
    splits = random_splits([str(i) for i in range(60)], n_splits=3)
    term = LadderTerm(_ladders(5), 5.0, 2.0)
    together = evaluate_with_ladders(features, scores, splits, term, _ladders(4, seed=2), ALPHAS)
    for split, result in zip(splits, together, strict=True):
        w, b = fit_head(features[split.train], scores[split.train], result.alpha, term)
        expected = features[split.test].double().mean(1) @ w + b
        np.testing.assert_allclose(result.predictions, expected, rtol=1e-6)


def test_ladders_are_scored_by_the_regressor() -> None:
    ladders = _ladders(3)
    up = torch.ones(SIZE, dtype=torch.float64)
    results = score_ladders(ladders, up)
    by_hand = (ladders.features.double().sum(-1).diff(dim=1) < 0).double().mean()
    assert results["all"].in_order == pytest.approx(float(by_hand))
    assert score_ladders(ladders, -up)["all"].tau == pytest.approx(-results["all"].tau)
