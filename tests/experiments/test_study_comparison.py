"""Holm's correction and the paired tests against slow, obvious versions of themselves."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from shamisa_cli.evaluation.measures import signed_rank_p
from shamisa_cli.experiments.comparison import (
    Comparison,
    Spread,
    compare,
    corrected,
    holm,
    smallest_p,
    spread,
)


def closed_bonferroni(p: list[float]) -> list[float]:
    """What Holm is a shortcut for: a test is rejected if every group of tests that holds it is.

    A group of k tests has k times its smallest p (Bonferroni).
    """
    at = range(len(p))
    groups = [g for k in range(1, len(p) + 1) for g in itertools.combinations(at, k)]
    return [
        max(min(1.0, len(group) * min(p[k] for k in group)) for group in groups if i in group)
        for i in at
    ]


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_closed_testing_with_bonferroni(seed: int) -> None:
    p = (np.random.default_rng(seed).random(8) ** 3).round(3).tolist()
    p[3] = p[5]  # a tie
    assert holm(p) == pytest.approx(closed_bonferroni(p))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_test_without_p_does_not_count() -> None:
    found = holm([0.01, math.nan, 0.04])
    assert found[0] == pytest.approx(0.02)
    assert math.isnan(found[1])
    assert found[2] == pytest.approx(0.04)


def signed_rank_by_all_signs(differences: list[float]) -> float:
    """How many of all 2^n ways to give the signs are as far from the middle as what was seen."""
    ranks = stats.rankdata(np.abs(differences))
    seen = sum(rank for rank, each in zip(ranks, differences, strict=True) if each > 0)
    middle = ranks.sum() / 2
    sums = [
        sum(rank for rank, up in zip(ranks, signs, strict=True) if up)
        for signs in itertools.product((False, True), repeat=len(ranks))
    ]
    return sum(abs(each - middle) >= abs(seen - middle) for each in sums) / len(sums)


@pytest.mark.parametrize("n", [1, 2, 3, 6, 9])
def test_signed_rank_p_counts_all_signs(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    assert signed_rank_p(differences) == pytest.approx(signed_rank_by_all_signs(list(differences)))
    all_ahead = np.arange(1.0, n + 1)
    assert signed_rank_p(all_ahead) == pytest.approx(smallest_p(n))


def test_nothing_differs_has_no_p() -> None:
    assert math.isnan(signed_rank_p(np.zeros(4)))


def test_compare_by_hand() -> None:
    variant = {0: [0.5, 0.7], 1: [0.2, 0.6], 7: [0.9, 0.9]}
    baseline = {0: [0.4, 0.4], 1: [0.4, 0.3], 2: [0.1, 0.1]}
    found = compare(variant, baseline)
    assert found is not None
    # Seeds 0 and 1 have both: +0.1 and +0.3, mean +0.2; −0.2 and +0.3, mean +0.05.
    assert found.difference.mean == pytest.approx(0.125)
    assert found.difference.std == pytest.approx(0.15 / math.sqrt(2))
    assert (found.difference.n, found.ahead, found.pairs) == (2, 2, 4)
    assert found.p_runs == pytest.approx(0.5)  # two of two: 2 of 4 ways
    assert found.p_pairs == pytest.approx(stats.wilcoxon([0.1, 0.3, -0.2, 0.3]).pvalue)


def test_a_split_without_a_value_is_no_pair() -> None:
    found = compare({0: [0.5, math.nan], 1: [math.nan] * 2}, {0: [0.4, 0.1], 1: [0.3, 0.3]})
    assert found is not None
    assert (found.difference.n, found.pairs) == (1, 1)
    assert found.difference.mean == pytest.approx(0.1)
    assert compare({0: [0.5]}, {1: [0.5]}) is None


def test_both_tests_are_corrected_over_all_rows() -> None:
    def row(p_runs: float, p_pairs: float) -> Comparison:
        return Comparison(Spread(0.1, 0.1, 3), 3, 30, p_runs, p_pairs)

    found = corrected([row(0.25, 0.001), None, row(0.5, 0.03), row(0.25, 0.02)])
    assert found[1] is None
    known = [each for each in found if each is not None]
    assert [each.holm_runs for each in known] == pytest.approx([0.75, 0.75, 0.75])
    assert [each.holm_pairs for each in known] == pytest.approx([0.003, 0.04, 0.04])


def test_spread_of_few() -> None:
    assert spread([1.0, 3.0]) == Spread(2.0, pytest.approx(math.sqrt(2)), 2)
    assert math.isnan(spread([1.0]).std)
    assert math.isnan(spread([]).mean)
