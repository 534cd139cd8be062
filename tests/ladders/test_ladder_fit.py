"""The fit with ladders against a general-purpose optimizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime, minimize

from shamisa_cli.evaluation.ridge import fit_ridge
from shamisa_cli.ladders.fit import (
    ByFeatures,
    ByRows,
    HeadFit,
    LadderTerm,
    ShortDifferences,
    fit_with_ladders,
)
from shamisa_cli.ladders.ladder import Ladders, score_ladders

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
    term = LadderTerm(_ladders(), weight, gap, drop)
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
    ladders = _ladders()
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
    differences = ShortDifferences(LadderTerm(_ladders(), weight, 2.0, 9.0))
    rows, targets = features.flatten(0, 1), scores.repeat_interleave(3)
    solvers = [ByFeatures(rows, targets, differences), ByRows(rows, targets, differences)]
    for start in (torch.ones(SIZE), -torch.ones(SIZE), torch.zeros(SIZE)):
        differences.update(start.double())
        one, other = (solver.solve(0.3, weight) for solver in solvers)
        torch.testing.assert_close(one, other)


def test_differences_are_of_neighbors_and_of_both_ends() -> None:
    ladders = _ladders(2)
    levels = ladders.features.double()
    made = ShortDifferences(LadderTerm(ladders, 1.0, 2.0, 9.0))
    assert made.rows.shape == (10, SIZE)
    assert made.gaps.tolist() == [2.0] * 8 + [9.0] * 2
    torch.testing.assert_close(made.rows[5], levels[1, 1] - levels[1, 2])
    torch.testing.assert_close(made.rows[9], levels[1, 0] - levels[1, 4])
    assert ShortDifferences(LadderTerm(ladders, 1.0, 2.0)).gaps.tolist() == [2.0] * 8
