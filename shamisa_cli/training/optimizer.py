"""Optimizers by name, and the learning rate as a pure function of where a run stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from shamisa_cli.training.config import OptimizerConfig, ScheduleConfig


def make_optimizer(
    model: nn.Module, config: OptimizerConfig, rates: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """An optimizer over the model's parameters.

    As published, SGD decays every parameter; AdamW and LARS leave biases and normalization alone.
    ``rates`` is each parameter's share of the learning rate, by name; 1 where it has none. A group
    keeps its share as ``lr_scale``, timm's name for it.
    """
    shares = rates or {}
    parts: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        decays = config.name == "sgd" or parameter.ndim > 1
        key = (config.weight_decay if decays else 0.0, shares.get(name, 1.0))
        parts.setdefault(key, []).append(parameter)
    groups = [
        {"params": parts[decay, share], "weight_decay": decay, "lr_scale": share}
        for decay, share in sorted(parts, reverse=True)
    ]
    if config.name == "sgd":
        return torch.optim.SGD(groups, config.lr, config.momentum)
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


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let ``optimizer`` go on at ``rate``, each group at its share of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)  # earlier checkpoints name no share


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
