"""How a difference of severity becomes a weight."""

from __future__ import annotations

import torch
from torch import Tensor


def severity_weight(t: Tensor) -> Tensor:
    """w(t) = exp(−3t): from 1 at t = 0 strictly down to 0.05 at t = 1 (method.md §4)."""
    return torch.exp(-3 * t)
