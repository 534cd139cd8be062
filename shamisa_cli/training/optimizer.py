"""Optimizers by name, and the learning rate as a pure function of where a run stands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from shamisa_cli.training.config import OptimizerConfig, ScheduleConfig


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """An optimizer over the model's parameters.

    As published, SGD decays every parameter; AdamW and LARS leave biases and normalization alone.
    """
    if config.name == "sgd":
        return torch.optim.SGD(
            model.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay
        )
    decay = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": decay, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if config.name == "adamw":
        return torch.optim.AdamW(groups, config.lr)
    from timm.optim.lars import Lars

    return Lars(groups, config.lr, momentum=config.momentum)


@dataclass(frozen=True)
class Position:
    """Where a run stands.

    Attributes
    ----------
    step : optimizer steps done.
    epoch : passes over the data done, fractional.
    progress : share of the run done, 0 … 1 (by steps, or by wall-clock under a budget).
    """

    step: int
    epoch: float
    progress: float


def learning_rate(position: Position, schedule: ScheduleConfig, lr: float) -> float:
    """The learning rate of the step that starts at ``position``; ``lr`` is the peak."""
    if position.step < schedule.warmup_steps:
        return lr * (position.step + 1) / schedule.warmup_steps
    if schedule.name == "cosine":
        share = position.progress
    else:
        share = warm_restart_share(position.epoch, schedule.restart_epochs, schedule.restart_mult)
    return cosine(schedule.min_lr, lr, share)


def cosine(low: float, high: float, share: float) -> float:
    """From ``high`` at share 0 to ``low`` at share 1 along half a cosine."""
    return low + (high - low) * 0.5 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))


def warm_restart_share(epoch: float, first: float, mult: int) -> float:
    """Share of the current cycle of annealing with warm restarts (Loshchilov & Hutter, 2017).

    The k-th cycle lasts first·mult^k epochs; at its end the share falls back to 0.
    """
    if mult == 1:
        return (epoch % first) / first
    cycle = math.floor(math.log(epoch / first * (mult - 1) + 1, mult) + 1e-12)
    start = first * (mult**cycle - 1) / (mult - 1)
    return (epoch - start) / (first * mult**cycle)
