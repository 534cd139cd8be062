"""The head's fit against scikit-learn and a general-purpose optimiser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import Ridge

from shamisa_cli.probing.head_fit import (
    HeadFit,
    LadderTerm,
    ShortDifferences,
    adjacent_differences,
    fit_head,
)
from shamisa_cli.probing.ladder import Ladders, evaluate_ladders

SIZE = 7


def _scored(n: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, 3, SIZE, generator=generator)
    return features, 50 + 10 * features[:, :, 0].mean(1) + torch.randn(n, generator=generator)


def _ladders(n: int = 12) -> Ladders:
    """Severity moves the features along a noisy direction that the scores know nothing of."""
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(n, 1, SIZE, generator=generator)
    direction = torch.randn(SIZE, generator=generator)
    steps = torch.linspace(0, 1, 5)[None, :, None] * direction
    noise = 0.1 * torch.randn(n, 5, SIZE, generator=generator)
    return Ladders(start + steps + noise, ("jpeg",) * n, tuple(Path(f"{i}") for i in range(n)))


def _loss(v: np.ndarray, alpha: float, term: LadderTerm) -> float:
    """The formula of the module's docstring, by loops."""
    features, scores = _scored()
    w, b = v[:-1], v[-1]
    total = alpha * float(w @ w)
    for image, score in zip(features.double().numpy(), scores.double().numpy(), strict=True):
        total += sum((crop @ w + b - score) ** 2 for crop in image)
    rows = 3 * len(scores)
    pairs = [(ladder[i] - ladder[i + 1]) for ladder in term.ladders.features for i in range(4)]
    omega = term.weight * rows / len(pairs)
    for pair in pairs:
        total += omega * max(0.0, term.gap - float(pair.double().numpy() @ w)) ** 2
    return total


def test_without_ladders_it_is_ridge() -> None:
    features, scores = _scored()
    w, b = fit_head(features, scores, alpha=0.7)
    oracle = Ridge(alpha=0.7).fit(
        features.double().flatten(0, 1).numpy(), scores.double().repeat_interleave(3).numpy()
    )
    np.testing.assert_allclose(w, oracle.coef_, rtol=1e-8)
    assert b == pytest.approx(oracle.intercept_)


@pytest.mark.parametrize(("weight", "gap"), [(0.5, 2.0), (10.0, 2.0), (1.0, 0.1)])
def test_with_ladders_it_is_the_minimum_of_the_stated_loss(weight: float, gap: float) -> None:
    features, scores = _scored()
    term = LadderTerm(_ladders(), weight, gap)
    w, b = fit_head(features, scores, 0.7, term)
    found = _loss(np.append(w, b), 0.7, term)
    oracle = minimize(_loss, np.zeros(SIZE + 1), args=(0.7, term), options={"gtol": 1e-4})
    assert found == pytest.approx(oracle.fun, rel=1e-6)
    np.testing.assert_allclose(np.append(w, b), oracle.x, atol=1e-3)
    elsewhere = torch.full((SIZE,), -3.0, dtype=torch.float64)
    again, _ = HeadFit(features, scores, ShortDifferences(term)).solve(0.7, start=elsewhere)
    torch.testing.assert_close(again, w)


def test_ladders_come_into_order_and_weight_0_changes_nothing() -> None:
    features, scores = _scored()
    ladders = _ladders()
    shares = {}
    for weight in (0.0, 10.0):
        w, _ = fit_head(features, scores, 0.7, LadderTerm(ladders, weight, 2.0))
        results = evaluate_ladders((ladders.features.double() @ w).numpy(), ladders.distortions)
        shares[weight] = results["all"].in_order
    plain, _ = fit_head(features, scores, 0.7)
    untouched, _ = fit_head(features, scores, 0.7, LadderTerm(ladders, 0.0, 2.0))
    torch.testing.assert_close(untouched, plain)
    assert shares[10.0] > 0.9 > shares[0.0]


def test_differences_are_of_neighbours() -> None:
    ladders = _ladders(2)
    differences = adjacent_differences(ladders)
    assert differences.shape == (8, SIZE)
    torch.testing.assert_close(
        differences[5], (ladders.features[1, 1] - ladders.features[1, 2]).double()
    )
