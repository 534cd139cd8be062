"""Other ways to draw compositions than the published one, which stays as it was."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from shamisa_cli.distortions.composition import (
    CompositionGroup,
    Sampling,
    sample_group,
    sample_severities,
)
from shamisa_cli.distortions.engine import sample_metadata
from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.distortions.registry import CATEGORIES, ENTRIES

N = 800
ALPHA = 1e-4
"""The seed is fixed: a test that passes passes always."""


def drawn(**changes: Any) -> list[CompositionGroup]:
    """Groups of generators of their own, so that what is drawn differs by ``changes`` alone."""
    sampling = Sampling(**changes)
    return [sample_group(3, torch.Generator().manual_seed(k), sampling) for k in range(N)]


@pytest.fixture(scope="module")
def published() -> list[CompositionGroup]:
    return drawn()


def test_the_published_draws_are_those_of_earlier_versions() -> None:
    layout = BatchLayout(1, 2, 2, 2, 3)
    made = sample_metadata(layout, torch.Generator().manual_seed(11))
    assert made.functions.tolist() == [[[7, 4, 16, 1, 9, -1, -1], [20, 1, 7, 13, 4, 12, 22]]]
    assert made.varying.tolist() == [[2, 3]]
    assert [[float.hex(value) for value in row] for row in made.varying_severity[0].tolist()] == [
        ["0x1.915fd00000000p-3", "0x1.8a1c900000000p-1", "0x1.dd36420000000p-4"],
        ["0x1.03b27c0000000p-2", "0x1.3ab8a60000000p-1", "0x1.5dfcbc0000000p-1"],
    ]
    assert made.severities.double().sum().item() == 16.725278593599796


@pytest.mark.parametrize("most", [1, 3])
def test_at_most_so_many_functions(most: int) -> None:
    lengths = Counter(len(group.base.functions) for group in drawn(max_functions=most))
    assert sorted(lengths) == list(range(1, most + 1))
    assert min(lengths.values()) > 0.8 * N / most


def test_one_fixed_order_of_the_same_functions(published: list[CompositionGroup]) -> None:
    for group, plain in zip(drawn(order="fixed"), published, strict=True):
        functions = group.base.functions
        assert set(functions) == set(plain.base.functions)
        places = [CATEGORIES.index(ENTRIES[f].distortion.category) for f in functions]
        assert places == sorted(places)


def test_severities_at_five_levels(published: list[CompositionGroup]) -> None:
    seen = set()
    for group, plain in zip(drawn(discrete=True), published, strict=True):
        assert (group.base.functions, group.varying) == (plain.base.functions, plain.varying)
        pairs = zip(group.varying_severities, plain.varying_severities, strict=True)
        integer = ENTRIES[group.base.functions[group.varying]].distortion.integer
        for made, was in pairs:
            assert integer or abs(made - was) <= 0.125 + 1e-6
        seen.update((*group.base.severities, *group.varying_severities))
    assert sorted(seen) == [0, 0.25, 0.5, 0.75, 1]


def test_severities_are_uniform() -> None:
    generator = torch.Generator().manual_seed(3)
    values = sample_severities(20_000, generator, Sampling(severities="uniform")).numpy()
    assert stats.kstest(values, "uniform").pvalue > ALPHA
    published = sample_severities(20_000, generator).numpy()
    assert stats.kstest(published, "uniform").pvalue < ALPHA
    both = sample_severities(20_000, generator, Sampling(severities="uniform", discrete=True))
    counts = np.unique(both.numpy(), return_counts=True)[1]  # half as many at either end
    assert stats.chisquare(counts, [2500, 5000, 5000, 5000, 2500]).pvalue > ALPHA


def test_uniform_severities_are_of_the_same_functions(published: list[CompositionGroup]) -> None:
    others = drawn(severities="uniform")
    for group, plain in zip(others, published, strict=True):
        assert (group.base.functions, group.varying) == (plain.base.functions, plain.varying)
    mean, was = (
        np.mean([group.varying_severities for group in groups]) for groups in (others, published)
    )
    assert mean > was + 0.01


@pytest.mark.parametrize("most", [0, 8])
def test_a_wrong_number_of_functions_is_refused(most: int) -> None:
    with pytest.raises(ValueError, match=f"max_functions must be 1 to 7, got {most}"):
        Sampling(max_functions=most)
