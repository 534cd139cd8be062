"""Sampling of compositions: the statistics that docs/method.md §2 asks for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from shamisa_cli.distortions.apply import apply_distortion
from shamisa_cli.distortions.composition import (
    Composition,
    CompositionGroup,
    compose,
    sample_group,
    sample_severities,
)
from shamisa_cli.distortions.registry import CATEGORIES, ENTRIES, ENTRIES_OF_CATEGORY
from shamisa_cli.distortions.severity import quantize_severity

N = 3000
ALPHA = 1e-4
"""The seed is fixed: a test that passes passes always."""


@pytest.fixture(scope="module")
def drawn() -> list[CompositionGroup]:
    generator = torch.Generator().manual_seed(2024)
    return [sample_group(5, generator) for _ in range(N)]


def categories(group: CompositionGroup) -> list[str]:
    return [ENTRIES[f].distortion.category for f in group.base.functions]


def assert_uniform(counts: list[int]) -> None:
    assert stats.chisquare(counts).pvalue > ALPHA, counts


def assert_half_normal_below_1(values: np.ndarray) -> None:
    half_normal = stats.halfnorm(scale=0.625)
    fit = stats.kstest(values[values < 1], lambda v: half_normal.cdf(v) / half_normal.cdf(1))
    assert fit.pvalue > ALPHA


def test_the_number_of_functions_is_uniform(drawn: list[CompositionGroup]) -> None:
    lengths = Counter(len(g.base.functions) for g in drawn)
    assert sorted(lengths) == [1, 2, 3, 4, 5, 6, 7]
    assert_uniform(list(lengths.values()))


def test_categories_never_repeat_and_are_equally_likely(drawn: list[CompositionGroup]) -> None:
    assert all(len(set(categories(g))) == len(g.base.functions) for g in drawn)
    for m in range(1, 7):
        counts = Counter(c for g in drawn if len(g.base.functions) == m for c in categories(g))
        assert_uniform([counts[c] for c in CATEGORIES])


def test_every_order_is_equally_likely(drawn: list[CompositionGroup]) -> None:
    """Where each category stands among all seven, and which of any two comes first."""
    full = [categories(g) for g in drawn if len(g.base.functions) == 7]
    for category in CATEGORIES:
        places = Counter(order.index(category) for order in full)
        assert_uniform([places[k] for k in range(7)])
    pairs = [categories(g) for g in drawn if {"blur", "noise"} <= set(categories(g))]
    first = sum(order.index("blur") < order.index("noise") for order in pairs)
    assert_uniform([first, len(pairs) - first])


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_function_is_drawn_uniformly_in_its_category(
    category: str, drawn: list[CompositionGroup]
) -> None:
    counts = Counter(f for g in drawn for f in g.base.functions)
    assert_uniform([counts[f] for f in ENTRIES_OF_CATEGORY[category]])


def test_severities_are_half_normal_clipped_at_1() -> None:
    values = sample_severities(100_000, torch.Generator().manual_seed(1)).numpy()
    assert values.min() >= 0
    clipped = np.mean(values == 1)
    assert clipped == pytest.approx(2 * stats.norm.sf(1 / 0.625), rel=0.05)
    assert_half_normal_below_1(values)


def test_base_and_varying_severities_have_that_distribution(drawn: list[CompositionGroup]) -> None:
    base, varied = [], []
    for group in drawn:
        for k, (function, severity) in enumerate(group.base.steps):
            if not ENTRIES[function].distortion.integer:
                base.append(severity)
                varied += group.varying_severities if k == group.varying else ()
    for values in (np.array(base), np.array(varied)):
        assert np.mean(values == 1) == pytest.approx(2 * stats.norm.sf(1 / 0.625), rel=0.15)
        assert_half_normal_below_1(values)


def test_the_varying_position_is_uniform(drawn: list[CompositionGroup]) -> None:
    for m in range(2, 8):
        counts = Counter(g.varying for g in drawn if len(g.base.functions) == m)
        assert_uniform([counts[k] for k in range(m)])


def test_severities_tell_what_is_applied(drawn: list[CompositionGroup]) -> None:
    for group in drawn[:300]:
        varying = group.base.functions[group.varying]
        varied = [(varying, severity) for severity in group.varying_severities]
        for function, severity in [*group.base.steps, *varied]:
            wanted = torch.tensor(severity, dtype=torch.float64)
            truth = quantize_severity(ENTRIES[function].distortion, wanted)
            assert float(truth) == pytest.approx(severity, abs=1e-9)


@given(st.integers(0, 2**31))
@settings(max_examples=30)
def test_a_seed_gives_one_group(seed: int) -> None:
    group = sample_group(5, torch.Generator().manual_seed(seed))
    assert group == sample_group(5, torch.Generator().manual_seed(seed))


def test_composing_is_applying_in_order(crops: Tensor) -> None:
    blur = next(i for i, e in enumerate(ENTRIES) if e.name == "gaussian_blur")
    jpeg = next(i for i, e in enumerate(ENTRIES) if e.name == "jpeg")
    generator = torch.Generator()
    done = compose(crops, Composition((blur, jpeg), (0.75, 1.0)), generator)
    blurred = apply_distortion(crops, "gaussian_blur", 0.75, generator)
    assert torch.equal(done, apply_distortion(blurred, "jpeg", 1.0, generator))
    other = compose(crops, Composition((jpeg, blur), (1.0, 0.75)), generator)
    assert (done - other).abs().max() > 0.1
