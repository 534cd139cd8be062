"""Fits with lessons against a general-purpose optimizer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime, minimize
from torch import Tensor

from shamisa_cli.evaluation.ridge import fit_ridge
from shamisa_cli.ladders.fit import (
    HeadFit,
    Lessons,
    LessonSums,
    Term,
    fit_with_lessons,
    join_terms,
    no_term,
    principal_directions,
)

SIZE = 7
Scored = tuple[Tensor, Tensor]


def scored(n: int = 60) -> Scored:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, 3, SIZE, generator=generator)
    return features, 50 + 10 * features[:, :, 0].mean(1) + 3 * torch.randn(n, generator=generator)


def term(
    weight: float, seed: int, wanted: float, n: int = 20, size: int = SIZE, scale: float = 1.0
) -> Term:
    generator = torch.Generator().manual_seed(seed)
    rows, shares = torch.randn(n, size, generator=generator), torch.rand(n, generator=generator)
    spread = torch.randn(n, generator=generator)
    return Term(scale * rows.double(), (wanted + spread).double(), shares.double() + 0.1, weight)


def lessons(pairs: float, proxies: float = 0.0, changes: float = 0.0) -> Lessons:
    still = term(changes, 3, 0.0)
    nothing = torch.zeros_like(still.wanted)
    return Lessons(
        term(pairs, 1, 2.0),
        term(proxies, 2, 40.0),
        Term(still.rows, nothing, still.shares, changes),
    )


def projected(of: Lessons, basis: Tensor) -> Lessons:
    parts = (replace(each, rows=each.rows @ basis) for each in (of.pairs, of.proxies, of.changes))
    return Lessons(*parts)


def _loss(v: np.ndarray, strength: float, of: Lessons, images: Scored | None = None) -> float:
    """The formula of the module's docstring, by loops."""
    features, scores = images or scored()
    w, b = v[:-1], v[-1]
    total = strength * float(w @ w)
    for image, score in zip(features.double().numpy(), scores.double().numpy(), strict=True):
        total += sum((crop @ w + b - score) ** 2 for crop in image)
    crops = features.shape[1] * len(scores)
    for kind in ("pairs", "proxies", "changes"):
        each: Term = getattr(of, kind)
        for row, wanted, share in zip(each.rows, each.wanted, each.shares, strict=True):
            value = float(row.numpy() @ w) + (b if kind == "proxies" else 0.0)
            off = float(wanted) - value
            if kind == "pairs":
                off = max(0.0, off)
            total += each.weight * crops * float(share / each.shares.sum()) * off**2
    return total


@pytest.mark.parametrize(
    "weights",
    [(0.5, 0.0, 0.0), (10.0, 0.0, 0.0), (0.0, 0.7, 0.0), (0.0, 0.0, 2.0), (3.0, 0.4, 1.0)],
)
def test_it_is_the_minimum_of_the_stated_loss(weights: tuple[float, float, float]) -> None:
    features, scores = scored()
    of = lessons(*weights)
    w, b = fit_with_lessons(features, scores, 0.7, of)
    found = _loss(np.append(w, b), 0.7, of)
    oracle = minimize(_loss, np.zeros(SIZE + 1), args=(0.7, of), options={"gtol": 1e-4})
    assert found == pytest.approx(oracle.fun, rel=1e-6)
    np.testing.assert_allclose(np.append(w, b), oracle.x, atol=2e-3)
    elsewhere = torch.full((SIZE,), -3.0, dtype=torch.float64)
    again, _ = HeadFit(features, scores, LessonSums(of)).solve(0.7, start=elsewhere)
    torch.testing.assert_close(again, w)


