"""Paired comparisons of runs: differences, Wilcoxon's signed-rank test, Holm's correction.

What is independent is a run: a seed. The splits of a probe are not. All splits of one run look at
the same encoder, and their images overlap. So there are two tests, and neither replaces the other:

- over **runs**: each seed gives one difference, the mean over the splits. This is the honest one.
  With n seeds it cannot say less than 2^(1−n): 0.25 for three, 0.03 for six.
- over **pairs**: each (seed, split) gives one. It tells whether these very encoders differ on these
  images. It cannot tell whether another seed would say the same, and its p is too small for that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shamisa_cli.evaluation.measures import signed_rank_p


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (n − 1) of ``n`` values; NaN where there are too few."""

    mean: float
    std: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """One variant minus the baseline, same seed, same split.

    Attributes
    ----------
    difference : mean over the runs, each of which is a mean over its splits; and their deviation.
    ahead : runs with a difference above 0.
    pairs : how many (seed, split) both have.
    p_runs, p_pairs : two-sided p of Wilcoxon's signed-rank test; NaN where nothing differs.
    holm_runs, holm_pairs : the same, corrected for all comparisons of the table.
    """

    difference: Spread
    ahead: int
    pairs: int
    p_runs: float
    p_pairs: float
    holm_runs: float = math.nan
    holm_pairs: float = math.nan


def spread(values: Sequence[float]) -> Spread:
    """Mean and deviation of ``values``; those that are NaN are left out."""
    found = np.array([value for value in values if not math.isnan(value)])
    mean = float(found.mean()) if len(found) else math.nan
    return Spread(mean, float(found.std(ddof=1)) if len(found) > 1 else math.nan, len(found))


def compare(
    variant: Mapping[int, Sequence[float]], baseline: Mapping[int, Sequence[float]]
) -> Comparison | None:
    """Compare values by seed, one a split, in the same order of splits.

    A seed that only one of the two has is left out, and so is a split where either is NaN. None if
    nothing is left.
    """
    apart = [
        each[~np.isnan(each)]
        for seed in variant
        if seed in baseline
        for each in [np.subtract(variant[seed], baseline[seed])]
    ]
    runs = [each for each in apart if len(each)]
    if not runs:
        return None
    means, pairs = np.array([each.mean() for each in runs]), np.concatenate(runs)
    return Comparison(
        difference=spread(means.tolist()),
        ahead=int((means > 0).sum()),
        pairs=len(pairs),
        p_runs=signed_rank_p(means),
        p_pairs=signed_rank_p(pairs),
    )


def smallest_p(n: int) -> float:
    """The least two-sided p that the exact signed-rank test has for ``n`` differences: 2^(1−n)."""
    return min(1.0, 2.0 ** (1 - n))


def corrected(comparisons: Sequence[Comparison | None]) -> list[Comparison | None]:
    """``comparisons`` with Holm's correction over all of them, for each of the two tests."""
    found = [each for each in comparisons if each is not None]
    runs, pairs = holm([each.p_runs for each in found]), holm([each.p_pairs for each in found])
    made = iter(
        replace(each, holm_runs=p_runs, holm_pairs=p_pairs)
        for each, p_runs, p_pairs in zip(found, runs, pairs, strict=True)
    )
    return [None if each is None else next(made) for each in comparisons]


def holm(values: Sequence[float]) -> list[float]:
    """Adjusted p of m tests, in their order: Holm, Scandinavian Journal of Statistics 6, 1979.

    The i-th smallest (i = 0 …) becomes the largest of (m − j)·p_j for j ≤ i, at most 1. Tests
    without a p (NaN) stay so, and do not count in m.
    """
    order = sorted((p, at) for at, p in enumerate(values) if not math.isnan(p))
    adjusted, largest = [math.nan] * len(values), 0.0
    for rank, (p, at) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[at] = largest
    return adjusted
