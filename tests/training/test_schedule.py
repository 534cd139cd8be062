"""Durations, crop progressions and learning rates."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shamisa_cli.training.schedule import (
    Position,
    crop_side,
    learning_rate,
    parse_crop,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("25m", 1500), ("1h30m", 5400), ("2d", 172800), ("0.5m", 30)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "25", "25 m", "m", "1h30", "-5m", "1y"])
def test_a_wrong_duration_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        parse_duration(text)


def test_crop_progression() -> None:
    stages = parse_crop("96:0.25,112:0.6,224")
    assert stages == ((96, 0.25), (112, 0.6), (224, 1.0))
    sides = [crop_side(stages, p) for p in (0, 0.24, 0.25, 0.59, 0.6, 1.0)]
    assert sides == [96, 96, 112, 112, 224, 224]
    assert parse_crop("224") == ((224, 1.0),)


@pytest.mark.parametrize(
    "text", ["", "112,224", "224:0.5,112:0.4,96", "16", "a:0.5,224", "8:2,224"]
)
def test_a_wrong_crop_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="crop"):
        parse_crop(text)


RATES = {"lr": 1.5e-3, "min_lr": 1e-6, "restart_epochs": 1.0, "restart_mult": 2}


def test_warm_restarts_are_those_of_torch() -> None:
    steps_per_epoch = 10
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=RATES["lr"])
    oracle = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 1, 2, eta_min=1e-6)
    for step in range(75):
        epoch = step / steps_per_epoch
        oracle.step(epoch)
        rate = learning_rate(
            Position(step, epoch, 0.0), name="warm_restarts", warmup_steps=0, **RATES
        )
        assert math.isclose(rate, optimizer.param_groups[0]["lr"], rel_tol=1e-6), step


def test_cosine_warms_up_and_ends_at_the_minimum() -> None:
    def rate(step: int, progress: float) -> float:
        return learning_rate(Position(step, 0.0, progress), name="cosine", warmup_steps=4, **RATES)

    assert [rate(step, 0.0) for step in range(4)] == pytest.approx(
        [RATES["lr"] * k / 4 for k in (1, 2, 3, 4)]
    )
    assert rate(100, 1.0) == pytest.approx(RATES["min_lr"])
    assert rate(100, 0.5) == pytest.approx((RATES["lr"] + RATES["min_lr"]) / 2)


@given(st.floats(0, 1000), st.floats(0, 1), st.sampled_from(["cosine", "warm_restarts"]))
def test_the_rate_stays_within_its_bounds(epoch: float, progress: float, name: str) -> None:
    rate = learning_rate(Position(7, epoch, progress), name=name, warmup_steps=0, **RATES)
    assert RATES["min_lr"] * (1 - 1e-9) <= rate <= RATES["lr"] * (1 + 1e-9)
