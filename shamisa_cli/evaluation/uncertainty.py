"""How far off a score may be: heads fitted to other draws of the images, and errors on unseen ones.

Two things make a prediction uncertain. People disagree, and features do not tell all: that is about
the same for every photo. And a photo may be unlike those that a head was fitted on: then heads of
other draws of these (bootstraps: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993) say
different things of it. With the spread s of their predictions, the error of an image is taken to be
normal with variance floor² + (factor·s)². Both numbers are the most likely ones for the errors on
the test parts of the splits, by heads that did not see them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from shamisa_cli.evaluation.evaluate import SplitResult
from shamisa_cli.evaluation.measures import Array, srcc
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.models.head import Head, spread_of

BOOTSTRAPS = 16
"""Heads that are kept; half as many for each split."""

Fit = Callable[[Tensor, float, Tensor | None], tuple[Tensor, float]]
"""Image indices, which may repeat, a ridge strength, and weights to start from; to (w, b)."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What a head needs to say how far off it may be.

    Attributes
    ----------
    spread : (B, F+1) float32, weights and bias of the bootstrapped heads minus those of the head.
    floor, factor : in the scores' units, and without unit.
    coverage : share of the unseen images whose error is at most their uncertainty; of a normal
        error 0.68.
    agreement : SRCC of their uncertainty with the size of their error.
    """

    spread: Tensor
    floor: float
    factor: float
    coverage: float
    agreement: float


@dataclass(frozen=True, eq=False)
class Errors:
    """What heads got wrong on images that they did not see.

    Attributes
    ----------
    error : (m,), prediction minus score.
    spread : (m,), the standard deviation of the predictions of their bootstraps.
    """

    error: Array
    spread: Array


def estimate_uncertainty(
    features: Tensor,
    scores: Tensor,
    splits: Sequence[Split],
    results: Sequence[SplitResult],
    strength: float,
    fit: Fit,
    errors: Errors | None = None,
) -> Uncertainty:
    """The uncertainty of a head that ``fit`` makes of all images at ridge strength ``strength``.

    Parameters
    ----------
    features : (n, F), one row an image.
    scores : (n,).
    splits, results : of heads that are fitted in the same way.
    errors : of these heads, where their features are others; else they are found here.
    """
    generator = seeded()
    if errors is None:
        errors = unseen_errors(features, scores, splits, results, fit, generator)
    floor, factor = most_likely(errors.error, errors.spread)
    expected = np.hypot(floor, factor * errors.spread)
    coverage = float((np.abs(errors.error) <= expected).mean())
    everything = torch.arange(len(scores))
    drawn = bootstrap(fit, everything, strength, BOOTSTRAPS, generator)
    agreement = srcc(expected, np.abs(errors.error))
    return Uncertainty(drawn.float(), floor, factor, coverage, agreement)


def seeded() -> torch.Generator:
    """The generator of all draws for one uncertainty."""
    return torch.Generator().manual_seed(0)


def unseen_errors(
    features: Tensor,
    scores: Tensor,
    splits: Sequence[Split],
    results: Sequence[SplitResult],
    fit: Fit,
    generator: torch.Generator,
) -> Errors:
    """The errors of ``results`` on the test parts; parameters as :func:`estimate_uncertainty`."""
    errors, spreads = [], []
    for split, result in zip(splits, results, strict=True):
        drawn = bootstrap(fit, split.train, result.strength, BOOTSTRAPS // 2, generator)
        spreads.append(spread_of(features[split.test], drawn).numpy())
        errors.append(result.predictions - scores[split.test].double().numpy())
    return Errors(np.concatenate(errors), np.concatenate(spreads))


def bootstrap(
    fit: Fit, images: Tensor, strength: float, count: int, generator: torch.Generator
) -> Tensor:
    """(count, F+1) float64: heads of ``images`` drawn with replacement, minus that of all."""
    w, b = fit(images, strength, None)
    made = []
    for _ in range(count):
        at = torch.randint(len(images), (len(images),), generator=generator)
        other, bias = fit(images[at], strength, w)
        made.append(torch.cat([other - w, torch.tensor([bias - b], dtype=w.dtype)]))
    return torch.stack(made)


def most_likely(errors: Array, spreads: Array) -> tuple[float, float]:
    """Floor and factor, both ≥ 0, under which ``errors`` (n,) are likeliest; see the module."""
    size = float(np.sqrt(np.mean(errors**2))) or 1.0

    def surprise(logs: Array) -> float:
        variance = np.exp(2 * logs[0]) + np.exp(2 * logs[1]) * spreads**2 + 1e-12 * size**2
        return float(np.mean(np.log(variance) + errors**2 / variance))

    starts = [(np.log(size), 0.0), (np.log(size / 2), np.log(2.0))]
    found = [optimize.minimize(surprise, np.array(each), method="Nelder-Mead") for each in starts]
    floor, factor = np.exp(min(found, key=lambda each: each.fun).x)
    return float(floor), float(factor)


def with_uncertainty(head: Head, found: Uncertainty) -> Head:
    """``head`` that tells how far off it may be."""
    metrics = {
        **head.info.metrics,
        "uncertainty_coverage": found.coverage,
        "uncertainty_srcc": found.agreement,
    }
    metrics = {name: value for name, value in metrics.items() if np.isfinite(value)}
    info = replace(head.info, metrics=metrics, uncertainty=(found.floor, found.factor))
    return replace(head, info=info, spread=found.spread)
