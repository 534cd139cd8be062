"""The pairs of gMAD against every pair of the pool, one after the other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.errors import UsageError
from shamisa_cli.experiments.gmad import Level, Pair, choose_pairs


def by_hand(
    defender: np.ndarray,
    attacker: np.ndarray,
    levels: int,
    tolerance: float,
    groups: np.ndarray | None = None,
) -> list[tuple[int, int] | None]:
    """The pair of each level: all pairs in their order, a wider one takes the place of another."""
    low, high = defender.min(), defender.max()
    edges = [low + (high - low) * k / levels for k in range(levels)]
    edges += [np.inf]
    close = tolerance * defender.std()
    found: list[tuple[int, int] | None] = []
    for start, end in itertools.pairwise(edges):
        best, pair = 0.0, None
        for i, j in itertools.product(range(len(defender)), repeat=2):
            inside = start <= defender[i] < end and start <= defender[j] < end
            equal = defender[i] - close <= defender[j] <= defender[i] + close
            of_one = groups is None or groups[i] == groups[j]
            if inside and equal and of_one and attacker[i] - attacker[j] > best:
                best, pair = attacker[i] - attacker[j], (i, j)
        found.append(pair)
    return found


def places(levels: list[Level]) -> list[tuple[int, int] | None]:
    return [level.pair and (level.pair.better, level.pair.worse) for level in levels]


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_pairs_of_200_pictures_are_those_of_brute_force(seed: int, grouped: bool) -> None:
    rng = np.random.default_rng(seed)
    defender = rng.normal(50, 20, 200).clip(0, 100)  # scores are clipped: there are ties
    attacker = (0.5 * defender + rng.normal(20, 15, 200)).clip(0, 100)
    groups = rng.integers(0, 12, 200) if grouped else None
    made = choose_pairs(defender, attacker, 6, 0.05, groups)
    assert places(made) == by_hand(defender, attacker, 6, 0.05, groups)
    assert sum(level.pictures for level in made) == 200
    assert sum(level.pair is not None for level in made) >= 3
    for level in made:
        if level.pair is not None:
            gap = attacker[level.pair.better] - attacker[level.pair.worse]
            assert level.pair.gap == gap > 0
            assert level.pair.deviations == pytest.approx(gap / np.std(attacker))


scores = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 2)), min_size=2, max_size=24
)


@settings(max_examples=80, deadline=None)
@given(scores, st.sampled_from([1, 2, 3, 4]), st.sampled_from([0.0, 0.3, 1.0, 10.0]), st.booleans())
def test_few_scores_with_many_ties(
    rows: list[tuple[int, int, int]], levels: int, tolerance: float, grouped: bool
) -> None:
    """Scores are multiples of what divides all levels, so that no rounding decides."""
    defender, attacker, groups = (np.array(column) for column in zip(*rows, strict=True))
    defender, attacker = defender * 12.0, attacker * 1.0
    of = groups if grouped else None
    assert places(choose_pairs(defender, attacker, levels, tolerance, of)) == by_hand(
        defender, attacker, levels, tolerance, of
    )


def test_levels_span_the_defenders_scores() -> None:
    defender = np.array([0.0, 0.0, 25.0, 50.0, 100.0, 100.0])
    attacker = np.array([1.0, 5.0, 9.0, 9.0, 2.0, 2.0])
    first, second, third, last = choose_pairs(defender, attacker, 4, 0.0)
    spread = float(np.std(attacker))
    assert first == Level(1, 0.0, 25.0, 2, Pair(1, 0, 4.0, 4.0 / spread))
    assert second == Level(2, 25.0, 50.0, 1, None)
    assert third == Level(3, 50.0, 75.0, 1, None)
    assert last == Level(4, 75.0, 100.0, 2, None)  # the attacker separates none of these


def test_a_pool_without_a_pair_is_refused() -> None:
    one = np.array([1.0])
    with pytest.raises(UsageError, match="a pool of 1 pictures has no pair"):
        choose_pairs(one, one)
    with pytest.raises(UsageError, match="levels must be at least 1"):
        choose_pairs(np.arange(3.0), np.arange(3.0), 0)
