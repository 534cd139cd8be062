"""The table behind ``better_than``."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.models.everyday import PERCENTILES, Everyday

scores = st.lists(st.integers(0, 100), min_size=1, max_size=300)


def table(of: list[int]) -> Everyday:
    found = np.percentile(of, np.linspace(0, 100, PERCENTILES))
    return Everyday("photos", tuple(float(score) for score in found))


@settings(max_examples=50, deadline=None)
@given(of=scores, score=st.integers(0, 100))
def test_it_is_the_share_of_photos_that_score_lower(of: list[int], score: int) -> None:
    """Between two percentiles it is a guess: as many photos off as lie between two, and one."""
    share = 100 * sum(each < score for each in of) / len(of)
    assert table(of).better_than(score) == pytest.approx(share, abs=100 / len(of) + 1)


@settings(max_examples=50, deadline=None)
@given(of=scores)
def test_it_never_falls_as_the_score_rises(of: list[int]) -> None:
    of_them = table(of)
    found = [of_them.better_than(score) for score in range(101)]
    assert found == sorted(found)
    assert found[0] == 0.0
    assert found[-1] == 100.0 or max(of) == 100


@pytest.mark.parametrize(
    ("photos", "values", "says"),
    [
        ("", range(101), "which photos"),
        ("x", range(100), "expected 101 scores, got 100"),
        ("x", [*range(100), 101], "within 0-100"),
        ("x", [*range(100), float("nan")], "within 0-100"),
        ("x", [*range(99), 50, 100], "must rise"),
    ],
)
def test_no_other_table_is_taken(photos: str, values: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Everyday(photos, tuple(values))