@pytest.mark.parametrize("seed", [9, 72, 83, 222])
def test_the_minimum_is_found_where_plain_newton_turns_in_a_circle(seed: int) -> None:
    """Differences of very unequal lengths; of these seeds whole steps never end."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(4, 1, 5, generator=generator), 10 * torch.randn(4, generator=generator)
    steps = torch.randn(2, 5, 5, generator=generator)
    steps *= 10 ** (0.7 * torch.randn(2, 5, 1, generator=generator))
    rows = -steps[:, 1:].flatten(0, 1).double()
    ones = torch.ones(len(rows), dtype=torch.float64)
    of = Lessons(Term(rows, 2 * ones, ones, 10.0), no_term(5), no_term(5))
    found = np.append(*fit_with_lessons(*images, 0.01, of))
    lowest = _loss(found, 0.01, of, images)
    for way in (-1.0, 0.0, 1.0):
        start = np.full(6, way)
        oracle = minimize(_loss, start, args=(0.01, of, images), options={"gtol": 1e-6})
        assert lowest <= oracle.fun * (1 + 1e-6) + 1e-6
    slope = approx_fprime(found, _loss, 1e-6, 0.01, of, images)
    assert np.abs(slope).max() < 1e-2


def test_weight_0_changes_nothing() -> None:
    features, scores = scored()
    plain, b = fit_ridge(features, scores, 0.7)
    same, same_b = fit_with_lessons(features, scores, 0.7, lessons(0.0))
    torch.testing.assert_close(same, plain)
    assert same_b == pytest.approx(b)


def test_each_term_does_what_it_says() -> None:
    features, scores = scored()
    plain, b = fit_ridge(features, scores, 0.7)
    of = lessons(1e3)
    pairs, _ = fit_with_lessons(features, scores, 0.7, of)
    short = [
        float((of.pairs.wanted - of.pairs.rows @ w).clamp_min(0).mean()) for w in (pairs, plain)
    ]
    assert short[0] < 0.5 * short[1]
    of = lessons(0.0, proxies=1e3)
    proxies, b_proxies = fit_with_lessons(features, scores, 0.7, of)
    missed = [
        float((of.proxies.rows @ w + bias - of.proxies.wanted).abs().mean())
        for w, bias in ((proxies, b_proxies), (plain, b))
    ]
    assert missed[0] < 0.2 * missed[1]
    of = lessons(0.0, changes=1e3)
    changes, _ = fit_with_lessons(features, scores, 0.7, of)
    moved = [float((of.changes.rows @ w).abs().mean()) for w in (changes, plain)]
    assert moved[0] < 0.05 * moved[1]


def test_fits_one_after_the_other_leave_no_trace() -> None:
    features, scores = scored()
    of = lessons(10.0, 0.3, 1.0)
    sums = LessonSums(of)
    for some in (slice(0, 30), slice(20, 60), slice(0, 30)):
        shared = HeadFit(features[some], scores[some], sums).solve(0.7)
        alone = fit_with_lessons(features[some], scores[some], 0.7, of)
        torch.testing.assert_close(shared, alone)


def test_joined_terms_keep_their_shares() -> None:
    one, other = term(1.0, 1, 2.0, n=3), term(1.0, 2, 5.0, n=4)
    joined = join_terms([(each.rows, each.wanted, each.shares) for each in (one, other)], 6.0)
    assert joined.rows.shape == (7, SIZE)
    factors = joined.factors(10)
    assert float(factors.sum()) == pytest.approx(60.0)
    torch.testing.assert_close(factors[:3] / factors[3:4], one.shares / other.shares[:1])


def test_directions_are_those_of_the_products_of_features() -> None:
    """Of more rows than features, and of fewer; of rows that are the same there are fewer."""
    draws = torch.Generator().manual_seed(6)
    scales = torch.arange(1, 10).flip(0)
    for count, found in ((30, 4), (7, 4), (3, 3)):
        rows = torch.randn(count, 9, generator=draws) * scales
        basis = principal_directions([rows[:2], rows[2:]], 4)
        assert basis.shape == (9, found)
        torch.testing.assert_close(basis.T @ basis, torch.eye(found).double())
        wanted = torch.linalg.svd(rows.double(), full_matrices=False)[2][:4].T
        torch.testing.assert_close(basis @ basis.T, wanted @ wanted.T)
    assert principal_directions([rows, rows], 9).shape == (9, 3)


def test_within_the_span_of_all_rows_nothing_is_lost() -> None:
    """Rows in five of seven dimensions: five directions hold them, and the fit is the same."""
    features, scores = scored(20)
    plane = torch.linalg.qr(torch.randn(SIZE, 5, generator=torch.Generator().manual_seed(5)))[0]
    flat = features @ plane @ plane.T
    of = projected(lessons(3.0, 0.4, 1.0), (plane @ plane.T).double())
    rows = [flat.flatten(0, 1), of.pairs.rows, of.proxies.rows, of.changes.rows]
    basis = principal_directions(rows, 5)
    torch.testing.assert_close(basis.T @ basis, torch.eye(5).double())
    w, b = fit_with_lessons(flat, scores, 0.7, of)
    reduced, reduced_b = fit_with_lessons(flat.double() @ basis, scores, 0.7, projected(of, basis))
    torch.testing.assert_close(basis @ reduced, w, rtol=1e-5, atol=1e-5)
    assert reduced_b == pytest.approx(b, rel=1e-6)
