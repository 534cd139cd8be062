"""The measures against scipy and brute force, and what they promise of range and direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from shamisa_cli.evaluation.measures import (
    MEASURES,
    fit_logistic,
    krcc,
    logistic,
    measure_all,
    plcc,
    plcc_logistic,
    rmse,
    srcc,
    srcc_of_columns,
)

vectors = st.lists(st.integers(-5, 5), min_size=4, max_size=12).filter(lambda v: len(set(v)) > 1)


def _pair(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 100, n)
    return scores + rng.normal(0, 20, n), scores


@given(vectors, st.randoms(use_true_random=False))
def test_srcc_and_krcc_with_ties(values: list[int], random: object) -> None:
    x = np.array(values, dtype=float)
    y = np.array(random.sample(values, len(values)), dtype=float)  # type: ignore[attr-defined]
    assert srcc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    concordance = sum(
        np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i in range(len(x)) for j in range(i)
    )
    untied = [sum(v[i] != v[j] for i in range(len(v)) for j in range(i)) for v in (x, y)]
    assert krcc(x, y) == pytest.approx(concordance / math.sqrt(untied[0] * untied[1]))


def test_columns_are_ranked_one_by_one() -> None:
    """Where columns agree as well as each other they have the same value, to the last digit."""
    rng = np.random.default_rng(2)
    scores, columns = rng.integers(0, 9, 40).astype(float), rng.normal(size=(40, 3))
    columns = np.column_stack([columns, np.zeros(40), np.exp(columns[:, 1])])
    wanted = [stats.spearmanr(column, scores).statistic for column in columns[:, :3].T]
    found = srcc_of_columns(columns, scores)
    assert found[:3] == pytest.approx(wanted, abs=1e-12)
    assert math.isnan(found[3])
    assert found[4] == found[1]
    neighbors_swapped = np.tile(np.arange(30.0), (29, 1))
    for i, row in enumerate(neighbors_swapped):
        row[[i, i + 1]] = row[[i + 1, i]]
    assert len(set(srcc_of_columns(neighbors_swapped.T, np.arange(30.0)).tolist())) == 1


def test_plcc_and_rmse_by_their_formulas() -> None:
    x, y = _pair(0)
    dx, dy = x - x.mean(), y - y.mean()
    assert plcc(x, y) == pytest.approx((dx @ dy) / math.sqrt((dx @ dx) * (dy @ dy)))
    assert rmse(x, y) == pytest.approx(
        math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / len(x))
    )


def test_the_logistic_is_found_again() -> None:
    x = np.linspace(-3, 8, 80)
    y = 70 * expit((x - 2) / 0.7) + 10
    found = fit_logistic(x, y)
    assert found == pytest.approx((80, 10, 2, 0.7), rel=1e-4)
    assert plcc_logistic(x, y) == pytest.approx(1)
    assert plcc(x, y) < 0.97


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1e-3, 1.0, 1e4]), st.booleans())
def test_the_logistic_never_fits_worse_than_the_line(seed: int, scale: float, turned: bool) -> None:
    x, y = _pair(seed)
    x = (-x if turned else x) * scale
    slope, intercept = np.polyfit(x, y, 1)
    line = np.sum((slope * x + intercept - y) ** 2)
    curve = np.sum((logistic(x, *fit_logistic(x, y)) - y) ** 2)
    assert curve <= line * 1.01
    assert plcc_logistic(x, y) >= abs(plcc(x, y)) - 0.005


def test_direction_and_range() -> None:
    x, y = _pair(1)
    perfect, noisy, reverse = measure_all(y, y), measure_all(x, y), measure_all(100 - y, y)
    assert list(noisy) == list(MEASURES) == ["srcc", "plcc", "plcc_logistic", "krcc", "rmse"]
    assert perfect.pop("rmse") == 0 < noisy.pop("rmse")
    for name, value in noisy.items():
        assert -1 <= value < perfect[name] <= 1 + 1e-12
    assert reverse["srcc"] == pytest.approx(-1)
    assert reverse["krcc"] == pytest.approx(-1)


def test_constant_predictions_have_no_correlation() -> None:
    made = measure_all(np.full(10, 3.0), np.arange(10.0))
    assert all(math.isnan(made[name]) for name in ("srcc", "plcc", "plcc_logistic", "krcc"))
    assert made["rmse"] == pytest.approx(math.sqrt(np.mean((np.arange(10.0) - 3) ** 2)))
