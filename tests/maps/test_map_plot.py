"""Which photos are shown on a map."""

from __future__ import annotations

import numpy as np

from shamisa_cli.maps.plot import spread_out


def test_photos_that_are_shown_lie_apart() -> None:
    corners = np.array([[0.0, 0], [0, 10], [10, 0], [10, 10], [5, 5]])
    crowd = np.random.default_rng(0).normal(5, 0.1, (50, 2))
    chosen = spread_out(np.concatenate([crowd, corners]), 5)
    assert chosen[0] < 50 or chosen[0] == 54
    assert set(chosen[1:]) == {50, 51, 52, 53}


def test_no_photo_is_shown_twice() -> None:
    places = np.array([[0.0, 0], [1, 0], [3, 0]])
    assert sorted(spread_out(places, 9)) == [0, 1, 2]
