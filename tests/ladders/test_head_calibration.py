"""Medians land where the card says, in either direction of the raw values."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shamisa_cli.errors import UsageError
from shamisa_cli.ladders.calibration import calibration_knots
from shamisa_cli.models.head import to_score

STRONGEST, EVERYDAY, PRISTINE = (np.array(x) for x in ([10.0, 30, 50], [40.0, 55, 90], [60.0, 70]))
raws = st.lists(st.floats(-1e3, 1e3).map(lambda v: round(v, 2)), min_size=1, max_size=9)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_medians_are_at_20_and_80(sign: int) -> None:
    knots = calibration_knots(sign * STRONGEST, sign * EVERYDAY, sign * PRISTINE, sign > 0)
    for raw, score in ((30, 20), (65, 80), (47.5, 50)):
        assert to_score(sign * raw, knots).score == pytest.approx(score)


def test_hardly_any_picture_is_beyond_the_ends() -> None:
    draw = np.random.default_rng(0).normal
    strongest, everyday, pristine = (draw(mean, 15, 1000) for mean in (30, 55, 70))
    knots = calibration_knots(strongest, everyday, pristine)
    for group, end in (((strongest, everyday), 0), ((everyday, pristine), 100)):
        scores = [to_score(raw, knots).score for raw in np.concatenate(group)]
        assert sum(score == end for score in scores) == 10


@given(raws, raws, raws, st.booleans())
def test_it_is_monotone_or_refused(
    strongest: list[float], everyday: list[float], pristine: list[float], up: bool
) -> None:
    sign = 1 if up else -1
    groups = [sign * np.array(each) for each in (strongest, everyday, pristine)]
    if not np.median(strongest) < np.median(pristine):
        with pytest.raises(UsageError, match="cannot be calibrated"):
            calibration_knots(*groups, up)
        return
    knots = calibration_knots(*groups, up)
    assert all(a[0] < b[0] for a, b in pairwise(knots))
    scores = [score for _, score in knots]
    assert scores == sorted(scores, reverse=not up)
    assert {20, 80} <= set(scores)


def test_the_refusal_says_what_the_medians_are() -> None:
    with pytest.raises(UsageError, match=r"is 30\.0, for good photos 20\.0.*--ladder-drop"):
        calibration_knots(np.array([30.0]), np.array([25.0]), np.array([20.0]))
