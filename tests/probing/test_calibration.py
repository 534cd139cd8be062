"""Medians land where the card says, in either direction of the raw values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shamisa_cli.errors import UsageError
from shamisa_cli.heads.head import to_score
from shamisa_cli.probing.calibration import calibration_knots

STRONGEST, EVERYDAY, PRISTINE = (np.array(x) for x in ([10.0, 30, 50], [40.0, 55, 90], [60.0, 70]))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_medians_are_at_20_50_and_80(sign: int) -> None:
    knots = calibration_knots(sign * STRONGEST, sign * EVERYDAY, sign * PRISTINE)
    for raw, score in ((30, 20), (55, 50), (65, 80)):
        assert to_score(sign * raw, knots).score == pytest.approx(score)


def test_beyond_the_medians_it_goes_on_as_steeply() -> None:
    knots = calibration_knots(STRONGEST, EVERYDAY, PRISTINE)
    assert to_score(30 - 12.5, knots).score == pytest.approx(20 - 15)  # 30 points for 25 below
    assert to_score(65 + 5, knots).score == pytest.approx(80 + 15)  # and for 10 above
    assert [score for _, score in knots] == [0, 20, 50, 80, 100]
    assert to_score(-1000, knots).clipped
    assert to_score(1000, knots).clipped


@given(
    st.lists(st.floats(-1e3, 1e3).map(lambda v: round(v, 2)), min_size=3, max_size=3, unique=True),
    st.booleans(),
)
def test_whatever_the_medians_it_is_monotone(medians: list[float], falls: bool) -> None:
    raws = sorted(medians, reverse=falls)
    knots = calibration_knots(*(np.array([raw]) for raw in raws))
    assert all(a[0] < b[0] for a, b in itertools.pairwise(knots))
    scores = [score for _, score in knots]
    assert scores == sorted(scores, reverse=falls)


def test_medians_out_of_order_are_refused() -> None:
    with pytest.raises(UsageError, match=r"30\.0, for the dataset 20\.0.*--ladder-drop"):
        calibration_knots(np.array([30.0]), np.array([20.0]), np.array([40.0]))
