"""Fits with ladders against a general-purpose optimizer; heads leak nothing; calibration."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.evaluate import evaluate
from shamisa_cli.evaluation.ridge import fit_ridge
from shamisa_cli.evaluation.splits import random_splits
from shamisa_cli.ladders.fit import (
    ByFeatures,
    ByRows,
    HeadFit,
    LadderTerm,
    ShortDifferences,
    fit_with_ladders,
)
from shamisa_cli.ladders.heads import calibration_knots, divide_ladders, evaluate_with_ladders
from shamisa_cli.ladders.ladder import Ladders, score_ladders
from shamisa_cli.models.head import to_score

SIZE = 7
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
        medians = ".*".join(f"{np.median(each):.1f}" for each in (groups[0], groups[2]))
        with pytest.raises(UsageError, match=f"cannot be calibrated.*{medians}.*weight or drop"):
            calibration_knots(*groups, up)
        return
    knots = calibration_knots(*groups, up)
    assert all(a[0] < b[0] for a, b in pairwise(knots))
    scores = [score for _, score in knots]
    assert scores == sorted(scores, reverse=not up)
    assert {20, 80} <= set(scores)


def _rising_ladders(n: int = 12) -> Ladders:
    """Severity moves the features along a noisy direction that the scores know nothing of."""
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(n, 1, SIZE, generator=generator)
    direction = torch.randn(SIZE, generator=generator)
    steps = torch.linspace(0, 1, 5)[None, :, None] * direction
    noise = 0.1 * torch.randn(n, 5, SIZE, generator=generator)
    return Ladders(start + steps + noise, ("jpeg",) * n, tuple(Path(f"{i}") for i in range(n)))


Scored = tuple[torch.Tensor, torch.Tensor]


def _loss(v: np.ndarray, strength: float, term: LadderTerm, scored: Scored | None = None) -> float:
    """The formula of the module's docstring, by loops."""
    features, scores = scored or _scored()
    w, b = v[:-1], v[-1]
    total = strength * float(w @ w)
    for image, score in zip(features.double().numpy(), scores.double().numpy(), strict=True):
        total += sum((crop @ w + b - score) ** 2 for crop in image)
    rows = features.shape[1] * len(scores)
    pairs = [(ladder[i] - ladder[i + 1]) for ladder in term.ladders.features for i in range(4)]
    gaps = [term.gap] * len(pairs)
    if term.drop:
        pairs += [ladder[0] - ladder[4] for ladder in term.ladders.features]
        gaps += [term.drop] * len(term.ladders.features)
    omega = term.weight * rows / len(pairs)
    for pair, gap in zip(pairs, gaps, strict=True):
        total += omega * max(0.0, gap - float(pair.double().numpy() @ w)) ** 2
    return total


@pytest.mark.parametrize(
    ("weight", "gap", "drop"), [(0.5, 2.0, 0.0), (10.0, 2.0, 12.0), (1.0, 0.1, 5.0)]
)
def test_with_ladders_it_is_the_minimum_of_the_stated_loss(
    weight: float, gap: float, drop: float
) -> None:
    features, scores = _scored()
    term = LadderTerm(_rising_ladders(), weight, gap, drop)
    w, b = fit_with_ladders(features, scores, 0.7, term)
    found = _loss(np.append(w, b), 0.7, term)
    oracle = minimize(_loss, np.zeros(SIZE + 1), args=(0.7, term), options={"gtol": 1e-4})
    assert found == pytest.approx(oracle.fun, rel=1e-6)
    np.testing.assert_allclose(np.append(w, b), oracle.x, atol=1e-3)
    elsewhere = torch.full((SIZE,), -3.0, dtype=torch.float64)
    again, _ = HeadFit(features, scores, ShortDifferences(term)).solve(0.7, start=elsewhere)
    torch.testing.assert_close(again, w)


@pytest.mark.parametrize("seed", [9, 72, 83, 222])
def test_the_minimum_is_found_where_plain_newton_turns_in_a_circle(seed: int) -> None:
    """Differences of very unequal lengths; of these seeds whole steps never end."""
    generator = torch.Generator().manual_seed(seed)
    scored = torch.randn(4, 1, 5, generator=generator), 10 * torch.randn(4, generator=generator)
    steps = torch.randn(2, 5, 5, generator=generator)
    steps *= 10 ** (0.7 * torch.randn(2, 5, 1, generator=generator))
    term = LadderTerm(Ladders(steps.cumsum(1), ("jpeg",) * 2, (Path("a"), Path("b"))), 10.0, 2.0)
    found = np.append(*fit_with_ladders(*scored, 0.01, term))
    lowest = _loss(found, 0.01, term, scored)
    for way in (-1.0, 0.0, 1.0):
        start = np.full(6, way)
        oracle = minimize(_loss, start, args=(0.01, term, scored), options={"gtol": 1e-6})
        assert lowest <= oracle.fun * (1 + 1e-6) + 1e-6
    slope = approx_fprime(found, _loss, 1e-6, 0.01, term, scored)
    assert np.abs(slope).max() < 1e-2


def test_ladders_come_into_order_and_weight_0_changes_nothing() -> None:
    features, scores = _scored()
    ladders = _rising_ladders()
    plain, b = fit_ridge(features, scores, 0.7)
    same, same_b = fit_with_ladders(features, scores, 0.7, LadderTerm(ladders, 0.0, 2.0))
    torch.testing.assert_close(same, plain)
    assert same_b == pytest.approx(b)
    ordered, _ = fit_with_ladders(features, scores, 0.7, LadderTerm(ladders, 10.0, 2.0))
    after, before = (score_ladders(ladders, w)["all"].in_order for w in (ordered, plain))
    assert after > 0.9 > before


@pytest.mark.parametrize("weight", [0.0, 3.0])
def test_by_features_and_by_rows_are_the_same_weights(weight: float) -> None:
    """Also one after the other, where what is kept of the last fit must not show."""
    features, scores = _scored(4)
    differences = ShortDifferences(LadderTerm(_rising_ladders(), weight, 2.0, 9.0))
    rows, targets = features.flatten(0, 1), scores.repeat_interleave(3)
    solvers = [ByFeatures(rows, targets, differences), ByRows(rows, targets, differences)]
    for start in (torch.ones(SIZE), -torch.ones(SIZE), torch.zeros(SIZE)):
        differences.update(start.double())
        one, other = (solver.solve(0.3, weight) for solver in solvers)
        torch.testing.assert_close(one, other)


def test_differences_are_of_neighbors_and_of_both_ends() -> None:
    ladders = _rising_ladders(2)
    levels = ladders.features.double()
    made = ShortDifferences(LadderTerm(ladders, 1.0, 2.0, 9.0))
    assert made.rows.shape == (10, SIZE)
    assert made.gaps.tolist() == [2.0] * 8 + [9.0] * 2
    torch.testing.assert_close(made.rows[5], levels[1, 1] - levels[1, 2])
    torch.testing.assert_close(made.rows[9], levels[1, 0] - levels[1, 4])
    assert ShortDifferences(LadderTerm(ladders, 1.0, 2.0)).gaps.tolist() == [2.0] * 8
