"""The head's arithmetic against loops, and its map to 0-100."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shamisa_cli.models.head import Head, HeadInfo, to_score


def make_info(**changes: object) -> HeadInfo:
    info = HeadInfo("clive", "clive", (0.0, 100.0), True, 650, 4, 0.1)
    return dataclasses.replace(info, **changes)


def test_raw_is_the_mean_of_the_crops_predictions() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, 4, generator=generator)
    weight = torch.randn(4, generator=generator)
    head = Head(weight, 2.5, make_info())
    predictions = [
        sum(float(x) * float(w) for x, w in zip(row, weight, strict=True)) + 2.5 for row in features
    ]
    assert head.raw(features) == pytest.approx(sum(predictions) / 5, abs=1e-6)


@pytest.mark.parametrize(
    ("score_range", "higher", "raw", "score"),
    [
        ((0.0, 100.0), True, 37.0, 37.0),
        ((1.0, 5.0), True, 4.0, 75.0),
        ((0.0, 9.0), False, 0.0, 100.0),
        ((0.0, 1.0), False, 0.25, 75.0),
    ],
)
def test_range_and_direction(
    score_range: tuple[float, float], higher: bool, raw: float, score: float
) -> None:
    info = make_info(score_range=score_range, higher_is_better=higher)
    made = to_score(raw, info.knots)
    assert made.score == pytest.approx(score)
    assert made.raw == raw
    assert not made.clipped


@given(st.floats(-300, 300), st.booleans())
def test_scores_stay_within_0_100_and_clipping_is_said(raw: float, higher: bool) -> None:
    made = to_score(raw, make_info(higher_is_better=higher).knots)
    assert 0 <= made.score <= 100
    assert made.clipped == (raw < 0 or raw > 100)


def test_calibration_interpolates_between_its_knots() -> None:
    info = make_info(calibration=((10.0, 0.0), (20.0, 60.0), (40.0, 100.0)))
    assert to_score(15, info.knots).score == pytest.approx(30)
    assert to_score(30, info.knots).score == pytest.approx(80)
    assert to_score(41, info.knots) == dataclasses.replace(
        to_score(40, info.knots), raw=41, clipped=True
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"score_range": (5.0, 1.0)},
        {"score_range": (0.0, float("nan"))},
        {"features": 0},
        {"calibration": ((0.0, 0.0),)},
        {"calibration": ((0.0, 50.0), (1.0, 20.0))},
        {"calibration": ((1.0, 0.0), (1.0, 50.0))},
        {"calibration": ((0.0, 0.0), (1.0, 120.0))},
        {"calibration": ((0.0, 0.0), (1.0, 50.0)), "higher_is_better": False},
    ],
)
def test_senseless_facts_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|needs|calibration"):
        make_info(**changes)


@pytest.mark.parametrize("shape", [(4,), (0, 4), (5, 3), (1, 5, 4)])
def test_features_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    head = Head(torch.ones(4), 0.0, make_info())
    with pytest.raises(ValueError, match=r"expected features \(K, 4\)"):
        head.raw(torch.zeros(shape))


def test_weights_must_fit_and_be_finite() -> None:
    with pytest.raises(ValueError, match="shape"):
        Head(torch.ones(3), 0.0, make_info())
    with pytest.raises(ValueError, match="finite"):
        Head(torch.tensor([1.0, float("inf"), 0, 0]), 0.0, make_info())
