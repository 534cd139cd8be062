"""Heads with ladders: nothing leaks, weight 0 changes nothing, calibrated medians are in place."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.evaluate import evaluate
from shamisa_cli.evaluation.splits import random_splits
from shamisa_cli.ladders.fit import LadderTerm, fit_with_ladders
from shamisa_cli.ladders.heads import calibration_knots, divide_ladders, evaluate_with_ladders
from shamisa_cli.ladders.ladder import Ladders, score_ladders
from shamisa_cli.models.head import to_score

SIZE = 6
STRENGTHS = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64)


STRONGEST, EVERYDAY, PRISTINE = (np.array(x) for x in ([10.0, 30, 50], [40.0, 55, 90], [60.0, 70]))
raws = st.lists(st.floats(-1e3, 1e3).map(lambda v: round(v, 2)), min_size=1, max_size=9)


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
    photos = [set(part.photos) for part in parts]
    assert sum(map(len, photos)) == len(set.union(*photos)) == n_photos
    assert len(photos[1]) == len(photos[2]) == round(0.2 * n_photos)
    assert len(parts[0].features) == 2 * len(photos[0])


def test_weight_0_is_the_plain_evaluation_with_the_same_strengths() -> None:
    features, scores = _scored()
    splits = random_splits([str(i) for i in range(60)], n_splits=3)
    plain = evaluate(features, scores, splits, STRENGTHS)
    flat = Ladders(torch.zeros(4, 5, SIZE), ("jpeg",) * 4, (Path("a.png"),) * 4)
    term = LadderTerm(_ladders(5), 0.0, 2.0)
    weighted = evaluate_with_ladders(features, scores, splits, term, flat, STRENGTHS)
    for a, b in zip(plain, weighted, strict=True):
        np.testing.assert_allclose(b.validation, a.validation, atol=1e-9)
        assert b.strength == a.strength
        np.testing.assert_allclose(b.predictions, a.predictions)
        assert b.measures == pytest.approx(a.measures)


def test_each_split_is_a_fit_of_its_own() -> None:
    """Starting from another split's weights leaves no trace of that split."""
    features, scores = _scored()
    splits = random_splits([str(i) for i in range(60)], n_splits=3)
    term = LadderTerm(_ladders(5), 5.0, 2.0)
    each = evaluate_with_ladders(features, scores, splits, term, _ladders(4, seed=2), STRENGTHS)
    for split, result in zip(splits, each, strict=True):
        w, b = fit_with_ladders(features[split.train], scores[split.train], result.strength, term)
        expected = features[split.test].double().mean(1) @ w + b
        np.testing.assert_allclose(result.predictions, expected, rtol=1e-6)


def test_ladders_are_scored_by_the_regressor() -> None:
    ladders = _ladders(3)
    up = torch.ones(SIZE, dtype=torch.float64)
    results = score_ladders(ladders, up)
    by_hand = (ladders.features.double().sum(-1).diff(dim=1) < 0).double().mean()
    assert results["all"].in_order == pytest.approx(float(by_hand))
    assert score_ladders(ladders, -up)["all"].tau == pytest.approx(-results["all"].tau)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_medians_are_at_20_and_80(sign: int) -> None:
    knots = calibration_knots(sign * STRONGEST, sign * EVERYDAY, sign * PRISTINE, sign > 0)
    for raw, score in ((30, 20), (65, 80), (47.5, 50)):
        assert to_score(sign * raw, knots).score == pytest.approx(score)


def test_hardly_any_picture_is_beyond_the_ends() -> None:
    draw = np.random.default_rng(0).normal
    strongest, everyday, pristine = (draw(mean, 15, 1000) for mean in (30, 55, 70))
    knots = calibration_knots(strongest, everyday, pristine)
    for group, end in (((strongest, everyday), 0), ((everyday, pristine), 100)):
        scores = [to_score(raw, knots).score for raw in np.concatenate(group)]
        assert sum(score == end for score in scores) == 10


@given(raws, raws, raws, st.booleans())
def test_it_is_monotone_or_refused(
    strongest: list[float], everyday: list[float], pristine: list[float], up: bool
) -> None:
    sign = 1 if up else -1
    groups = [sign * np.array(each) for each in (strongest, everyday, pristine)]
    if not np.median(strongest) < np.median(pristine):
        with pytest.raises(UsageError, match="cannot be calibrated"):
            calibration_knots(*groups, up)
        return
    knots = calibration_knots(*groups, up)
    assert all(a[0] < b[0] for a, b in pairwise(knots))
    scores = [score for _, score in knots]
    assert scores == sorted(scores, reverse=not up)
    assert {20, 80} <= set(scores)


def test_the_refusal_says_what_the_medians_are() -> None:
    with pytest.raises(UsageError, match=r"is 30\.0, for good photos 20\.0.*weight or drop"):
        calibration_knots(np.array([30.0]), np.array([25.0]), np.array([20.0]))
