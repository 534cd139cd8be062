"""Scores by MDSI for distorted copies."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from shamisa_cli.ladders.labels import damaged_less

SHARES = st.sampled_from([0.0, 0.1, 0.25, 0.5]) | st.floats(0, 1)


@given(st.lists(SHARES, max_size=40))
def test_the_share_that_is_damaged_less_counts_one_by_one(damage: list[float]) -> None:
    counted = [sum(other < each for other in damage) / len(damage) for each in damage]
    found = damaged_less(torch.tensor(damage, dtype=torch.float64))
    assert torch.allclose(found.double(), torch.tensor(counted).double(), atol=1e-6)
