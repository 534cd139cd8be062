"""Order statistics of streams against sorting."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.filtering.ranks import Codes, RankFinder, codes_of, find_ranks, value_of

FINITE = st.floats(allow_nan=False, allow_infinity=False)
CLOSE = st.sampled_from([0.0, -0.0, 5e-324, 100.0, 99.9999, 50.0, -1.0, 1e300, -1e300])


@given(st.lists(FINITE | CLOSE, min_size=1))
def test_codes_have_the_order_of_the_values(values: list[float]) -> None:
    codes = codes_of(np.array(values)).tolist()
    for (a, code_a), (b, code_b) in itertools.combinations(zip(values, codes, strict=True), 2):
        assert (a < b, a == b) == (code_a < code_b, code_a == code_b)
    assert [value_of(code) for code in codes] == values


@settings(deadline=None, max_examples=60)
@given(st.lists(FINITE | CLOSE, max_size=60), st.floats(0, 0.999), st.sampled_from([0, 1, 8]))
def test_a_rank_is_that_of_the_sorted_values(values: list[float], share: float, few: int) -> None:
    ordered = sorted(values)
    finder = RankFinder(lambda count: int(share * count), few=few)
    passes = 0

    def read() -> Iterator[Sequence[Codes]]:
        nonlocal passes
        passes += 1
        for start in range(0, len(values), 7):
            yield [codes_of(np.array(values[start : start + 7]))]

    find_ranks([finder], read)
    assert passes <= 5
    assert finder.count == len(values)
    if not values:
        assert finder.found is None
        return
    wanted = ordered[int(share * len(values))]
    assert finder.found is not None
    assert value_of(finder.found) == wanted
    assert finder.below == sum(value < wanted for value in values)
    assert finder.equal == values.count(wanted)


def test_several_at_once_keep_few_numbers() -> None:
    codes = codes_of(np.random.default_rng(0).normal(size=20_000))
    ranks = [0, 77, 10_000, 19_999]
    finders = [RankFinder(lambda _, rank=rank: rank, few=50) for rank in ranks]
    find_ranks(finders, lambda: ([part] * len(ranks) for part in np.split(codes, 40)))
    assert [finder.found for finder in finders] == np.sort(codes)[ranks].tolist()


@pytest.mark.parametrize("bits", [64, 48, 16])
def test_numbers_that_differ_in_their_last_bits_only(bits: int) -> None:
    """No histogram but the last tells them apart."""
    codes = np.arange(3000, dtype=np.uint64) + np.uint64((1 << bits) - 4000)
    finder = RankFinder(lambda count: count // 3, few=10)
    find_ranks([finder], lambda: [[codes[::-1]]])
    assert finder.found == codes[1000]
    assert (finder.below, finder.equal) == (1000, 1)
