"""How well predictions follow human scores: the five measures that the field reports."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

Array = NDArray[np.float64]


def srcc(predictions: Array, scores: Array) -> float:
    """Spearman's rank correlation, -1 to 1, higher is better; NaN if either side is constant."""
    return float(srcc_of_columns(predictions[:, None], scores)[0])


def srcc_of_columns(predictions: Array, scores: Array) -> Array:
    """(S,): :func:`srcc` of each column of ``predictions`` (n, S) with ``scores`` (n,)."""
    n = len(scores)
    # Twice the ranks about their mean are whole numbers: sums are exact, and equal ones are equal.
    a = 2 * stats.rankdata(predictions, axis=0) - (n + 1)
    b = 2 * stats.rankdata(scores) - (n + 1)
    with np.errstate(invalid="ignore"):  # 0/0 where a side is constant
        return np.asarray((b @ a) / np.sqrt((a * a).sum(0) * (b @ b)))


def krcc(predictions: Array, scores: Array) -> float:
    """Kendall's rank correlation τ-b, -1 to 1, higher is better; NaN if either side is constant."""
    return float(stats.kendalltau(predictions, scores).statistic)


def plcc(predictions: Array, scores: Array) -> float:
    """Pearson's linear correlation of the raw values, -1 to 1, higher is better; NaN as above."""
    if np.ptp(predictions) == 0 or np.ptp(scores) == 0:
        return math.nan
    return float(np.corrcoef(predictions, scores)[0, 1])


def plcc_logistic(predictions: Array, scores: Array) -> float:
    """Pearson's correlation after the 4-parameter logistic is fitted; -1 to 1, higher is better."""
    if np.ptp(predictions) == 0 or np.ptp(scores) == 0:
        return math.nan
    return plcc(logistic(predictions, *fit_logistic(predictions, scores)), scores)


def signed_rank_p(differences: Array) -> float:
    """Two-sided p of Wilcoxon's signed-rank test on ``differences`` (n,); NaN if all are 0."""
    if not (differences != 0).any():
        return math.nan
    return float(stats.wilcoxon(differences).pvalue)


def rmse(predictions: Array, scores: Array) -> float:
    """Root mean squared error of the raw values, in the scores' units; ≥ 0, lower is better."""
    return float(np.sqrt(np.mean((predictions - scores) ** 2)))


MEASURES: dict[str, Callable[[Array, Array], float]] = {
    measure.__name__: measure for measure in (srcc, plcc, plcc_logistic, krcc, rmse)
}
"""Of predictions (n,) and scores (n,), in the order of the tables; NaN where undefined."""


def measure_all(predictions: Array, scores: Array) -> dict[str, float]:
    """Every measure of ``predictions`` (n,) against ``scores`` (n,), by name."""
    return {name: measure(predictions, scores) for name, measure in MEASURES.items()}


def logistic(x: Array, top: float, bottom: float, middle: float, width: float) -> Array:
    """(top − bottom) / (1 + exp(−(x − middle)/|width|)) + bottom.

    The 4-parameter logistic of the Video Quality Experts Group's FR-TV phase II report (2003),
    which maps an objective score onto the subjective scale before PLCC is taken.
    """
    return (top - bottom) * special.expit((x - middle) / abs(width)) + bottom


def fit_logistic(predictions: Array, scores: Array) -> tuple[float, float, float, float]:
    """Least-squares parameters (top, bottom, middle, width) of :func:`logistic`.

    Both sides are standardized first, so that their units have no influence. The fit starts once
    from a curve as steep as the data and once from one that is almost a straight line over them;
    the better end is taken. Neither side may be constant.

    By Levenberg and Marquardt's method, in a sixth of the time of scipy's default. Fewer than four
    points, which it refuses, are left to that.
    """
    x_mean, x_scale = predictions.mean(), predictions.std()
    y_mean, y_scale = scores.mean(), scores.std()
    x, y = (predictions - x_mean) / x_scale, (scores - y_mean) / y_scale
    slope = float(np.mean(x * y))
    starts = (
        (y.max(), y.min(), 0.0, 0.25) if slope >= 0 else (y.min(), y.max(), 0.0, 0.25),
        (10 * slope, -10 * slope, 0.0, 5.0),
    )
    method = "lm" if len(x) >= 4 else "trf"
    fits = [
        optimize.least_squares(_misses, start, _slopes, method=method, args=(x, y))
        for start in starts
    ]
    top, bottom, middle, width = min(fits, key=lambda fit: fit.cost).x
    return (
        float(top * y_scale + y_mean),
        float(bottom * y_scale + y_mean),
        float(middle * x_scale + x_mean),
        float(abs(width) * x_scale),
    )


def _misses(parameters: Array, x: Array, y: Array) -> Array:
    """(n,): how far :func:`logistic` of ``x`` is from ``y``."""
    return logistic(x, *parameters) - y


def _slopes(parameters: Array, x: Array, y: Array) -> Array:
    """(n, 4): derivatives of :func:`_misses` by the parameters."""
    top, bottom, middle, width = parameters
    share = special.expit((x - middle) / abs(width))
    steep = (top - bottom) * share * (1 - share) / abs(width)
    return np.stack([share, 1 - share, -steep, -steep * (x - middle) / width], 1)
