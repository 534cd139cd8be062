"""Optimizers by name: torch's SGD and AdamW, timm's LARS."""

from __future__ import annotations

import torch
from timm.optim.lars import Lars
from torch import nn

from shamisa_cli.training.config import OptimizerConfig


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
    return Lars(groups, config.lr, momentum=config.momentum)
