"""Durations and learning rates."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from shamisa_cli.training.config import OptimizerConfig, ScheduleConfig, parse_duration
from shamisa_cli.training.optimizer import (
    Position,
    learning_rate,
    make_optimizer,
    set_learning_rate,
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


LOW, HIGH = 1e-6, 1.5e-3


def rate(position: Position, name: str, warmup_steps: int = 0) -> float:
    schedule = ScheduleConfig(name, 1.0, 2, LOW, warmup_steps)  # type: ignore[arg-type]
    return learning_rate(position, schedule, HIGH)


def test_warm_restarts_are_those_of_torch() -> None:
    steps_per_epoch = 10
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=HIGH)
    oracle = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 1, 2, eta_min=1e-6)
    for step in range(75):
        epoch = step / steps_per_epoch
        oracle.step(epoch)
        ours = rate(Position(step, epoch, 0.0), "warm_restarts")
        assert math.isclose(ours, optimizer.param_groups[0]["lr"], rel_tol=1e-6), step


def test_cosine_warms_up_and_ends_at_the_minimum() -> None:
    def cosine(step: int, progress: float) -> float:
        return rate(Position(step, 0.0, progress), "cosine", warmup_steps=4)

    assert [cosine(step, 0.0) for step in range(4)] == pytest.approx(
        [HIGH * k / 4 for k in (1, 2, 3, 4)]
    )
    assert cosine(100, 1.0) == pytest.approx(LOW)
    assert cosine(100, 0.5) == pytest.approx((HIGH + LOW) / 2)


@given(st.floats(0, 1000), st.floats(0, 1), st.sampled_from(["cosine", "warm_restarts"]))
def test_the_rate_stays_within_its_bounds(epoch: float, progress: float, name: str) -> None:
    assert LOW * (1 - 1e-9) <= rate(Position(7, epoch, progress), name) <= HIGH * (1 + 1e-9)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_each_parameter_moves_at_its_share_of_the_rate(name: str) -> None:
    """Against the same step at each rate for all; the control is one without shares."""

    def moved(rates: dict[str, float] | None, rate: float) -> dict[str, torch.Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
        before = {key: value.clone() for key, value in model.state_dict().items()}
        optimizer = make_optimizer(model, OptimizerConfig(name, lr=9.0), rates)
        set_learning_rate(optimizer, rate)
        model(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
        return {key: value - before[key] for key, value in model.state_dict().items()}

    whole, tenth = moved(None, 0.1), moved(None, 0.01)
    apart = moved({"1.weight": 0.1, "1.bias": 0.1}, 0.1)
    for key, change in apart.items():
        expected = tenth if key.startswith("1.") else whole
        torch.testing.assert_close(change, expected[key], rtol=1e-6, atol=1e-9)
        assert change.abs().max() > 0
