"""Uncertainty: likeliest sizes of known errors, bootstraps of a plain fit, points on the scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from shamisa_cli.evaluation.evaluate import evaluate
from shamisa_cli.evaluation.ridge import fit_ridge
from shamisa_cli.evaluation.splits import random_splits
from shamisa_cli.evaluation.uncertainty import (
    Fit,
    bootstrap,
    estimate_uncertainty,
    most_likely,
    with_uncertainty,
)
from shamisa_cli.models.head import Head, HeadInfo, spread_of, to_score

INFO = HeadInfo("a", "b", (0.0, 100.0), True, 9, 6, 1.0)


def test_the_sizes_of_known_errors_are_found() -> None:
    draw = np.random.default_rng(0)
    spreads = draw.uniform(0.5, 6.0, 20000)
    errors = draw.normal(0, np.hypot(3.0, 2.0 * spreads))
    floor, factor = most_likely(errors, spreads)
    assert floor == pytest.approx(3.0, rel=0.05)
    assert factor == pytest.approx(2.0, rel=0.05)


def test_a_spread_that_says_nothing_gets_no_factor() -> None:
    draw = np.random.default_rng(0)
    floor, factor = most_likely(draw.normal(0, 5, 20000), draw.uniform(0.5, 1.5, 20000))
    assert np.hypot(floor, factor) == pytest.approx(5.0, rel=0.05)
    assert factor < 1.0


def _scored(n: int = 120) -> tuple[Tensor, Tensor]:
    """Every third image lies far out along directions that the others hardly tell of."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, 6, generator=generator)
    features[::3, 3:] *= 6
    true = torch.tensor([5.0, -3.0, 2.0, 1.0, 0.5, -1.0])
    noise = torch.randn(n, generator=generator) * torch.where(torch.arange(n) % 3 == 0, 9.0, 3.0)
    return features.double(), (50 + features @ true + noise).double()


def fit_on(features: Tensor, scores: Tensor) -> Fit:
    def fit(images: Tensor, strength: float, start: Tensor | None) -> tuple[Tensor, float]:
        return fit_ridge(features[images][:, None], scores[images], strength)

    return fit


def test_bootstraps_are_fits_to_other_draws_of_the_images() -> None:
    features, scores = _scored()
    images = torch.arange(0, 120, 2)
    fit = fit_on(features, scores)
    drawn = bootstrap(fit, images, 0.5, 3, torch.Generator().manual_seed(4))
    generator = torch.Generator().manual_seed(4)
    w, b = fit_ridge(features[images][:, None], scores[images], 0.5)
    for row in drawn:
        at = images[torch.randint(60, (60,), generator=generator)]
        other, bias = fit_ridge(features[at][:, None], scores[at], 0.5)
        torch.testing.assert_close(row, torch.cat([other - w, torch.tensor([bias - b])]).double())
    by_hand = [(features[7] @ row[:-1] + row[-1]).square() for row in drawn]
    found = float(spread_of(features, drawn)[7])
    assert found == pytest.approx(float(torch.stack(by_hand).mean().sqrt()))


def test_unseen_errors_are_covered_and_larger_ones_announced() -> None:
    features, scores = _scored(600)
    splits = random_splits([str(i) for i in range(600)], n_splits=5)
    results = evaluate(features[:, None].float(), scores, splits)
    found = estimate_uncertainty(features, scores, splits, results, 1.0, fit_on(features, scores))
    assert found.spread.shape == (16, 7)
    assert found.coverage == pytest.approx(0.68, abs=0.1)
    assert found.agreement > 0.2
    head = with_uncertainty(Head(torch.zeros(6), 50.0, INFO), found)
    near, far = torch.zeros(1, 6), torch.full((1, 6), 30.0)
    sizes = [head.score(each).uncertainty for each in (near, far)]
    assert sizes[0] is not None
    assert sizes[1] is not None
    assert sizes[0] < sizes[1]
    assert head.info.metrics["uncertainty_coverage"] == found.coverage


@pytest.mark.parametrize("up", [True, False])
def test_points_are_half_of_what_the_scale_makes_of_both_sides(up: bool) -> None:
    knots = ((0.0, 0.0), (50.0, 20.0), (100.0, 100.0))
    if not up:
        knots = ((0.0, 100.0), (50.0, 80.0), (100.0, 0.0))
    info = replace(INFO, calibration=knots, higher_is_better=up, uncertainty=(3.0, 2.0))
    spread = torch.zeros(2, 7)
    spread[:, -1] = torch.tensor([4.0, -4.0])  # both heads differ by 4 everywhere
    head = Head(torch.zeros(6), 48.0, info, spread)
    off = np.hypot(3.0, 2.0 * 4.0)
    expected = abs(to_score(48 + off, knots).score - to_score(48 - off, knots).score) / 2
    assert head.score(torch.zeros(1, 6)).uncertainty == pytest.approx(expected)


def test_the_spread_over_crops_counts() -> None:
    info = replace(INFO, uncertainty=(0.0, 1.0))
    head = Head(torch.eye(6)[0], 50.0, info, torch.zeros(1, 7))
    crops = torch.zeros(4, 6)
    crops[:, 0] = torch.tensor([1.0, 3.0, 5.0, 7.0])
    expected = float(crops[:, 0].var() / 4) ** 0.5
    assert head.score(crops).uncertainty == pytest.approx(expected)


def test_a_head_without_spread_tells_none() -> None:
    assert Head(torch.zeros(6), 5.0, INFO).score(torch.zeros(1, 6)).uncertainty is None


@pytest.mark.parametrize("sizes", [(1.0,), (-1.0, 1.0), (float("nan"), 1.0), (1.0, 2.0, 3.0)])
def test_other_sizes_are_refused(sizes: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="a floor and a factor"):
        replace(INFO, uncertainty=sizes)


def test_spread_and_sizes_belong_together() -> None:
    with pytest.raises(ValueError, match="belong together"):
        Head(torch.zeros(6), 5.0, INFO, torch.zeros(2, 7))
    info = replace(INFO, uncertainty=(1.0, 1.0))
    with pytest.raises(ValueError, match="belong together"):
        Head(torch.zeros(6), 5.0, info)
    with pytest.raises(ValueError, match="shape"):
        Head(torch.zeros(6), 5.0, info, torch.zeros(2, 6))
    with pytest.raises(ValueError, match="finite"):
        Head(torch.zeros(6), 5.0, info, torch.full((2, 7), torch.inf))
